import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from molvae.report.grid import grid_data, write_grid

SCRIPT = "</script><script>alert(1)</script>"


def test_columns_have_kinds_titles_and_values() -> None:
    table = pd.DataFrame(
        {
            "SMILES": ["CCO", None, "c1ccccc1"],
            "value_logp": [1.23456789, np.nan, np.inf],
            "n": pd.array([1, None, 3], "Int64"),
            "flag": [True, None, False],
            "move": ["swap", "swap", "swap"],
        },
        index=[7, 7, 9],
    )
    data = grid_data(table, name="table")
    kinds = {column["name"]: column["kind"] for column in data["columns"]}
    assert kinds == {"SMILES": "text", "value_logp": "number", "n": "integer", "flag": "flag", "move": "text"}
    assert data["values"] == [
        ["CCO", None, "c1ccccc1"], [1.23457, None, None], [1, None, 3], [True, None, False], ["swap"] * 3,
    ]  # fmt: skip
    assert (data["smiles"], data["id"]) == (0, None)
    assert data["columns"][4]["choices"] == ["swap"]
    assert data["columns"][1]["title"] == "logP"


def test_choices_of_failed_checks_are_single_checks(candidates: pd.DataFrame) -> None:
    failed = [None, None, "mol_weight, alerts", "alerts"]
    data = grid_data(candidates.assign(failed_checks=failed, mol_weight=candidates["value_mol_weight"]), name="table")
    column = next(column for column in data["columns"] if column["name"] == "failed_checks")
    assert column["choices"] == ["alerts", "mol_weight"]
    hidden = {column["name"] for column in data["columns"] if not column["visible"]}
    assert {
        "raw_smiles",
        "latent_row",
        "score_logp",
        "check_alerts",
        "mol_weight",
    } <= hidden
    assert not {"score", "smiles", "candidate_id", "value_logp"} & hidden


def test_the_same_table_gives_the_same_bytes(candidates: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_grid(tmp_path / name / "grid.html", candidates, title="t", notes=["n"])
    assert (tmp_path / "a/grid.html").read_bytes() == (tmp_path / "b/grid.html").read_bytes()


def test_text_from_the_table_is_escaped(candidates: pd.DataFrame, tmp_path: Path) -> None:
    table = candidates.assign(candidate_id=[SCRIPT, "b", "c", "d"]).rename(columns={"value_logp": SCRIPT})
    write_grid(tmp_path / "grid.html", table, title=SCRIPT, notes=[SCRIPT])
    text = (tmp_path / "grid.html").read_text()
    assert SCRIPT not in text
    assert "alert(1)" in text
    assert _data(text)["values"][0][0] == SCRIPT


def test_a_table_without_smiles_has_no_structures(tmp_path: Path) -> None:
    write_grid(tmp_path / "grid.html", pd.DataFrame({"scaffold_class": ["a", "b"], "n": [1, 2]}), title="counts")
    text = (tmp_path / "grid.html").read_text()
    assert 'id="rdkit"' not in text
    assert "unsafe" not in re.findall(r'Content-Security-Policy" content="([^"]+)"', text)[0]
    assert len(text) < 700_000
    assert _data(text)["smiles"] is None


def test_other_columns_of_smiles_are_drawn() -> None:
    scaffolds = pd.DataFrame({"n": [1, 2], "scaffold(smiles)": ["c1ccccc1", None]})
    assert grid_data(scaffolds, name="table")["smiles"] == 1
    assert grid_data(pd.DataFrame({"scaffold": ["class I", "c1ccccc1"]}), name="table")["smiles"] is None


def test_an_empty_table_gives_a_page(tmp_path: Path) -> None:
    write_grid(tmp_path / "grid.html", pd.DataFrame({"smiles": pd.Series([], dtype=object)}), title="none")
    assert _data((tmp_path / "grid.html").read_text())["values"] == [[]]


def _data(text: str) -> dict:
    packed = re.findall(r'id="data">([^<]+)<', text)[0]
    return json.loads(gzip.decompress(base64.b64decode(packed)))
