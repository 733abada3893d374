from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem

from molvae.bundled import bundled
from molvae.chem import moses_filters
from molvae.chem.moses_filters import RULES_FILE, first_failed_filter
from molvae.errors import InputError

FAILED = {
    "CCC=O": "MCF: MCF7",
    "C1CO1": "MCF: MCF5",
    "CSSC": "MCF: MCF16",
    "CCCl": "MCF: MCF4",
    "BrC(Br)(Br)c1ccccc1": "MCF: MCF20",
    "Oc1ccc(N=Nc2ccccc2)cc1": "MCF: MCF10",
    "O=C1C=CC(=O)c2ccccc21": "PAINS: quinone_A(370)",
    "Oc1ccccc1O": "PAINS: catechol_A(92)",
    "C1CCCCCCC1": "ring of 8 or more atoms",
    "C[N+](C)(C)C": "charged atom",
    "CCCP": "element not allowed: P",
    "CI": "element not allowed: I",
}
"""Molecule -> the first filter of MOSES that it fails."""


@pytest.mark.parametrize("smiles", FAILED)
def test_the_failed_filter_is_named(smiles: str) -> None:
    assert first_failed_filter(Chem.MolFromSmiles(smiles)) == FAILED[smiles]


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "Oc1ccccc1-c1cccc2cnccc12", "CNC", "C1CCCCCC1"])
def test_molecules_pass(smiles: str) -> None:
    assert first_failed_filter(Chem.MolFromSmiles(smiles)) is None


def test_molecules_of_moses_pass() -> None:
    """The molecules of the benchmark were selected by these filters."""
    for smiles in pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][::100]:
        assert first_failed_filter(Chem.MolFromSmiles(smiles)) is None


def test_the_rules_are_those_of_molsets() -> None:
    table = pd.read_csv(bundled(RULES_FILE))
    assert table["set"].value_counts().to_dict() == {"PAINS": 480, "MCF": 22}
    assert not table["smarts"].duplicated().any()


def test_the_screen_misses_no_match() -> None:
    """Every rule that matches is among the rules that the pattern fingerprint leaves for the substructure search."""
    rules, screens = moses_filters._rules()
    n_matches = 0
    for smiles in FAILED:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        is_possible = ~(screens & ~moses_filters._screen(mol)).any(axis=1)
        matches = [i for i, rule in enumerate(rules) if mol.HasSubstructMatch(rule.pattern)]
        assert is_possible[matches].all()
        n_matches += len(matches)
    assert n_matches >= 10


def test_missing_rules_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("molvae.chem.moses_filters.bundled", lambda name: tmp_path / name)
    moses_filters._rules.cache_clear()
    with pytest.raises(InputError, match=RULES_FILE):
        first_failed_filter(Chem.MolFromSmiles("CCO"))
    moses_filters._rules.cache_clear()
