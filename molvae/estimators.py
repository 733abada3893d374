"""scikit-learn's way in: autoencoders over tables, and codecs over SMILES, as steps of a Pipeline."""

from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from molvae.autoencoder.recipes import RECIPES, Changes, MlpSettings, ModelSettings
from molvae.codec import Codec, load_codec
from molvae.errors import InputError
from molvae.features.arrays import ArrayFeaturizer, ArrayRows
from molvae.training.config import TrainConfig, TrainingSettings
from molvae.training.trainer import train_in_memory

_WHOLE_ROWS = 10_000  # rows that a linear model reads in one step
_LEAST_TO_HOLD_OUT = 200


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes of table rows, and rows of codes, by an autoencoder of any recipe, trained on the table.

    recipe: a name of RECIPES; n_components: the code's size, brought down to the number of columns if larger.
    widths: of the layers between row and code; None is a halving stack; no matter for the linear recipe.
    corruption: "gaussian" or "zero"; None takes what the recipe has for numbers. Of a level: a standard deviation of
        the scaled rows, or a share of numbers.
    weight: of the recipe's regularizer; k: units that speak in the top-k bottleneck, at most n_components;
    active_rate: the mean activity that sparse_rate aims at.
    n_steps: of training, each on `batch_size` rows; None: 2,000 on 256 rows. For the linear recipe 400 on the whole
        table, since the noise of small batches turns the subspace by degrees; 1,500 on 1,024 rows above 10,000 rows.
    learning_rate: at its height; None takes what suits the recipe. It falls to zero.
    held_out: share of rows kept out to choose the best weights by and to stop early; none is kept out of fewer than 200
        rows, nor for the linear recipe, whose optimum is a property of the whole table.
    scale: "whole" keeps the shape of the cloud of rows, "columns" gives each column the same variance.
    random_state: the same one gives the same codes on the same machine.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
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

    def fit(self, X: Any, y: object = None) -> Self:
        """Train on rows (n, F); y is not read."""
        self._validate_params()
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        self.featurizer_ = ArrayFeaturizer.from_corpus(X, self.scale)
        n_latent = min(self.n_components, X.shape[1])
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
        n_steps, batch_size, learning_rate, decay_from = self._schedule(len(X), is_linear)
        is_any_held_out = not is_linear and len(X) >= _LEAST_TO_HOLD_OUT
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
            n_held_out=int(self.held_out * len(X)) if is_any_held_out else 0,
            evaluate_every=max(1, n_steps // 20 if is_any_held_out else n_steps) * batch_size,
        )
        rows = ArrayRows.of(self.featurizer_.encode(X), self.featurizer_.spec)
        trained = train_in_memory(TrainConfig(model=model, training=training), rows)
        self.model_ = trained.model.requires_grad_(False)
        self.n_steps_ = trained.n_molecules // batch_size
        self.validation_ = trained.validation
        self._n_features_out = n_latent
        return self

    def _schedule(self, n: int, is_linear: bool) -> tuple[int, int, float, float]:
        """Steps, rows a batch, learning rate and where it begins to fall, for a table of n rows."""
        if not is_linear:
            usual = (2000, 256, 3e-3, 0.4)
        else:
            usual = (400, n, 5e-3, 0.5) if n <= _WHOLE_ROWS else (1500, 1024, 1e-2, 0.0)
        n_steps, batch_size, learning_rate, decay_from = usual
        batch_size = min(self.batch_size or batch_size, n)
        return self.n_steps or n_steps, batch_size, self.learning_rate or learning_rate, decay_from

    def transform(self, X: Any) -> np.ndarray:
        """Codes (n, n_components) of rows (n, F)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        codes: np.ndarray = self.model_.encode(torch.from_numpy(self.featurizer_.encode(X))).numpy()
        return codes.astype(X.dtype)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Rows (n, F) of codes (n, n_components)."""
        check_is_fitted(self)
        z = np.asarray(Z, np.float32)
        if z.ndim != 2 or z.shape[1] != self._n_features_out:
            raise InputError(f"inverse_transform: expected codes of shape (n, {self._n_features_out}), got {z.shape}")
        return self.featurizer_.decode(self.model_.decode(torch.from_numpy(z)).numpy())

    def score_samples(self, X: Any) -> np.ndarray:
        """How typical rows are, (n,): minus the mean squared error of their reconstruction; higher is more typical."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        typical: np.ndarray = -((self.inverse_transform(self.transform(X)) - X) ** 2).mean(axis=1)
        return typical


class CodecTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes of SMILES, by a trained codec; nothing is learnt from the data.

    codec: as `load_codec` takes it, or a Codec; None is the default one.
    on_error: "raise" refuses a molecule that the codec cannot read, and names its row; "nan" gives it a row of NaN.
    remove_stereo: whether stereo is dropped, for a codec that knows none.
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

    def fit(self, X: Iterable[Any], y: object = None) -> Self:
        """Load the codec; X and y are not read."""
        if self.on_error not in ("raise", "nan"):
            raise InputError(f"on_error: expected 'raise' or 'nan', got {self.on_error!r}")
        self.codec_ = self.codec if isinstance(self.codec, Codec) else load_codec(self.codec)
        self._n_features_out = self.codec_.n_latent
        return self

    def transform(self, X: Iterable[Any]) -> np.ndarray:
        """Codes (n, n_latent) float32 of SMILES: a list, a Series, an array or a table of one column.

        Raises:
            InputError: a molecule cannot be read, unless on_error is "nan".
        """
        check_is_fitted(self)
        encoding = self.codec_.encode(_column(X), remove_stereo=self.remove_stereo)
        if self.on_error == "raise" and not encoding.ok.all():
            row = int(np.argmin(encoding.ok))
            count = f"{int((~encoding.ok).sum())} of {len(encoding.ok)} molecules cannot be encoded"
            raise InputError(f"row {row}: {encoding.reason[row]} ({count}); drop them, or use on_error='nan'")
        return encoding.z

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "codec_")


def _column(X: Any) -> Iterable[Any]:
    """The molecules of a list, a Series, or the one column of a table."""
    values = np.asarray(X, dtype=object) if hasattr(X, "shape") else X
    if isinstance(values, np.ndarray) and values.ndim == 2:
        if values.shape[1] != 1:
            raise InputError(f"expected one column of SMILES, got a table of shape {values.shape}")
        return values[:, 0]
    return values
