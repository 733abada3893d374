"""The codec: molecules to points and back; the one place where SMILES meet tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from molvae.autoencoder import Autoencoder, ModelSettings
from molvae.bundled import bundled, bundled_codecs
from molvae.codec.infill import infill
from molvae.codec.settings import SamplingSettings
from molvae.codec.storage import read_codec, write_codec
from molvae.codec.units import UNIT_PROPERTIES, explain_units
from molvae.errors import CodecError, InputError
from molvae.feature_spec import END, FeatureSpec
from molvae.features.featurizer import Featurizer
from molvae.features.store import Rows, filled_lengths, model_input
from molvae.features.tokens import TokenFeaturizer
from molvae.latent.prior import GaussianPrior
from molvae.seeds import generator, integer_seed

DEFAULT_NAME = "moses"
_BATCH = 512


@dataclass(frozen=True)
class Encoding:
    """One row per input, in order.

    z: (n, D) float32; NaN rows where not ok.
    ok: (n,) bool.
    reason: why a row is not ok, in words; None where it is.
    smiles: canonical SMILES as encoded; None where the input is no molecule.
    note: what was changed before encoding (a salt stripped, stereo dropped); None where nothing was.
    """

    z: np.ndarray
    ok: np.ndarray
    reason: list[str | None]
    smiles: list[str | None]
    note: list[str | None]


@dataclass(frozen=True)
class Decoded:
    """What a point became: the text as written, its canonical SMILES, or the reason why it is no molecule."""

    text: str
    smiles: str | None
    reason: str | None


@dataclass(frozen=True)
class Codec:
    """Molecules to points and back, with the prior that says where molecules lie.

    featurizer: of what the model rebuilds; view: of what it reads, where that is something else.
    card: what is told of it (training data, licence, metrics); `property_names` are those of the property head, and
        `training_file` is the bundled file that holds its training set.
    sha256: of its description, which holds the sha256 of every other file; "" for one never saved.
    """

    name: str
    featurizer: Featurizer
    model: Autoencoder
    settings: ModelSettings
    prior: GaussianPrior
    sampling: SamplingSettings
    card: dict[str, Any]
    view: Featurizer | None = None
    sha256: str = ""

    @property
    def n_latent(self) -> int:
        """Dimensions of a point."""
        return self.settings.n_latent

    @property
    def writes_molecules(self) -> bool:
        """Whether its points become molecules, and not only fingerprints."""
        return isinstance(self.featurizer, TokenFeaturizer)

    def encode(self, molecules: Iterable[Any] | str, flatten: bool = False) -> Encoding:
        """Points of molecules, in order: SMILES, a Series of them, or RDKit molecules.

        Each is standardized first (salts stripped, charges neutralized, canonical). One that is no molecule, or that
        holds what the vocabulary does not know, is a row with a reason.

        flatten: drop stereo, and say so in `note`.

        Example:
            >>> encoding = load_codec().encode(["CC(C)(C)c1ccc2occ(CC(=O)Nc3ccccc3F)c2c1"])
            >>> encoding.z.shape, encoding.ok.tolist()
            ((1, 64), [True])
        """
        from molvae.chem import molecules as chem

        rows = [molecules] if isinstance(molecules, str) else list(molecules)
        smiles: list[str | None] = []
        reason: list[str | None] = []
        note: list[str | None] = []
        for row in rows:
            standard = chem.standardize(chem.to_smiles(row))
            flat = chem.flatten(standard.smiles) if flatten and standard.smiles else standard.smiles
            said = [standard.warning, "stereo dropped" if flat != standard.smiles else None]
            smiles.append(flat)
            reason.append(standard.reason)
            note.append("; ".join(filter(None, said)) or None)
        z = np.full((len(rows), self.n_latent), np.nan, np.float32)
        readable = [i for i, text in enumerate(smiles) if text is not None]
        reader = self.view or self.featurizer
        features = reader.encode([smiles[i] or "" for i in readable])
        for i, why in zip(readable, features.reason, strict=True):
            reason[i] = f"{why} (flatten=True drops stereo)" if why and "stereo" in why and not flatten else why
        places = np.array(readable, np.int64)[features.ok]
        z[places] = encode_features(self.model, features.x[features.ok], reader.spec)
        return Encoding(z, np.array([why is None for why in reason], bool), reason, smiles, note)

    def decode(self, z: np.ndarray, noise: float = 0.0, temperature: float = 0.0, seed: int = 0) -> list[Decoded]:
        """One molecule, or a reason, per point (n, D), in order; greedy and exact unless asked.

        noise: in [0, 1]; how far from the point its molecule may lie: 0 the molecule itself, 1 any molecule.
        temperature: of the tokens; 0 takes the most probable. Above 0 of either, another seed gives other molecules.

        Raises:
            InputError: z is not (n, D), noise or temperature is out of range, or the codec rebuilds no molecules but
                fingerprints.
        """
        points = self._points(z)
        if not isinstance(self.featurizer, TokenFeaturizer):
            raise InputError(
                f"codec {self.name}: rebuilds {self.featurizer.describe()}, not molecules; use decode_features"
            )
        SamplingSettings.from_dict({"noise": noise, "temperature": temperature}, "decode")
        draws = torch.Generator().manual_seed(integer_seed(seed, "decode"))
        finite = np.isfinite(points).all(1)
        decoded = [Decoded("", None, "the point holds NaN or infinity")] * len(points)
        rows = np.flatnonzero(finite)
        for chunk in np.split(rows, range(_BATCH, len(rows), _BATCH)):
            if len(chunk):
                x = self.model.decode(torch.from_numpy(points[chunk]), noise, temperature, draws).numpy()
                for row, text, is_closed in zip(chunk, self.featurizer.decode(x), (x == END).any(1), strict=True):
                    decoded[row] = _read(text, bool(is_closed))
        return decoded

    def decode_features(self, z: np.ndarray) -> np.ndarray:
        """What the model rebuilds from points (n, D), as features: tokens, bits or expected counts; greedy."""
        parts = np.array_split(self._points(z), max(1, len(z) // _BATCH))
        x = [self.model.decode(torch.from_numpy(part)).numpy() for part in parts]
        longest = max(part.shape[1] for part in x)
        return np.concatenate([np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part in x])

    def draw(self, n: int, seed: int = 0) -> np.ndarray:
        """Points (n, D) float32 from the prior: where the molecules of the training set lie."""
        return self.prior.sample(_count(n), generator(seed, "prior"))

    def sample(self, n: int, seed: int = 0, tries: int = 3) -> list[Decoded]:
        """n molecules from the prior; one that is invalid is decoded again from its point, up to `tries` in all.

        Raises:
            InputError: n is negative, or tries is below 1.
        """
        if tries < 1:
            raise InputError(f"tries: expected at least 1, got {tries}")
        z = self.draw(n, seed)
        decoded = [Decoded("", None, "not decoded")] * n
        left = list(range(n))
        for attempt in range(tries):
            again_seed = integer_seed(seed, f"sample {attempt}")
            again = self.decode(z[left], self.sampling.noise, self.sampling.temperature, again_seed)
            for row, molecule in zip(left, again, strict=True):
                decoded[row] = molecule
            left = [row for row in left if decoded[row].smiles is None]
        return decoded

    def properties(self, z: np.ndarray) -> pd.DataFrame:
        """Properties as a linear function of points (n, D) shows them, one column each, in their own units.

        An estimate from the space alone, which tells how far the space knows a property; nothing is decoded. No columns
        where the codec was trained without labels.
        """
        names = self.card.get("property_names", [])
        head = self.model.property_head
        values = head(torch.from_numpy(self._points(z))).numpy() if head else np.empty((len(z), 0), np.float32)
        return pd.DataFrame(values, columns=names)

    def training_smiles(self) -> list[str] | None:
        """SMILES of the training set, where molvae carries it; else None."""
        path = bundled(self.card.get("training_file", ""))
        if not path.is_file():
            return None
        import gzip

        with gzip.open(path, "rt", encoding="utf-8") as lines:
            next(lines)
            return [line.rstrip("\n") for line in lines]

    def infill(
        self,
        text: str,
        n: int = 10,
        seed: int = 0,
        temperature: float = 1.0,
        lengths: Sequence[int] = range(5),
        tries: int = 1000,
    ) -> pd.DataFrame:
        """At most n molecules that a SMILES text with gaps can become, the most probable first.

        text: gaps marked "_", as in "c1ccc(_)cc1O". The text around them is kept as it is given: each of its bonds,
            rings and branches is in every molecule. What it leaves open, such as a ring, a gap may close.
        temperature: of the tokens that are drawn; 0 takes the most probable.
        lengths: how many tokens of the codec's vocabulary a gap may become; every combination of them is tried.
        tries: fillings that are drawn, evenly for all combinations, or for as many of them, themselves drawn.

        A codec that was trained with hidden tokens (masked, denoising) reads the text with as many hidden tokens as the
        gaps shall become, and fills them from that point. One whose decoder is told how noisy its point is (molecular)
        was never shown a gap: it fills them as the language model that it is at noise 1, where the point says nothing.
        It knows only what stands before a gap; what stands behind tells in the ranking.

        Columns: smiles, canonical; filled, the text in the gaps, with "_" between them; log_probability, in nats, of
        the whole completed text (for a masked codec without its end, which such a codec never learns; minus infinity
        where it is too long for the codec); n_drawn, how often the molecule was drawn.
        `attrs["counts"]`: tried = invalid (no molecule) + altered (a molecule, but the filling tears the given text
        apart, such as by closing its ring) + duplicates + distinct; `attrs["reasons"]`: why the invalid ones are none.
        A text that no filling completes gives an empty table with these counts.

        Raises:
            InputError: the codec fills no gaps; the text has no gap or more than five, or can never be a molecule
                (symbols outside the vocabulary, a bracket closed before one is open); another argument is out of range.
        """
        return infill(self, text, n, seed, temperature, lengths, tries)

    def explain_units(
        self,
        molecules: Iterable[Any] | str,
        top: int = 5,
        units: Sequence[int] | None = None,
        properties: Sequence[str] = UNIT_PROPERTIES,
    ) -> pd.DataFrame:
        """The molecules for which each unit speaks most, at most `top` a unit: one row per unit and molecule.

        molecules: as for `encode`; one that cannot be read is counted, one that comes twice counts once.
        units: numbers of latent dimensions from 0; None takes all. properties: names of molvae.chem.properties.

        Columns: unit; activity, the share of the molecules for which it speaks; spread, the standard deviation of its
        activation; correlation_<property>, Spearman's over all molecules, NaN for fewer than three or where nothing
        varies; rank from 1, smiles, activation (the code's own number).
        A unit speaks where its code is not zero (sparse, sparse_topk), above 0.5 (sparse_rate), or above the middle of
        its range over these molecules (all others; NaN for one molecule, which has no range; 0 for a unit that is the
        same for all, or whose variance in a gaussian code is at most 0.01). "Most" is the largest activation, for
        sparse_topk of either sign. A dead unit, of activity 0, is one row without a molecule: rank 0, smiles None,
        activation NaN.
        `attrs["counts"]`: molecules (distinct ones that were read), unreadable, repeated; dead, how many units are.

        Raises:
            InputError: no molecule can be read, there is no such unit or property, or top is below 1.
        """
        return explain_units(self, molecules, top, units, properties)

    def save(self, folder: Path) -> None:
        """Write the codec into a new folder: weights at half precision, everything under a sha256.

        Raises:
            InputError: the folder exists and is not empty.
        """
        write_codec(self, Path(folder))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The codec of a folder, every file checked against its sha256.

        Raises:
            CodecError: a file is missing, changed or truncated, or the codec is of a version not known here.
        """
        return cls(**read_codec(folder)._asdict())

    def _points(self, z: np.ndarray) -> np.ndarray:
        try:
            points = np.asarray(z, np.float32)
        except (TypeError, ValueError):
            raise InputError("decode: expected an array of numbers, one point a row") from None
        if points.ndim == 1 and len(points) == self.n_latent:
            points = points[None]
        if points.ndim != 2 or (points.shape[1] != self.n_latent and points.size):
            raise InputError(f"decode: expected points of shape (n, {self.n_latent}), got {points.shape}")
        return points.reshape(-1, self.n_latent)


def load_codec(name_or_folder: str | Path | None = None) -> Codec:
    """A codec: the default bundled one, a bundled one by name, or one of a folder.

    Raises:
        CodecError: there is none, or its files are not as they were written.
    """
    if name_or_folder is None:
        return Codec.load(bundled(DEFAULT_NAME))
    if isinstance(name_or_folder, str) and name_or_folder in bundled_codecs():
        return Codec.load(bundled(name_or_folder))
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise CodecError(
            f"codec {str(folder)!r}: no such folder, and no bundled codec; bundled: {', '.join(bundled_codecs())}"
        )
    return Codec.load(folder)


def encode_features(model: Autoencoder, x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Codes (n, D) float32 of feature rows; rows of like length go together, none pays for a longer one's padding."""
    if not len(x):
        return np.empty((0, model.bottleneck.n_latent), np.float32)
    lengths = filled_lengths(x, spec)
    order = np.argsort(lengths, kind="stable")
    codes = []
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        codes.append(model.encode(torch.from_numpy(model_input(x[rows], spec, lengths[rows[-1]]))).numpy())
    z = np.empty((len(x), codes[0].shape[1]), np.float32)
    z[order] = np.concatenate(codes)
    return z


def fit_prior(model: Autoencoder, store: Rows, n: int = 200_000, seed: int = 0) -> GaussianPrior:
    """The prior of the codes of at most n molecules of a features folder, drawn at random."""
    rows = np.sort(generator(seed, "prior fit").permutation(len(store))[:n])
    parts = np.array_split(rows, max(1, len(rows) // 20_000))
    return GaussianPrior.fit(np.concatenate([encode_rows(model, store, part) for part in parts]))


def encode_rows(model: Autoencoder, rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Codes (len(chosen), D) float32 of training rows, by row number."""
    view = rows.views(chosen)
    if view is None:
        return encode_features(model, rows.rows(chosen), rows.spec)
    return encode_features(model, view, rows.view_spec or rows.spec)


def _read(text: str, is_closed: bool) -> Decoded:
    from molvae.chem import molecules as chem

    if not is_closed:
        return Decoded(text, None, "the text finds no end")
    standard = chem.canonicalize(text)
    return Decoded(text, standard.smiles, standard.reason)


def _count(n: int) -> int:
    if n < 0:
        raise InputError(f"n: expected 0 or more molecules, got {n}")
    return n
