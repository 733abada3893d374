import numpy as np
import pandas as pd
import pytest

from molvae.candidates.merging import merge_candidates
from molvae.candidates.selection import pick_candidates
from molvae.errors import InputError


def make(rows: dict[str, float]) -> pd.DataFrame:
    ids = [f"C{i}" for i in range(1, len(rows) + 1)]
    return pd.DataFrame(
        {"candidate_id": ids, "smiles": list(rows), "score": list(rows.values()), "latent_row": range(len(rows))}
    )


def test_a_molecule_of_several_runs_keeps_its_best_eligible_row() -> None:
    tables = {
        "a": make({"CCO": 0.5, "CCN": 0.9, "CCF": 0.4}),
        "b": make({"CCN": 0.3, "CCO": 0.7, "CCCl": float("nan"), "CCF": 0.4}),
    }
    flags = {"a": np.array([True, False, True]), "b": np.array([True, True, False, True])}
    table, eligible = merge_candidates(tables, flags)
    rows = table[["smiles", "run", "also_in", "candidate_id"]].to_numpy().tolist()
    assert rows == [
        ["CCF", "a", "b", "C3"],
        ["CCN", "b", "a", "C1"],
        ["CCO", "b", "a", "C2"],
        ["CCCl", "b", None, "C3"],
    ]
    assert eligible.tolist() == [True, True, True, False]


def test_each_run_has_its_own_latent_vectors_and_ids() -> None:
    tables = {"a": make({"CCO": 0.9, "CCN": 0.5}), "b": make({"CCF": 0.8, "CCCl": 0.4})}
    flags = {name: np.array([True, True]) for name in tables}
    table, eligible = merge_candidates(tables, flags)
    latent = {"a": np.array([[1.0, 0], [1, 0]]), "b": np.array([[1.0, 0], [0, 1]])}
    picks = pick_candidates(table, 2, diversity=1, latent=latent, latent_weight=1, eligible=eligible).picks
    assert picks["smiles"].tolist() == ["CCO", "CCCl"]
    assert picks["nearest_pick"].tolist() == ["C2 of b", "C1 of a"]
    with pytest.raises(InputError, match="C1 is the id"):
        pick_candidates(table, 2, latent_weight=0, eligible=eligible, include=["C1"])


def test_no_table_is_refused() -> None:
    with pytest.raises(InputError, match="got none"):
        merge_candidates({}, {})
