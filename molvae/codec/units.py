"""Latent units: which molecules activate each latent dimension, and which properties it correlates with."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from molvae.autoencoder.bottlenecks import GaussianBottleneck, RectifiedBottleneck, SigmoidBottleneck, TopKBottleneck
from molvae.autoencoder.parts import Bottleneck
from molvae.codec.space import MoleculeSpace
from molvae.errors import InputError

UNIT_PROPERTIES = ("logp", "tpsa", "mol_weight", "rings")
_LEAST_VARIANCE = 0.01  # a unit of a Gaussian bottleneck is active above it: Burda et al. 2016, arXiv 1509.00519


def explain_units(
    space: MoleculeSpace,
    bottleneck: Bottleneck,
    molecules: Iterable[object] | str,
    *,
    top: int,
    units: Sequence[int] | None,
    properties: Sequence[str],
) -> pd.DataFrame:
    """Find the molecules that activate each latent unit most; the table of `Codec.explain_units`.

    Parameters
    ----------
    space : MoleculeSpace
        Encodes the molecules.
    bottleneck : Bottleneck
        The bottleneck of the model; its kind defines when a unit is active.
    molecules, top, units, properties
        As for `Codec.explain_units`.

    Returns
    -------
    DataFrame
        One row per unit and molecule.
    """
    from molvae.chem.properties import compute

    chosen = _chosen_units(space.n_latent, units)
    if top < 1:
        raise InputError(f"explain_units: top: expected at least 1 molecule per unit, got {top}")
    encoding = space.encode(molecules)
    first = {smiles: row for row, smiles in reversed(list(enumerate(encoding.smiles))) if encoding.ok[row]}
    rows = sorted(first.values())
    if not rows:
        reason = next((reason for reason in encoding.reason if reason), "none was given")
        raise InputError(f"explain_units: expected at least one molecule that can be encoded; {reason}")
    smiles = [encoding.smiles[row] for row in rows]
    z = encoding.z[rows][:, chosen]  # (n, units)
    active, strength = _activity(bottleneck, z)
    share = active.mean(0)
    names = [f"correlation_{name}" for name in properties]
    correlations = _spearman(z, compute(smiles, list(properties)).to_numpy())
    records: list[tuple[object, ...]] = []
    for column, unit in enumerate(chosen):
        about = (int(unit), share[column], z[:, column].std(), *correlations[column])
        listed = np.argsort(-strength[:, column], kind="stable")[:top]
        listed = listed[~(active[listed, column] == 0)]
        records += [(*about, rank, smiles[row], z[row, column]) for rank, row in enumerate(listed, 1)]
        if not len(listed):
            records.append((*about, 0, None, np.nan))
    columns = ["unit", "activity", "standard_deviation", *names, "rank", "smiles", "activation"]
    table = pd.DataFrame(records, columns=columns)
    n_encoded = int(encoding.ok.sum())
    counts = {
        "molecules": len(rows),
        "unreadable": len(encoding.ok) - n_encoded,
        "repeated": n_encoded - len(rows),
        "dead": int((share == 0).sum()),
    }
    table.attrs = {"counts": counts}
    return table


def _activity(bottleneck: Bottleneck, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each unit is active (n, units), as 1, 0 or, where undefined, NaN; and how strongly."""
    if isinstance(bottleneck, TopKBottleneck):
        return (z != 0).astype(float), np.abs(z)
    if isinstance(bottleneck, RectifiedBottleneck):
        return (z != 0).astype(float), z
    if isinstance(bottleneck, SigmoidBottleneck):
        return (z > 0.5).astype(float), z
    if len(z) == 1:
        return np.full(z.shape, np.nan), z
    low, high = z.min(0), z.max(0)
    least = _LEAST_VARIANCE if isinstance(bottleneck, GaussianBottleneck) else 0.0
    return ((z > (low + high) / 2) & (z.var(0) > least)).astype(float), z


def _spearman(z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rank correlations (units, properties); NaN for fewer than three molecules, or where a column is constant."""
    from scipy.stats import rankdata  # takes half a second

    complete = np.isfinite(values).all(1)
    if complete.sum() < 3:
        return np.full((z.shape[1], values.shape[1]), np.nan)
    ranks = [rankdata(table[complete], axis=0) for table in (z, values)]
    a, b = (table - table.mean(0) for table in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: np.ndarray = (a.T @ b) / np.sqrt(np.outer((a * a).sum(0), (b * b).sum(0)))
    return correlations


def _chosen_units(n_latent: int, units: Sequence[int] | None) -> np.ndarray:
    if units is None:
        return np.arange(n_latent)
    chosen = np.asarray(units)
    are_integers = chosen.ndim == 1 and chosen.size > 0 and np.issubdtype(chosen.dtype, np.integer)
    if not are_integers or chosen.min() < 0 or chosen.max() >= n_latent:
        raise InputError(f"explain_units: units: expected integers from 0 to {n_latent - 1}, got {units}")
    return chosen
