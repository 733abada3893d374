"""The applicability domain: how far molecules are from the training data of a codec."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
import torch

from molvae.autoencoder import Autoencoder
from molvae.autoencoder.reconstruction import RECONSTRUCTIONS
from molvae.codec.results import Encoding
from molvae.errors import InputError
from molvae.feature_spec import PAD
from molvae.features.featurizer import Features
from molvae.features.store import filled_lengths, model_input
from molvae.inputs import read_library
from molvae.latent.prior import GaussianPrior, Prior
from molvae.seeds import generator

if TYPE_CHECKING:
    from molvae.chem.fingerprints import ReferenceSet

_BATCH_SIZE = 512
_N_QUANTILES = 1001
_TAIL = 0.05  # share of the upper tail, in which quantiles are denser; it is extrapolated beyond the last quantile
_STORED = {"nll": "language"}  # measure -> its name in domain.safetensors, where it differs
_DESCRIPTIONS = {
    "reconstruction": "reconstruction error",
    "nll": "negative log-likelihood of the SMILES",
    "density": "negative log-density of the latent vector",
}


@dataclass(frozen=True, eq=False)
class DomainCalibration:
    """Quantiles of the domain measures over molecules like those of the training set.

    Parameters
    ----------
    n : int
        Number of molecules that were measured.
    quantiles : mapping of str to ndarray of shape (1001,)
        Measure -> ascending quantiles, float64. A higher value is farther from the training data: "reconstruction" and
        "nll" (nats), "density" (negative log-density), and "joint" (all of them).
    """

    n: int
    quantiles: Mapping[str, np.ndarray]

    @classmethod
    def fit(cls, measures: Mapping[str, np.ndarray]) -> Self:
        """Fit the calibration to measured molecules.

        Parameters
        ----------
        measures : mapping of str to ndarray of shape (n,)
            Measure -> one value per molecule.

        Returns
        -------
        DomainCalibration
            The quantiles of each measure and of all together.

        Raises
        ------
        InputError
            There are fewer than two molecules.
        """
        n = len(next(iter(measures.values())))
        if n < 2:
            raise InputError(f"the applicability domain needs at least 2 molecules that can be encoded, got {n}")
        levels = 1 - _survival_levels(n)
        quantiles = {name: np.quantile(values, levels, method="weibull") for name, values in measures.items()}
        single = cls(n, quantiles)
        return cls(n, quantiles | {"joint": np.quantile(single.combine(measures), levels, method="weibull")})

    def log_survival(self, name: str, values: np.ndarray) -> np.ndarray:
        """Logarithm of the share of calibration molecules with a value at least as high.

        Beyond the highest value it is extrapolated linearly, with the mean slope between the 95th percentile and the
        highest value.

        Parameters
        ----------
        name : str
            A measure, or "joint".
        values : ndarray of shape (n,)
            Its values.

        Returns
        -------
        ndarray of shape (n,)
            Logarithms of the shares.
        """
        quantiles, log_levels = self.quantiles[name], np.log(_survival_levels(self.n))
        inside = np.interp(values, quantiles, log_levels)
        begin = int(np.searchsorted(-log_levels, -np.log(_TAIL))) if self.n > 1 / _TAIL else 0
        width = max((quantiles[-1] - quantiles[begin]) / (log_levels[begin] - log_levels[-1]), 1e-9)
        return inside - np.maximum(values - quantiles[-1], 0) / width

    def combine(self, measures: Mapping[str, np.ndarray]) -> np.ndarray:
        """The joint measure: the highest of the negative log-survivals.

        Parameters
        ----------
        measures : mapping of str to ndarray of shape (n,)
            Measure -> one value per molecule.

        Returns
        -------
        ndarray of shape (n,)
            The joint measure.
        """
        return np.max([-self.log_survival(name, values) for name, values in measures.items()], axis=0)

    def percentile(self, name: str, values: np.ndarray) -> np.ndarray:
        """Percentiles of values among the calibration molecules.

        Parameters
        ----------
        name : str
            A measure, or "joint".
        values : ndarray of shape (n,)
            Its values.

        Returns
        -------
        ndarray of shape (n,)
            Percentiles in [0, 100]; higher is farther from the training data.
        """
        return 100 * -np.expm1(self.log_survival(name, values))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store.

        Returns
        -------
        dict of str to ndarray
            Stored name -> array.
        """
        quantiles = {_STORED.get(name, name): array for name, array in self.quantiles.items()}
        return {"n": np.array([self.n], np.float64), **quantiles}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored calibration.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            The result of the method `arrays`.

        Returns
        -------
        DomainCalibration
            The calibration.

        Raises
        ------
        ValueError
            The arrays are not those of a calibration.
        """
        stored = {name: array for name, array in arrays.items() if name != "n"}
        if not {"n", "reconstruction", "density", "joint"} <= arrays.keys() or not (
            stored.keys() <= {"reconstruction", "density", "joint", *_STORED.values()}
        ):
            raise ValueError(
                f"not the calibration of an applicability domain: its arrays are {', '.join(sorted(arrays))}"
            )
        if any(array.shape != (_N_QUANTILES,) or (np.diff(array) < 0).any() for array in stored.values()):
            raise ValueError("the quantiles of the applicability domain are not in order")
        measures = {name: measure for measure, name in _STORED.items()}
        return cls(int(arrays["n"][0]), {measures.get(name, name): array for name, array in stored.items()})


def measure_domain(model: Autoencoder, prior: Prior, z: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """Measure how far molecules are from the training data.

    Parameters
    ----------
    model : Autoencoder
        The model of the codec.
    prior : Prior
        The prior of the codec.
    z : ndarray of shape (n, D)
        Latent vectors of the molecules.
    x : ndarray of shape (n, ...)
        Features of the molecules, as the model reconstructs them.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        Measure -> values, float64; higher is farther from the training data. "nll" only if the decoder is
        noise-conditioned.
    """
    measures = {
        "reconstruction": _nats(model, z, x, 0.0),
        "density": -GaussianPrior(prior.mean, prior.factor).log_density(z.astype(np.float64)),
    }
    if model.is_noise_conditioned and model.spec.kind == "tokens":
        noise = generator(0, "domain language").standard_normal((1, z.shape[1])).astype(np.float32)
        measures["nll"] = _nats(model, np.broadcast_to(noise, z.shape), x, 1.0)
    return measures


def applicability_domain(
    encoding: Encoding,
    features: Features,
    model: Autoencoder,
    prior: Prior,
    calibration: DomainCalibration,
    *,
    percentile: float,
    reference: "Iterable[str] | ReferenceSet | None",
) -> pd.DataFrame:
    """Assess whether molecules are in the applicability domain; the table of `Codec.applicability_domain`.

    Parameters
    ----------
    encoding : Encoding
        The encoded molecules.
    features : Features
        Features of the same molecules, as the model reconstructs them.
    model : Autoencoder
        The model of the codec.
    prior : Prior
        The prior of the codec.
    calibration : DomainCalibration
        Quantiles of the measures over molecules like those of the training set.
    percentile, reference
        As for `Codec.applicability_domain`.

    Returns
    -------
    DataFrame
        One row per molecule, in order, with the row labels of the molecules.

    Raises
    ------
    InputError
        The reference set is empty, or contains an invalid SMILES.
    """
    n = len(encoding.ok)
    measured = encoding.ok & features.ok
    valid = np.array([smiles is not None for smiles in encoding.smiles], bool)
    measures = measure_domain(model, prior, encoding.z[measured], features.x[measured])
    calibrated = {name: values for name, values in measures.items() if name in calibration.quantiles}

    def column(values: np.ndarray) -> np.ndarray:
        full = np.full(n, np.nan)
        full[measured] = values
        return full

    percentiles = {name: column(calibration.percentile(name, values)) for name, values in calibrated.items()}
    joint = np.where(valid, 100.0, np.nan)
    joint[measured] = calibration.percentile("joint", calibration.combine(calibrated))
    outside = joint > percentile
    nearest: list[str | None] = [None] * n
    similarity = np.full(n, np.nan)
    if reference is not None:
        rows = np.flatnonzero(valid)
        references = _to_reference_set(reference)
        index, similarity[rows] = references.nearest([encoding.smiles[row] or "" for row in rows])
        for row, i in zip(rows.tolist(), index.tolist(), strict=True):
            nearest[row] = references.smiles[i]
    reasons: list[str | None] = []
    for row in range(n):
        reason = None if measured[row] else encoding.reason[row] or features.reason[row]
        if reason is None and outside[row]:
            reason = _explain({name: values[row] for name, values in percentiles.items()}, percentile)
        if reason is not None and not np.isnan(similarity[row]):
            reason += f"; similarity to the nearest reference molecule {similarity[row]:.2f}"
        reasons.append(reason)
    missing = np.full(n, np.nan)
    table = pd.DataFrame(
        {
            "smiles": pd.Series(encoding.smiles, dtype=object),
            "reconstruction_nats": column(measures["reconstruction"]),
            "nll_nats": column(measures["nll"]) if "nll" in measures else missing,
            "log_density": column(-measures["density"]),
            "reconstruction_percentile": percentiles["reconstruction"],
            "nll_percentile": percentiles.get("nll", missing),
            "density_percentile": percentiles["density"],
            "domain_percentile": joint,
            "in_domain": pd.Series(~outside, dtype="boolean").where(valid),
            "nearest_reference": pd.Series(nearest, dtype=object),
            "nearest_similarity": similarity,
            "reason": pd.Series(reasons, dtype=object),
        }
    )
    return table.set_axis(encoding.labels)


def check_percentile(percentile: float) -> None:
    """Check the percentile above which molecules are out of domain.

    Parameters
    ----------
    percentile : float
        The percentile.

    Raises
    ------
    InputError
        It is not between 0 and 100.
    """
    if not 0 < percentile < 100:
        raise InputError(f"percentile: expected a number between 0 and 100, such as 99, got {percentile}")


def _to_reference_set(reference: "Iterable[str] | ReferenceSet") -> "ReferenceSet":
    from molvae.chem.fingerprints import ReferenceSet

    references = reference if isinstance(reference, ReferenceSet) else ReferenceSet(list(read_library(reference)))
    if not len(references):
        raise InputError("reference: expected at least one molecule, got none; pass molecules, or omit it")
    return references


@torch.no_grad()
def _nats(model: Autoencoder, z: np.ndarray, x: np.ndarray, noise: float) -> np.ndarray:
    """Negative log-likelihood (n,) of features under the decoder, given latent vectors and a noise level."""
    nats = np.empty(len(x))
    lengths = filled_lengths(x, model.spec)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _BATCH_SIZE):
        rows = order[start : start + _BATCH_SIZE]
        part = torch.from_numpy(model_input(x[rows], model.spec, lengths[rows[-1]]))
        scored = part != PAD if model.spec.kind == "tokens" else torch.ones_like(part, dtype=torch.bool)
        output = model.decoder(torch.from_numpy(z[rows]), torch.full((len(rows),), noise), part)
        nats[rows] = RECONSTRUCTIONS[model.spec.kind](output, part, scored).numpy()
    return nats


def _survival_levels(n: int) -> np.ndarray:
    """Shares (1001,) of molecules with a value at least as high as each quantile, from 1 down to 1 / (n + 1)."""
    last = 1 / (n + 1)
    if last >= _TAIL:
        return np.linspace(1.0, last, _N_QUANTILES)
    half = _N_QUANTILES // 2
    return np.concatenate(
        [np.linspace(1.0, _TAIL, half, endpoint=False), np.geomspace(_TAIL, last, _N_QUANTILES - half)]
    )


def _explain(percentiles: Mapping[str, float], limit: float) -> str:
    """Why a molecule is out of domain: "reconstruction error above the 99.2nd percentile of held-out molecules"."""
    ranked = sorted(percentiles, key=lambda name: -percentiles[name])
    high = [name for name in ranked if percentiles[name] > limit] or ranked[:1]
    parts = [f"{_DESCRIPTIONS[name]} above the {_ordinal(percentiles[name])} percentile" for name in high]
    return " and ".join(parts) + " of held-out molecules"


def _ordinal(percentile: float) -> str:
    """A percentile as an ordinal with one decimal, rounded down: 99.25 -> "99.2nd", 99.99 -> "99.9th"."""
    digits = f"{min(np.floor(percentile * 10) / 10, 99.9):.1f}"
    return digits + {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")
