"""Tables as Excel workbooks: types, text that looks like a formula, drawings, limits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openpyxl import load_workbook

from molvae.errors import InputError
from molvae.report import workbook
from molvae.report.workbook import write_workbook

TABLE = pd.DataFrame(
    {
        "candidate_id": ["C1", "=1+1", "1E05", "007"],
        "smiles": ["CCO", "c1ccccc1O", "C1CC", None],
        "score": [0.123456789, np.nan, 3.17, 1.0],
        "passed": [True, False, True, False],
        "n": [1, 2, 3, 2**60],
    }
)


def read(path: Path) -> list[list[object]]:
    return [[cell.value for cell in row] for row in load_workbook(path)["molecules"].iter_rows()]


def test_cells_keep_their_types(tmp_path: Path) -> None:
    assert write_workbook(tmp_path / "a.xlsx", TABLE) == []
    header, *rows = read(tmp_path / "a.xlsx")
    assert header == ["structure", "candidate_id", "smiles", "score", "passed", "n"]
    assert rows[0][1:] == ["C1", "CCO", 0.123457, True, 1]
    assert rows[1][1:] == ["=1+1", "c1ccccc1O", None, False, 2]
    assert rows[2][1:4] == ["1E05", "C1CC", 3.17]
    assert rows[3][1:] == ["007", None, 1, False, str(2**60)]
    cells = load_workbook(tmp_path / "a.xlsx")["molecules"]
    assert [cells[f"B{row}"].data_type for row in (2, 3, 4, 5)] == ["s"] * 4, "text, neither a formula nor a number"


def test_valid_molecules_have_a_drawing(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", TABLE)
    drawings = load_workbook(tmp_path / "a.xlsx")["molecules"]._images  # type: ignore[attr-defined]
    assert [one.anchor._from.row for one in drawings] == [1, 2]
    write_workbook(tmp_path / "b.xlsx", TABLE.drop(columns="smiles"))
    assert read(tmp_path / "b.xlsx")[0][0] == "candidate_id"


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(tmp_path / name, TABLE)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_limits_are_noted_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_DRAWN", 1)
    long = TABLE.assign(candidate_id=["x" * 40_000, "a", "b", "c"])
    assert [note.split()[0] for note in write_workbook(tmp_path / "a.xlsx", long)] == ["1", "only"]
    assert len(str(read(tmp_path / "a.xlsx")[1][1])) == 32_767
    monkeypatch.setattr(workbook, "_MAX_ROWS", 3)
    with pytest.raises(InputError, match=r"at most 3 rows, got 4"):
        write_workbook(tmp_path / "c.xlsx", TABLE)
    assert not (tmp_path / "c.xlsx").exists()


def test_an_empty_table_has_a_header(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", TABLE.iloc[:0])
    assert read(tmp_path / "a.xlsx") == [["structure", "candidate_id", "smiles", "score", "passed", "n"]]
