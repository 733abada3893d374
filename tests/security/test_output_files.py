"""What users wrote stays text in result files: no formulas, no forged records, no shell."""

import csv
import sys
from pathlib import Path

import pandas as pd
import pytest

from molvae.candidates.files import read_candidates, write_candidates
from molvae.report.workbook import write_workbook
from molvae.scoring.scorers.command import CommandScorer, CommandTerm
from molvae.tables import escape_formula
from molvae.workers import Serial

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(1)", "\t=1+1", "\r=1+1", "\n=1+1", "'=1+1", "''=1", "=HYPERLINK(\"http://192.0.2.1\")",
    "=cmd|'/C calc'!A0",
]  # fmt: skip
RECORDS = [
    "x\n$$$$\nforged",
    "x\r\n> <smiles>\r\nC",
    "> <score>",
    "$$$$",
    "M  END",
    "x\n\n> <a>\n1\n\n$$$$\n",
    "x\x85$$$$",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_in_csv_and_comes_back(text: str, candidates: pd.DataFrame, tmp_path: Path) -> None:
    assert escape_formula(text).startswith("'")
    candidates = candidates.copy()
    candidates["reason"] = text
    write_candidates(tmp_path, candidates)
    with (tmp_path / "candidates.csv").open(encoding="utf-8", newline="") as file:
        cells = {row["reason"] for row in csv.DictReader(file)}
    assert cells == {f"'{text}"}
    assert set(read_candidates(tmp_path / "candidates.csv")["reason"]) == {text}


def test_a_formula_is_text_in_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed (extra dev)")
    table = pd.DataFrame({"smiles": ["CCO"] * len(FORMULAS), "=1+1": FORMULAS, "id": FORMULAS})
    write_workbook(tmp_path / "a.xlsx", table)
    cells = [cell for sheet in openpyxl.load_workbook(tmp_path / "a.xlsx") for row in sheet.iter_rows() for cell in row]
    assert sum("1+1" in str(cell.value) for cell in cells) > 4
    assert not [cell.value for cell in cells if cell.data_type == "f" or cell.hyperlink]


@pytest.mark.parametrize("text", RECORDS)
def test_a_text_does_not_end_its_record_of_an_sdf(text: str, candidates: pd.DataFrame, tmp_path: Path) -> None:
    candidates = candidates.copy()
    candidates["reason"] = text
    candidates["candidate_id"] = [f"{text}{row}" for row in range(len(candidates))]
    write_candidates(tmp_path, candidates)
    sdf = (tmp_path / "candidates.sdf").read_text(encoding="utf-8")
    records = sdf.split("\n$$$$\n")
    assert len(records) == len(candidates) + 1
    assert records[-1] == ""
    names = [line for line in records[0].split("\n") if line.startswith("> ")]
    assert len(names) == len(set(names))


def test_a_command_has_no_shell(tmp_path: Path) -> None:
    """Neither its arguments nor the SMILES are interpreted."""
    script = tmp_path / "score.py"
    script.write_text(
        "import json, sys\nfor line in sys.stdin: print(json.dumps({'value': len(sys.argv), 'n': len(sys.argv[1])}))\n"
    )
    hostile = f"$(touch {tmp_path}/ran); touch {tmp_path}/ran `touch {tmp_path}/ran` | * ~ $HOME \n && x"
    term = CommandTerm(command=(sys.executable, str(script), hostile), shape="higher", low=0, high=1)
    values = CommandScorer(term)(["CCO", f"C;touch {tmp_path}/ran"], Serial())
    assert values.value.tolist() == [2.0, 2.0]
    assert values.extra["n"].tolist() == [len(hostile)] * 2
    assert not (tmp_path / "ran").exists()
