import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molvae.chem import molecules
from molvae.chem.molecules import Standardized, canonicalize, guard, standardize
from molvae.errors import InputError


@pytest.mark.parametrize("raw", ["CCO", " CCO\n", "\u00a0CCO", "[Na+].[Cl-]", "C/C=C\\C", "C" * 1000])
def test_guard_accepts_ordinary_smiles(raw):
    assert guard(raw) is None


@pytest.mark.parametrize(
    ("raw", "kind", "part"),
    [
        (None, "empty", "no SMILES"),
        (float("nan"), "empty", "no SMILES"),
        (pd.NA, "empty", "no SMILES"),
        ("", "empty", "no SMILES"),
        (" \t ", "empty", "no SMILES"),
        (3.5, "not a string", "3.5"),
        (np.int64(7), "not a string", "7"),
        (b"CCO", "not a string", "CCO"),
        (np.float32("nan"), "empty", "no SMILES"),
        (np.array(["CCO", "CCN"]), "not a string", "CCN"),
        ("C\u0421", "invalid character", "U+0421 (cyrillic capital letter es) at position 2"),
        ("\u039fCC", "invalid character", "U+039F (greek capital letter omicron) at position 1"),
        ("CC\u200b", "invalid character", "zero width space"),
        ("C\x00C", "invalid character", "U+0000"),
        ("C\u2212C", "invalid character", "minus sign"),
        ("CCO CCN", "whitespace", "CCO CCN"),
        ("CCO\tCCN", "whitespace", "U+0009"),
        ("CCO\u00a0CCN", "whitespace", "no-break space"),
        ("C" * 1001, "too long", "1,001 characters; at most 1,000"),
        ("C" * 100_000, "too long", "100,000"),
        ("InChI=1S/CH4/h1H4", "InChI", "SMILES"),
    ],
)
def test_guard_rejects_with_a_reason(raw, kind, part):
    reason = guard(raw)
    assert reason is not None
    assert reason.split(":")[0] == kind
    assert part in reason
    assert len(reason) < 200
    assert standardize(raw).smiles is None
    assert standardize(raw).reason == reason


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("C1CC", "invalid SMILES"),
        ("hello", "invalid SMILES"),
        ("3.5", "invalid SMILES"),
        ("C>>C", "invalid SMILES"),
        ("=CF1", "invalid SMILES"),
        ("CN(C)(C)C", "impossible valence"),
        ("c1cccc1", "cannot be kekulized"),
        ("c1ccccc1c", "cannot be kekulized"),
        ("[H][H]", "no heavy atom"),
        ("[2H]", "no heavy atom"),
        ("C" * 300, "too large"),
        ("*CC", "wildcard atom (*) is not supported"),
        ("[1*]CC", "wildcard atom (*) is not supported"),
        ("[#0]CC", "wildcard atom (*) is not supported"),
        ("C~C", "undefined bond order"),
        ("C:C", "undefined bond order"),
    ],
)
def test_an_invalid_smiles_has_a_reason(raw, kind):
    for read in (standardize, canonicalize):
        result = read(raw)
        assert result.smiles is None
        assert result.reason.split(":")[0] == kind


def test_a_reason_names_the_atom():
    assert standardize("CCN(C)(C)C").reason == "impossible valence: atom 3 (N) has too many bonds"


@pytest.mark.parametrize(
    ("raw", "smiles", "warning"),
    [
        ("OCC", "CCO", None),
        ("  OCC ", "CCO", None),
        ("C(=O)(O)c1ccccc1", "O=C(O)c1ccccc1", None),
        ("N[C@@H](C)C(=O)O", "C[C@H](N)C(=O)O", None),
        ("CC[NH3+].[Cl-]", "CCN", "salt or solvent stripped: Cl; charges neutralized"),
        ("CCCCc1ccccc1.O", "CCCCc1ccccc1", "salt or solvent stripped: O"),
        ("CCCC(=O)[O-].[K+]", "CCCC(=O)O", "salt or solvent stripped: [K+]; charges neutralized"),
        ("CC(=O)[O-].[Na+]", "CC(=O)O", "salt or solvent stripped: [Na+]; charges neutralized"),
        ("CCCCN.CCCCN", "CCCCN", "copies of the molecule removed"),
        ("[NH3+]CC(=O)[O-]", "NCC(=O)O", "charges neutralized"),
        ("C[N+](C)(C)CCCC.[Br-]", "CCCC[N+](C)(C)C", "salt or solvent stripped: [Br-]"),
        ("CC(O)=N", "CC(N)=O", "functional groups normalized"),
        ("[13CH3]CO", "CCO", "isotope labels removed"),
        ("[2H]C([2H])([2H])OC", "COC", "isotope labels removed"),
        ("[CH3:1][CH2:3][OH:2]", "CCO", "atom map numbers removed"),
        ("c1ccccc1N(=O)=O", "O=[N+]([O-])c1ccccc1", None),
        ("C[n+]1ccccc1", "C[n+]1ccccc1", None),
        ("[O-][n+]1ccccc1", "[O-][n+]1ccccc1", None),
    ],
)
def test_standardize(raw, smiles, warning):
    assert standardize(raw) == (smiles, None, warning)
    assert standardize(smiles) == (smiles, None, None)  # standardizing again gives no change and no warning


def test_several_molecules_in_a_row_are_rejected_and_listed():
    result = standardize("CCCCCCN.c1ccc2ccccc2c1")
    assert result.smiles is None
    assert result.reason.startswith("several molecules: ")
    assert "CCCCCCN" in result.reason


def test_a_salt_without_a_molecule_is_rejected():
    assert standardize("[Na+].[Cl-]").reason.startswith("several molecules: ")


def test_metals_are_kept_as_written_with_a_warning():
    result = standardize("N[Pt](N)(Cl)Cl")
    assert "Pt" in result.smiles
    assert result.warning.startswith("metal")


@pytest.mark.parametrize("raw", ["CCS(C)=O", "C[S+]([O-])CC", "CC[S+2]([O-])([O-])C", "CCS(C)(=O)=O"])
def test_sulfur_oxides_are_written_with_double_bonds(raw):
    smiles = standardize(raw).smiles
    assert smiles in ("CCS(C)=O", "CCS(C)(=O)=O")
    assert "S+" not in standardize(raw + ".Cl").smiles
    assert standardize(raw + ".Cl").smiles == smiles


def test_a_chiral_sulfoxide_keeps_its_configuration_in_the_pipeline():
    short = standardize("CC[S@](=O)c1ccccc1").smiles
    assert "@" in short
    assert standardize("CC[S@](=O)c1ccccc1.Cl").smiles == short
    charged = Chem.MolToSmiles(Chem.MolFromSmiles("CC[S@+]([O-])c1ccccc1"))
    assert standardize(charged).smiles == short
    assert standardize("CC[S@@](=O)c1ccccc1").smiles != short


def test_a_ring_with_a_charged_sulfoxide_does_not_stay_aromatic():
    open_form = standardize("O=C1N(C)S(=O)c2ccccc21").smiles
    assert standardize("O=c1c2ccccc2[s+]([O-])n1C").smiles == open_form
    assert standardize("O=C1N(C)S(=O)c2ccccc21.Cl").smiles == open_form


@pytest.mark.parametrize("word", ["NO", "CO", "SN", "IN", "N", "F", "NON"])
def test_a_word_that_is_a_valid_smiles_is_kept_with_a_warning(word):
    result = standardize(word)
    assert result.smiles is not None
    assert result.warning.startswith(f"possibly a word: {word} is read as the molecule ")


@pytest.mark.parametrize("raw", ["CC", "CCO", "C=O", "c1ccccc1", "CBr"])
def test_small_molecules_have_no_warning_about_words(raw):
    assert standardize(raw).warning is None


def test_canonicalize_keeps_charges_and_salts():
    assert canonicalize("[NH3+]CC.[Cl-]").smiles == "CC[NH3+].[Cl-]"
    assert canonicalize("OCC") == ("CCO", None, None)


def test_parse_and_remove_stereo():
    assert molecules.parse("CCO").GetNumAtoms() == 3
    assert molecules.remove_stereo("C/C=C/[C@H](F)Cl") == "CC=CC(F)Cl"
    assert molecules.count_heavy_atoms("CC(=O)O") == 4
    for function in (molecules.parse, molecules.remove_stereo, molecules.count_heavy_atoms):
        with pytest.raises(InputError, match="C1CC"):
            function("C1CC")
    with pytest.raises(InputError, match="too long"):
        molecules.parse("C" * 5000)


def mol_block(smiles):
    mol = Chem.MolFromSmiles(smiles)
    rdDepictor.Compute2DCoords(mol)
    Chem.WedgeMolBonds(mol, mol.GetConformer())
    return Chem.MolToMolBlock(mol)


@pytest.mark.parametrize("smiles", ["CCO", "C[C@H](N)C(=O)O", "C/C=C/C", "C[NH3+].[Cl-]", "O=[N+]([O-])c1ccccc1"])
def test_a_mol_block_is_not_standardized(smiles):
    assert molecules.read_mol_block(mol_block(smiles)) == Standardized(Chem.CanonSmiles(smiles))


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("", "invalid mol block"),
        ("name\n\n\nnothing\n", "invalid mol block"),
        (mol_block("CCO").replace("C   0", "Qq  0", 1), "invalid mol block"),
        (mol_block("CCC(C)CC").replace("C   0", "F   0"), "impossible valence"),
        (mol_block("C" * 201), "too large"),
        ("\n\n\n" + "  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n", "empty"),
        (mol_block("CCO") + " " * 200_000, "too long"),
        (mol_block("CCO").replace("O   0", "R   0"), "wildcard atom (*) is not supported"),
    ],
)
def test_an_invalid_mol_block_has_a_reason(block, kind):
    result = molecules.read_mol_block(block)
    assert result.smiles is None
    assert result.reason.split(":")[0] == kind


def test_a_failure_of_the_pipeline_is_a_reason(monkeypatch):
    def fail(mol):
        raise ValueError("\nPre-condition violated\nmore")

    monkeypatch.setattr("chembl_structure_pipeline.standardizer.standardize_mol", fail)
    assert standardize("CC[NH3+]").reason == "cannot be standardized: Pre-condition violated"
    assert standardize("CCN").smiles == "CCN"


def test_a_cycle_of_canonical_smiles_has_one_result(monkeypatch):
    """If RDKit converts A to B and B to A, every start gives the same SMILES."""
    cycle = {"CCO": "OCC", "OCC": "C(C)O", "C(C)O": "OCC"}

    def write(mol):
        return cycle[read_smiles[-1]]

    read_smiles = []
    read = molecules._read

    def record(smiles):
        read_smiles.append(smiles)
        return read(smiles)

    monkeypatch.setattr(molecules, "_read", record)
    monkeypatch.setattr(Chem, "MolToSmiles", write)
    assert {canonicalize(smiles).smiles for smiles in cycle} == {"C(C)O"}


def test_smarts():
    pattern = molecules.parse_smarts(" c1ccncc1 ")
    assert molecules.is_substructure(pattern, molecules.parse("Cc1ccncc1"))
    assert not molecules.is_substructure(pattern, molecules.parse("Cc1ccccc1"))
    chiral = molecules.parse_smarts("C[C@H](N)C(=O)O")
    assert molecules.is_substructure(chiral, molecules.parse("C[C@H](N)C(=O)O"))
    assert not molecules.is_substructure(chiral, molecules.parse("C[C@@H](N)C(=O)O"))
    for bad in ("", "c1ccc(", "C" * 2000, "C C", "\u0421C"):
        with pytest.raises(InputError, match="SMARTS"):
            molecules.parse_smarts(bad)


DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1CCC[C@H]1c1cccnc1",
    "C[S@](=O)c1ccc(/C=C2\\C(C)=C(CC(=O)O)c3cc(F)ccc32)cc1",
    "C[N+]1(C)CCC(OC(=O)C(O)(c2ccccc2)c2ccccc2)C1",
    "O=[N+]([O-])c1ccc([N-]C(=O)C)cc1",
    "N=C(N)N[C@@H](CC(=O)[O-])c1ccc[nH+]c1",
    "OC(=NC)c1ccccc1",
    "[O-][N+]1(C)CCCCC1",
    "CN=[N+]=[N-]",
]
COUNTERIONS = ["", ".Cl", ".[Na+]", ".O", ".OC(=O)C(O)C(O)C(=O)O", ".[2H]O[2H]", ".O=S(=O)(O)O"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(DRUGS), st.sampled_from(COUNTERIONS), st.integers(0, 2**31 - 1))
def test_the_standardized_smiles_is_unique_and_stable(drug, counterion, seed):
    """The result does not depend on the atom order, and standardizing it again does not change it."""
    mol = Chem.MolFromSmiles(drug + counterion)
    order = list(range(mol.GetNumAtoms()))
    random.Random(seed).shuffle(order)
    shuffled = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    result = standardize(shuffled)
    assert result.reason is None
    assert result.smiles == standardize(drug).smiles
    assert standardize(result.smiles).smiles == result.smiles
    assert canonicalize(result.smiles).smiles == result.smiles


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet="CNOSPFIBrlcnos()[]=#@+-/\\123%.HH*:~ \u0421\x00", max_size=30))
def test_every_string_gives_a_smiles_or_a_reason(raw):
    result = standardize(raw)
    assert (result.smiles is None) == (result.reason is not None)
    if result.smiles is not None:
        assert standardize(result.smiles).smiles == result.smiles


def test_nothing_is_printed(capfd):
    for raw in ("C1CC", "c1cccc1", "CN(C)(C)C", "[13CH3]N.Cl", "C[S+]([O-])C"):
        standardize(raw)
    assert capfd.readouterr() == ("", "")


def test_molecules_that_skip_the_pipeline_equal_its_result():
    """Parsing and writing, compared with the full ChEMBL pipeline."""
    from chembl_structure_pipeline import get_parent_mol, standardize_mol

    for raw in [*DRUGS, "CC1CC(=O)Nc2ccccc2N1", "O=C1CN(C(=O)c2ccco2)CCN1", "CCOC(=O)c1sc(N)nc1C"]:
        parent, _ = get_parent_mol(standardize_mol(Chem.MolFromSmiles(raw)))
        assert standardize(raw).smiles == standardize(Chem.MolToSmiles(parent)).smiles


@pytest.mark.parametrize(
    ("raw", "smiles", "element"),
    [
        ("C1CC[C@@H]1", None, "C"),
        ("CC(C)=[N+]C", None, "N"),
        ("CC1(C)CCCC(C)(C)N1[O]", "CC1(C)CCCC(C)(C)N1[O]", None),
        ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]", None),
        ("c1cc[nH]c1", "c1cc[nH]c1", None),
    ],
)
def test_a_decoded_radical_is_invalid(raw, smiles, element):
    result = molecules.read_decoded(raw)
    assert result.smiles == smiles
    assert (result.reason == f"radical: unpaired electron on {element}") == (smiles is None)
    assert molecules.canonicalize(raw).smiles is not None
