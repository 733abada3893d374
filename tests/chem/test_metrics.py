import math
import re
from array import array

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from molvae.chem.fingerprints import Fingerprints
from molvae.chem.metrics import (
    N_BITS,
    PROPERTY_NAMES,
    cosine,
    describe,
    internal_diversities,
    internal_diversity,
    novelty,
    read_on_bits,
    uniqueness,
    validity,
)
from molvae.chem.properties import compute
from molvae.errors import InputError

SMILES = ["CCO", "CCN", "c1ccccc1", "Cc1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CCO"]


def test_validity():
    assert validity(["CCO", "C1CC", "", None, "c1cccc1", "CC"]) == pytest.approx(2 / 6)
    assert math.isnan(validity([]))


def test_uniqueness_considers_the_first_molecules():
    assert uniqueness(SMILES) == pytest.approx(5 / 6)
    assert uniqueness(SMILES, at=5) == 1
    assert uniqueness(SMILES, at=None) == pytest.approx(5 / 6)
    assert math.isnan(uniqueness([]))
    with pytest.raises(InputError, match=r"at: .* 0"):
        uniqueness(SMILES, at=0)


def test_novelty_counts_unique_molecules():
    assert novelty(SMILES, ["CCO", "CCCl"]) == pytest.approx(4 / 5)
    assert novelty(SMILES, frozenset(SMILES)) == 0
    assert novelty(SMILES, []) == 1
    assert novelty(SMILES, iter(["CCO", "CCCl"])) == pytest.approx(4 / 5)
    assert math.isnan(novelty([], ["C"]))


def moses_internal_diversity(smiles, p):
    """molsets 0.3.1, metrics.average_agg_tanimoto(agg="mean") and internal_diversity, in numpy."""
    fingerprints = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(one), 2, nBits=1024) for one in smiles]
    jac = np.array([DataStructs.BulkTanimotoSimilarity(a, fingerprints) for a in fingerprints]) ** p
    return 1 - np.mean((jac.sum(axis=0) / len(smiles)) ** (1 / p))


@pytest.mark.parametrize("p", [1, 2, 0.5])
def test_internal_diversity_is_that_of_moses(p):
    assert internal_diversity(SMILES, p) == pytest.approx(moses_internal_diversity(SMILES, p), abs=1e-6)


def test_internal_diversity_of_extreme_sets():
    assert internal_diversity(["CCO"]) == 0
    assert internal_diversity(["CCO"] * 5) == pytest.approx(0)
    assert math.isnan(internal_diversity([]))
    many = [f"{'C' * i}O" for i in range(1, 60)] * 40
    assert internal_diversity(many) == pytest.approx(internal_diversity(many[:59]), abs=1e-6)  # more than one block
    with pytest.raises(InputError, match="C1CC"):
        internal_diversity(["CCO", "C1CC"])
    with pytest.raises(InputError, match=r"p: .* 0"):
        internal_diversity(SMILES, 0)


def test_internal_diversities_of_several_exponents():
    many = [f"{'C' * i}O" for i in range(1, 60)] * 18 + SMILES  # two blocks, the last one not full
    found = internal_diversities(Fingerprints.of(many, N_BITS), (1, 2))
    assert found == pytest.approx([moses_internal_diversity(many, 1), moses_internal_diversity(many, 2)], abs=1e-6)


def test_more_than_255_on_bits_do_not_overflow():
    fingerprints = Fingerprints(N_BITS)
    for begin in (0, 100, 700):
        fingerprints.append(array("H", range(begin, begin + 300)))
    means = [(1 + 0.5 + 0) / 3, (1 + 0.5 + 0) / 3, 1 / 3]
    assert internal_diversities(fingerprints, (1,)) == pytest.approx([1 - sum(means) / 3], abs=1e-6)


def test_cosine_of_counts_does_not_overflow():
    assert cosine({"a": 1, "b": 2}, {"b": 2, "c": 1}) == pytest.approx(4 / 5)
    assert cosine({"a": 1}, {"b": 1}) == 0
    assert cosine({"a": 2**40, "b": 1}, {"a": 2**40}) == pytest.approx(1)
    assert math.isnan(cosine({}, {"a": 1}))


def test_a_description_has_the_values_of_moses():
    smiles = "COc1cccc(NC(=O)Cc2coc3ccc(OC)cc23)c1"
    found = describe(f" {smiles} ")
    mol = Chem.MolFromSmiles(smiles)
    assert found.smiles == smiles
    assert list(found.on_bits) == list(AllChem.GetMorganFingerprintAsBitVect(mol, 2, nBits=1024).GetOnBits())
    assert sorted(found.fragments) == sorted(Chem.MolToSmiles(AllChem.FragmentOnBRICSBonds(mol)).split("."))
    assert found.scaffold == "O=C(Cc1coc2ccccc12)Nc1ccccc1"
    assert found.properties == compute([smiles], PROPERTY_NAMES).iloc[0].tolist()
    assert found.failed_filter is None
    assert describe("Cc1ccccc1").scaffold is None  # one ring only
    assert describe("CCO").scaffold is None
    assert describe("CCC=O").failed_filter == "MCF: MCF7"
    assert describe("CCC=O", with_filters=False).failed_filter is None


def test_an_invalid_smiles_has_a_reason_and_nothing_else():
    for smiles in ("C1CC", "", None, "no molecule", "C(C)(C)(C)(C)C"):
        found = describe(smiles)
        assert found.smiles is None
        assert found.reason
        assert not found.fragments
        assert not found.properties


@pytest.mark.parametrize(
    "smiles", [*SMILES, "C[C@H](N)C(=O)O", "O=[N+]([O-])c1ccccc1", "[H]N=C1NC(=N)NCN1", "C[S+]([O-])C"]
)
def test_bits_of_the_quick_parse_are_those_of_a_full_parse(smiles):
    assert read_on_bits(smiles) == describe(smiles).on_bits


def test_bits_of_an_invalid_smiles_are_an_error():
    for one in ("", "C1CC", "[H]C("):
        with pytest.raises(InputError, match=f"^{re.escape(one)}: "):
            read_on_bits(one)
