"""The result of a search."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from molvae.chem.molecule_table import drawn_columns, table_html

_N_SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """The result of a search.

    Parameters
    ----------
    table : DataFrame
        One row per scored molecule, best first; failed molecules (score NaN) last, ties in the order of scoring. The
        columns are those of `molvae.candidates.columns.PROPOSAL_COLUMNS`.
    latent : ndarray of shape (m, D)
        Latent vectors that decoded to the molecules, float32, in the order of scoring; the column `latent_row` of the
        table gives the row. For a start molecule it is the encoding.
    funnel : dict of str to int
        Counts: `n_proposed` (latent vectors decoded, start molecules included), `n_valid` (valid SMILES), `n_unique`
        (unique molecules), `n_infeasible` (new molecules that violate a constraint or cannot be encoded), `n_scored`
        (molecules that the oracle was called with) and `n_failed_score` (those without a score). With
        `constraints.keep`, also `n_lost` (proposals that decoded to no molecule that keeps the part) and `n_repaired`
        (those that did when they were decoded again, with the part).
    history : DataFrame
        One row per `molvae.search.ledger.RoundSummary`, with its fields as columns; NaN where no molecule has a score.
    notes : tuple of str
        Notes on start molecules that were skipped, changed or not reconstructed or that violate a constraint, on
        infinite scores, and on a search that no longer improves or finds few new molecules.
    stop_reason : str
        "budget", or why the search ended before the budget was spent; "not yet" while it runs.
    """

    table: pd.DataFrame
    latent: np.ndarray
    funnel: Mapping[str, int]
    history: pd.DataFrame
    notes: tuple[str, ...]
    stop_reason: str

    def __repr__(self) -> str:
        return f"SearchResult({self._summary()})"

    def _repr_html_(self) -> str:
        """The best molecules with their structures, for notebooks."""
        names = ["candidate_id", "smiles", "score", *(name for name in self.table if str(name).startswith("value_"))]
        best = self.table[names]
        return f"<p>{escape(self._summary())}</p>{table_html(best, drawn_columns(best), _N_SHOWN)}"

    def _summary(self) -> str:
        n = len(self.table)
        text = f"{n:,} molecule{'' if n == 1 else 's'} scored"
        if n and not np.isnan(self.table["score"].iloc[0]):
            text += f", best score {self.table['score'].iloc[0]:.4g}: {self.table['smiles'].iloc[0]}"
        if "front" in self.table:
            text += f"; {int((self.table['front'] == 1).sum()):,} on the Pareto front"
        return f"{text}; stopped: {self.stop_reason}"
