import math

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from molvae.chem.metrics import internal_diversity, novelty, uniqueness, validity
from molvae.errors import InputError

SMILES = ["CCO", "CCN", "c1ccccc1", "Cc1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CCO"]


def test_validity():
    assert validity(["CCO", "C1CC", "", None, "c1cccc1", "CC"]) == pytest.approx(2 / 6)
    assert math.isnan(validity([]))


def test_uniqueness_looks_at_the_first():
    assert uniqueness(SMILES) == pytest.approx(5 / 6)
    assert uniqueness(SMILES, at=5) == 1
    assert uniqueness(SMILES, at=None) == pytest.approx(5 / 6)
    assert math.isnan(uniqueness([]))
    with pytest.raises(InputError, match="at: expected 1 or more, got 0"):
        uniqueness(SMILES, at=0)


def test_novelty_counts_distinct_molecules():
    assert novelty(SMILES, ["CCO", "CCCl"]) == pytest.approx(4 / 5)
    assert novelty(SMILES, frozenset(SMILES)) == 0
    assert novelty(SMILES, []) == 1
    assert math.isnan(novelty([], ["C"]))


def moses_internal_diversity(smiles, p):
    """molsets 0.3.1, metrics.average_agg_tanimoto(agg="mean") and internal_diversity, written out in numpy."""
    fingerprints = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(text), 2, nBits=1024) for text in smiles]
    jac = np.array([DataStructs.BulkTanimotoSimilarity(a, fingerprints) for a in fingerprints]) ** p
    return 1 - np.mean((jac.sum(axis=0) / len(smiles)) ** (1 / p))


@pytest.mark.parametrize("p", [1, 2, 0.5])
def test_internal_diversity_is_that_of_moses(p):
    assert internal_diversity(SMILES, p) == pytest.approx(moses_internal_diversity(SMILES, p), abs=1e-6)


def test_internal_diversity_at_the_ends():
    assert internal_diversity(["CCO"]) == 0
    assert internal_diversity(["CCO"] * 5) == pytest.approx(0)
    assert math.isnan(internal_diversity([]))
    many = [f"{'C' * i}O" for i in range(1, 60)] * 40
    assert internal_diversity(many) == pytest.approx(internal_diversity(many[:59]), abs=1e-6)  # more than one block
    with pytest.raises(InputError, match="expected a canonical SMILES"):
        internal_diversity(["CCO", "C1CC"])
    with pytest.raises(InputError, match="p: expected more than 0"):
        internal_diversity(SMILES, 0)
