from functools import partial

import numpy as np
import pytest
from scipy.spatial.distance import cosine as cosine_distance
from scipy.stats import wasserstein_distance

from molvae.benchmark import comparison, distribution
from molvae.benchmark.comparison import measure
from molvae.chem.properties import compute
from molvae.errors import InputError
from molvae.workers import Serial

evaluate_smiles = partial(comparison.evaluate_smiles, mapper=Serial())
evaluate_rows = partial(comparison.evaluate_rows, mapper=Serial())
load_references = partial(comparison.load_references, mapper=Serial())
read_set = partial(distribution.read_set, mapper=Serial())

REFERENCE = ["c1ccc2ccccc2c1", "Cc1ccc2ccccc2c1", "c1ccc(-c2ccccc2)cc1", "CCO"]
GENERATED = ["Cc1ccc2ccccc2c1", "Cc1ccc2ccccc2c1", "c1ccc(Cc2ccccc2)cc1", "CCN", "C1CC"]


def ignore(step: str) -> None:
    pass


def test_metrics_against_a_reference_set() -> None:
    molecules = read_set((text, None) for text in GENERATED)
    metrics = measure(molecules, load_references(REFERENCE, "mine", ignore), ["CCN"], ignore)
    compared = metrics.references["reference"]
    assert metrics.valid == 4 / 5
    assert metrics.unique == 3 / 4
    assert metrics.novelty == 2 / 3
    # scaffolds: naphthalene twice and diphenylmethane once; reference: naphthalene twice and biphenyl once
    assert compared.scaffolds == pytest.approx(1 - cosine_distance([2.0, 1.0, 0.0], [2.0, 0.0, 1.0]))
    for name in ("logp", "sa_score", "qed", "mol_weight"):
        values = [compute(smiles, [name])[name].to_numpy() for smiles in (molecules.smiles, REFERENCE)]
        assert getattr(compared, name) == pytest.approx(wasserstein_distance(*values))
    assert compared.snn is not None
    assert compared.snn > 0.5
    assert not metrics.missing


def test_metrics_of_a_set_against_itself() -> None:
    metrics = evaluate_rows(((text, None) for text in REFERENCE), REFERENCE, REFERENCE)
    compared = metrics.references["reference"]
    assert compared.fcd == pytest.approx(0, abs=1e-4)
    assert compared.snn == pytest.approx(1)
    assert compared.fragments == pytest.approx(1)
    assert compared.scaffolds == pytest.approx(1)
    assert [compared.logp, compared.sa_score, compared.qed, compared.mol_weight] == pytest.approx([0, 0, 0, 0])
    assert metrics.novelty == 0


def test_empty_sets_are_refused() -> None:
    with pytest.raises(InputError, match="at least one row"):
        evaluate_rows([], REFERENCE)
    with pytest.raises(InputError, match="training set"):
        evaluate_rows([("CCO", None), ("CCN", None)], REFERENCE, [])


def test_metrics_do_not_depend_on_the_order() -> None:
    rows = [(text, None) for text in GENERATED]
    one = evaluate_rows(rows, REFERENCE).references["reference"]
    other = evaluate_rows(rows[::-1], REFERENCE).references["reference"]
    for name in ("fcd", "snn", "fragments", "scaffolds", "logp", "qed"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5)


def test_smiles_are_evaluated_as_rows() -> None:
    rows = [(smiles, None) for smiles in GENERATED]
    assert evaluate_smiles(GENERATED, REFERENCE) == evaluate_rows(rows, REFERENCE)
    assert evaluate_smiles([None, "CCO"], REFERENCE).n_valid == 1
