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

evaluate_rows = partial(comparison.evaluate_rows, mapper=Serial())
load_references = partial(comparison.load_references, mapper=Serial())
read_set = partial(distribution.read_set, mapper=Serial())

REFERENCE = ["c1ccc2ccccc2c1", "Cc1ccc2ccccc2c1", "c1ccc(-c2ccccc2)cc1", "CCO"]
GENERATED = ["Cc1ccc2ccccc2c1", "Cc1ccc2ccccc2c1", "c1ccc(Cc2ccccc2)cc1", "CCN", "C1CC"]


def silent(step: str) -> None:
    pass


def test_a_set_beside_a_reference() -> None:
    molecules = read_set((text, None) for text in GENERATED)
    figures = measure(molecules, load_references(REFERENCE, "mine", silent), ["CCN"], silent)
    beside = figures.references["reference"]
    assert figures.valid == 4 / 5
    assert figures.unique == 3 / 4
    assert figures.novelty == 2 / 3
    # scaffolds: naphthalene twice and diphenylmethane once, beside naphthalene twice and biphenyl once
    assert beside.scaffolds == pytest.approx(1 - cosine_distance([2.0, 1.0, 0.0], [2.0, 0.0, 1.0]))
    for name in ("logp", "sa_score", "qed", "mol_weight"):
        values = [compute(side, [name])[name].to_numpy() for side in (molecules.smiles, REFERENCE)]
        assert getattr(beside, name) == pytest.approx(wasserstein_distance(*values))
    assert beside.snn is not None
    assert beside.snn > 0.5
    assert not figures.missing


def test_a_set_beside_itself() -> None:
    figures = evaluate_rows(((text, None) for text in REFERENCE), REFERENCE, REFERENCE)
    beside = figures.references["reference"]
    assert beside.fcd == pytest.approx(0, abs=1e-4)
    assert beside.snn == pytest.approx(1)
    assert beside.fragments == pytest.approx(1)
    assert beside.scaffolds == pytest.approx(1)
    assert [beside.logp, beside.sa_score, beside.qed, beside.mol_weight] == pytest.approx([0, 0, 0, 0])
    assert figures.novelty == 0


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least one row, got none"):
        evaluate_rows([], REFERENCE)
    with pytest.raises(InputError, match="training set: expected at least one molecule"):
        evaluate_rows([("CCO", None), ("CCN", None)], REFERENCE, [])


def test_figures_are_those_of_any_order_but_for_the_first_thousand() -> None:
    rows = [(text, None) for text in GENERATED]
    one = evaluate_rows(rows, REFERENCE).references["reference"]
    other = evaluate_rows(rows[::-1], REFERENCE).references["reference"]
    for name in ("fcd", "snn", "fragments", "scaffolds", "logp", "qed"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5)
