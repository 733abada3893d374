"""The codec: encode, decode and sample molecules, and all methods that build on these."""

import gzip
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
import torch

from molvae.autoencoder import Autoencoder, ModelSettings
from molvae.bundled import bundled
from molvae.chem.molecule_table import MoleculeTable, with_structures
from molvae.codec import domain, infill, moves, similarity
from molvae.codec import units as latent_units
from molvae.codec.decoding import decode_beams, decode_latent, one_per_row
from molvae.codec.description import find_codec
from molvae.codec.domain import DomainCalibration
from molvae.codec.encoding import encode_molecules
from molvae.codec.moves import AttributeDirection, DirectionMeasurement, PropertyFunction
from molvae.codec.properties import PropertyWindows, predict, to_guidance_windows
from molvae.codec.results import Decoded, DecodedList, Encoding
from molvae.codec.similarity import LatentMetric, MoleculeMap
from molvae.codec.storage import StoredCodec, read_codec, write_codec
from molvae.errors import CodecError, InputError
from molvae.features.featurizer import DecodableFeaturizer, Featurizer
from molvae.features.tokens import TokenFeaturizer
from molvae.inputs import align, index_of, read_columns
from molvae.latent.geometry import LatentPath
from molvae.latent.maps import Method
from molvae.latent.prior import Prior, SamplingSettings
from molvae.seeds import generator, integer_seed
from molvae.workers import LocalProcesses, Mapper

if TYPE_CHECKING:
    from molvae.chem.fingerprints import ReferenceSet

_BATCH_SIZE = 512
_MAX_BEAM_SIZE = 1_000


@dataclass(frozen=True, eq=False, repr=False)
class Codec:
    """A trained autoencoder of molecules with a prior over its latent space.

    It encodes molecules to latent vectors, decodes latent vectors to molecules, and samples new molecules. Load one
    with `load_codec`. All methods are deterministic: the same arguments, including the seed, give the same results.

    Parameters
    ----------
    name : str
        Name of the codec.
    featurizer : Featurizer
        The features that the model reconstructs.
    model : Autoencoder
        The trained model.
    settings : ModelSettings
        Settings of the model.
    prior : Prior
        Distribution of the latent vectors of training molecules.
    sampling : SamplingSettings
        Default noise level, temperature and spread of `sample`.
    card : dict of str to object
        Model card: training data, licence, figures. `property_names` are the properties of the property head,
        `property_errors` its errors, and `training_file` is the bundled file of the training set.
    view : Featurizer, optional
        The features that the encoder reads; None if it reads the features that the model reconstructs.
    calibration : DomainCalibration, optional
        Calibration of the applicability domain; None if it was never fitted.
    sha256 : str, default=""
        Digest of the stored codec; empty if it was never saved.
    mapper : Mapper, optional
        Parses decoded SMILES if there are many; worker processes by default.

    Examples
    --------
    >>> codec = load_codec("moses")
    >>> codec
    Codec('moses', 128 dimensions, sha256 ...)
    >>> encoding = codec.encode(["CCN(CC)CC(=O)Nc1c(C)cccc1C"])
    >>> codec.decode(encoding.z)[0].smiles
    'CCN(CC)CC(=O)Nc1c(C)cccc1C'
    """

    name: str
    featurizer: Featurizer
    model: Autoencoder
    settings: ModelSettings
    prior: Prior
    sampling: SamplingSettings
    card: dict[str, object]
    view: Featurizer | None = None
    calibration: DomainCalibration | None = None
    sha256: str = ""
    mapper: Mapper = field(default_factory=LocalProcesses)

    def __repr__(self) -> str:
        digest = f"sha256 {self.sha256[:8]}" if self.sha256 else "not saved"
        return f"Codec({self.name!r}, {self.n_latent} dimensions, {digest})"

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        return self.settings.n_latent

    @property
    def decodes_to_smiles(self) -> bool:
        """Whether it decodes to molecules; False for fingerprints."""
        return isinstance(self.featurizer, DecodableFeaturizer) and self.featurizer.spec.kind == "tokens"

    @property
    def property_names(self) -> list[str]:
        """Properties that the property head predicts; empty without one."""
        names = self.card.get("property_names", ())
        return [str(name) for name in names] if isinstance(names, Sequence) else []

    # Encode, decode, sample

    def encode(self, molecules: Iterable[object] | str, *, remove_stereo: bool = False) -> Encoding:
        """Encode molecules to latent vectors.

        Each molecule is standardized first: salts are stripped, charges neutralized, and the SMILES is made canonical.
        `Standardized` records, as from `molvae.datasets.standardized_rows`, are used as they are. A molecule that is
        invalid, or outside the vocabulary of the codec, gives a row of NaN with a reason.

        Parameters
        ----------
        molecules : iterable of str, rdkit.Chem.Mol or Standardized, or one of them
            SMILES or RDKit molecules: a list, an array, a Series, or a table with one column or one SMILES column; or a
            single molecule. `Encoding.index` keeps the row labels of a Series or a table.
        remove_stereo : bool, default=False
            Remove stereo before encoding; `Encoding.note` records where it was removed.

        Returns
        -------
        Encoding
            One row per molecule, in order.

        Examples
        --------
        >>> encoding = load_codec().encode(["CC(C)(C)c1ccc2occ(CC(=O)Nc3ccccc3F)c2c1", "lidocaine"])
        >>> encoding.z.shape, encoding.ok.tolist()
        ((2, 128), [True, False])
        """
        return encode_molecules(self.model, self.view or self.featurizer, molecules, remove_stereo)

    def decode(
        self,
        z: np.ndarray,
        *,
        noise: float | np.ndarray = 0.0,
        temperature: float | np.ndarray = 0.0,
        seed: int = 0,
        beam_size: int = 1,
    ) -> DecodedList:
        """Decode latent vectors to molecules.

        By default decoding is greedy, and a molecule's own latent vector decodes to the same molecule in most cases. A
        beam search reconstructs more of them; noise and temperature give similar molecules instead.

        Parameters
        ----------
        z : ndarray or DataFrame of shape (n, D)
            Latent vectors. A row with NaN or infinity is not decoded, and has a reason. Of a table with the columns
            z_000, z_001, ... these are taken, in order.
        noise : float or ndarray of shape (n,), default=0.0
            Noise level in [0, 1], one for all rows or one per row (a Series is matched by its row labels): 0 decodes
            the latent vector itself, 1 ignores it.
        temperature : float or ndarray of shape (n,), default=0.0
            Sampling temperature of the tokens in [0, 10]; 0 takes the most probable token.
        seed : int, default=0
            Seed of noise and tokens; unused if `noise` and `temperature` are 0.
        beam_size : int, default=1
            Number of most probable SMILES per latent vector, 1 to 1,000. Above 1, if the greedily decoded molecule does
            not encode back to the latent vector, the molecule among these SMILES that encodes nearest to it is taken.

        Returns
        -------
        DecodedList of Decoded
            One per row of `z`, in order.

        Raises
        ------
        InputError
            `z` is not of shape (n, D), an option is out of range, `beam_size` is above 1 with noise or temperature, or
            the codec decodes to fingerprints.

        Examples
        --------
        >>> codec = load_codec()
        >>> strychnine = codec.encode(["O=C1C[C@@H]2OCC=C3CN4CC[C@]56[C@@H]4C[C@H]3[C@H]2[C@H]5N1c1ccccc16"])
        >>> len(codec.decode(strychnine.z, beam_size=8))
        1
        """
        writer, labels, z = self._writer, index_of(z), self._as_latent(z)
        noise, temperature = (
            align(value, labels, len(z), f"decode: {name}")
            for name, value in (("noise", noise), ("temperature", temperature))
        )
        noise = one_per_row("noise", noise, len(z), at_most=1)
        temperature = one_per_row("temperature", temperature, len(z), at_most=10)
        if not 1 <= beam_size <= _MAX_BEAM_SIZE or (beam_size > 1 and (noise.any() or temperature.any())):
            raise InputError(
                f"beam_size: expected 1 to {_MAX_BEAM_SIZE:,}, and 1 with noise or temperature; got {beam_size} "
                f"with noise up to {noise.max(initial=0):g} and temperature up to {temperature.max(initial=0):g}"
            )
        torch_seed = integer_seed(seed, "decode")
        decoded = decode_latent(
            self.model, writer, z, noise=noise, temperature=temperature, seed=torch_seed, mapper=self.mapper
        )
        if beam_size == 1:
            return DecodedList(decoded)
        reader = self.view or self.featurizer
        return DecodedList(
            decode_beams(self.model, writer, reader, z, decoded, beam_size=beam_size, mapper=self.mapper)
        )

    def decode_features(self, z: np.ndarray) -> np.ndarray:
        """Decode latent vectors to features, greedily: tokens, bits or expected counts.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.

        Returns
        -------
        ndarray of shape (n, ...)
            The features that the model reconstructs.

        Raises
        ------
        InputError
            `z` is not of shape (n, D).
        """
        parts = np.array_split(self._as_latent(z), max(1, len(z) // _BATCH_SIZE))
        x = [self.model.decode(torch.from_numpy(part)).numpy() for part in parts]
        longest = max(part.shape[1] for part in x)
        return np.concatenate([np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part in x])

    def draw(
        self,
        n: int,
        *,
        seed: int = 0,
        windows: PropertyWindows | None = None,
        guidance: float = 1.0,
        spread: float | None = None,
    ) -> np.ndarray:
        """Draw latent vectors from the prior; `sample` decodes them.

        Parameters
        ----------
        n : int
            Number of latent vectors.
        seed : int, default=0
            Seed of the draws.
        windows : mapping of str to (float or None, float or None), optional
            Property windows, property -> (low, high); None leaves a side open. Draws are shifted to latent vectors for
            which the property head predicts values within the windows.
        guidance : float, default=1.0
            Strength of the guidance: 0 is none, 1 follows Bayes' rule, higher values reduce diversity.
        spread : float or None, default=None
            Standard deviation of the steps added to the draws, in standard deviations of the latent vectors. None takes
            the default of the codec (`sampling`), or 0 with `windows`, because steps would leave the windows.

        Returns
        -------
        ndarray of shape (n, D)
            Latent vectors, float32.

        Raises
        ------
        InputError
            An option is negative, the property head was not trained on a property, a window is empty, or the prior is a
            mixture, which does not support guidance.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> z = codec.draw(200, windows={"logp": (1.0, 2.0)})
        >>> bool(codec.properties(z)["logp"].between(0.5, 2.5).mean() > 0.9)
        True
        """
        if n < 0:
            raise InputError(f"n: expected 0 or more molecules, got {n}")
        if not 0 <= guidance < math.inf:
            raise InputError(f"guidance: expected 0 or more, got {guidance}")
        if spread is None:
            spread = 0.0 if windows else self.sampling.spread
        if not 0 <= spread < math.inf:
            raise InputError(f"spread: expected 0 or more, got {spread}")
        targets = to_guidance_windows(
            self.model.property_head, windows or {}, names=self.property_names, errors=self._property_errors
        )
        z = self.prior.sample(n, generator(seed, "prior"), windows=targets, guidance=float(guidance))
        if spread:
            steps = generator(seed, "spread").standard_normal(z.shape, np.float32)
            z += np.float32(spread) * (steps @ self.prior.factor.T.astype(np.float32))
        return z

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        tries: int = 3,
        windows: PropertyWindows | None = None,
        guidance: float = 1.0,
        noise: float | None = None,
        temperature: float | None = None,
        spread: float | None = None,
    ) -> DecodedList:
        """Sample molecules: draw latent vectors from the prior, and decode them.

        Parameters
        ----------
        n : int
            Number of molecules.
        seed : int, default=0
            Seed of the draws and of the decoder.
        tries : int, default=3
            Maximum number of times that a latent vector is decoded; the first valid SMILES is kept.
        windows : mapping of str to (float or None, float or None), optional
            Property windows, as in `draw`. Most molecules have properties within or near the windows, but not all:
            noise and temperature change the molecules.
        guidance : float, default=1.0
            Strength of the guidance, as in `draw`.
        noise, temperature : float or None, default=None
            As in `decode`; None takes the default of the codec (`sampling`). Higher values give more diverse molecules,
            of which fewer are valid at the first try.
        spread : float or None, default=None
            Standard deviation of the steps added to the draws, as in `draw`.

        Returns
        -------
        DecodedList of Decoded
            n molecules; those still invalid after all tries have a reason.

        Raises
        ------
        InputError
            As `draw` and `decode`, or `tries` is below 1.

        Examples
        --------
        >>> codec = load_codec()
        >>> molecules = codec.sample(3, windows={"logp": (1.0, 2.0)}, guidance=2)
        >>> len(molecules)
        3
        """
        if tries < 1:
            raise InputError(f"tries: expected at least 1, got {tries}")
        noise = self.sampling.noise if noise is None else noise
        temperature = self.sampling.temperature if temperature is None else temperature
        z = self.draw(n, seed=seed, windows=windows, guidance=guidance, spread=spread)
        decoded = [Decoded("", None, "not decoded")] * n
        left = list(range(n))
        for attempt in range(tries):
            attempt_seed = integer_seed(seed, f"sample {attempt}")
            again = self.decode(z[left], noise=noise, temperature=temperature, seed=attempt_seed)
            for row, molecule in zip(left, again, strict=True):
                decoded[row] = molecule
            left = [row for row in left if decoded[row].smiles is None]
        return DecodedList(decoded)

    def properties(self, z: np.ndarray) -> pd.DataFrame:
        """Predict properties from latent vectors, with the linear property head; nothing is decoded.

        Parameters
        ----------
        z : ndarray or DataFrame of shape (n, D)
            Latent vectors.

        Returns
        -------
        DataFrame
            One row per latent vector, with the row labels of a table, and one column per property, in the unit of the
            property. No columns if the codec was trained without labels.

        Raises
        ------
        InputError
            `z` is not of shape (n, D).
        """
        values = predict(self.model.property_head, self._as_latent(z))
        return pd.DataFrame(values, columns=self.property_names, index=index_of(z))

    # New molecules from known ones

    def interpolate(
        self, a: object, b: object, *, n: int = 10, path: LatentPath = "linear", seed: int = 0
    ) -> MoleculeTable:
        """Find molecules between two molecules.

        Latent vectors on the path are decoded greedily: first n, then more where neighbors decode differently. If they
        give fewer than n molecules, vectors on the path are also decoded with noise.

        Parameters
        ----------
        a, b : str or rdkit.Chem.Mol
            The molecules at the ends.
        n : int, default=10
            Number of unique molecules, both ends included. If more are found, n of them are evenly selected.
        path : {"linear", "spherical"}, default="linear"
            A straight line, or an arc around the mean of the prior. On a straight line, the latent vectors between the
            ends are closer to the mean than those of molecules.
        seed : int, default=0
            Seed of the noise.

        Returns
        -------
        MoleculeTable
            One row per unique molecule, in order of `fraction` of the path in [0, 1] at which it is decoded first:
            `smiles`, `noise` of the decoder, `similarity_to_a` and `similarity_to_b` (Tanimoto, Morgan radius 2).
            `attrs["counts"]` holds the numbers of `unique` molecules found and of `invalid` decodes. Fewer than n rows
            come with a warning.

        Raises
        ------
        InputError
            A molecule cannot be encoded, `n` is below 2, `path` is unknown, or the codec decodes to fingerprints.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> table = codec.interpolate("CC(=O)Nc1ccc(O)cc1", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", n=6)
        >>> table["smiles"].iloc[0], len(table)
        ('CC(=O)Nc1ccc(O)cc1', 6)
        """
        return with_structures(moves.interpolate(self, self.prior, a, b, n=n, path=path, seed=seed))

    def neighborhood(
        self,
        molecule: object,
        *,
        n: int = 20,
        radius: float = 0.25,
        seed: int = 0,
        noise: float = 0.2,
        temperature: float = 0.3,
    ) -> MoleculeTable:
        """Find molecules around a molecule in latent space.

        Random latent vectors at a distance `radius` are decoded, greedily and with noise. The radius, the noise and the
        temperature grow by a quarter until n molecules are found, at most eleven times.

        Parameters
        ----------
        molecule : str or rdkit.Chem.Mol
            The molecule at the center.
        n : int, default=20
            Number of unique molecules.
        radius : float, default=0.25
            First distance from the latent vector of the molecule, in standard deviations of the prior; at 0, its latent
            vector itself is decoded, with growing noise.
        seed : int, default=0
            Seed of the latent vectors and of the decoder.
        noise, temperature : float
            First values of the decoder, as in `decode`.

        Returns
        -------
        MoleculeTable
            One row per unique molecule other than the start (`molecule`), the most similar first: `smiles`, `distance`
            (Euclidean, from its latent vector to that of the start; NaN if it cannot be encoded), `similarity`
            (Tanimoto to the start) and `radius`, at which it was first decoded. `attrs["counts"]` holds the numbers of
            all `decodes`, of those that gave the `start`, of `unique` molecules, and of `invalid` decodes. Fewer than n
            rows come with a warning.

        Raises
        ------
        InputError
            The molecule cannot be encoded, or an option is out of range.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> len(codec.neighborhood("CC(=O)Nc1ccc(O)cc1", n=5))
        5
        """
        table = moves.neighborhood(
            self, self.prior, molecule, n=n, radius=radius, seed=seed, noise=noise, temperature=temperature
        )
        return with_structures(table)

    def infill(
        self,
        fragment: object,
        *,
        n: int = 10,
        seed: int = 0,
        temperature: float = 1.0,
        atoms: tuple[int, int] = (0, 12),
        tries: int = 1000,
    ) -> MoleculeTable:
        """Fill the gaps or the attachment points of a fragment.

        All atoms, bonds, rings and branches of the fragment are kept. There are three kinds of fragments:

        - SMILES with gaps "_", such as "c1ccc(_)cc1O". A gap may close a ring or branch that the fragment leaves open.
        - One fragment with one to five attachment points, such as "[*:1]c1ccnc([*:2])c1": each gets a substituent.
        - Two fragments with one attachment point each, such as "[*:1]c1ccncc1.[*:2]C1CCOCC1": a linker connects them.

        At attachment points, no other atom is substituted, and several orders of the atoms are tried; see
        `molvae.chem.fixed_parts.FixedPart.is_in` for what is checked.

        The decoder chooses only tokens that keep the fragment and leave no branch or ring open. Where a fragment has
        several gaps, twice as many fillings are begun as completed; those after which the rest of the fragment is more
        probable go on.

        A codec trained with masked tokens (recipes `masked` and `denoising`) encodes the fragment with masked gaps and
        decodes it. A codec with a noise-conditioned decoder (recipe `molecular`) fills gaps at noise level 1, where the
        decoder is a language model.

        Parameters
        ----------
        fragment : str or rdkit.Chem.Mol
            SMILES with one to five gaps or attachment points; or a molecule with attachment points.
        n : int, default=10
            Maximum number of molecules to return.
        seed : int, default=0
            Seed of the fillings.
        temperature : float, default=1.0
            Sampling temperature of the tokens in [0, 10]; 0 takes the most probable token.
        atoms : pair of int, default=(0, 12)
            Lowest and highest number of heavy atoms in a gap; a substituent or linker has at least one. The decoder
            chooses the number, except in a gap before an atom: there the smallest number is drawn, and the gap ends
            as soon as it can.
        tries : int, default=1000
            Number of fillings.

        Returns
        -------
        MoleculeTable
            One row per unique molecule, the most probable first: canonical `smiles`; `filled`, the fillings joined by
            "_", in the order of the SMILES; `log_probability` of the completed SMILES in nats (without the end token
            for a `masked` codec, which does not learn it; minus infinity if the SMILES is too long for the codec);
            `n_drawn`, how often the molecule was drawn.
            `attrs["counts"]`: `tried` = `invalid` + `altered` (a valid molecule that does not keep the fragment) +
            `duplicates` + `unique`. `attrs["reasons"]` counts why SMILES are invalid.

        Raises
        ------
        InputError
            The codec cannot fill gaps or read the fragment, the fragment has no gap or more than five, an attachment
            point cannot be used, no filling can be valid, or an option is out of range.

        Examples
        --------
        >>> table = load_codec("moses").infill("CC(=O)Nc1ccc(_)cc1", n=5, tries=200)
        >>> table.columns.tolist()
        ['smiles', 'filled', 'log_probability', 'n_drawn']
        """
        from molvae.chem.molecules import to_smiles

        table = infill.infill(
            self.model,
            self._fillable(),
            to_smiles(fragment),
            has_view=self.view is not None,
            n=n,
            seed=seed,
            temperature=temperature,
            atoms=atoms,
            tries=tries,
        )
        return with_structures(table)

    def decode_with(
        self,
        part: object,
        z: np.ndarray,
        *,
        parents: Sequence[str | None] | None = None,
        noise: float | np.ndarray = 0.0,
        temperature: float | np.ndarray = 0.0,
        seed: int = 0,
    ) -> DecodedList:
        """Decode latent vectors to molecules that contain a part.

        As in `infill`, the decoder chooses only tokens that keep the part. The order of the atoms is that of a parent
        if it contains the part: its substituents are replaced by gaps. Otherwise the part is written in a random order.
        Each latent vector is decoded twice, and the SMILES after which the part is more probable is kept.

        Parameters
        ----------
        part : str or rdkit.Chem.Mol
            SMILES or a molecule with attachment points, as for `infill`, or SMARTS. With SMARTS, the atoms that match
            in a parent are kept; without a parent, the SMARTS also has to be the SMILES of a molecule, and one to
            three random atoms of it are substituted.
        z : ndarray of shape (n, D)
            Latent vectors.
        parents : sequence of str or None, optional
            Canonical SMILES of a molecule similar to that of each latent vector; None where there is none.
        noise : float or ndarray of shape (n,), default=0.0
            As in `decode`.
        temperature : float or ndarray of shape (n,), default=0.0
            As in `decode`.
        seed : int, default=0
            Seed of the random numbers.

        Returns
        -------
        DecodedList of Decoded
            One per row of `z`, in order. A molecule without the part is a row with a reason.

        Raises
        ------
        InputError
            The codec cannot fill gaps, the part cannot be read, or an option is out of range.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> decoded = codec.decode_with("[*:1]c1ccncc1", codec.draw(3), noise=0.6, temperature=0.5)
        >>> len(decoded)
        3
        """
        from molvae.chem.fixed_parts import read_kept
        from molvae.chem.molecules import to_smiles

        z = self._as_latent(z)
        decoded = infill.decode_with(
            self.model,
            self._fillable(),
            read_kept(to_smiles(part)),
            z,
            parents=[None] * len(z) if parents is None else list(parents),
            noise=one_per_row("noise", noise, len(z), at_most=1.0),
            temperature=one_per_row("temperature", temperature, len(z), at_most=10.0),
            seed=seed,
        )
        return DecodedList(decoded)

    @property
    def fills_gaps(self) -> bool:
        """Whether `infill` and `decode_with` work: SMILES tokens, and a decoder or an encoder trained for it."""
        return isinstance(self.featurizer, TokenFeaturizer) and infill.can_infill(
            self.model, self.featurizer, has_view=self.view is not None
        )

    def _fillable(self) -> TokenFeaturizer:
        """The featurizer, if gaps can be filled."""
        featurizer = self.featurizer
        if not isinstance(featurizer, TokenFeaturizer) or not self.fills_gaps:
            raise InputError(
                f"infill: codec {self.name} cannot fill gaps (recipe {self.settings.recipe!r}, "
                f"{featurizer.describe()}); use one of recipe 'masked', 'denoising' or 'molecular' with SMILES tokens"
            )
        return featurizer

    # Directions in which properties increase

    def attribute_direction(
        self, molecules: Iterable[object], values: str | Iterable[float | None], *, seed: int = 0
    ) -> AttributeDirection:
        """Fit the direction in which a value increases, by ridge regression on latent vectors.

        Parameters
        ----------
        molecules : iterable of str or rdkit.Chem.Mol
            The molecules.
        values : str or iterable of float or None
            One number per molecule, None or NaN where there is none (a Series is matched by its row labels); or a name
            of `molvae.chem.properties.PROPERTIES`. Molecules without a value, or that cannot be encoded, are skipped
            and counted.
        seed : int, default=0
            Seed of the folds on which `r2` is measured.

        Returns
        -------
        AttributeDirection
            The direction and the quality of the fit.

        Raises
        ------
        InputError
            Fewer than 10 molecules are left, all values are equal, or the number of values differs from the number of
            molecules.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> lipophilic = codec.attribute_direction(codec.training_smiles()[:300], "logp")
        >>> codec.move("CC(=O)Nc1ccc(O)cc1", lipophilic, distances=[0, 1])["distance"].tolist()
        [0.0, 1.0]
        """
        return moves.attribute_direction(self, molecules, values, seed=seed)

    def move(
        self,
        molecule: object,
        direction: AttributeDirection | np.ndarray,
        *,
        n: int = 3,
        distances: Iterable[float] | None = None,
        seed: int = 0,
    ) -> MoleculeTable:
        """Move a molecule along a direction.

        Without `distances`, 24 distances on each side are decoded, greedily and, if they give fewer than n molecules,
        with noise.

        Parameters
        ----------
        molecule : str or rdkit.Chem.Mol
            The molecule to start from.
        direction : AttributeDirection or ndarray of shape (D,)
            The direction; the length of a vector is ignored.
        n : int, default=3
            Number of unique molecules on each side, without the start; unused if `distances` are given. If more are
            found up to the root mean square distance of molecules from the mean of the prior, n of them are selected,
            the nearest included.
        distances : iterable of float, optional
            Euclidean distances; negative values move against the direction, 0 is the molecule itself. Short distances
            often decode to the molecule itself. Default: those at which the molecule changes.
        seed : int, default=0
            Seed of the noise.

        Returns
        -------
        MoleculeTable
            One row per distance, in order: `distance`, `smiles`, `reason`, `noise` of the decoder (0 for given
            `distances`) and `similarity_to_start` (Tanimoto). Fewer than n molecules on one side come with a warning.

        Raises
        ------
        InputError
            The molecule cannot be encoded, `n` is below 1, the vector is not of shape (D,), finite and nonzero, or a
            distance is not finite.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> polar = codec.attribute_direction(codec.training_smiles()[:300], "tpsa")
        >>> codec.move("CC(=O)Nc1ccc(O)cc1", polar)["smiles"].nunique()
        7
        """
        return with_structures(moves.move(self, self.prior, molecule, direction, n=n, distances=distances, seed=seed))

    def measure_direction(
        self,
        direction: AttributeDirection | np.ndarray,
        molecules: Iterable[object],
        values: str | PropertyFunction,
        *,
        distances: Iterable[float] | None = None,
        seed: int = 0,
        n_random: int = 1,
    ) -> DirectionMeasurement:
        """Measure how a property of decoded molecules changes along a direction, compared with random directions.

        Every molecule is moved by each distance, along and against the direction, and decoded greedily; the property
        of the result is computed. Slopes are fitted within molecules. Use held-out molecules, not those that the
        direction was fitted to.

        Parameters
        ----------
        direction : AttributeDirection or ndarray of shape (D,)
            The direction; the length of a vector is ignored.
        molecules : iterable of str or rdkit.Chem.Mol
            The molecules to move.
        values : str or callable
            A name of `molvae.chem.properties.PROPERTIES`, or a function of a list of SMILES.
        distances : iterable of float, optional
            Euclidean distances; signs are ignored. By default those of `move`.
        seed : int, default=0
            Seed of the random directions, which are drawn from the covariance of the prior.
        n_random : int, default=1
            Number of random directions.

        Returns
        -------
        DirectionMeasurement
            The slopes, and the steps to which they are fitted.

        Raises
        ------
        InputError
            Fewer than 2 molecules can be encoded, the direction is not of shape (D,), every distance is 0, or the
            property is unknown.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> training = codec.training_smiles()
        >>> lipophilic = codec.attribute_direction(training[:300], "logp")
        >>> measured = codec.measure_direction(lipophilic, training[300:310], "logp")
        >>> measured.slopes["direction"].unique().tolist()
        ['attribute', 'random 1']
        """
        return moves.measure_direction(
            self, self.prior, direction, molecules, values, distances=distances, seed=seed, n_random=n_random
        )

    # Similarity, latent units, applicability domain

    def neighbors(
        self,
        query: Iterable[object] | str | Encoding,
        library: Iterable[object] | str | Encoding,
        *,
        k: int = 10,
        metric: LatentMetric = "cosine",
    ) -> MoleculeTable:
        """Find the nearest molecules of a library in latent space, by exact search.

        Parameters
        ----------
        query, library : iterable of str or rdkit.Chem.Mol, str, or Encoding
            Molecules, or their encoding, so that a large library is encoded only once. A query that is in the library
            is its own first neighbor.
        k : int, default=10
            Number of neighbors; capped at the number of library molecules that can be encoded.
        metric : {"cosine", "euclidean"}, default="cosine"
            Distance of latent vectors; "cosine" is 1 - cos.

        Returns
        -------
        MoleculeTable
            k rows per query, the nearest first: `query` (its position, or its row label in a Series or a table),
            `query_smiles`, `rank` from 1, `row` of the library (likewise), `smiles`, `distance`, `tanimoto` (Morgan
            radius 2) and `reason`. A query that cannot be encoded is one row with a reason. `attrs["unreadable"]`
            counts the molecules of the library that cannot be encoded.

        Raises
        ------
        InputError
            `k` is below 1, the metric is unknown, or no molecule of the library can be encoded.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> table = codec.neighbors("CC(=O)Nc1ccc(O)cc1", ["CCC(=O)Nc1ccc(O)cc1", "CCO", "c1ccccc1"], k=2)
        >>> table["smiles"].tolist()[0]
        'CCC(=O)Nc1ccc(O)cc1'
        """
        return with_structures(similarity.neighbors(self._encoded(query), self._encoded(library), k=k, metric=metric))

    def project(self, molecules: Iterable[object] | Encoding, *, method: Method = "pca", seed: int = 0) -> MoleculeMap:
        """Project molecules to two dimensions, by latent vectors and by fingerprints.

        Parameters
        ----------
        molecules : iterable of str or rdkit.Chem.Mol, or Encoding
            Molecules, or their encoding.
        method : {"pca", "tsne"}, default="pca"
            Projection; t-SNE preserves neighborhoods better, but takes seconds for a few thousand molecules.
        seed : int, default=0
            Seed of t-SNE, and of the choice of at most 2,000 molecules on which the quality is measured.

        Returns
        -------
        MoleculeMap
            Both maps, with their trustworthiness and neighborhood preservation.

        Raises
        ------
        InputError
            Fewer than 2 molecules can be encoded (5 for t-SNE), or the method is unknown.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> found = codec.project(codec.training_smiles()[:50])
        >>> found.table.columns.tolist()
        ['row', 'smiles', 'x', 'y', 'reason']
        """
        return similarity.map_molecules(self._encoded(molecules), method=method, seed=seed)

    def explain_units(
        self,
        molecules: Iterable[object] | str,
        *,
        top: int = 5,
        units: Sequence[int] | None = None,
        properties: Sequence[str] = latent_units.UNIT_PROPERTIES,
    ) -> MoleculeTable:
        """Show which molecules activate each latent dimension (unit), and which properties it correlates with.

        A unit is active where its value is not zero (recipes `sparse` and `sparse_topk`), above 0.5 (`sparse_rate`), or
        above the middle of its range over the molecules (all other recipes; a unit of a Gaussian bottleneck with a
        variance of at most 0.01 is never active).

        Parameters
        ----------
        molecules : iterable of str or rdkit.Chem.Mol, or str
            Molecules; duplicates count once.
        top : int, default=5
            Maximum number of molecules per unit.
        units : sequence of int, optional
            Indices of latent dimensions, from 0; all by default.
        properties : sequence of str
            Names of `molvae.chem.properties.PROPERTIES`.

        Returns
        -------
        MoleculeTable
            One row per unit and molecule: `unit`; `activity`, the share of molecules that activate it (NaN for a single
            molecule where activity depends on the range); `standard_deviation` of its values; `correlation_<property>`,
            Spearman's, NaN for fewer than three molecules or constant values; `rank` from 1, the strongest activation
            first (for `sparse_topk`, by absolute value); `smiles`; `activation`, the value of the unit. A dead unit,
            with activity 0, is one row of rank 0 without a molecule. `attrs["counts"]` holds the numbers of unique
            `molecules`, of `unreadable` and `repeated` ones, and of `dead` units.

        Raises
        ------
        InputError
            No molecule can be encoded, a unit or property is unknown, or `top` is below 1.

        Examples
        --------
        >>> table = load_codec("moses").explain_units(["CC(=O)Nc1ccc(O)cc1", "CCCCO", "c1ccccc1"], units=[0], top=1)
        >>> table["unit"].tolist()
        [0]
        """
        table = latent_units.explain_units(
            self, self.model.bottleneck, molecules, top=top, units=units, properties=properties
        )
        return with_structures(table)

    def applicability_domain(
        self,
        molecules: Iterable[object] | str,
        *,
        percentile: float = 99.0,
        reference: "Iterable[str] | ReferenceSet | None" = None,
        remove_stereo: bool = False,
    ) -> MoleculeTable:
        """Assess whether molecules resemble the training data of the codec.

        Three measures are computed, and the worst of them decides: the reconstruction error, the negative
        log-likelihood of the SMILES at noise level 1 (noise-conditioned decoders only), and the negative log-density
        of the latent vector under a Gaussian prior.

        Parameters
        ----------
        molecules : iterable of str or rdkit.Chem.Mol, or str
            Molecules.
        percentile : float, default=99.0
            `domain_percentile` above which a molecule is out of domain, between 0 and 100. At 99, one percent of
            molecules like those of the training set are out of domain.
        reference : iterable of str or ReferenceSet, optional
            Canonical SMILES of the reference set to search for the nearest molecule, usually the training set.
            For many calls, pass a `molvae.chem.fingerprints.ReferenceSet`.
        remove_stereo : bool, default=False
            Remove stereo, as in `encode`.

        Returns
        -------
        MoleculeTable
            One row per molecule, in order, with the row labels of a Series: `smiles`, standardized;
            `reconstruction_nats`, `nll_nats`, `log_density`
            (nats); `reconstruction_percentile`, `nll_percentile` and `density_percentile` among the calibration
            molecules, higher is farther from the training data; `domain_percentile` of all measures together, in
            [0, 100]; `in_domain`; `nearest_reference` and `nearest_similarity` (Tanimoto, Morgan radius 2); `reason`,
            None for a molecule in the domain. A molecule that cannot be encoded is out of domain: percentile 100,
            measures NaN. For an invalid SMILES, the percentile is NaN and `in_domain` is missing.

        Raises
        ------
        CodecError
            The applicability domain was never calibrated; see `fit_domain`.
        InputError
            The percentile is out of range, or the reference set is empty or contains an invalid SMILES.

        Examples
        --------
        >>> codec = load_codec("moses")
        >>> table = codec.applicability_domain(["CCN(CC)CC(=O)Nc1c(C)cccc1C", "CC(=O)Nc1ccc(OOOO)cc1"])
        >>> table["in_domain"].tolist()
        [True, False]
        """
        domain.check_percentile(percentile)
        if self.calibration is None:
            raise CodecError(
                f"codec {self.name}: its applicability domain is not calibrated; calibrate it with molecules like "
                "those of its training set: "
                "dataclasses.replace(codec, calibration=molvae.codec.fit_domain(codec, smiles)).save(folder)"
            )
        encoding = self.encode(molecules, remove_stereo=remove_stereo)
        table = domain.applicability_domain(
            encoding,
            self.featurizer.encode([smiles or "" for smiles in encoding.smiles]),
            self.model,
            self.prior,
            self.calibration,
            percentile=percentile,
            reference=reference,
        )
        return with_structures(table)

    # Training data and files

    def training_smiles(self) -> list[str] | None:
        """The SMILES of the training set.

        Returns
        -------
        list of str or None
            Canonical SMILES; None if the training set is not bundled with molvae.
        """
        path = bundled(str(self.card.get("training_file", "")))
        if not path.is_file():
            return None
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            next(lines)
            return [line.rstrip("\n") for line in lines]

    def save(self, folder: Path) -> None:
        """Save the codec to a new folder, with weights in half precision and the SHA-256 of every file.

        Parameters
        ----------
        folder : Path
            The new folder.

        Raises
        ------
        InputError
            The folder exists and is not empty, or cannot be written.
        """
        write_codec(StoredCodec(**{name: getattr(self, name) for name in StoredCodec._fields}), Path(folder))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load a codec from a folder, and check every file against its SHA-256.

        Parameters
        ----------
        folder : Path
            A folder that `save` wrote.

        Returns
        -------
        Codec
            The codec.

        Raises
        ------
        CodecError
            A file is missing, changed or truncated, or the version of the codec is not supported.
        """
        return cls(**read_codec(folder)._asdict())

    @property
    def _writer(self) -> DecodableFeaturizer:
        if not isinstance(self.featurizer, DecodableFeaturizer) or not self.decodes_to_smiles:
            raise InputError(
                f"codec {self.name}: decodes to {self.featurizer.describe()}, not to molecules; use decode_features"
            )
        return self.featurizer

    @property
    def _property_errors(self) -> dict[str, float]:
        errors = self.card.get("property_errors", {})
        return {str(name): float(error) for name, error in errors.items()} if isinstance(errors, Mapping) else {}

    def _encoded(self, molecules: Iterable[object] | str | Encoding) -> Encoding:
        return molecules if isinstance(molecules, Encoding) else self.encode(molecules)

    def _as_latent(self, z: np.ndarray) -> np.ndarray:
        """Latent vectors (n, D) as float32; a single vector (D,) becomes a row."""
        z = read_columns(z, self.n_latent)
        try:
            rows = np.require(z, np.float32, "W")  # the array of a table is read-only
        except (TypeError, ValueError):
            raise InputError("z: expected an array of numbers, one latent vector per row") from None
        if rows.ndim == 1 and len(rows) == self.n_latent:
            rows = rows[None]
        if rows.ndim != 2 or (rows.shape[1] != self.n_latent and rows.size):
            raise InputError(f"z: expected latent vectors of shape (n, {self.n_latent}), got {rows.shape}")
        return rows.reshape(-1, self.n_latent)


def load_codec(name_or_folder: str | Path | None = None) -> Codec:
    """Load a codec.

    Parameters
    ----------
    name_or_folder : str or Path, optional
        Name of a bundled codec ("druglike", "moses"), or a folder; the default bundled codec if None.

    Returns
    -------
    Codec
        The codec.

    Raises
    ------
    CodecError
        There is no such codec, or a file is missing or changed.

    Examples
    --------
    >>> load_codec("moses").n_latent
    128
    """
    return Codec.load(find_codec(name_or_folder))
