"""The lineage of a candidate: from a start molecule or a draw from the prior, one change after the other."""

import time
from dataclasses import dataclass

import pandas as pd

from molvae.candidates.columns import START
from molvae.chem.changes import Change, compare_structures

_PRIOR = "prior"


@dataclass(frozen=True)
class Step:
    """A molecule of a lineage, and what changed from its parent.

    Parameters
    ----------
    candidate_id : str
        Id.
    smiles : str
        Canonical SMILES.
    score : float
        Score; NaN if a term failed, or if the molecule is not in the table.
    round : int or None
        Round of the search; None if the molecule is not in the table.
    move : str
        Move of the optimizer that generated it; "" if it is not known.
    parent_id, mate_id : str or None
        Ids of the parents.
    mate_smiles : str or None
        SMILES of the second parent.
    change : Change or None
        What changed from the parent; None without a parent, if its structure is not known, or if the time limit was
        exceeded.
    """

    candidate_id: str
    smiles: str
    score: float
    round: int | None = None
    move: str = ""
    parent_id: str | None = None
    mate_id: str | None = None
    mate_smiles: str | None = None
    change: Change | None = None

    @property
    def origin(self) -> str:
        """How a molecule without a parent was generated; "" otherwise."""
        if self.parent_id:
            return ""
        if self.round is None:
            return "not in this table"
        if self.move == START:
            return "start molecule"
        return "draw from the prior" if self.move.startswith(_PRIOR) else "no parent is recorded"

    @property
    def description(self) -> str:
        """What changed from the parent, or how it was generated, in one line."""
        if self.origin:
            return self.origin
        return str(self.change) if self.change else "not compared with its parent"


def trace_lineage(table: pd.DataFrame, candidate_id: str, seconds: float = 20.0) -> list[Step]:
    """Trace a candidate back to a molecule without a parent.

    Only first parents are followed: a step with two parents (`mate_id`) is compared with the first one, whose latent
    vector was changed.

    Parameters
    ----------
    table : DataFrame
        Candidate table.
    candidate_id : str
        Id of a candidate in the table.
    seconds : float, default=20.0
        Time for the comparisons of structures; the last steps are compared first.

    Returns
    -------
    list of Step
        The first molecule of the lineage first, the candidate last.
    """
    names = ["candidate_id", "smiles", "score", "round", "move", "parent_id", "parent_smiles", "mate_id", "mate_smiles"]
    rows = {row["candidate_id"]: row for row in table[[n for n in names if n in table]].to_dict("records")}
    end = time.monotonic() + seconds
    steps: list[Step] = []
    seen: set[str] = set()
    current: str | None = candidate_id
    while current is not None and current in rows and current not in seen:
        seen.add(current)
        row = rows[current]
        parent, mate = _text(row.get("parent_id")), _text(row.get("mate_id"))
        parent_smiles = rows[parent]["smiles"] if parent in rows else _text(row.get("parent_smiles"))
        mate_smiles = rows[mate]["smiles"] if mate in rows else _text(row.get("mate_smiles"))
        is_compared = parent_smiles is not None and time.monotonic() < end
        steps.append(
            Step(
                current,
                row["smiles"],
                float(row["score"]),
                int(row["round"]),
                _text(row.get("move")) or "",
                parent,
                mate,
                mate_smiles,
                compare_structures(parent_smiles, row["smiles"]) if is_compared and parent_smiles else None,
            )
        )
        if parent is not None and parent not in rows and parent_smiles is not None:
            steps.append(Step(parent, parent_smiles, float("nan")))
        current = parent
    return steps[::-1]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
