"""The scoring function of a search, and the check of what it returns."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from molvae.errors import InputError

Answer = Sequence[float] | np.ndarray | pd.Series | pd.DataFrame
"""One score per molecule, in order, higher is better; or a DataFrame with a column `score` and further columns
`value_*` and `score_*`. None or NaN marks a molecule without a score."""

Oracle = Callable[[list[str]], Answer]
"""Function of a list of canonical SMILES."""

_FAMILIES = ("value_", "score_")


class Scores(NamedTuple):
    """The checked scores of an oracle.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Scores, float64; NaN for molecules without one.
    terms : dict of str to ndarray of shape (n,)
        Columns `value_*` and `score_*`, float64.
    n_infinite : int
        Number of scores that were infinite; they are NaN in `score`.
    """

    score: np.ndarray
    terms: dict[str, np.ndarray]
    n_infinite: int


def read_scores(answer: Answer, n: int) -> Scores:
    """Check the return value of an oracle.

    Parameters
    ----------
    answer : Answer
        The return value.
    n : int
        Number of molecules that it was called with.

    Returns
    -------
    Scores
        One row per molecule, in order.

    Raises
    ------
    InputError
        The return value is not a sequence of n numbers, or is a table with other columns.
    """
    if isinstance(answer, pd.DataFrame):
        if "score" not in answer:
            raise InputError(
                f"oracle: expected a column score in its table, got {', '.join(map(str, answer)) or 'none'}"
            )
        unknown = [str(name) for name in answer if name != "score" and not str(name).startswith(_FAMILIES)]
        if unknown:
            raise InputError(
                f"oracle: expected columns score, value_* and score_* in its table, got {', '.join(unknown)}"
            )
        columns = {str(name): _numbers(answer[name], n, f"column {name}") for name in answer}
        score = columns.pop("score")
    else:
        score, columns = _numbers(answer, n, "its return value"), {}
    infinite = np.isinf(score)
    return Scores(np.where(infinite, np.nan, score), columns, int(infinite.sum()))


def _numbers(answer: Any, n: int, what: str) -> np.ndarray:
    """Convert to n float64 numbers; None and NA become NaN."""
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
        raise InputError(
            f"oracle: {what}, row {row} (counted from 0): expected a number, None or NaN, got {_show(item)}"
        ) from None


def _show(item: Any) -> str:
    text = repr(item)
    return f"{type(item).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
