"""One notation has one outcome in every format; what a SMILES cannot hold is never left out without a word."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molvae.chem.molecules import canonicalize, standardize
from molvae.datasets import open_molecules, standardize_file
from molvae.tables import kind_of
from molvae.workers import Serial

RACEMIC = "C[C@H](N)C(=O)O |&1:1|"
EITHER = "C[C@H](N)C(=O)O |o1:1|"
ABSOLUTE = "C[C@H](N)C(=O)O |a:1|"
PURE, OPEN = "C[C@H](N)C(=O)O", "CC(N)C(=O)O"

Cells = list[tuple[str, str]]
"""SMILES or CXSMILES, and id."""


def _csv(cells: Cells, path: Path) -> None:
    pd.DataFrame(cells, columns=["smiles", "id"]).to_csv(path, index=False)


def _tsv(cells: Cells, path: Path) -> None:
    pd.DataFrame(cells, columns=["smiles", "id"]).to_csv(path, index=False, sep="\t")


def _smi(cells: Cells, path: Path) -> None:
    path.write_text("".join(f"{smiles} {name}\n" for smiles, name in cells))


def _tabbed_smi(cells: Cells, path: Path) -> None:
    path.write_text("".join(f"{smiles}\t{name}\t12.5\n" for smiles, name in cells))


def _parquet(cells: Cells, path: Path) -> None:
    pd.DataFrame(cells, columns=["smiles", "id"]).to_parquet(path)


def _sdf(cells: Cells, path: Path) -> None:
    parts = []
    for smiles, name in cells:
        mol = Chem.MolFromSmiles(smiles)
        rdDepictor.Compute2DCoords(mol)
        mol.SetProp("_Name", name)
        parts.append(Chem.MolToV3KMolBlock(mol) + "$$$$\n")
    path.write_text("".join(parts))


def _zipped(cells: Cells, path: Path) -> None:
    path.write_bytes(gzip.compress("".join(f"{smiles} {name}\n" for smiles, name in cells).encode()))


WRITERS: dict[str, tuple[str, Callable[[Cells, Path], None]]] = {
    "csv": ("a.csv", _csv),
    "tsv": ("a.tsv", _tsv),
    "smi": ("a.smi", _smi),
    "smi with tabs": ("a.smi", _tabbed_smi),
    "cxsmiles": ("a.cxsmiles", _smi),
    "smi.gz": ("a.smi.gz", _zipped),
    "txt": ("a.txt", _smi),
    "parquet": ("a.parquet", _parquet),
    "sdf": ("a.sdf", _sdf),
}


@pytest.mark.parametrize("format", WRITERS)
def test_stereo_groups_are_read_alike_in_every_format(format: str, tmp_path: Path) -> None:
    name, write = WRITERS[format]
    path = tmp_path / name
    write([(ABSOLUTE, "L-ala"), (RACEMIC, "rac-ala"), (EITHER, "one-ala"), ("CCO", "my ethanol 1")], path)
    table = pd.concat(standardize_file(open_molecules(path, mapper=Serial()), Serial()))
    assert table["id"].tolist() == ["L-ala", "rac-ala", "one-ala", "my ethanol 1"]
    assert table["smiles"].tolist() == [PURE, OPEN, None, "CCO"]
    assert [kind and kind_of(kind) for kind in table["warning"]] == [None, "and/or stereo removed", None, None]
    assert kind_of(table["reason"].iloc[2]) == "duplicate after and/or stereo was removed"
    assert table["reason"].iloc[2].endswith("row 2")


@pytest.mark.parametrize(
    ("cell", "smiles", "kind"),
    [
        (RACEMIC, OPEN, "and/or stereo removed"),
        (EITHER, OPEN, "and/or stereo removed"),
        (ABSOLUTE, PURE, None),
        ("C[C@H](N)C(=O)O |r|", PURE, None),
        ("C[C@H](F)[C@@H](N)O |&1:1,&2:3|", "CC(F)C(N)O", "and/or stereo removed"),
        ("C[C@H](F)[C@@H](N)O |a:1,&1:3|", "C[C@H](F)C(N)O", "and/or stereo removed"),
        ("CCO ||", "CCO", None),
        ("CCO |(0,0,;1,0,;2,0,)|", "CCO", None),
        ("CC=CC |w:1.0|", "CC=CC", None),
        ("Cc1cccc(O)c1-c1c(C)cccc1N |wU:7.8|", "Cc1cccc(N)c1-c1c(C)cccc1O", "axial stereo removed"),
    ],
)  # fmt: skip
def test_what_a_smiles_cannot_hold_is_removed_with_a_warning(cell: str, smiles: str, kind: str | None) -> None:
    for read in (canonicalize, standardize):
        found = read(cell)
        assert (found.smiles, found.reason) == (smiles, None)
        assert (found.warning and kind_of(found.warning)) == kind
    mol = Chem.MolFromSmiles(cell)
    if "wU" not in cell:  # RDKit needs coordinates to keep an axis
        assert canonicalize(mol)[:2] == (smiles, None)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("*CC* |$star_e;;;star_e$,Sg:n:1,2::ht|", "not one molecule"),
        ("OCCO |Sg:n:1,2::ht|", "not one molecule"),
        ("CC1CC1 |m:0:2.3|", "not one molecule"),
        ("CCO |LN:1:1.3|", "not one molecule"),
        ("CCO |$_AP1;;$|", "not one molecule"),
        ("C[C@H](N)C(=O)O |&1:9|", "CXSMILES"),
        ("CCO |x|", "whitespace"),
        ("CCO |&1:1| and more", "whitespace"),
        ("CC( |&1:1|", "invalid SMILES"),
        ("C\u0421 |&1:1|", "invalid character"),
    ],
)
def test_a_structure_that_is_not_one_molecule_has_a_reason(cell: str, kind: str) -> None:
    for read in (canonicalize, standardize):
        found = read(cell)
        assert found.smiles is None
        assert kind_of(found.reason or "") == kind


def block(atoms: list[str], extra: str = "", title: str = "t") -> str:
    """A chain of atoms as a V2000 mol block."""
    lines = [title, "  x", "", f"{len(atoms):3d}{len(atoms) - 1:3d}  0  0  0  0  0  0  0  0999 V2000"]
    lines += [f"{i:10.4f}{i % 2:10.4f}    0.0000 {atom:3} 0  0" for i, atom in enumerate(atoms)]
    lines += [f"{i:3d}{i + 1:3d}  1  0" for i in range(1, len(atoms))]
    return "\n".join([*lines, *([extra] if extra else []), "M  END"]) + "\n"


@pytest.mark.parametrize(
    ("atoms", "extra", "kind"),
    [
        (["C", "C", "A"], "", "wildcard atom (*) is not supported"),
        (["C", "C", "R#"], "M  RGP  1   3   1", "wildcard atom (*) is not supported"),
        (["C", "C", "L"], "M  ALS   3  2 F N   O   ", "wildcard atom (*) is not supported"),
        (["C", "C", "O"], "M  APO  1   1   1", "not one molecule"),
        (["C", "C", "O"], "M  SUB  1   1   2", "not one molecule"),
        (["C", "C", "O"], "M  LIN  1   2   4   1   3", "not one molecule"),
        (["C", "C", "O"], "A    1\nPh", "not one molecule"),
        (["C", "C", "O"], "A    3\nOH", None),
        (["C", "C", "O"], "A    1\n12", None),
    ],
)
def test_a_mol_block_that_is_not_one_molecule_is_a_row_with_a_reason(
    atoms: list[str], extra: str, kind: str | None, tmp_path: Path
) -> None:
    (tmp_path / "a.sdf").write_text(block(atoms, extra) + "$$$$\n")
    table = next(iter(open_molecules(tmp_path / "a.sdf", mapper=Serial())))
    assert [reason and kind_of(reason) for reason in table["reason"]] == [kind]
    assert table["raw"].tolist() == (["CCO"] if kind is None else [None])


DAMAGED: dict[str, Callable[[str], str]] = {
    "an empty line before the end": lambda text: text.replace("M  END", "\nM  END"),
    "empty lines between the atoms": lambda text: text.replace("  1  2", "\n  1  2", 1),
    "a missing header line": lambda text: text.replace("\n\n", "\n", 1),
    "an additional header line": lambda text: text.replace("\n\n", "\n\n\n", 1),
    "no end": lambda text: text.replace("M  END\n", ""),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_mol_block_is_repaired_with_a_warning(damage: str, tmp_path: Path) -> None:
    damaged = DAMAGED[damage](block(["C", "C", "O"]))
    (tmp_path / "a.sdf").write_text(f"{damaged}$$$$\n{block(['C', 'C', 'N'])}$$$$\n")
    table = pd.concat(standardize_file(open_molecules(tmp_path / "a.sdf", mapper=Serial()), Serial()))
    assert table["smiles"].tolist() == ["CCO", "CCN"]
    assert [warning and kind_of(warning) for warning in table["warning"]] == ["mol block repaired", None]
    (tmp_path / "a.mol").write_text(block(["C", "C", "O"]))
    assert next(iter(open_molecules(tmp_path / "a.mol", mapper=Serial())))["raw"].tolist() == ["CCO"]


@pytest.mark.parametrize(
    ("salt", "kept", "stripped"),
    [
        ("CCO.Cl", "CCO", {"Cl"}),
        ("CC(C)O.Cl", "CC(C)O", {"Cl"}),
        ("CO.Br.O", "CO", {"Br", "O"}),
        ("CC[O-].[Na+]", "CCO", {"[Na+]"}),
        ("CCO[Na]", "CCO", {"[Na+]"}),
        ("CCO[K].Cl", "CCO", {"[K+]", "Cl"}),
        ("CCO.[Pt]", "CCO", {"[Pt]"}),
        ("CC(=O)[O-].[Na+]", "CC(=O)O", {"[Na+]"}),
        ("C.Cl", "C", {"Cl"}),
        ("CCN.CCO", "CCN", {"CCO"}),
        ("O.Cl", "Cl", {"O"}),
    ],
)
def test_the_organic_part_of_a_salt_is_kept_and_the_rest_is_named(salt: str, kept: str, stripped: set[str]) -> None:
    found = standardize(salt)
    assert (found.smiles, found.reason) == (kept, None)
    named = next(part for part in (found.warning or "").split("; ") if part.startswith("salt or solvent stripped"))
    assert set(named.partition(": ")[2].split(", ")) == stripped
    assert standardize(kept) == (kept, None, None) or "word" in (standardize(kept).warning or "")


@pytest.mark.parametrize("salt", ["CCO.CO.Cl", "N.N.Cl[Pt]Cl.CN(C)C=O"])
def test_several_organic_parts_or_a_complex_are_not_guessed_at(salt: str) -> None:
    found = standardize(salt)
    assert found.smiles is None or found.smiles != "CN(C)C=O"


def test_every_change_of_the_composition_is_named() -> None:
    """A molecule with another formula than its input has a warning that names what was removed."""
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    parts = ["CCO", "CC(=O)O", "CCN", "c1ccncc1", "[Na+]", "[K]", "Cl", "O", "[Cl-]", "CC(=O)[O-]", "C[NH3+]", "[2H]C"]
    for first in parts:
        for second in parts:
            raw = f"{first}.{second}"
            found = standardize(raw)
            if found.smiles is None:
                assert found.reason
                continue
            before, after = (CalcMolFormula(Chem.MolFromSmiles(one)) for one in (raw, found.smiles))
            assert before == after or found.warning, raw


@pytest.mark.parametrize("format", ["csv", "smi", "sdf"])
def test_removed_stereo_is_counted_where_only_canonical_smiles_are_read(format: str, tmp_path: Path) -> None:
    """`molvae evaluate` does not standardize; the notes of the file count the rows."""
    from molvae.benchmark.files import read_rows

    name, write = WRITERS[format]
    write([(RACEMIC, "rac"), (EITHER, "one"), (ABSOLUTE, "L"), ("CCO", "ethanol")], tmp_path / name)
    file = open_molecules(tmp_path / name, mapper=Serial())
    assert len(list(read_rows(file))) == 4
    assert "2 rows with a warning: and/or stereo removed" in file.notes


def test_an_assay_notes_removed_stereo(tmp_path: Path) -> None:
    from molvae.qsar.assay import read_assay

    lines = [f"{'C' * n}O,{n / 3}" for n in range(3, 15)]
    (tmp_path / "a.csv").write_text("\n".join(["smiles,pIC50", *lines, f'"{RACEMIC}",5.5']) + "\n")
    assay = read_assay(tmp_path / "a.csv", mapper=Serial())
    assert "1 rows: and/or stereo removed" in assay.notes
    assert OPEN in assay.table["smiles"].tolist()
