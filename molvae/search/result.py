"""The result of a search."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

_N_SHOWN = 10
_STYLE = (
    ".molvae .mol{width:150px;height:112px}"
    ".molvae .mol path{fill:none;stroke:currentColor;stroke-width:1.5}"
    ".molvae .mol path.w{fill:currentColor;stroke-width:.5}"
    ".molvae .mol text{fill:currentColor;font-family:Arial,Helvetica,sans-serif}"
    ".molvae .eN{color:#3b6fd4}.molvae .eO{color:#d0342c}.molvae .eS{color:#a88400}"
    ".molvae .eP{color:#c26a00}.molvae .eX{color:#2a8a3c}.molvae .eZ{color:#2a8a8a}"
    ".molvae td,.molvae th{text-align:left;vertical-align:middle}"
)


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
        from molvae.chem.drawing import draw_svg  # imports RDKit's drawing code

        best = self.table.head(_N_SHOWN)
        columns = ["candidate_id", "smiles", "score", *(name for name in best if str(name).startswith("value_"))]
        head = "".join(f"<th>{escape(str(name))}</th>" for name in ("structure", *columns))
        rows = "".join(
            f"<tr><td>{draw_svg(row['smiles'])}</td>"
            + "".join(f"<td>{_format(row[name])}</td>" for name in columns)
            + "</tr>"
            for row in best.to_dict("records")
        )
        more = f"<p>The best {len(best)} are shown.</p>" if len(self.table) > len(best) else ""
        return (
            f'<div class="molvae"><style>{_STYLE}</style><p>{escape(self._summary())}</p>'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"
        )

    def _summary(self) -> str:
        n = len(self.table)
        text = f"{n:,} molecule{'' if n == 1 else 's'} scored"
        if n and not np.isnan(self.table["score"].iloc[0]):
            text += f", best score {self.table['score'].iloc[0]:.4g}: {self.table['smiles'].iloc[0]}"
        if "front" in self.table:
            text += f"; {int((self.table['front'] == 1).sum()):,} on the Pareto front"
        return f"{text}; stopped: {self.stop_reason}"


def _format(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
