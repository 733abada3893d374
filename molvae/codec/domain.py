"""Is a molecule in the codec's domain? How strange it is, measured against molecules like those it learnt from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch

from molvae.autoencoder import Autoencoder
from molvae.autoencoder.reconstruction import RECONSTRUCTIONS
from molvae.errors import CodecError, InputError
from molvae.feature_spec import PAD
from molvae.features.store import Rows, filled_lengths, model_input
from molvae.latent.prior import GaussianPrior
from molvae.seeds import generator

if TYPE_CHECKING:
    from molvae.codec.codec import Codec

_BATCH = 512
_N_POINTS = 1001
_TAIL = 0.05  # from here on quantiles stand closer together, and the tail beyond the last is drawn on
_WORDS = {
    "reconstruction": "reconstruction error above",
    "language": "improbability of its text above",
    "density": "latent density below what is usual: strangeness above",
}


@dataclass(frozen=True)
class DomainCalibration:
    """How strange molecules of the training set's kind are, as quantiles of each measure.

    n: molecules that were measured.
    quantiles: measure -> (1001,) float64, ascending, higher is stranger: "reconstruction" and "language" (nats),
        "density" (minus the log density), and "joint", what the others say together.
    """

    n: int
    quantiles: Mapping[str, np.ndarray]

    @classmethod
    def fit(cls, measures: Mapping[str, np.ndarray]) -> Self:
        """The calibration of measures (n,) each, higher is stranger.

        Raises:
            InputError: fewer than two molecules.
        """
        n = len(next(iter(measures.values())))
        if n < 2:
            raise InputError(f"a calibration of the domain needs at least 2 molecules that can be read, got {n}")
        levels = 1 - _survival_levels(n)
        quantiles = {name: np.quantile(values, levels, method="weibull") for name, values in measures.items()}
        draft = cls(n, quantiles)
        return cls(n, quantiles | {"joint": np.quantile(draft.join(measures), levels, method="weibull")})

    def log_survival(self, name: str, values: np.ndarray) -> np.ndarray:
        """The log of the share of the training set that is at least as strange (n,); beyond the strangest, an estimate.

        The tail falls on as it does between the strangest twentieth and the strangest one: what lies farther out is
        stranger still.
        """
        points, log_levels = self.quantiles[name], np.log(_survival_levels(self.n))
        inside = np.interp(values, points, log_levels)
        begin = int(np.searchsorted(-log_levels, -np.log(_TAIL))) if self.n > 1 / _TAIL else 0
        width = max((points[-1] - points[begin]) / (log_levels[begin] - log_levels[-1]), 1e-9)
        return inside - np.maximum(values - points[-1], 0) / width

    def join(self, measures: Mapping[str, np.ndarray]) -> np.ndarray:
        """Strangeness (n,) by all measures together: that of the one by which a molecule is strangest."""
        return np.max([-self.log_survival(name, values) for name, values in measures.items()], axis=0)

    def percentile(self, name: str, values: np.ndarray) -> np.ndarray:
        """Which percentile of the training set values (n,) are at, in [0, 100]; higher is stranger."""
        return 100 * -np.expm1(self.log_survival(name, values))

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {"n": np.array([self.n], np.float64), **self.quantiles}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The calibration that `arrays` was made of.

        Raises:
            ValueError: the arrays are not those of a calibration.
        """
        quantiles = {name: array for name, array in arrays.items() if name != "n"}
        known = {"reconstruction", "density", "language", "joint"}
        if not {"n", "reconstruction", "density", "joint"} <= arrays.keys() or not quantiles.keys() <= known:
            raise ValueError(f"not a calibration of the domain: it holds {', '.join(sorted(arrays))}")
        if any(array.shape != (_N_POINTS,) or (np.diff(array) < 0).any() for array in quantiles.values()):
            raise ValueError("the quantiles of the domain are not in order")
        return cls(int(arrays["n"][0]), quantiles)


class Nearest:
    """Molecules among which the nearest one is looked up; built once for many calls of `applicability_domain`."""

    def __init__(self, smiles: Iterable[str]) -> None:
        """Canonical SMILES.

        Raises:
            InputError: there is none, or one does not parse.
        """
        from molvae.chem.fingerprints import ReferenceSet

        self.smiles = list(smiles)
        if not self.smiles:
            raise InputError("reference: expected at least one molecule, got none; leave it out, or give some")
        self._set = ReferenceSet(self.smiles)

    def __call__(self, smiles: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """The nearest molecule of each, and its Tanimoto similarity (n,); Morgan radius 2, 2,048 bits."""
        rows, similarity = self._set.nearest(smiles)
        return [self.smiles[row] for row in rows], similarity


def fit_domain(
    codec: "Codec",
    molecules: Rows | Iterable[Any],
    n: int = 20_000,
    seed: int = 0,
    remove_stereo: bool = False,
    chosen: np.ndarray | None = None,
) -> DomainCalibration:
    """How strange at most n molecules, drawn at random, are to a codec: what others are compared with.

    molecules: such as the codec was trained on, as SMILES or as the rows of their features; best some that were kept
        from the training, since those that were learnt by heart are less strange than new ones of their kind. What the
        codec cannot read is left out.
    chosen: of rows, the numbers of those that are drawn from; None: all.

    Raises:
        InputError: fewer than two molecules can be read.

    Example:
        >>> from dataclasses import replace
        >>> import pandas as pd
        >>> from molvae import load_codec
        >>> from molvae.bundled import bundled
        >>> codec, kept_out = load_codec("moses"), pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"]
        >>> codec = replace(codec, calibration=fit_domain(codec, kept_out, n=500))
        >>> bool(codec.applicability_domain(["CC(=O)Nc1ccc(OOOO)cc1"])["is_out"][0])
        True
    """
    random = generator(seed, "domain fit")
    if isinstance(molecules, Rows):
        among = np.arange(len(molecules)) if chosen is None else chosen
        drawn = np.sort(random.permutation(among)[:n])
        parts = [part for part in np.array_split(drawn, max(1, len(drawn) // 20_000)) if len(part)]
        measured = [_measures(codec, codec.encode_rows(molecules, part), molecules.rows(part)) for part in parts]
    else:
        smiles = list(molecules)
        encoding = codec.encode(
            [smiles[i] for i in np.sort(random.permutation(len(smiles))[:n])], remove_stereo=remove_stereo
        )
        features = codec.featurizer.encode([text or "" for text in encoding.smiles])
        ok = encoding.ok & features.ok
        measured = [_measures(codec, encoding.z[ok], features.x[ok])] if ok.any() else []
    if not measured:
        raise InputError("a calibration of the domain needs at least 2 molecules that can be read, got 0")
    return DomainCalibration.fit({name: np.concatenate([part[name] for part in measured]) for name in measured[0]})


def applicability_domain(
    codec: "Codec",
    molecules: Iterable[Any] | str,
    percentile: float = 99.0,
    reference: Iterable[str] | Nearest | None = None,
    remove_stereo: bool = False,
) -> pd.DataFrame:
    """How strange molecules are to a codec: see Codec.applicability_domain."""
    if not 0 < percentile < 100:
        raise InputError(f"percentile: expected a number between 0 and 100, such as 99, got {percentile}")
    calibration = codec.calibration
    if calibration is None:
        raise CodecError(
            f"codec {codec.name}: its domain was never measured; fit it with molecules like those it was trained on: "
            "dataclasses.replace(codec, calibration=molvae.codec.fit_domain(codec, smiles)).save(folder)"
        )
    encoding = codec.encode(molecules, remove_stereo=remove_stereo)
    n = len(encoding.ok)
    features = codec.featurizer.encode([text or "" for text in encoding.smiles])
    is_read = encoding.ok & features.ok
    is_molecule = np.array([text is not None for text in encoding.smiles], bool)
    measures = _measures(codec, encoding.z[is_read], features.x[is_read])
    known = {name: values for name, values in measures.items() if name in calibration.quantiles}

    def spread(values: np.ndarray) -> np.ndarray:
        column = np.full(n, np.nan)
        column[is_read] = values
        return column

    percentiles = {name: spread(calibration.percentile(name, values)) for name, values in known.items()}
    strangeness = np.where(is_molecule, 100.0, np.nan)
    strangeness[is_read] = calibration.percentile("joint", calibration.join(known))
    is_out = strangeness > percentile
    nearest: list[str | None] = [None] * n
    similarity = np.full(n, np.nan)
    if reference is not None:
        look_up = reference if isinstance(reference, Nearest) else Nearest(reference)
        rows = np.flatnonzero(is_molecule)
        found, similarity[rows] = look_up([encoding.smiles[row] or "" for row in rows])
        for row, smiles in zip(rows.tolist(), found, strict=True):
            nearest[row] = smiles
    reason: list[str | None] = []
    for row in range(n):
        said = encoding.reason[row] or features.reason[row] if not is_read[row] else None
        if said is None and is_out[row]:
            said = _explain({name: column[row] for name, column in percentiles.items()}, percentile)
        if said is not None and not np.isnan(similarity[row]):
            said += f"; nearest training molecule {similarity[row]:.2f}"
        reason.append(said)
    nothing = np.full(n, np.nan)
    return pd.DataFrame(
        {
            "smiles": pd.Series(encoding.smiles, dtype=object),
            "reconstruction_nats": spread(measures["reconstruction"]),
            "language_nats": spread(measures["language"]) if "language" in measures else nothing,
            "log_density": spread(-measures["density"]),
            "reconstruction_percentile": percentiles["reconstruction"],
            "language_percentile": percentiles.get("language", nothing),
            "density_percentile": percentiles["density"],
            "novelty": strangeness,
            "is_out": pd.Series(is_out, dtype="boolean").where(is_molecule),
            "nearest_similarity": similarity,
            "nearest_training": pd.Series(nearest, dtype=object),
            "reason": pd.Series(reason, dtype=object),
        }
    )


def _measures(codec: "Codec", z: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """Measure -> (n,) float64 of codes and of what is rebuilt from them; higher is stranger."""
    measures = {
        "reconstruction": _nats(codec.model, z, x, 0.0),
        "density": -GaussianPrior(codec.prior.mean, codec.prior.factor).log_density(z.astype(np.float64)),
    }
    if codec.model.is_noise_conditioned and codec.featurizer.spec.kind == "tokens":
        point = generator(0, "domain language").standard_normal((1, z.shape[1])).astype(np.float32)
        measures["language"] = _nats(codec.model, np.broadcast_to(point, z.shape), x, 1.0)
    return measures


@torch.no_grad()
def _nats(model: Autoencoder, z: np.ndarray, x: np.ndarray, noise: float) -> np.ndarray:
    """Negative log-likelihood (n,) of features under the decoder, given their points and the noise it is told."""
    nats = np.empty(len(x))
    lengths = filled_lengths(x, model.spec)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        part = torch.from_numpy(model_input(x[rows], model.spec, lengths[rows[-1]]))
        scored = part != PAD if model.spec.kind == "tokens" else torch.ones_like(part, dtype=torch.bool)
        output = model.decoder(torch.from_numpy(z[rows]), torch.full((len(rows),), noise), part)
        nats[rows] = RECONSTRUCTIONS[model.spec.kind](output, part, scored).numpy()
    return nats


def _survival_levels(n: int) -> np.ndarray:
    """The shares of molecules that are at least as strange as each quantile, (1001,), from all to the last of n."""
    last = 1 / (n + 1)
    if last >= _TAIL:
        return np.linspace(1.0, last, _N_POINTS)
    half = _N_POINTS // 2
    return np.concatenate([np.linspace(1.0, _TAIL, half, endpoint=False), np.geomspace(_TAIL, last, _N_POINTS - half)])


def _explain(percentiles: Mapping[str, float], limit: float) -> str:
    """By what a molecule is out, the strangest first: "reconstruction error above the 99.2nd percentile of ..."."""
    ranked = sorted(percentiles, key=lambda name: -percentiles[name])
    strange = [name for name in ranked if percentiles[name] > limit] or ranked[:1]
    said = [f"{_WORDS[name]} the {_ordinal(percentiles[name])} percentile" for name in strange]
    return " and ".join(said) + " of the training set"


def _ordinal(percentile: float) -> str:
    """A percentile as an ordinal with one digit, cut, never rounded up to 100: 99.25 -> "99.2nd"."""
    text = f"{min(np.floor(percentile * 10) / 10, 99.9):.1f}"
    return text + {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
