from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem

from molvae.bundled import bundled
from molvae.chem import moses_filters
from molvae.chem.moses_filters import RULES_FILE, first_objection
from molvae.errors import InputError

HIT = {
    "CCC=O": "MCF: MCF7",
    "C1CO1": "MCF: MCF5",
    "CSSC": "MCF: MCF16",
    "CCCl": "MCF: MCF4",
    "BrC(Br)(Br)c1ccccc1": "MCF: MCF20",
    "Oc1ccc(N=Nc2ccccc2)cc1": "MCF: MCF10",
    "O=C1C=CC(=O)c2ccccc21": "PAINS: quinone_A(370)",
    "Oc1ccccc1O": "PAINS: catechol_A(92)",
    "C1CCCCCCC1": "a ring of 8 atoms or more",
    "C[N+](C)(C)C": "a charged atom",
    "CCCP": "an element that is not allowed: P",
    "CI": "an element that is not allowed: I",
}
"""Molecule -> the first thing that MOSES refuses it for; the rule is named by the table."""


@pytest.mark.parametrize("smiles", HIT)
def test_what_is_refused_is_named(smiles: str) -> None:
    assert first_objection(Chem.MolFromSmiles(smiles)) == HIT[smiles]


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(O)cc1", "Oc1ccccc1-c1cccc2cnccc12", "CNC", "C1CCCCCC1"])
def test_what_passes_has_no_objection(smiles: str) -> None:
    assert first_objection(Chem.MolFromSmiles(smiles)) is None


def test_molecules_of_moses_pass() -> None:
    """The benchmark's own molecules were chosen by these filters."""
    for smiles in pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][::100]:
        assert first_objection(Chem.MolFromSmiles(smiles)) is None


def test_the_rules_are_those_of_molsets() -> None:
    table = pd.read_csv(bundled(RULES_FILE))
    assert table["set"].value_counts().to_dict() == {"PAINS": 480, "MCF": 22}
    assert not table["smarts"].duplicated().any()


def test_the_screen_hides_no_hit() -> None:
    """Rules are searched for only where RDKit's pattern fingerprint allows them: beside a search for all of them."""
    rules, screens = moses_filters._rules()
    n_hits = 0
    for smiles in HIT:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        is_possible = ~(screens & ~moses_filters._screen(mol)).any(axis=1)
        hits = [place for place, rule in enumerate(rules) if mol.HasSubstructMatch(rule.pattern)]
        assert is_possible[hits].all()
        n_hits += len(hits)
    assert n_hits >= 10


def test_missing_rules_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("molvae.chem.moses_filters.bundled", lambda name: tmp_path / name)
    moses_filters._rules.cache_clear()
    with pytest.raises(InputError, match="the bundled filter rules are not there"):
        first_objection(Chem.MolFromSmiles("CCO"))
    moses_filters._rules.cache_clear()
