import re
from xml.etree import ElementTree

import pytest
from rdkit import Chem

from molvae.chem.changes import compare_structures
from molvae.chem.drawing import draw_svg, mol_block

MOLECULES = [
    "C",
    "CCO",
    "C[C@H](N)C(=O)Nc1ccc(Cl)c([N+](=O)[O-])c1",
    "C/C=C/c1ccc(S(N)(=O)=O)cc1",
    "[2H]C([2H])([2H])OP(=O)(O)O",
    "C[Si](C)(C)c1ccc(Br)cc1",
]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_a_drawing_is_one_well_formed_element_without_urls(smiles: str) -> None:
    svg = draw_svg(smiles)
    assert ElementTree.fromstring(svg).tag == "svg"
    assert not re.search(r"://|xmlns|href|style|<\?xml", svg)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_a_drawing_shows_every_heteroatom_in_its_color(smiles: str) -> None:
    svg = draw_svg(smiles)
    shown = {"N": "eN", "O": "eO", "S": "eS", "P": "eP", "Cl": "eX", "Br": "eX", "Si": "eZ"}
    symbols = {atom.GetSymbol() for atom in Chem.MolFromSmiles(smiles).GetAtoms()}
    expected = {shown[symbol] for symbol in symbols if symbol in shown}
    assert set(re.findall(r'<text class="(e[NOSPXZ])"', svg)) == expected


def test_every_bond_line_is_inside_the_view_box() -> None:
    for x, y in re.findall(
        r"([\d.]+) ([\d.]+)", " ".join(re.findall(r' d="([^"]*)"', draw_svg(MOLECULES[2], 200, 150)))
    ):
        assert 0 <= float(x) <= 200
        assert 0 <= float(y) <= 150


def test_enantiomers_have_different_wedges() -> None:
    drawings = [draw_svg(smiles) for smiles in ("C[C@@H](N)C(=O)O", "C[C@H](N)C(=O)O", "CC(N)C(=O)O")]
    assert [' w"' in svg for svg in drawings] == [True, False, False]
    assert drawings[1].count("M") > drawings[2].count("M") + 3


@pytest.mark.parametrize("raw", ["no molecule", "", None, "C" * 2000, '"><script>'])
def test_an_invalid_smiles_has_no_drawing_and_an_empty_record(raw: str | None) -> None:
    assert draw_svg(raw) == ""
    mol = Chem.MolFromMolBlock(mol_block(raw, title="x"))
    assert mol.GetNumAtoms() == 0


@pytest.mark.parametrize("smiles", [*MOLECULES, "Cn1c(=O)n2n(c1=O)[C@@H]1C=C[C@H]2C23C=CC12CC=CC3"])
def test_a_record_keeps_stereo(smiles: str) -> None:
    canonical = Chem.CanonSmiles(smiles)
    block = mol_block(canonical, title="C000001")
    assert block.startswith("C000001\n")
    assert Chem.MolToSmiles(Chem.MolFromMolBlock(block)) == canonical
    assert mol_block(canonical, title="C000001") == block


def test_highlighted_atoms_and_the_bonds_between_them_are_marked() -> None:
    svg = draw_svg("COc1ccccc1", highlighted=(0, 1))
    assert ElementTree.fromstring(svg).tag == "svg"
    assert svg.count('<circle class="mark"') == 2
    assert svg.count('<path class="mark line"') == 1
    assert 'class="mark' not in draw_svg("COc1ccccc1")


def test_a_drawing_is_turned_to_that_of_a_similar_molecule() -> None:
    """The marks of the bromine and of the carbon next to it point in the same direction in both drawings."""
    before, after = "Cc1ccc(Br)cc1", "Cc1cccc(Br)c1"
    shared = compare_structures(before, after).common
    pairs = dict(shared)
    drawings = [
        draw_svg(before, highlighted=(4, 5)),
        draw_svg(after, highlighted=(pairs[4], pairs[5]), like=(before, shared)),
    ]
    directions = []
    for svg in drawings:
        x1, y1, x2, y2 = map(float, re.findall(r"[\d.]+", re.findall(r'class="mark line" d="([^"]+)"', svg)[0]))
        directions.append(complex(x2 - x1, y2 - y1) / abs(complex(x2 - x1, y2 - y1)))
    assert min(abs(directions[0] - directions[1]), abs(directions[0] + directions[1])) < 0.05
