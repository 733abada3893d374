"""What each latent dimension speaks for: how often, how much, with which properties, and for which molecules most."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from molvae.autoencoder.bottlenecks import GaussianBottleneck, RectifiedBottleneck, SigmoidBottleneck, TopKBottleneck
from molvae.errors import InputError

if TYPE_CHECKING:
    from molvae.codec.codec import Codec

UNIT_PROPERTIES = ("logp", "tpsa", "mol_weight", "rings")
_LEAST_VARIANCE = 0.01  # of a unit of a gaussian bottleneck that says anything: Burda et al. 2016, arXiv 1509.00519


def explain_units(
    codec: "Codec",
    molecules: Iterable[Any] | str,
    top: int = 5,
    units: Sequence[int] | None = None,
    properties: Sequence[str] = UNIT_PROPERTIES,
) -> pd.DataFrame:
    """The molecules for which each unit speaks most, at most `top` a unit; long form: one row per unit and molecule.

    What the arguments and the table mean: Codec.explain_units.

    Raises:
        InputError: as there.
    """
    from molvae.chem.properties import compute

    chosen = _chosen(codec, units)
    if top < 1:
        raise InputError(f"explain_units: top: expected at least 1 molecule a unit, got {top}")
    encoding = codec.encode(molecules)
    first = {smiles: row for row, smiles in reversed(list(enumerate(encoding.smiles))) if encoding.ok[row]}
    rows = sorted(first.values())
    if not rows:
        reason = next((why for why in encoding.reason if why), "none was given")
        raise InputError(f"explain_units: expected at least one molecule that the codec can read; {reason}")
    smiles = [encoding.smiles[row] for row in rows]
    code = encoding.z[rows][:, chosen]  # (n, units)
    speaks, strength = _speaking(codec, code)
    activity = speaks.mean(0)
    names = [f"correlation_{name}" for name in properties]
    correlations = _spearman(code, compute(smiles, list(properties)).to_numpy())
    records: list[tuple] = []
    for place, unit in enumerate(chosen):
        about = (int(unit), activity[place], code[:, place].std(), *correlations[place])
        listed = np.argsort(-strength[:, place], kind="stable")[:top]
        listed = listed[~(speaks[listed, place] == 0)]
        records += [(*about, rank, smiles[row], code[row, place]) for rank, row in enumerate(listed, 1)]
        if not len(listed):
            records.append((*about, 0, None, np.nan))
    table = pd.DataFrame(records, columns=["unit", "activity", "spread", *names, "rank", "smiles", "activation"])
    n_read = int(encoding.ok.sum())
    counts = {
        "molecules": len(rows),
        "unreadable": len(encoding.ok) - n_read,
        "repeated": n_read - len(rows),
        "dead": int((activity == 0).sum()),
    }
    table.attrs = {"counts": counts}
    return table


def _speaking(codec: "Codec", code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For which molecules each unit speaks (n, units): 1, 0, or NaN where that means nothing; and how strongly."""
    bottleneck = codec.model.bottleneck
    if isinstance(bottleneck, TopKBottleneck):
        return (code != 0).astype(float), np.abs(code)
    if isinstance(bottleneck, RectifiedBottleneck):
        return (code != 0).astype(float), code
    if isinstance(bottleneck, SigmoidBottleneck):
        return (code > 0.5).astype(float), code
    if len(code) == 1:
        return np.full(code.shape, np.nan), code
    low, high = code.min(0), code.max(0)
    least = _LEAST_VARIANCE if isinstance(bottleneck, GaussianBottleneck) else 0.0
    return ((code > (low + high) / 2) & (code.var(0) > least)).astype(float), code


def _spearman(code: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rank correlations (units, properties) of columns; NaN for less than three rows or where a column is constant."""
    known = np.isfinite(values).all(1)
    if known.sum() < 3:
        return np.full((code.shape[1], values.shape[1]), np.nan)
    ranks = [rankdata(table[known], axis=0) for table in (code, values)]
    a, b = (table - table.mean(0) for table in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: np.ndarray = (a.T @ b) / np.sqrt(np.outer((a * a).sum(0), (b * b).sum(0)))
    return correlations


def _chosen(codec: "Codec", units: Sequence[int] | None) -> np.ndarray:
    if units is None:
        return np.arange(codec.n_latent)
    chosen = np.asarray(units)
    fits = chosen.ndim == 1 and chosen.size > 0 and np.issubdtype(chosen.dtype, np.integer)
    if not fits or chosen.min() < 0 or chosen.max() >= codec.n_latent:
        raise InputError(f"explain_units: units: expected whole numbers from 0 to {codec.n_latent - 1}, got {units}")
    return chosen
