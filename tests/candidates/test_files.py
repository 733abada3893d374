import csv
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from molvae.candidates.columns import CANDIDATE_COLUMNS
from molvae.candidates.files import CANDIDATE_FILES, arrange, read_candidates, write_candidates
from molvae.errors import InputError

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'=already",
    "''-twice",
    "'plain",
    'a "quoted", cell',
    "a\nb",
    "é",
]


def nasty_table(candidates: pd.DataFrame) -> pd.DataFrame:
    """Candidates with ids that a spreadsheet or a reader might misread."""
    rows = pd.concat([candidates.iloc[[0]]] * len(NASTY), ignore_index=True)
    rows["candidate_id"] = NASTY
    rows["smiles"] = ["C" * (n + 1) for n in range(len(NASTY))]
    rows["nearest_reference"] = NASTY
    return rows


def without_checks(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of the CSV and the SDF."""
    return table[[name for name in table if not name.startswith("check_")]]


def sha256s(folder: Path) -> list[str]:
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in CANDIDATE_FILES]


def test_three_files_are_written(candidates: pd.DataFrame, tmp_path: Path) -> None:
    paths = write_candidates(tmp_path, candidates)
    assert [path.name for path in paths] == list(CANDIDATE_FILES)
    assert sorted(os.listdir(tmp_path)) == sorted(CANDIDATE_FILES)


def test_bytes_do_not_depend_on_folder_column_order_or_process(candidates: pd.DataFrame, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    write_candidates(first, candidates)
    candidates.to_pickle(tmp_path / "table.pkl")
    script = (
        "import sys, pathlib, pandas as pd\n"
        "from molvae.candidates.files import write_candidates\n"
        "table = pd.read_pickle(sys.argv[1])\n"
        "write_candidates(pathlib.Path(sys.argv[2]), table[['inchikey', *(c for c in table if c != 'inchikey')]])\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", script, str(tmp_path / "table.pkl"), str(second)]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    assert sha256s(first) == sha256s(second)


def test_columns_are_in_the_documented_order(candidates: pd.DataFrame) -> None:
    arranged = arrange(candidates[candidates.columns[::-1]])
    positions = [
        next(
            i
            for i, column in enumerate(CANDIDATE_COLUMNS)
            if name == column.name or (column.name.endswith("*") and name.startswith(column.name[:-1]))
        )
        for name in arranged
    ]
    assert positions == sorted(positions)
    assert set(arranged) == set(candidates)


def test_parquet_round_trip_is_exact(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    back = read_candidates(tmp_path / "candidates.parquet")
    pd.testing.assert_frame_equal(back, arrange(candidates), check_exact=True)


def test_csv_round_trip_keeps_six_digits(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    back = read_candidates(tmp_path / "candidates.csv")
    pd.testing.assert_frame_equal(back, without_checks(arrange(candidates)), rtol=1e-5)
    assert back["score"].tolist()[0] == 0.812346


def test_formulas_are_escaped_in_csv_and_restored(candidates: pd.DataFrame, tmp_path: Path) -> None:
    table = nasty_table(candidates)
    write_candidates(tmp_path, table)
    with (tmp_path / "candidates.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["candidate_id"] for row in csv.DictReader(file)]
    assert [cell for cell in cells if cell[0] in "=+-@\t\r"] == []
    assert cells[:8] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "''=already", "'''-twice"]
    assert cells[8:] == NASTY[8:]
    for name in ("candidates.csv", "candidates.parquet"):
        back = read_candidates(tmp_path / name)
        assert back["candidate_id"].tolist() == NASTY
        assert back["nearest_reference"].tolist() == NASTY


def test_negative_numbers_stay_numbers(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    with (tmp_path / "candidates.csv").open(encoding="utf-8", newline="") as file:
        assert [row["value_logp"] for row in csv.DictReader(file)][3] == "-1"


def test_sdf_holds_every_molecule_with_every_column(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    molecules = list(Chem.SDMolSupplier(str(tmp_path / "candidates.sdf")))
    assert [Chem.MolToSmiles(mol) for mol in molecules] == candidates["smiles"].tolist()
    assert [mol.GetProp("_Name") for mol in molecules] == candidates["candidate_id"].tolist()
    assert set(molecules[2].GetPropNames()) == set(without_checks(candidates))
    assert molecules[2].GetProp("reason") == candidates["reason"][2]
    assert molecules[2].GetProp("score") == ""
    assert not molecules[0].GetConformer().Is3D()
    spread = np.ptp(molecules[0].GetConformer().GetPositions(), axis=0)
    assert spread[0] > 3
    assert spread[2] == 0


@pytest.mark.parametrize("identifier", ["$$$$", "> <smiles>", "a\n\n$$$$\nb", "M  END"])
def test_sdf_is_readable_with_ids_that_look_like_sdf_syntax(
    candidates: pd.DataFrame, tmp_path: Path, identifier: str
) -> None:
    candidates.loc[0, ["candidate_id", "nearest_reference"]] = identifier
    write_candidates(tmp_path, candidates)
    molecules = list(Chem.SDMolSupplier(str(tmp_path / "candidates.sdf")))
    assert [Chem.MolToSmiles(mol) for mol in molecules] == candidates["smiles"].tolist()
    assert molecules[0].GetProp("nearest_reference").split() == identifier.split()
    assert molecules[0].GetProp("inchikey") == candidates["inchikey"][0]


def test_sdf_keeps_a_row_with_an_invalid_smiles(candidates: pd.DataFrame, tmp_path: Path) -> None:
    candidates.loc[1, "smiles"] = "not a molecule"
    write_candidates(tmp_path, candidates)
    molecules = list(Chem.SDMolSupplier(str(tmp_path / "candidates.sdf")))
    assert [mol.GetNumAtoms() for mol in molecules][1] == 0
    assert molecules[1].GetProp("smiles") == "not a molecule"
    assert len(molecules) == len(candidates)


def test_files_are_replaced_and_a_failure_keeps_the_old_files(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    before = sha256s(tmp_path)
    with pytest.raises(InputError, match="color"):
        write_candidates(tmp_path, candidates.assign(color="red"))
    assert sha256s(tmp_path) == before
    write_candidates(tmp_path, candidates.iloc[:2])
    assert len(read_candidates(tmp_path)) == 2


def test_a_missing_folder_is_reported(candidates: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"candidates.csv: .*no such file or directory"):
        write_candidates(tmp_path / "nowhere", candidates)


def test_a_full_disk_is_reported_and_leaves_no_file(candidates: pd.DataFrame, tmp_path: Path) -> None:
    table = pd.concat([candidates] * 100, ignore_index=True)
    table["candidate_id"] = [f"C{n}" for n in range(len(table))]
    table["smiles"] = ["C" * (n + 1) for n in range(len(table))]
    table.to_pickle(tmp_path / "table.pkl")
    out = tmp_path / "out"
    out.mkdir()
    script = (
        "import pathlib, resource, signal, sys\n"
        "import pandas as pd\n"
        "from molvae.candidates.files import write_candidates\n"
        "table = pd.read_pickle(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "write_candidates(pathlib.Path(sys.argv[2]), table)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "table.pkl"), str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert "candidates.csv" in ended.stderr
    assert "File too large" in ended.stderr
    assert os.listdir(out) == []


def test_empty_table_round_trip(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates.iloc[:0])
    for name, columns in (("candidates.csv", without_checks(candidates)), ("candidates.parquet", candidates)):
        back = read_candidates(tmp_path / name)
        assert list(back) == list(arrange(columns))
        assert len(back) == 0
    assert (tmp_path / "candidates.sdf").read_bytes() == b""


def test_a_file_saved_by_a_spreadsheet_is_read(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    path = tmp_path / "candidates.csv"
    text = path.read_text(encoding="utf-8").replace("True", "TRUE").replace("False", "FALSE").replace("\n", "\r\n")
    path.write_text(text, encoding="utf-8-sig", newline="")
    pd.testing.assert_frame_equal(read_candidates(path), without_checks(arrange(candidates)), rtol=1e-5)


def test_empty_rows_and_columns_of_a_spreadsheet_are_no_candidates(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    path = tmp_path / "candidates.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    empty = "," * (header.count(",") + 2)
    path.write_text("\n".join([f"{header},,", empty, *(f"{line},," for line in lines), empty, ""]), encoding="utf-8")
    pd.testing.assert_frame_equal(read_candidates(path), without_checks(arrange(candidates)), rtol=1e-5)


@pytest.mark.parametrize(
    ("separator", "cells", "expected"),
    [
        (",", ["1,321", "0.5"], None),  # 1321 in English, 1.321 in German
        (",", ["1,321", "0,25"], [1.321, 0.25]),
        (";", ["1,321", "0,25"], [1.321, 0.25]),
        (";", ["1.321", "0,25"], None),
        (";", ["1.321", "0.25"], [1.321, 0.25]),
    ],
)
def test_a_number_with_a_thousands_separator_is_not_misread(
    candidates: pd.DataFrame, tmp_path: Path, separator: str, cells: list[str], expected: list[float] | None
) -> None:
    write_candidates(tmp_path, candidates)
    path = tmp_path / "candidates.csv"
    header, *rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
    for row, cell in zip(rows, [*cells, "", ""], strict=True):
        if "0,25" in cells:  # a spreadsheet with decimal commas
            row[:] = [re.sub(r"^(-?\d+)\.(\d+)$", r"\1,\2", one) for one in row]
        row[header.index("score")] = cell
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    if expected is None:
        with pytest.raises(InputError, match=r"column score, row 1: 1.321 .*thousands"):
            read_candidates(path)
    else:
        assert read_candidates(path)["score"].dropna().tolist() == expected


@pytest.mark.parametrize("column", ["smiles", "candidate_id"])
def test_a_candidate_without_smiles_or_id_is_refused(candidates: pd.DataFrame, tmp_path: Path, column: str) -> None:
    path = tmp_path / "a.parquet"
    candidates.assign(**{column: [*candidates[column][:2], None, *candidates[column][3:]]}).to_parquet(path)
    with pytest.raises(InputError, match=f"column {column}, row 3"):
        read_candidates(path)


def test_a_folder_without_candidates_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"candidates\.parquet"):
        read_candidates(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"smiles,score\nCC,1\n", "candidate_id"),
        ("a.csv", b"a,a\n1,2\n", "column a "),
        ("a.csv", b"smiles,score\nCC,1,2\n", "row 1: expected 2 .*got 3"),
        ("a.csv", b"smiles\n\xff\xfe\n", "UTF-8"),
        ("a.csv", b'smiles\n"open\n', "CSV"),
        ("a.parquet", b"PAR1 nothing", "Parquet"),
        ("a.xlsx", b"x", r"\.csv or \.parquet, got \.xlsx"),
    ],
)
def test_a_file_that_is_not_a_candidate_table_is_refused(tmp_path: Path, name: str, content: bytes, fact: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{fact}"):
        read_candidates(path)


@pytest.mark.parametrize(
    ("column", "cell", "kind"),
    [
        ("score", "high", "number"),
        ("round", "1.5", "integer"),
        ("passed", "yes", "flag"),
        ("round", "", "integer"),
        ("round", "9" * 20, "integer"),
        ("score", "1_0", "number"),
    ],
)
def test_a_cell_of_the_wrong_kind_is_located(
    candidates: pd.DataFrame, tmp_path: Path, column: str, cell: str, kind: str
) -> None:
    write_candidates(tmp_path, candidates)
    path = tmp_path / "candidates.csv"
    rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
    rows[2][rows[0].index(column)] = cell
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(InputError, match=f"column {column}, row 2: expected {kind}, got '{cell}'"):
        read_candidates(path)


def test_missing_integers_in_parquet_are_reported(candidates: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    candidates.astype({"round": "Int64"}).assign(round=pd.array([0, None, 1, 1], dtype="Int64")).to_parquet(path)
    with pytest.raises(InputError, match=r"column round: expected integer.* 1 "):
        read_candidates(path)


def test_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe\.csv"):
        read_candidates(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"missing\.csv: no such file"):
        read_candidates(tmp_path / "missing.csv")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12))
def test_any_text_is_restored(candidates: pd.DataFrame, tmp_path: Path, text: str) -> None:
    candidates.loc[0, ["candidate_id", "nearest_reference"]] = text
    write_candidates(tmp_path, candidates)
    for name in ("candidates.csv", "candidates.parquet"):
        back = read_candidates(tmp_path / name)
        assert back.loc[0, "candidate_id"] == text
        assert back.loc[0, "nearest_reference"] == text
