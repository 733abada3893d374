"""The scoring function of a search, and the check of what it returns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from molvae.errors import InputError
from molvae.inputs import align
from molvae.tables import read_numbers

Answer = Sequence[float] | np.ndarray | pd.Series | pd.DataFrame
"""One score per molecule, in order, higher is better; or a DataFrame with a column `score` and further columns
`value_*`, `score_*` and `unscored_reason`. None or NaN marks a molecule without a score."""

Oracle = Callable[[list[str]], Answer]
"""Function of a list of canonical SMILES."""

_COLUMNS = ("score", "unscored_reason")
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
    reasons : list of str or None
        Why a molecule has no score; None where it has one, or if the oracle gave no reason.
    """

    score: np.ndarray
    terms: dict[str, np.ndarray]
    n_infinite: int
    reasons: list[str | None]


def read_scores(answer: Answer, n: int, smiles: Sequence[str] | None = None, index: pd.Index | None = None) -> Scores:
    """Check the return value of an oracle.

    Parameters
    ----------
    answer : Answer
        The return value.
    n : int
        Number of molecules that it was called with.
    smiles : sequence of str, optional
        Their SMILES. The rows of a Series or a table may be labeled with these, or with numbers from 0, in any order.
    index : Index, optional
        Row labels of the molecules, if they have any.

    Returns
    -------
    Scores
        One row per molecule, in order.

    Raises
    ------
    InputError
        The return value is not n numbers, has other row labels than the molecules, or is a table without a column
        `score` or with other columns.
    """
    answer = align(answer, index, n, "oracle", [] if smiles is None else [pd.Index(smiles)])
    if isinstance(answer, pd.DataFrame | pd.Series):
        answer = answer.reset_index(drop=True)
    if isinstance(answer, pd.DataFrame):
        if "score" not in answer:
            raise InputError(
                f"oracle: expected a column score in its table, got {', '.join(map(str, answer)) or 'none'}"
            )
        unknown = [str(name) for name in answer if name not in _COLUMNS and not str(name).startswith(_FAMILIES)]
        if unknown:
            raise InputError(
                f"oracle: expected columns score, value_* and score_* in its table, got {', '.join(unknown)}"
            )
        columns = {
            str(name): read_numbers(answer[name], n, f"oracle: column {name}")
            for name in answer
            if name != "unscored_reason"
        }
        score = columns.pop("score")
        given = [one if isinstance(one, str) else None for one in answer.get("unscored_reason", [None] * n)]
    else:
        score, columns, given = read_numbers(answer, n, "oracle: its return value"), {}, [None] * n
    infinite = np.isinf(score)
    score = np.where(infinite, np.nan, score)
    reasons = [reason if missing else None for reason, missing in zip(given, np.isnan(score), strict=True)]
    return Scores(score, columns, int(infinite.sum()), reasons)
