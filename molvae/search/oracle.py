"""What an oracle answers, checked: the door between somebody's scoring function and the search."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from molvae.errors import InputError

Oracle = Callable[[list[str]], Sequence[float] | np.ndarray | pd.Series | pd.DataFrame]
"""Canonical SMILES to one score each, in order, higher is better; or to a table with a column `score`, and
`value_*` and `score_*` beside it. None or NaN is a molecule that could not be scored."""

_FAMILIES = ("value_", "score_")


class Scores(NamedTuple):
    """One answer.

    score: (n,) float64, NaN where the molecule could not be scored.
    terms: the columns `value_*` and `score_*`, each (n,) float64.
    n_infinite: how many scores were infinite, and are NaN here.
    """

    score: np.ndarray
    terms: dict[str, np.ndarray]
    n_infinite: int


NO_SCORES = Scores(np.zeros(0), {}, 0)


def ask_oracle(oracle: Oracle, smiles: Sequence[str]) -> Scores:
    """The oracle's scores of at least one molecule. What the oracle itself raises is passed on.

    Raises:
        InputError: the answer is no sequence of numbers, has another length, or is a table with other columns.
    """
    answer = oracle(list(smiles))
    if isinstance(answer, pd.DataFrame):
        if "score" not in answer:
            raise InputError(f"oracle: its table needs a column score; it has {', '.join(map(str, answer)) or 'none'}")
        strange = [str(name) for name in answer if name != "score" and not str(name).startswith(_FAMILIES)]
        if strange:
            raise InputError(f"oracle: its table may hold score, value_* and score_*, and holds {', '.join(strange)}")
        columns = {str(name): _numbers(answer[name], len(smiles), f"column {name}") for name in answer}
        score = columns.pop("score")
    else:
        score, columns = _numbers(answer, len(smiles), "its answer"), {}
    infinite = np.isinf(score)
    return Scores(np.where(infinite, np.nan, score), columns, int(infinite.sum()))


def _numbers(answer: Any, n: int, what: str) -> np.ndarray:
    """A column of n numbers; None, NaN and NA are NaN."""
    if isinstance(answer, (str, bytes, Mapping)) or not hasattr(answer, "__iter__"):
        raise InputError(f"oracle: {what}: expected a list of {n} numbers, got {_show(answer)}")
    if getattr(answer, "ndim", 1) != 1:
        raise InputError(f"oracle: {what}: expected one number per molecule, got an array of shape {answer.shape}")
    items = list(answer)
    if len(items) != n:
        raise InputError(f"oracle: {what}: expected {n} numbers, one per molecule, got {len(items)}")
    return np.array([_number(item, row, what) for row, item in enumerate(items)], dtype=float)


def _number(item: Any, row: int, what: str) -> float:
    if item is None or item is pd.NA:
        return math.nan
    try:
        if isinstance(item, (str, bytes)):
            raise TypeError
        return float(item)
    except (TypeError, ValueError, OverflowError):
        place = f"{what}, row {row} (counted from 0)"
        raise InputError(f"oracle: {place}: expected a number, None or NaN, got {_show(item)}") from None


def _show(item: Any) -> str:
    text = repr(item)
    return f"{type(item).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
