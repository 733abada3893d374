"""The codec: molecules to points and back; the one place where SMILES meet tensors."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch

from molvae.autoencoder import Autoencoder, ModelSettings
from molvae.bundled import bundled
from molvae.codec.description import find_codec
from molvae.codec.domain import DomainCalibration, Nearest, applicability_domain
from molvae.codec.infill import infill
from molvae.codec.moves import (
    AttributeDirection,
    DirectionMeasurement,
    PropertyFunction,
    attribute_direction,
    interpolate,
    measure_direction,
    move,
    neighborhood,
)
from molvae.codec.results import Decoded, Encoding
from molvae.codec.similarity import CodeMetric, MoleculeMap, map_molecules, neighbors
from molvae.codec.storage import read_codec, write_codec
from molvae.codec.units import UNIT_PROPERTIES, explain_units
from molvae.errors import InputError
from molvae.feature_spec import END, FeatureSpec
from molvae.features.featurizer import Featurizer
from molvae.features.store import Rows, filled_lengths, model_input
from molvae.features.tokens import TokenFeaturizer
from molvae.latent.geometry import LatentPath
from molvae.latent.guidance import Window
from molvae.latent.maps import Method
from molvae.latent.prior import Prior, PriorSettings, SamplingSettings
from molvae.latent.prior import fit_prior as fit_prior_to_codes
from molvae.seeds import generator, integer_seed
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

if TYPE_CHECKING:
    from molvae.chem.molecules import Standardized

PropertyWindows = Mapping[str, tuple[float | None, float | None]]
"""Property -> the range in which it is wanted, None where that is open."""

_BATCH = 512
_ITSELF = 0.05  # between a point and that of its own molecule, whatever the rounding; others are some units away
_MAX_BEAM_SIZE = 1_000
_WORTH_WORKERS = 20_000  # texts; fewer are read sooner here than workers start


@dataclass(frozen=True)
class Codec:
    """Molecules to points and back, with the prior that says where molecules lie.

    featurizer: of what the model rebuilds; view: of what it reads, where that is something else.
    card: what is told of it (training data, licence, metrics); `property_names` are those of the property head, and
        `training_file` is the bundled file that holds its training set.
    calibration: how strange molecules of the training set's kind are; None where that was never measured.
    sha256: of its description, which holds the sha256 of every other file; "" for one never saved.
    mapper: parses the decoded SMILES where there are many.
    """

    name: str
    featurizer: Featurizer
    model: Autoencoder
    settings: ModelSettings
    prior: Prior
    sampling: SamplingSettings
    card: dict[str, Any]
    view: Featurizer | None = None
    calibration: DomainCalibration | None = None
    sha256: str = ""
    mapper: Mapper = field(default_factory=LocalProcesses)

    @property
    def n_latent(self) -> int:
        """Dimensions of a point."""
        return self.settings.n_latent

    @property
    def writes_molecules(self) -> bool:
        """Whether its points become molecules, and not only fingerprints."""
        return isinstance(self.featurizer, TokenFeaturizer)

    def encode(self, molecules: Iterable[object] | str, *, remove_stereo: bool = False) -> Encoding:
        """Points of molecules, in order: SMILES, a Series of them, or RDKit molecules.

        Each is standardized first (salts stripped, charges neutralized, canonical). One that is no molecule, or that
        holds what the vocabulary does not know, is a row with a reason.

        remove_stereo: drop stereo, and say so in `note`.

        Example:
            >>> encoding = load_codec().encode(["CC(C)(C)c1ccc2occ(CC(=O)Nc3ccccc3F)c2c1"])
            >>> encoding.z.shape, encoding.ok.tolist()
            ((1, 128), [True])
        """
        from molvae.chem import molecules as chem

        rows = [molecules] if isinstance(molecules, str) else list(molecules)
        smiles: list[str | None] = []
        reason: list[str | None] = []
        note: list[str | None] = []
        for row in rows:
            standard = chem.standardize(chem.to_smiles(row))
            flat = chem.remove_stereo(standard.smiles) if remove_stereo and standard.smiles else standard.smiles
            said = [standard.warning, "stereo dropped" if flat != standard.smiles else None]
            smiles.append(flat)
            reason.append(standard.reason)
            note.append("; ".join(filter(None, said)) or None)
        z = np.full((len(rows), self.n_latent), np.nan, np.float32)
        readable = [i for i, text in enumerate(smiles) if text is not None]
        reader = self.view or self.featurizer
        features = reader.encode([smiles[i] or "" for i in readable])
        for i, why in zip(readable, features.reason, strict=True):
            reason[i] = (
                f"{why} (remove_stereo=True drops stereo)" if why and "stereo" in why and not remove_stereo else why
            )
        places = np.array(readable, np.int64)[features.ok]
        z[places] = encode_features(self.model, features.x[features.ok], reader.spec)
        return Encoding(z, np.array([why is None for why in reason], bool), reason, smiles, note)

    def decode(
        self, z: np.ndarray, *, noise: float = 0.0, temperature: float = 0.0, seed: int = 0, beam_size: int = 1
    ) -> list[Decoded]:
        """One molecule, or a reason, per point (n, D), in order; greedy and exact unless asked.

        noise: in [0, 1]; how far from the point its molecule may lie: 0 the molecule itself, 1 any molecule.
        temperature: of the tokens; 0 takes the most probable. Above 0 of either, another seed gives other molecules.
        beam_size: above 1, where a point's molecule does not lead back to it, so many of its most probable texts are
            read (beam search), and the molecule whose own point is nearest is kept.

        Raises:
            InputError: z is not (n, D), noise or temperature is out of range, beam_size is below 1, above 1,000, or
                above 1 beside noise or temperature, or the codec rebuilds no molecules but fingerprints.

        Example:
            >>> codec = load_codec()
            >>> strychnine = codec.encode(["O=C1C[C@@H]2OCC=C3CN4CC[C@]56[C@@H]4C[C@H]3[C@H]2[C@H]5N1c1ccccc16"])
            >>> len(codec.decode(strychnine.z, beam_size=8))
            1
        """
        if not 1 <= beam_size <= _MAX_BEAM_SIZE or (beam_size > 1 and (noise or temperature)):
            raise InputError(
                f"beam_size: expected 1 to {_MAX_BEAM_SIZE:,}, and 1 beside noise or temperature, got {beam_size} "
                f"beside noise {noise} and temperature {temperature}"
            )
        writer, points = self._writer, self._points(z)
        SamplingSettings.from_dict({"noise": noise, "temperature": temperature}, "decode")
        draws = torch.Generator().manual_seed(integer_seed(seed, "decode"))
        finite = np.isfinite(points).all(1)
        decoded = [Decoded("", None, "the point holds NaN or infinity")] * len(points)
        rows = np.flatnonzero(finite)
        chunks = np.split(rows, range(_BATCH, len(rows), _BATCH)) if len(rows) else []
        tokens = (self.model.decode(torch.from_numpy(points[chunk]), noise, temperature, draws) for chunk in chunks)
        for chunk, molecules in zip(chunks, _molecules(writer, tokens, len(rows), self.mapper), strict=True):
            for row, molecule in zip(chunk, molecules, strict=True):
                decoded[row] = molecule
        return decoded if beam_size == 1 else self._nearest(writer, points, decoded, beam_size)

    @property
    def _writer(self) -> TokenFeaturizer:
        featurizer = self.featurizer
        if not isinstance(featurizer, TokenFeaturizer):
            raise InputError(f"codec {self.name}: rebuilds {featurizer.describe()}, not molecules; use decode_features")
        return featurizer

    def _nearest(
        self, writer: TokenFeaturizer, points: np.ndarray, greedy: list[Decoded], beam_size: int
    ) -> list[Decoded]:
        """Of several molecules of each point the one whose own point is nearest; where none is read, the first."""
        best, distance = list(greedy), self._miss(points, greedy)
        rows = np.flatnonzero((distance > _ITSELF) & np.isfinite(points).all(1))
        size = max(1, _BATCH // beam_size)
        chunks = np.split(rows, range(size, len(rows), size)) if len(rows) else []
        tokens = (self.model.decode_beams(torch.from_numpy(points[part]), beam_size).flatten(0, 1) for part in chunks)
        for chunk, molecules in zip(
            chunks, _molecules(writer, tokens, beam_size * len(rows), self.mapper), strict=True
        ):
            misses = self._miss(np.repeat(points[chunk], beam_size, axis=0), molecules).reshape(-1, beam_size)
            for row, miss, begin in zip(chunk, misses, range(0, len(molecules), beam_size), strict=True):
                valid = [i for i in range(beam_size) if molecules[begin + i].smiles is not None]
                nearest = min(valid, key=miss.__getitem__, default=None)  # the first of equals
                if nearest is not None and (miss[nearest] < distance[row] or best[row].smiles is None):
                    best[row] = molecules[begin + nearest]
        return best

    def _miss(self, points: np.ndarray, decoded: list[Decoded]) -> np.ndarray:
        """Euclidean distance (n,) of each point from the own point of its molecule; infinite where there is none."""
        rows = [row for row, molecule in enumerate(decoded) if molecule.smiles is not None]
        reader = self.view or self.featurizer
        own = reader.encode([decoded[row].smiles or "" for row in rows])
        read = np.array(rows, np.int64)[own.ok]
        miss = np.full(len(points), np.inf)
        miss[read] = np.linalg.norm(encode_features(self.model, own.x[own.ok], reader.spec) - points[read], axis=1)
        return miss

    def decode_features(self, z: np.ndarray) -> np.ndarray:
        """What the model rebuilds from points (n, D), as features: tokens, bits or expected counts; greedy."""
        parts = np.array_split(self._points(z), max(1, len(z) // _BATCH))
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
        """Points (n, D) float32 from the prior: where the codes of the training set's molecules lie.

        windows: property -> (low, high), None where it is open: points are drawn to where the linear property head
            sees the property within. guidance: how strongly; 0 is not at all, 1 as Bayes would have it, more costs
            variety.
        spread: how far about such codes, in standard deviations of the codes themselves; None takes the codec's own
            (`sampling`), or 0 beside windows, which it would blur; these are the points that `sample` decodes.

        Raises:
            InputError: n, guidance or spread is negative, the codec has not learnt a property, a window is empty, or
                the prior is a mixture.
        """
        z = self.prior.sample(_count(n), generator(seed, "prior"), self._windows(windows or {}), _pull(guidance))
        if spread is None:
            spread = 0.0 if windows else self.sampling.spread
        if not 0 <= spread < math.inf:
            raise InputError(f"spread: expected 0 or more, got {spread}")
        if spread:
            drawn = generator(seed, "spread").standard_normal(z.shape, np.float32)
            z += np.float32(spread) * (drawn @ self.prior.factor.T.astype(np.float32))
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
    ) -> list[Decoded]:
        """n molecules from the prior; one that is invalid is decoded again from its point, up to `tries` in all.

        windows, guidance, spread: as in `draw`; the molecules' own properties are near, not within, since a decoder
            that is told of noise takes liberties.
        noise, temperature: as in `decode`; None takes the codec's own (`sampling`). More of either, or of spread, gives
            more variety and fewer molecules at the first try.

        Raises:
            InputError: as `draw` and `decode`, or tries is below 1.

        Example:
            >>> codec = load_codec()
            >>> drawn = codec.sample(3, windows={"logp": (1.0, 2.0)}, guidance=2)
            >>> len(drawn)
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
            again_seed = integer_seed(seed, f"sample {attempt}")
            again = self.decode(z[left], noise=noise, temperature=temperature, seed=again_seed)
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

    def _windows(self, windows: PropertyWindows) -> list[Window]:
        names, head = self.card.get("property_names", []), self.model.property_head
        errors = self.card.get("property_errors", {})
        found = []
        for name, (low, high) in windows.items():
            if head is None or name not in names:
                known = f"it has learnt {', '.join(names)}" if head and names else "it has learnt no properties"
                raise InputError(f"windows: codec {self.name} knows no way to {name!r}; {known}")
            below, above = -math.inf if low is None else float(low), math.inf if high is None else float(high)
            if not below < above:
                raise InputError(f"windows: {name}: expected a low below a high, got {low} and {high}")
            row, scale = names.index(name), float(head.scale[names.index(name)])
            direction = head.linear.weight[row].numpy() * scale
            offset = float(head.linear.bias[row]) * scale + float(head.mean[row])
            found.append(Window(direction, offset, errors.get(name, scale / 2), below, above))
        return found

    def training_smiles(self) -> list[str] | None:
        """SMILES of the training set, where molvae carries it; else None."""
        path = bundled(self.card.get("training_file", ""))
        if not path.is_file():
            return None
        import gzip

        with gzip.open(path, "rt", encoding="utf-8") as lines:
            next(lines)
            return [line.rstrip("\n") for line in lines]

    def interpolate(self, a: Any, b: Any, *, steps: int = 10, path: LatentPath = "linear") -> pd.DataFrame:
        """Molecules on the way from a to b, decoded greedily: one row per distinct one, in order of `fraction`.

        steps: points, evenly spaced, both ends included; there stand a and b themselves. Another molecule stands where
            it came first; `n_steps` says how many steps gave it. A step that gave none is a row with a `reason`.
        path: linear, or spherical: the arc about the middle of the prior, which keeps as far from it as molecules lie.

        Columns: step, fraction, smiles, reason, n_steps, similarity_to_a, similarity_to_b (Tanimoto, Morgan radius 2).
        `attrs["counts"]`: steps, invalid, distinct.

        Raises:
            InputError: a or b cannot be read, steps is below 2, the path is unknown, or the codec rebuilds no
                molecules.
        """
        return interpolate(self, a, b, steps, path)

    def neighborhood(
        self,
        smiles: Any,
        *,
        radius: float = 0.5,
        n: int = 20,
        decodes: int = 3,
        seed: int = 0,
        noise: float = 0.2,
        temperature: float = 0.3,
    ) -> pd.DataFrame:
        """Molecules around one, the most similar first; the one itself is left out, and counted.

        n points are drawn `radius` away, in standard deviations of the training set's codes, and each is decoded
        `decodes` times: once greedily, then with `noise` and `temperature` as in `decode`. 0 stays at the point itself.

        Columns: smiles, distance (Euclidean, of its own code to that of the start; NaN where it cannot be read),
        similarity (Tanimoto to the start), n_drawn (how often it came).
        `attrs["counts"]`: decodes, start (how often that came), distinct, invalid.

        Raises:
            InputError: the molecule cannot be read, radius is negative or NaN, n or decodes is below 1, or noise or
                temperature is out of range.
        """
        return neighborhood(self, smiles, radius, n, decodes, seed, noise, temperature)

    def attribute_direction(self, smiles: Iterable[Any], values: Any, *, seed: int = 0) -> AttributeDirection:
        """The direction in which a value grows, by ridge regression of values (n,) on the points of molecules (n).

        values: numbers, one per molecule, None or NaN where there is none; or the name of one of
            molvae.chem.properties.PROPERTIES. Molecules without a value, or that cannot be read, are left out and
            counted.
        seed: of the folds on which r2 is measured.

        Raises:
            InputError: fewer than 10 molecules are left, all values are equal, or there is not one number per molecule.

        Example:
            >>> codec = load_codec("moses")
            >>> lipophilic = codec.attribute_direction(codec.training_smiles()[:300], "logp")
            >>> codec.move("CC(=O)Nc1ccc(O)cc1", lipophilic, distances=[0, 1])["distance"].tolist()
            [0.0, 1.0]
        """
        return attribute_direction(self, smiles, values, seed)

    def move(
        self, smiles: Any, direction: AttributeDirection | np.ndarray, *, distances: Iterable[float] | None = None
    ) -> pd.DataFrame:
        """What a molecule becomes along a direction: one row per distance, in order, decoded greedily.

        direction: learnt, or any vector (D,), whose length says nothing.
        distances: Euclidean; negative ones go against the direction, at 0 stands the molecule itself. Default: 0, a
            quarter, a half and three quarters, both ways, of the usual distance of a molecule from the middle of the
            prior. A molecule comes back from all about its point: short steps change nothing, whatever the fit says.

        Columns: distance, smiles, reason, similarity_to_start (Tanimoto).

        Raises:
            InputError: the molecule cannot be read, the vector is not (D,), finite and other than 0, or a distance is
                not finite.
        """
        return move(self, smiles, direction, distances)

    def measure_direction(
        self,
        direction: AttributeDirection | np.ndarray,
        smiles: Iterable[Any],
        values: str | PropertyFunction,
        *,
        distances: Iterable[float] | None = None,
        seed: int = 0,
        n_random: int = 1,
    ) -> DirectionMeasurement:
        """Whether a property really moves: molecules moved along the direction and against it, beside random ones.

        Every molecule is moved by each distance both ways, decoded greedily, and its property computed; slopes are
        fitted within molecules. Take other molecules than those that the direction was learnt from.

        values: the name of one of molvae.chem.properties.PROPERTIES, or a function of a list of SMILES.
        distances: Euclidean, without sign. Default: those of `move`.
        seed: of the random directions, which vary as molecules do.

        Raises:
            InputError: fewer than 2 molecules can be read, the direction is no vector (D,), every distance is 0, or the
                property is unknown.
        """
        return measure_direction(self, direction, smiles, values, distances, seed, n_random)

    def neighbors(
        self,
        query: Iterable[Any] | str | Encoding,
        library: Iterable[Any] | str | Encoding,
        *,
        k: int = 10,
        metric: CodeMetric = "cosine",
    ) -> pd.DataFrame:
        """The k molecules of a library nearest to each query, by their codes, the nearest first; exact.

        query, library: molecules, or what `encode` made of them, so that a large library is encoded once. A molecule
            that stands in the library is its own first neighbour.
        k: lowered to the molecules there are. One that cannot be read is never a neighbour; `attrs["unreadable"]`
            counts those of the library.
        metric: cosine (1 - cos) or euclidean.

        Columns: query (its row), query_smiles, rank (from 1), row (of the library), smiles, distance, tanimoto, reason.
        A query that cannot be read is one row with a reason.

        Raises:
            InputError: k is below 1, the metric is unknown, or no molecule of the library can be read.
        """
        return neighbors(self._encoded(query), self._encoded(library), k, metric)

    def project(self, smiles: Iterable[Any] | Encoding, *, method: Method = "pca", seed: int = 0) -> MoleculeMap:
        """Molecules on a plane by their codes, beside the same map of their fingerprints, and how far to trust either.

        smiles: molecules, or what `encode` made of them.
        method: pca, or tsne, which keeps neighbours better and takes seconds for some thousands.
        seed: of t-SNE, and of the at most 2,000 molecules by which the maps are judged.

        Raises:
            InputError: fewer than 2 molecules can be read (5 for tsne), or the method is unknown.
        """
        return map_molecules(self._encoded(smiles), method, seed)

    def infill(
        self,
        text: str,
        *,
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
        *,
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

    def applicability_domain(
        self,
        molecules: Iterable[Any] | str,
        *,
        percentile: float = 99.0,
        reference: Iterable[str] | Nearest | None = None,
        remove_stereo: bool = False,
    ) -> pd.DataFrame:
        """How strange molecules are to this codec, and whether they are out of its domain: one row per input, in order.

        A molecule is as strange as the strangest of three things about it: how badly it comes back from its own code,
        how improbable its text is to the decoder as a language model (only where the decoder is told how noisy its
        point is), and how thin the training set's codes lie about its code.

        percentile: above which novelty a molecule is out; at 99 so is one of a hundred of the training set's kind.
        reference: canonical SMILES among which the nearest molecule is named, the training set as a rule; a `Nearest`
            is built once for many calls.
        remove_stereo: drop stereo, as in `encode`.

        Columns: smiles, as judged; reconstruction_nats (of the molecule given its code), language_nats, log_density
        (nats); their percentiles among molecules of the training set's kind (the card's `domain`),
        reconstruction_, language_ and density_percentile, higher is stranger; novelty, from 0 to 100, the percentile
        of the three together; is_out; nearest_similarity (Tanimoto, Morgan radius 2) and nearest_training; reason, in
        words, None where a molecule is in.
        What the codec cannot read is out: novelty 100, the numbers NaN. What is no molecule is not judged: novelty NaN,
        is_out missing. Both have a reason.

        Raises:
            CodecError: the domain of this codec was never measured; the message says how.
            InputError: the percentile is not between 0 and 100, or the reference is empty or does not parse.

        Example:
            >>> codec = load_codec("moses")
            >>> codec.applicability_domain(["CCN(CC)CC(=O)Nc1c(C)cccc1C", "CC(=O)Nc1ccc(OOOO)cc1"])["is_out"].tolist()
            [False, True]
        """
        return applicability_domain(self, molecules, percentile, reference, remove_stereo)

    def encode_rows(self, rows: Rows, chosen: np.ndarray) -> np.ndarray:
        """Codes (len(chosen), D) float32 of training rows, by row number."""
        return encode_rows(self.model, rows, chosen)

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

    def _encoded(self, molecules: Iterable[Any] | str | Encoding) -> Encoding:
        return molecules if isinstance(molecules, Encoding) else self.encode(molecules)

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
    return Codec.load(find_codec(name_or_folder))


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


def fit_prior(model: Autoencoder, store: Rows, settings: PriorSettings | None = None, seed: int = 0) -> Prior:
    """The prior of the codes of a features folder's molecules, of at most `settings.n_codes` drawn at random.

    Raises:
        InputError: there are too few molecules for it.
    """
    settings = settings or PriorSettings()
    rows = np.sort(generator(seed, "prior fit").permutation(len(store))[: settings.n_codes])
    parts = np.array_split(rows, max(1, len(rows) // 20_000))
    codes = np.concatenate([encode_rows(model, store, part) for part in parts])
    return fit_prior_to_codes(codes, settings, seed)


def property_errors(model: Autoencoder, store: Rows, n: int = 5_000, seed: int = 0) -> dict[str, float]:
    """Root mean square error with which a model's head reads each property off codes, of at most n labelled rows."""
    if model.property_head is None or not len(store.labelled):
        return {}
    rows = np.sort(generator(seed, "property errors").permutation(store.labelled)[:n])
    with torch.no_grad():
        read = model.property_head(torch.from_numpy(encode_rows(model, store, rows))).numpy()
    errors = np.sqrt(np.nanmean((read - store.labels(rows)) ** 2, axis=0))
    return {name: round(float(error), 4) for name, error in zip(store.label_names, errors, strict=True)}


def encode_rows(model: Autoencoder, rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Codes (len(chosen), D) float32 of training rows, by row number."""
    view = rows.views(chosen)
    if view is None:
        return encode_features(model, rows.rows(chosen), rows.spec)
    return encode_features(model, view, rows.view_spec or rows.spec)


def _molecules(
    writer: TokenFeaturizer, tokens: Iterable[torch.Tensor], n: int, mapper: Mapper
) -> Iterator[list[Decoded]]:
    """What each chunk of token rows (b, L), n in all, is as molecules."""
    written: deque[list[tuple[str, bool]]] = deque()

    def texts() -> Iterator[list[str]]:
        for x in map(torch.Tensor.numpy, tokens):
            found = list(zip(writer.decode(x), (x == END).any(1).tolist(), strict=True))
            written.append(found)
            yield [text if is_closed else "" for text, is_closed in found]

    for answers in _canonical(texts(), n, mapper):
        molecules = []
        for (text, is_closed), answer in zip(written.popleft(), answers, strict=True):
            reason = answer.reason if is_closed else "the text finds no end"
            molecules.append(Decoded(text, None if reason else answer.smiles, reason))
        yield molecules


def _canonical(texts: Iterable[list[str]], n: int, mapper: Mapper) -> "Iterator[list[Standardized]]":
    """What RDKit makes of each text; of many, in worker processes, while the next are still being written."""
    from molvae.chem.molecules import Standardized, read_written

    if n < _WORTH_WORKERS:
        yield from (list(map(read_written, piece)) for piece in texts)
        return
    for answers in mapper(read_written, texts):
        yield [Standardized(None, row.reason) if isinstance(row, WorkerFailure) else row for row in answers]


def _pull(guidance: float) -> float:
    if not 0 <= guidance < math.inf:
        raise InputError(f"guidance: expected 0 or more, got {guidance}")
    return float(guidance)


def _count(n: int) -> int:
    if n < 0:
        raise InputError(f"n: expected 0 or more molecules, got {n}")
    return n
