"""Tables written chunk by chunk: formats, formulas, and no partial file after an error."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.tables import Kinds, escape_formula, kind_of, unescape_formula, writing

KINDS: Kinds = {"id": str, "smiles": str, "ok": bool, "row": int, "z_000": float}
TABLE = pd.DataFrame(
    {
        "id": ["=1+1", None, "a b"],
        "smiles": ["CCO", None, "C"],
        "ok": [True, False, True],
        "row": [1, 2, 3],
        "z_000": np.array([0.1, np.nan, -3.0e-8], np.float32),
    }
)


def write(path: Path) -> Path:
    with writing(path, KINDS) as writer:
        writer.write(TABLE[:2])
        writer.write(TABLE[2:])
    return path


def test_parquet_round_trip(tmp_path: Path) -> None:
    table = pd.read_parquet(write(tmp_path / "a.parquet"))
    assert table["z_000"].dtype == np.float32
    assert table["smiles"].isna().tolist() == [False, True, False]
    np.testing.assert_array_equal(table["z_000"], TABLE["z_000"])


def test_csv_keeps_every_float_and_escapes_formulas(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv")
    table = pd.read_csv(path)
    np.testing.assert_array_equal(table["z_000"].to_numpy(np.float32), TABLE["z_000"])
    assert path.read_text().splitlines()[1] == '"\'=1+1",CCO,True,1,0.100000001'
    assert len(table) == 3


def test_smi_holds_only_rows_with_smiles(tmp_path: Path) -> None:
    assert write(tmp_path / "a.smi").read_text() == "CCO =1+1\nC a b\n"


@pytest.mark.parametrize("ending", [".csv", ".smi", ".parquet"])
def test_an_interrupted_table_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), writing(path, KINDS) as writer:
        writer.write(interrupted())
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def interrupted() -> pd.DataFrame:
    raise KeyboardInterrupt


def test_reasons_are_counted_by_kind() -> None:
    assert kind_of("duplicate of row 12") == "duplicate"
    assert kind_of("too long: 1,200 characters") == "too long"
    assert kind_of("empty") == "empty"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'=escaped", "''-twice"])
def test_formulas_are_escaped_and_restored(text: str) -> None:
    assert escape_formula(text) == "'" + text
    assert unescape_formula(escape_formula(text)) == text


@pytest.mark.parametrize("text", ["", "CCO", "'quoted'", "a=b"])
def test_other_text_is_not_escaped(text: str) -> None:
    assert escape_formula(text) == text == unescape_formula(text)
