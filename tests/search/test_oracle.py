import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.search.oracle import read_scores

SMILES = ["C", "CC", "CCC"]


def answering(answer):
    return read_scores(answer, len(SMILES), SMILES)


@pytest.mark.parametrize(
    "answer",
    [
        [0.5, 1, -2.5],
        (0.5, 1, -2.5),
        np.array([0.5, 1, -2.5], np.float32),
        pd.Series([0.5, 1, -2.5]),
        pd.Series([-2.5, 1, 0.5], index=[2, 1, 0]),
        [np.float64(0.5), True, Decimal("-2.5")],
        pd.DataFrame({"score": [-2.5, 0.5, 1]}, index=["CCC", "C", "CC"]),
        (x for x in (0.5, 1, -2.5)),
    ],
)
def test_every_sequence_of_numbers_is_accepted(answer):
    scores = answering(answer)
    assert scores.score.tolist() == [0.5, 1.0, -2.5]
    assert scores.score.dtype == np.float64
    assert scores.terms == {}


def test_missing_scores_are_nan_and_infinite_ones_are_counted():
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
        (None, "3 numbers, got NoneType"),
        (0.5, "3 numbers, got float 0.5"),
        ("0.5", "3 numbers, got str '0.5'"),
        ({"C": 1, "CC": 2, "CCC": 3}, "3 numbers, got dict"),
        ([0.5, 1], "3 numbers, .*got 2"),
        ([0.5] * 4, "3 numbers, .*got 4"),
        ([], "3 numbers, .*got 0"),
        (np.zeros((3, 1)), r"\(3, 1\)"),
        (np.float64(3), r"shape \(\)|3 numbers"),
        (["0.5", "1", "2"], "row 0 .*got str '0.5'"),
        ([0.5, [1], 2], r"row 1 .*got list \[1\]"),
        ([0.5, 1, 1j], "row 2 .*got complex"),
        ([0.5, 1, 10**400], "row 2 .*got int 1000"),
        (pd.DataFrame({"value_x": [1, 2, 3]}), "score .*value_x"),
        (pd.DataFrame({"score": [1, 2]}), "column score: .*3 numbers, .*got 2"),
        (pd.DataFrame({"score": [1, 2, 3], "smiles": SMILES}), r"score, value_\* and score_\*.* smiles"),
        (pd.DataFrame({"score": [1, 2, 3], "extra": [1, 2, 3]}), r"score, value_\* and score_\*.* extra"),
        (pd.DataFrame({"score": [1, 2, 3], "value_a": ["x", 2, 3]}), "column value_a, row 0 .*got str 'x'"),
    ],
)
def test_any_other_return_value_is_refused(answer, problem):
    with pytest.raises(InputError, match=problem):
        answering(answer)
