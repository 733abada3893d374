"""Which columns hold the SMILES and the ids: rivals are named, equally good columns are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rdkit import Chem

from molvae.datasets import open_molecules
from molvae.errors import InputError
from molvae.workers import Serial

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        return tmp_path / name

    return write


def ids(path: Path, **columns: str) -> list[str | None]:
    return [name for chunk in open_molecules(path, mapper=Serial(), **columns) for name in chunk["id"]]


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


# The SMILES column


@pytest.mark.parametrize(
    ("header", "chosen", "rivals"),
    [
        ("smiles,canonical_smiles", "smiles", "canonical_smiles"),
        ("Ligand_SMILES,SMILES,Solvent_SMILES", "SMILES", "Ligand_SMILES, Solvent_SMILES"),
        ("parent_smiles,canonical_smiles", "canonical_smiles", "parent_smiles"),
        ("raw_smiles,smiles,y", "smiles", "raw_smiles"),
    ],
)
def test_rivals_of_the_smiles_column_are_named(write: Write, header: str, chosen: str, rivals: str) -> None:
    file = open_molecules(write("a.csv", table(header, ",".join(["CCO"] * len(header.split(","))))))
    assert file.smiles_column == chosen
    assert f"SMILES are read from column {chosen} (not from {rivals})" in file.notes


@pytest.mark.parametrize(
    "header",
    [
        "Base_SMILES,Ligand_SMILES,Solvent_SMILES",
        "reactant_smiles,product_smiles",
        "smiles_A,smiles_B",
        "smiles1,smiles2",
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_equally_good_smiles_columns_are_refused_with_the_option(write: Write, name: str, header: str) -> None:
    n = len(header.split(","))
    text = table(header, ",".join(["CCO", "CCN", "CCC"][:n]))
    path = write(name, text.replace(",", "\t") if name == "a.tsv" else text)
    with pytest.raises(InputError) as caught:
        open_molecules(path)
    first = header.split(",")[0]
    assert f"--smiles-column {first}" in str(caught.value)
    assert all(one in str(caught.value) for one in header.split(","))
    assert open_molecules(path, smiles_column=header.split(",")[1]).smiles_column == header.split(",")[1]


def test_the_only_column_of_a_part_is_taken_with_a_note(write: Write) -> None:
    file = open_molecules(write("a.csv", table("Ligand_SMILES,yield", "CCO,5", "CCN,6")))
    assert file.smiles_column == "Ligand_SMILES"
    assert "SMILES are read from column Ligand_SMILES" in file.notes


# The id column


@pytest.mark.parametrize(
    ("header", "row", "note", "found"),
    [
        ("id,smiles,name", "7,CCO,ethanol", "ids are read from column id (not from name)", "7"),
        ("smiles,Catalog ID,MW", "CCO,Z1,46", "ids are read from column Catalog ID", "Z1"),
        ("smiles,idnumber,MW", "CCO,Z1,46", "ids are read from column idnumber", "Z1"),
        ("ID,smiles,id", "7,CCO,x", "ids are read from column ID (not from id)", "7"),
        ("id,smiles,id", "7,CCO,x", "ids are read from column id (not from id)", "7"),
        ("smiles,My_Corp_ID,y", "CCO,M-1,46", "ids are read from column My_Corp_ID", "M-1"),
        ("smiles,candidate_id,parent_id", "CCO,C1,C0", "ids are read from column candidate_id", "C1"),
        (
            "smiles,assay_id,y",
            "CCO,A1,1",
            "no column is named like an id; --id-column chooses one of assay_id, y",
            None,
        ),
        ("smiles,label", "CCO,x", "no column is named like an id; --id-column chooses one of label", None),
        ("smiles,solid,acid", "CCO,x,y", "no column is named like an id; --id-column chooses one of solid, acid", None),
    ],
)
def test_the_choice_of_the_id_column_is_noted(
    write: Write, header: str, row: str, note: str, found: str | None
) -> None:
    for name, separator in (("a.csv", ","), ("a.tsv", "\t"), ("b.csv", ";")):
        path = write(name, table(header, row).replace(",", separator) if separator != ";" else table(
            header.replace(",", ";"), row.replace(",", ";")))  # fmt: skip
        assert ids(path) == [found]
        notes = open_molecules(path).notes
        assert notes[-1].replace(separator + " ", ", ") == note or notes[-1] == note


def sdf(*records: tuple[str, dict[str, str]]) -> str:
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")).split("\n", 1)[1]
    items = ("".join(f">  <{name}>\n{value}\n\n" for name, value in fields.items()) for _, fields in records)
    return "".join(f"{title}\n{block}{item}$$$$\n" for (title, _), item in zip(records, items, strict=True))


@pytest.mark.parametrize(
    ("records", "found", "note"),
    [
        ([("Compound 1", {"Catalog ID": "Z1"}), ("Compound 2", {"Catalog ID": "Z2"})], ["Z1", "Z2"], "Catalog ID"),
        ([("1", {"idnumber": "Z1"}), ("2", {"idnumber": "Z2"})], ["Z1", "Z2"], "idnumber"),
        ([("", {"ID": "Z1"}), ("", {"ID": "Z2"})], ["Z1", "Z2"], "ID"),
        ([("same", {"ID": "Z1"}), ("same", {"ID": "Z2"})], ["Z1", "Z2"], "ID"),
        ([("aspirin", {"ID": "Z1"}), ("caffeine", {"ID": "Z2"})], ["aspirin", "caffeine"], "title line (not from ID)"),
        ([("a", {"MW": "46"}), ("b", {"MW": "46"})], ["a", "b"], None),
        ([("", {"MW": "46"}), ("", {"MW": "46"})], [None, None], "--id-column chooses one of MW"),
        ([("m1", {"title": "first"}), ("m2", {"title": "second"})], ["m1", "m2"], "<title>"),
        ([("m1", {"structure": "x"}), ("m2", {"structure": "y"})], ["m1", "m2"], "<structure>"),
    ],
)
def test_ids_of_an_sdf(write: Write, records: list, found: list[str | None], note: str | None) -> None:
    path = write("a.sdf", sdf(*records))
    assert ids(path) == found
    notes = open_molecules(path).notes
    assert notes == [] if note is None else any(note in one for one in notes)


def test_data_items_never_replace_the_title_or_each_other(write: Write) -> None:
    records = [("m1", {"title": "first", "x": "> 5 <um>"}), ("m2", {"title": "second", "x": "two\nlines"})]
    path = write("a.sdf", sdf(*records))
    assert open_molecules(path).columns == ["title", "<title>", "x"]
    assert ids(path, id_column="title") == ["m1", "m2"]
    assert ids(path, id_column="<title>") == ["first", "second"]
    assert ids(path, id_column="x") == ["> 5 <um>", "two\nlines"]
    assert ids(write("b.sdf", sdf(("m1", {"X": "1", "x": "2"}))), id_column="x") == ["2"]
    twice = sdf(("m1", {"x": "1"})).replace("$$$$", "> <x>\n2\n\n$$$$")
    assert open_molecules(write("c.sdf", twice)).columns == ["title", "x", "x 2"]


# .smi: separators, headers, comments


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("smiles\tidnumber\tMW\nCCO\tZ1\t46.07\n", ["Z1"]),
        ("CCO\tZ1\t46.07\nCCN\tZ2\t45.1\n", ["Z1", "Z2"]),
        ("CCO\tmy compound 1\n", ["my compound 1"]),
        ("CCO my compound 1\n", ["my compound 1"]),
        ("smiles name\nCCO my compound 1\n", ["my compound 1"]),
        ("smiles idnumber MW\nCCO Z1 46.07\n", ["Z1"]),
        ("smiles MW idnumber\nCCO 46.07 Z1\n", ["Z1"]),
        ("# made by hand\nCCO m1\n# more\nCCN m2\n", ["m1", "m2"]),
        ("#SMILES\tName\nCCO\tm1\n", ["m1"]),
        ("idnumber\tsmiles\nZ1\tCCO\n", ["Z1"]),
        ("smiles\tid\nCCO m1\nCCN\tm2\n", ["m1", "m2"]),
        ("smiles\tid\nCCO\nCCN\tm2\n", [None, "m2"]),
        ('"CCO"\t"my id"\n"CCN"\t"m2"\n', ["my id", "m2"]),
        ("CCO smiles\nCCN id\n", ["smiles", "id"]),
        ("c1ccccc1 |c:0,2,4| benzene\n", ["benzene"]),
        ("CCO |x| y\n", ["|x| y"]),
    ],
)
@pytest.mark.parametrize("name", ["a.smi", "a.cxsmiles", "a.smiles", "a.txt"])
def test_lines_of_a_smi_file(write: Write, name: str, text: str, found: list[str | None]) -> None:
    path = write(name, text)
    rows = next(iter(open_molecules(path)))
    assert rows["id"].tolist() == found
    assert rows["raw"].str.split().str[0].isin(["CCO", "CCN", "c1ccccc1"]).all()
    assert rows["reason"].isna().all()


def test_comments_and_further_columns_are_noted(write: Write) -> None:
    file = open_molecules(write("a.smi", "# one\nCCO\tm1\t46\n#two\nCCN\tm2\t45\n"))
    assert len(next(iter(file))) == 2
    list(file)
    assert "comment lines (#) are skipped: 2" in file.notes
    assert any("columns after it are not read" in note for note in file.notes)


# Messages and repairs


def test_lines_above_the_header_are_skipped_with_a_note(write: Write) -> None:
    text = "Screening results, batch 7\nexported 2026-11-30\n\nsmiles,id\nCCO,m1\n"
    for name, separator in (("a.csv", ","), ("b.csv", ";"), ("a.tsv", "\t")):
        path = write(name, text.replace("smiles,id", f"smiles{separator}id").replace("CCO,m1", f"CCO{separator}m1"))
        assert ids(path) == ["m1"]
        assert "lines above the header are skipped: 3" in open_molecules(path).notes
    path = write("c.csv", "Results\nstructure,code\nCCO,m1\n")
    assert ids(path, smiles_column="structure", id_column="code") == ["m1"]


def test_columns_separated_by_spaces(write: Write) -> None:
    path = write("a.csv", "smiles id   MW\nCCO  m1 46\nCCN m2   45\n")
    assert ids(path) == ["m1", "m2"]
    assert "columns are separated by spaces" in open_molecules(path).notes
    for rows in ("CCO my compound\nCCN m2\n", "CCO\nCCN m2 x\nCCC m3 x\n"):
        with pytest.raises(InputError, match="separate them with commas or tabs"):
            open_molecules(write("c.csv", "smiles id\n" + rows))
    path = write("d.csv", "Canonical SMILES\nC[C@H](N)C(=O)O |&1:1|\nC[C@H](O)C(=O)O |o1:1|\n")
    assert next(iter(open_molecules(path)))["raw"].str.endswith(":1|").all()
    with pytest.raises(InputError, match="one column only: columns are separated by") as caught:
        open_molecules(write("b.csv", "structure code\nxx m1 x\nyy m2\n"))
    assert "--smiles-column" not in str(caught.value)


def test_a_smi_file_with_the_ids_first_names_the_cure(write: Write) -> None:
    with pytest.raises(InputError, match="insert a line with the column names, such as id smiles"):
        open_molecules(write("a.smi", "Z1 CCO\nZ2 CCN\n"))
    assert ids(write("b.smi", "id smiles\nZ1 CCO\nZ2 CCN\n")) == ["Z1", "Z2"]
