import gzip
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molvae.datasets import open_molecules
from molvae.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def read(path, **columns):
    return pd.concat(list(open_molecules(path, **columns)), ignore_index=True)


def rows(path, **columns):
    return list(read(path, **columns)[["row", "id", "raw", "reason"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "content", "format", "columns"),
    [
        ("a.csv", "id,smiles,x\nm1,CCO,1\n,CCN,2\n", "csv", ["id", "smiles", "x"]),
        ("a.tsv", "Canonical_SMILES\tName\nCCO\tm1\nCCN\t\n", "tsv", ["Canonical_SMILES", "Name"]),
        ("a.smi", "CCO m1\nCCN\n", "smi", ["smiles", "id"]),
        ("a.smi", "smiles id\r\nCCO\tm1\r\nCCN\r\n", "smi", ["smiles", "id"]),
        ("A.SMI", "CCO m1\nCCN\n\n\n", "smi", ["smiles", "id"]),
        ("a.txt", "CCO m1\nCCN\n", "smi", ["smiles", "id"]),
        ("a.txt", "smiles;id\nCCO;m1\nCCN;\n", "csv", ["smiles", "id"]),
    ],
)
def test_formats(write, name, content, format, columns, ending):
    path = write(name + ending, content)
    assert rows(path) == [(1, "m1", "CCO", None), (2, None, "CCN", None)]
    file = open_molecules(path)
    assert (file.format, file.columns) == (format, columns)
    assert file.path == path
    assert next(iter(file)).equals(next(iter(file)))  # a second iteration reads it again


def test_types_of_a_chunk(write):
    table = read(write("a.csv", "smiles\nCCO\nC\n"))
    assert list(table.columns) == ["row", "id", "raw", "reason", "warning"]
    assert table["row"].dtype == "int64"
    assert table["id"].tolist() == [None, None]
    assert all(isinstance(value, str) for value in table["raw"])


def test_rows_are_numbered_across_chunks(write):
    path = write("a.smi", "".join(f"{'C' * (i % 9 + 1)} m{i + 1}\n" for i in range(25)))
    chunks = list(open_molecules(path, chunk_rows=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    table = pd.concat(chunks)
    assert table["row"].tolist() == list(range(1, 26))
    assert table["id"].tolist() == [f"m{i}" for i in range(1, 26)]


def test_usual_names_of_the_smiles_column(write):
    for name in ("smiles", "SMILES", "Smiles", "canonical_smiles", "CanonicalSMILES", "isomeric smiles", '"SMILES"'):
        assert rows(write("a.csv", f"{name}\nCCO\n")) == [(1, None, "CCO", None)]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("smiles;id\nCCO;m1\n", "columns are separated by semicolons"),
        ("smiles\tid\nCCO\tm1\n", "columns are separated by tabs"),
        ("smiles|id\nCCO|m1\n", "columns are separated by vertical bars"),
        ("sep=;\nsmiles;id\nCCO;m1\n", "columns are separated by semicolons"),
        ("id;smiles;a, b\nm1;CCO;1,5\n", "columns are separated by semicolons"),
        ("\n\nsmiles,id\nCCO,m1\n", None),
        ("smiles,id\nCCO,m1\n", None),
        ("\ufeffsmiles,id\nCCO,m1\n", "read as UTF-8 with a byte order mark"),
        ("smiles,id\nCCO,m1\n".encode("utf-16"), "read as UTF-16"),
    ],
)
def test_separators_and_byte_order_marks_are_noted(write, content, note):
    path = write("a.csv", content)
    assert rows(path) == [(1, "m1", "CCO", None)]
    notes = open_molecules(path).notes
    assert notes == [*([note] if note else []), "ids are read from column id"]


def test_latin_1_and_unicode_ids(write):
    assert rows(write("a.csv", "smiles,id\nCCO,Äthanol 胺\n")) == [(1, "Äthanol 胺", "CCO", None)]
    path = write("a.csv", "smiles,id\nCCO,Äthanol\n".encode("latin-1"))
    assert rows(path) == [(1, "Äthanol", "CCO", None)]
    file = open_molecules(path)
    assert "lines that are not UTF-8 are read as latin-1 (Windows-1252)" in file.notes


def test_quoted_fields(write):
    content = 'id,smiles\n"a, ""b""",CCO\n"two\nlines","CCN"\nplain,C\n'
    assert rows(write("a.csv", content)) == [
        (1, 'a, "b"', "CCO", None),
        (2, "two\nlines", "CCN", None),
        (3, "plain", "C", None),
    ]


def test_an_unmatched_quotation_mark_invalidates_only_its_row(write):
    content = 'id,smiles\n"open,CCO\nm2,CCN\n2"-x,CCC\nm4,"C"C\nm5,C\n'
    got = rows(write("a.csv", content))
    assert [(row, raw) for row, _, raw, reason in got if reason is None] == [(2, "CCN"), (3, "CCC"), (5, "C")]
    assert [reason for *_, reason in got if reason] == ["unmatched or misplaced quotation mark"] * 2
    content = 'id,smiles\n"open,CCO\n' + "m,CCN\n" * 200 + 'm"\n' + "m,CCO\n" * 3
    got = rows(write("a.csv", content))
    assert len(got) == 205
    assert sum(reason is None for *_, reason in got) == 203


def test_ragged_and_empty_rows_are_rows_with_a_reason(write):
    content = "smiles,id,x\nCCO,m1,1\nCCN,m2\nCCC,m3,1,2\n\nC,m5,1,,\n,m6,1\nCCCC,m7,1\n\n\n"
    assert rows(write("a.csv", content)) == [
        (1, "m1", "CCO", None),
        (2, "m2", "CCN", "ragged row: 2 fields, the header has 3"),
        (3, "m3", "CCC", "ragged row: 4 fields, the header has 3"),
        (4, None, None, "empty: no SMILES"),
        (5, "m5", "C", None),
        (6, "m6", "", None),
        (7, "m7", "CCCC", None),
    ]
    assert [reason for *_, reason in rows(write("a.smi", "CCO\n\n  \nCCN\n\n"))] == [
        None,
        "empty: no SMILES",
        "empty: no SMILES",
        None,
    ]


def test_unusual_cells_are_not_changed(write):
    path = write("a.csv", "smiles\nC\x00C\n" + "C" * 100_000 + "\nC\u0421\nNO\nCCO CCN\n3.5\nCCO\n")
    assert read(path)["raw"].tolist() == ["C\x00C", "C" * 100_000, "C\u0421", "NO", "CCO CCN", "3.5", "CCO"]
    assert read(path)["reason"].tolist() == [None] * 7


def test_a_very_long_line_is_a_row_with_a_reason(write):
    for name, header in (("a.csv", "smiles\n"), ("a.smi", "")):
        got = rows(write(name, header + "CCO\n" + "C" * 3_000_000 + "\nCCN\n"))
        assert [raw for _, _, raw, _ in got] == ["CCO", None, "CCN"]
        assert got[1][3] == "too long: the line has more than 1,000,000 characters"


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.csv", "", {}, "empty"),
        ("a.csv", "\n \n", {}, "only empty lines"),
        ("a.csv", "smiles,id\n", {}, "only one line (smiles, id)"),
        ("a.smi", "smiles\n", {}, "only a header"),
        ("a.smi", "\n", {}, "only empty lines"),
        ("a.smi", "m1,CCO\nm2,CCN\n", {}, ".csv"),
        ("a.csv", "id,structure\nm1,CCO\nm2,c1ccccc1\n", {},
         "no SMILES column among id, structure; did you mean --smiles-column structure"),
        ("a.csv", "id,activity\nm1,5.5\n", {}, "among id, activity; give its name with --smiles-column"),
        ("a.csv", "CCO,1\nCCN,2\nCCC,3\n", {}, "the first line looks like data (CCO, 1)"),
        ("a.csv", "smiles,id\nCCO,1\n", {"smiles_column": "smile"},
         "no SMILES column smile among smiles, id; did you mean smiles?"),
        ("a.csv", "smiles,id\nCCO,1\n", {"id_column": "name"}, "no id column name among smiles, id"),
        ("a.csv", "smiles,x,smiles\nCCO,1,C\n", {}, "several SMILES columns (smiles, smiles)"),
        ("a.csv", "s,x,s\nCCO,1,C\n", {"smiles_column": "s"}, "2 columns are named s"),
        ("a.csv", "smiles,id,id\nCCO,1,C\n", {"id_column": "id"}, "2 columns are named id"),
        ("a.csv", "smiles,mol\n5.5,CCO\n4.5,CCN\n", {},
         "column smiles are not SMILES (5.5); did you mean --smiles-column mol"),
        ("a.smi", "CCO\n", {"smiles_column": "structure"}, "insert a line with column names"),
        ("a.xlsx", "PK\x03\x04", {}, "CSV (UTF-8)"),
        ("a.json", "{}", {}, "extension .json; known: .csv"),
        ("noending", "CCO", {}, "extension (none)"),
        ("a.parquet.gz", "x", {}, "extension .parquet.gz"),
        ("a.parquet", "smiles\nCCO\n", {}, "Parquet"),
        ("a.sdf", "\n\n", {}, "$$$$"),
        ("a.sdf", "x\n$$$$\n", {"smiles_column": "smiles"}, "SDF"),
        ("a.csv.gz", "smiles\n", {}, "only one line"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_an_error(write, name, content, columns, message):
    path = write(name, content)
    with pytest.raises(InputError) as caught:
        open_molecules(path, **columns)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_case_of_column_names_is_ignored(write):
    path = write("a.csv", "Structure,No.,smiles\nCCO,m1,x\n")
    assert rows(path, smiles_column="structure", id_column="no.") == [(1, "m1", "CCO", None)]


def test_a_choice_among_smiles_columns_is_noted(write):
    path = write("a.csv", "canonical_smiles,smiles\nCCO,OCC\n")
    file = open_molecules(path)
    assert file.smiles_column == "smiles"
    assert file.notes == ["SMILES are read from column smiles (not from canonical_smiles)"]


def test_a_truncated_file_is_an_error(tmp_path):
    path = tmp_path / "a.smi.gz"
    data = gzip.compress("".join(f"C{'N' * (i % 50)}O{i}\n" for i in range(200_000)).encode())
    path.write_bytes(data[: len(data) // 2])
    file = open_molecules(path)
    with pytest.raises(InputError, match="truncated"):
        list(file)


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {"id": [1, 2, None], "smiles": pa.array(["CCO", None, "CCN"]).dictionary_encode(), "x": [1.5, 2, 3]}
    )
    pq.write_table(table, path)
    assert rows(path) == [(1, "1", "CCO", None), (2, "2", None, None), (3, None, "CCN", None)]
    file = open_molecules(path, chunk_rows=2)
    assert [len(chunk) for chunk in file] == [2, 1]
    assert file.fraction_read == 1


def test_a_parquet_column_of_numbers(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"smiles": [1.5, None]}), path)
    assert rows(path) == [(1, None, "1.5", "not a string: expected a SMILES, got 1.5"), (2, None, None, None)]
    pq.write_table(pa.table({"smiles": pa.array([], pa.string())}), path)
    with pytest.raises(InputError, match="no rows"):
        open_molecules(path)
    pq.write_table(pa.table([pa.array(["CCO"]), pa.array(["C"])], names=["smiles", "smiles"]), path)
    with pytest.raises(InputError, match="several SMILES columns"):
        open_molecules(path)


def test_sdf(tmp_path):
    blocks = []
    for name, smiles in [("m1", "C[C@H](N)C(=O)O"), ("", "CCO"), ("m3", "c1ccccc1.Cl")]:
        mol = Chem.MolFromSmiles(smiles)
        rdDepictor.Compute2DCoords(mol)
        Chem.WedgeMolBonds(mol, mol.GetConformer())
        mol.SetProp("_Name", name)
        blocks.append(Chem.MolToMolBlock(mol) + f"> <code>\nX-{smiles[:3]}\n\n")
    malformed = [
        "broken\n\n\nnot a block\n",
        "huge\n" + "M  V30 x\n" * 200_000,
        "none\n  x\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n",
    ]
    path = tmp_path / "a.sdf"
    path.write_text("".join(f"{block}$$$$\n" for block in [*blocks, *malformed]) + blocks[1] + "\n")
    file = open_molecules(path)
    assert (file.format, file.columns, file.id_column) == ("sdf", ["title", "code"], "title")
    got = rows(path)
    assert [raw for _, _, raw, _ in got] == ["C[C@H](N)C(=O)O", "CCO", "Cl.c1ccccc1", None, None, None, "CCO"]
    assert [name for _, name, _, _ in got] == ["m1", None, "m3", "broken", "huge", "none", None]
    assert [reason.split(":")[0] for *_, reason in got if reason] == ["invalid mol block", "too long", "empty"]
    assert [name for _, name, _, _ in rows(path, id_column="code")][:3] == ["X-C[C", "X-CCO", "X-c1c"]
    with pytest.raises(InputError, match=r"cod among title, code; .* code"):
        open_molecules(path, id_column="cod")


def test_a_compressed_sdf_is_split_into_its_records(tmp_path):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    path = tmp_path / "a.sdf.gz"
    path.write_bytes(gzip.compress((block + "$$$$\n").replace("\n", "\r\n").encode() * 1201))
    table = read(path)
    assert len(table) == 1201
    assert set(table["raw"]) == {"CCO"}


def test_reading_needs_little_memory(tmp_path):
    """The reader keeps only a few thousand rows in memory, however long the file is."""
    import tracemalloc

    path = tmp_path / "a.csv"
    path.write_text("smiles\n" + "CC1CCN(C(=O)c2ccccc2)CC1\n" * 400_000)
    tracemalloc.start()
    try:
        n = 0
        for chunk in open_molecules(path, chunk_rows=2_000):
            n += len(chunk)
            if n > 60_000:
                break
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_public_names_are_imported_lazily():
    assert "MoleculeFile" in sys.modules["molvae.datasets"].__all__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = sys.modules["molvae.datasets"].nonsense
