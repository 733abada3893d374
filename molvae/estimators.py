"""scikit-learn transformers, for use in a Pipeline: autoencoders for numeric tables, and codecs for SMILES."""

from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from molvae.autoencoder.recipes import RECIPES, Changes, MlpSettings, ModelSettings
from molvae.chem.fingerprints import morgan_bits, morgan_counts
from molvae.chem.molecules import standardize
from molvae.codec import Codec, load_codec
from molvae.errors import InputError
from molvae.features.arrays import ArrayFeaturizer, ArrayRows
from molvae.inputs import read_molecules
from molvae.training.config import TrainConfig, TrainingSettings
from molvae.training.trainer import train_in_memory

_FULL_BATCH = 10_000  # up to this many rows, the linear recipe trains on the full table as one batch
_MIN_ROWS_TO_HOLD_OUT = 200


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Train an autoencoder on a numeric table, and encode rows to latent vectors.

    Parameters
    ----------
    recipe : str, default="plain"
        Name of a recipe in `molvae.autoencoder.recipes.RECIPES`.
    n_components : int, default=8
        Number of latent dimensions; capped at the number of columns.
    widths : tuple of int, optional
        Widths of the hidden layers; by default halving widths. Unused by the linear recipe.
    corruption : {"gaussian", "zero"}, optional
        Corruption of the input; by default that of the recipe.
    corruption_level : float, default=0.3
        Standard deviation of the noise, in standard deviations of the scaled rows, or share of numbers set to zero.
    weight : float, default=1.0
        Weight of the regularizer of the recipe.
    k : int, default=4
        Number of active units in a top-k bottleneck; capped at `n_components`.
    active_rate : float, default=0.05
        Target of the mean activity for the sparse_rate recipe.
    n_steps : int, optional
        Number of training steps. By default 2,000; for the linear recipe 400 on the full table, because the noise of
        small batches rotates the subspace, or 1,500 above 10,000 rows.
    batch_size : int, optional
        Rows per step. By default 256; for the linear recipe the full table, or 1,024 above 10,000 rows.
    learning_rate : float, optional
        Peak learning rate, which decays to zero. By default 0.003; for the linear recipe 0.005, or 0.01 above 10,000
        rows.
    held_out : float, default=0.1
        Share of rows held out for early stopping and for choosing the best weights. With fewer than 200 rows, and for
        the linear recipe, whose optimum depends on the full table, no rows are held out.
    scale : {"whole", "columns"}, default="whole"
        Scale the whole table by one factor, or each column to unit variance.
    random_state : int or RandomState, optional
        Seed; equal seeds give equal latent vectors on the same machine.

    Attributes
    ----------
    model_ : Autoencoder
        The trained model.
    featurizer_ : ArrayFeaturizer
        The fitted scaling.
    n_steps_ : int
        Number of training steps that were run.
    validation_ : dict of str to float
        Metrics on the held-out rows.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(100, 5))
    >>> AutoencoderTransformer("linear", n_components=2, random_state=0).fit_transform(x).shape
    (100, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "recipe": [StrOptions(set(RECIPES))],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "widths": [None, "array-like"],
        "corruption": [None, StrOptions({"gaussian", "zero"})],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "weight": [Interval(Real, 0, None, closed="left")],
        "k": [Interval(Integral, 1, None, closed="left")],
        "active_rate": [Interval(Real, 0, 1, closed="neither")],
        "n_steps": [None, Interval(Integral, 1, None, closed="left")],
        "batch_size": [None, Interval(Integral, 1, None, closed="left")],
        "learning_rate": [None, Interval(Real, 0, None, closed="neither")],
        "held_out": [Interval(Real, 0, 0.5, closed="both")],
        "scale": [StrOptions({"whole", "columns"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recipe: str = "plain",
        n_components: int = 8,
        *,
        widths: tuple[int, ...] | None = None,
        corruption: Literal["gaussian", "zero"] | None = None,
        corruption_level: float = 0.3,
        weight: float = 1.0,
        k: int = 4,
        active_rate: float = 0.05,
        n_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        held_out: float = 0.1,
        scale: Literal["whole", "columns"] = "whole",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.recipe = recipe
        self.n_components = n_components
        self.widths = widths
        self.corruption = corruption
        self.corruption_level = corruption_level
        self.weight = weight
        self.k = k
        self.active_rate = active_rate
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.held_out = held_out
        self.scale = scale
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n, F)
            Rows.
        y : object, optional
            Ignored.

        Returns
        -------
        AutoencoderTransformer
            The fitted transformer.
        """
        self._validate_params()
        x: np.ndarray = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        self.featurizer_ = ArrayFeaturizer.from_corpus(x, self.scale)
        n_latent = min(self.n_components, x.shape[1])
        is_linear = RECIPES[self.recipe].is_linear
        sizes = MlpSettings(widths=None if self.widths is None or is_linear else tuple(map(int, self.widths)))
        model = ModelSettings(
            recipe=self.recipe,
            n_latent=n_latent,
            encoder=sizes,
            decoder=sizes,
            changes=Changes(),
            corruption=self.corruption,
            corruption_level=self.corruption_level,
            active_rate=self.active_rate,
            k=min(self.k, n_latent),
        )
        n_steps, batch_size, learning_rate, decay_from = self._schedule(len(x), is_linear)
        has_held_out = not is_linear and len(x) >= _MIN_ROWS_TO_HOLD_OUT
        training = TrainingSettings(
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            n_molecules=n_steps * batch_size,
            batch_size=batch_size,
            learning_rate=learning_rate,
            decay_from=decay_from,
            weight_decay=0.0,
            weights=dict.fromkeys(RECIPES[self.recipe].regularizers, self.weight),
            weight_warmup={},
            precision="float32",
            n_processes=1,
            n_held_out=int(self.held_out * len(x)) if has_held_out else 0,
            evaluate_every=max(1, n_steps // 20 if has_held_out else n_steps) * batch_size,
        )
        rows = ArrayRows.of(self.featurizer_.encode(x), self.featurizer_.spec)
        trained = train_in_memory(TrainConfig(model=model, training=training), rows)
        self.model_ = trained.model.requires_grad_(False)
        self.n_steps_ = trained.n_molecules // batch_size
        self.validation_ = trained.validation
        self._n_features_out = n_latent
        return self

    def _schedule(self, n: int, is_linear: bool) -> tuple[int, int, float, float]:
        """Number of steps, batch size, peak learning rate, and share of the steps before it decays, for n rows."""
        if not is_linear:
            default = (2000, 256, 3e-3, 0.4)
        else:
            default = (400, n, 5e-3, 0.5) if n <= _FULL_BATCH else (1500, 1024, 1e-2, 0.0)
        n_steps, batch_size, learning_rate, decay_from = default
        batch_size = min(self.batch_size or batch_size, n)
        return self.n_steps or n_steps, batch_size, self.learning_rate or learning_rate, decay_from

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Encode rows.

        Parameters
        ----------
        X : array-like of shape (n, F)
            Rows.

        Returns
        -------
        ndarray of shape (n, n_components)
            Latent vectors.
        """
        check_is_fitted(self)
        x: np.ndarray = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        z: np.ndarray = self.model_.encode(torch.from_numpy(self.featurizer_.encode(x))).numpy()
        return z.astype(x.dtype)

    def inverse_transform(self, Z: ArrayLike) -> np.ndarray:
        """Decode latent vectors.

        Parameters
        ----------
        Z : array-like of shape (n, n_components)
            Latent vectors.

        Returns
        -------
        ndarray of shape (n, F)
            Rows.

        Raises
        ------
        InputError
            `Z` is not of shape (n, n_components).
        """
        check_is_fitted(self)
        z = np.asarray(Z, np.float32)
        if z.ndim != 2 or z.shape[1] != self._n_features_out:
            raise InputError(
                f"inverse_transform: expected latent vectors of shape (n, {self._n_features_out}), got {z.shape}"
            )
        return self.featurizer_.decode(self.model_.decode(torch.from_numpy(z)).numpy())

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Score how well rows are reconstructed.

        Parameters
        ----------
        X : array-like of shape (n, F)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Negative mean squared reconstruction error of each row; higher is a better reconstruction.
        """
        check_is_fitted(self)
        x: np.ndarray = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        scores: np.ndarray = -((self.inverse_transform(self.transform(x)) - x) ** 2).mean(axis=1)
        return scores


class CodecTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Encode SMILES with a trained codec; nothing is fitted to the data.

    Parameters
    ----------
    codec : Codec, str or Path, optional
        A codec, or the name or folder of one, as in `load_codec`; None loads the default codec.
    on_error : {"raise", "nan"}, default="raise"
        If a molecule cannot be encoded: raise an error that names its row, or return a row of NaN.
    remove_stereo : bool, default=False
        Remove stereo before encoding, for a codec whose vocabulary has no stereo.

    Attributes
    ----------
    codec_ : Codec
        The loaded codec.

    Examples
    --------
    >>> CodecTransformer("moses").fit_transform(["CCO", "CCN"]).shape
    (2, 128)
    """

    def __init__(
        self,
        codec: Codec | str | Path | None = None,
        *,
        on_error: Literal["raise", "nan"] = "raise",
        remove_stereo: bool = False,
    ) -> None:
        self.codec = codec
        self.on_error = on_error
        self.remove_stereo = remove_stereo

    def fit(self, X: Iterable[object], y: object = None) -> Self:
        """Load the codec.

        Parameters
        ----------
        X : iterable of str
            Ignored.
        y : object, optional
            Ignored.

        Returns
        -------
        CodecTransformer
            The transformer.

        Raises
        ------
        InputError
            `on_error` is unknown.
        """
        if self.on_error not in ("raise", "nan"):
            raise InputError(f"on_error: expected 'raise' or 'nan', got {self.on_error!r}")
        self.codec_ = self.codec if isinstance(self.codec, Codec) else load_codec(self.codec)
        self._n_features_out = self.codec_.n_latent
        return self

    def transform(self, X: Iterable[object]) -> np.ndarray:
        """Encode SMILES.

        Parameters
        ----------
        X : iterable of str
            SMILES or RDKit molecules: a list, a Series, an array, or a table with one column or one SMILES column.

        Returns
        -------
        ndarray of shape (n, n_latent)
            Latent vectors, float32.

        Raises
        ------
        InputError
            A molecule cannot be encoded and `on_error` is "raise", or a table has no column of SMILES.
        """
        check_is_fitted(self)
        encoding = self.codec_.encode(X, remove_stereo=self.remove_stereo)
        if self.on_error == "raise" and not encoding.ok.all():
            row = int(np.argmin(encoding.ok))
            count = f"{int((~encoding.ok).sum())} of {len(encoding.ok)} molecules cannot be encoded"
            raise InputError(f"row {row}: {encoding.reason[row]} ({count}); drop them or use on_error='nan'")
        return encoding.z

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "codec_")

    def __getstate__(self) -> dict[str, object]:
        state: dict[str, object] = super().__getstate__()
        if isinstance(self.codec, Codec) or "codec_" not in state:
            return state
        codec = None if self.codec is None else str(self.codec)
        kept = {name: value for name, value in state.items() if name != "codec_"}
        return kept | {"codec": codec, "codec_sha256": self.codec_.sha256}  # a name, not the weights

    def __setstate__(self, state: dict[str, object]) -> None:
        sha256 = state.pop("codec_sha256", None)
        super().__setstate__(state)
        if sha256 is not None:
            self.codec_ = load_codec(None if self.codec is None else str(self.codec))
            if self.codec_.sha256 != sha256:
                raise InputError(f"the codec {self.codec_.name} has changed since the transformer was stored")


class FingerprintTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Compute Morgan fingerprints of SMILES; nothing is fitted to the data.

    Parameters
    ----------
    counts : bool, default=True
        How often each circular substructure occurs; False: whether it occurs.
    radius : int, default=2
        Radius in bonds; 2 gives ECFP4.
    n_bits : int, default=2048
        Length of a fingerprint.

    Examples
    --------
    >>> FingerprintTransformer(n_bits=1024).fit_transform(["CCO", "CCN"]).shape
    (2, 1024)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "counts": ["boolean"],
        "radius": [Interval(Integral, 0, None, closed="left")],
        "n_bits": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, counts: bool = True, *, radius: int = 2, n_bits: int = 2048) -> None:
        self.counts = counts
        self.radius = radius
        self.n_bits = n_bits

    def fit(self, X: Iterable[object], y: object = None) -> Self:
        """Check the parameters.

        Parameters
        ----------
        X : iterable of str
            Ignored.
        y : object, optional
            Ignored.

        Returns
        -------
        FingerprintTransformer
            The transformer.
        """
        self._validate_params()
        return self

    @property
    def _n_features_out(self) -> int:
        return self.n_bits

    def transform(self, X: Iterable[object]) -> np.ndarray:
        """Compute fingerprints.

        Parameters
        ----------
        X : iterable of str
            SMILES or RDKit molecules: a list, a Series, an array, or a table with one column or one SMILES column. They
            are standardized.

        Returns
        -------
        ndarray of shape (n, n_bits)
            Fingerprints, float32.

        Raises
        ------
        InputError
            A SMILES is invalid, or a table has no column of SMILES.
        """
        smiles = []
        for row, raw in enumerate(read_molecules(X, "X").items):
            found = standardize(raw)
            if found.smiles is None:
                raise InputError(f"row {row}: {found.reason}; drop it")
            smiles.append(found.smiles)
        compute = morgan_counts if self.counts else morgan_bits
        return compute(smiles, self.radius, self.n_bits).astype(np.float32)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return True
