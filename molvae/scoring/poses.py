"""The docked poses of the best candidates, as an SDF file."""

from pathlib import Path
from typing import Any

import pandas as pd

from molvae.chem.ligands import Pose
from molvae.files import write_text
from molvae.scoring.objective import Objective


def write_poses(path: Path, objective: Objective, candidates: pd.DataFrame) -> int:
    """Dock the best candidates again, and write their poses; the same settings give the same poses as in the search.

    Parameters
    ----------
    path : Path
        File to write; one record per pose, with the coordinates of the receptor.
    objective : Objective
        The objective of the search; its `pose_scorers` are used.
    candidates : DataFrame
        Candidate table, the best candidates first. Of each term, the first `n_saved` candidates with a value are used.

    Returns
    -------
    int
        Number of candidates with a pose.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    records: list[str] = []
    found: set[str] = set()
    for term, scorer in objective.pose_scorers.items():
        rows = candidates[candidates[f"value_{term}"].notna()].head(scorer.n_saved).to_dict("records")
        poses = scorer.poses([str(row["smiles"]) for row in rows], objective.mapper)
        for row, of_row in zip(rows, poses, strict=True):
            found |= {str(row["candidate_id"])} if of_row else set()
            records += [_record(row, term, scorer.receptor, rank, pose) for rank, pose in enumerate(of_row, start=1)]
    write_text(path, "".join(records))
    return len(found)


def _record(row: dict[Any, Any], term: str, receptor: str, rank: int, pose: Pose) -> str:
    """One record of the SDF."""
    fields = {
        "candidate_id": row["candidate_id"],
        "term": term,
        "receptor": " ".join(receptor.split()),
        "pose": rank,
        "value": f"{pose.value:.3f}",
        "smiles": row["smiles"],
        "docked_smiles": pose.smiles,
        "passed": str(bool(row["passed"])).lower(),
    }
    lines = "".join(f">  <{name}>\n{field}\n\n" for name, field in fields.items())
    return f"{row['candidate_id']}{pose.mol_block}{lines}$$$$\n"
