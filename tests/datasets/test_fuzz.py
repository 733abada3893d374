"""Any file is read or refused with one sentence, and every row of it has a molecule or a reason."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from molvae.candidates.files import read_candidates
from molvae.datasets import open_molecules, standardize_file
from molvae.errors import InputError
from molvae.workers import Serial

BOUNDED = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

WORDS = [
    "smiles", "id", "SMILES", "Ligand_SMILES", "Name", "CCO", "C[C@H](N)C(=O)O |&1:1|", "c1ccccc1", "CC(", "|a:1|",
    "||", "#", '"', "'", ",", ";", "\t", " ", "\r\n", "\r", "\n", "\n\n", "=1+1", "'-12", "NA", "\u0421", "\u2028",
    "\x00", "$$$$\n", "M  END\n", "> <title>\n", "> <id>\n", "m1\n\n\n", "  1  0  0  0  0  0  0  0  0  0999 V2000\n",
    "    0.0000    0.0000    0.0000 C   0  0\n", "M  V30 BEGIN CTAB\n", "sep=;\n", "0,5", "\ufeff",
]  # fmt: skip
TEXT = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=3)), max_size=40).map("".join)
DATA = st.one_of(
    TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
    TEXT.map(lambda text: text.encode("utf-16")),
    st.binary(max_size=60),
)
NAMES = ["a.csv", "a.tsv", "a.txt", "a.smi", "a.cxsmiles", "a.sdf", "a.mol", "a.csv.gz", "a.parquet"]


def read_all(path: Path) -> pd.DataFrame:
    file = open_molecules(path, mapper=Serial(), chunk_rows=7)
    chunks = list(standardize_file(file, Serial(), drop_duplicates=False))
    assert all(note == note.strip() != "" and "\n" not in note for note in file.notes)
    return pd.concat(chunks, ignore_index=True) if chunks else pd.DataFrame(columns=["row", "smiles", "reason"])


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(data=DATA)
def test_any_file_is_read_or_refused(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    try:
        table = read_all(tmp_path / name)
    except InputError:
        return
    assert table["row"].tolist() == list(range(1, len(table) + 1))
    assert (table["smiles"].isna() == table["reason"].notna()).all()


ODD = ["CCO", "C1CC", "NA", "a b", "=x", "'-1", 'q"q', "x,y", "x;y", "x\ny"]
CELLS = st.one_of(st.sampled_from(ODD), st.text(max_size=6))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@BOUNDED
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
def test_no_row_and_no_id_is_lost(ending: str, rows: list[tuple[str, str]], tmp_path: Path) -> None:
    rows = [("CCO", "first"), *rows]
    frame = pd.DataFrame(rows, columns=["smiles", "id"])
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False, lineterminator="\r\n")
    else:
        frame.to_parquet(path)
    table = read_all(path)
    assert len(table) == len(rows)
    assert table["id"].tolist() == [name if name.strip() else None for _, name in rows]
    assert (table["smiles"].isna() == table["reason"].notna()).all()


@BOUNDED
@given(data=DATA)
def test_any_candidate_file_is_read_or_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "candidates.csv").write_bytes(data)
    with pytest.raises(InputError):  # it is never a candidate table
        read_candidates(tmp_path / "candidates.csv", may_hold_more=True)
