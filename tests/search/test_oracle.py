import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.search.oracle import ask_oracle

SMILES = ["C", "CC", "CCC"]


def answering(answer):
    return ask_oracle(lambda smiles: answer, SMILES)


@pytest.mark.parametrize(
    "answer",
    [
        [0.5, 1, -2.5],
        (0.5, 1, -2.5),
        np.array([0.5, 1, -2.5], np.float32),
        pd.Series([0.5, 1, -2.5], index=[7, 8, 9]),
        [np.float64(0.5), True, Decimal("-2.5")],
        pd.DataFrame({"score": [0.5, 1, -2.5]}, index=["a", "b", "c"]),
        (x for x in (0.5, 1, -2.5)),
    ],
)
def test_every_kind_of_sequence_of_numbers_is_read(answer):
    scores = answering(answer)
    assert scores.score.tolist() == [0.5, 1.0, -2.5]
    assert scores.score.dtype == np.float64
    assert scores.terms == {}


def test_what_could_not_be_scored_is_nan_and_infinity_is_counted():
    scores = answering([None, float("nan"), pd.NA])
    assert np.isnan(scores.score).all()
    assert scores.n_infinite == 0
    scores = answering([math.inf, -math.inf, 0.25])
    assert np.isnan(scores.score[:2]).all()
    assert scores.score[2] == 0.25
    assert scores.n_infinite == 2


def test_the_terms_of_a_table_are_kept():
    table = pd.DataFrame({"value_logp": [1, None, 3], "score_logp": [0.1, None, 0.3], "score": [0.1, None, 0.3]})
    scores = answering(table)
    assert list(scores.terms) == ["value_logp", "score_logp"]
    assert scores.terms["value_logp"][2] == 3
    assert np.isnan(scores.score[1])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "expected a list of 3 numbers, got NoneType None"),
        (0.5, "expected a list of 3 numbers, got float 0.5"),
        ("0.5", "expected a list of 3 numbers, got str '0.5'"),
        ({"C": 1, "CC": 2, "CCC": 3}, "expected a list of 3 numbers, got dict"),
        ([0.5, 1], "expected 3 numbers, one per molecule, got 2"),
        ([0.5] * 4, "expected 3 numbers, one per molecule, got 4"),
        ([], "expected 3 numbers, one per molecule, got 0"),
        (np.zeros((3, 1)), r"expected one number per molecule, got an array of shape \(3, 1\)"),
        (np.float64(3), r"got an array of shape \(\)|expected a list of 3 numbers"),
        (["0.5", "1", "2"], "row 0 .*: expected a number, None or NaN, got str '0.5'"),
        ([0.5, [1], 2], r"row 1 .*: expected a number, None or NaN, got list \[1\]"),
        ([0.5, 1, 1j], "row 2 .*got complex"),
        ([0.5, 1, 10**400], "row 2 .*got int 1000"),
        (pd.DataFrame({"value_x": [1, 2, 3]}), "needs a column score; it has value_x"),
        (pd.DataFrame({"score": [1, 2]}), "column score: expected 3 numbers, one per molecule, got 2"),
        (
            pd.DataFrame({"score": [1, 2, 3], "smiles": SMILES}),
            r"may hold score, value_\* and score_\*, and holds smiles",
        ),
        (
            pd.DataFrame({"score": [1, 2, 3], "extra": [1, 2, 3]}),
            r"may hold score, value_\* and score_\*, and holds extra",
        ),
        (pd.DataFrame({"score": [1, 2, 3], "value_a": ["x", 2, 3]}), "column value_a, row 0 .*got str 'x'"),
    ],
)
def test_anything_else_is_refused_with_the_place(answer, problem):
    with pytest.raises(InputError, match=problem):
        answering(answer)


def test_what_the_oracle_raises_passes_through():
    def broken(smiles):
        raise ZeroDivisionError("inside the oracle")

    with pytest.raises(ZeroDivisionError, match="inside the oracle"):
        ask_oracle(broken, SMILES)


def test_the_oracle_cannot_change_the_list_it_was_given():
    def greedy(smiles):
        assert type(smiles) is list
        smiles.clear()
        return [1, 2, 3]

    smiles = list(SMILES)
    ask_oracle(greedy, smiles)
    assert smiles == SMILES
