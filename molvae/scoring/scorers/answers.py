"""Reads what a function or a command of the user returns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.tables import read_numbers

_NO_VALUE = "no value"
_RESERVED = ("value", "reason", "smiles")


def read_answer(answer: Any, n: int, where: str) -> Values:
    """Check an answer and convert it to values.

    Parameters
    ----------
    answer : sequence of float, mapping or DataFrame
        One number per molecule, in order; or columns, with `value` among them. None and NaN mark molecules without a
        value. A column `reason` explains why; a column `smiles` is ignored; other columns are numbers.
    n : int
        Number of molecules.
    where : str
        Source of the answer, for error messages.

    Returns
    -------
    Values
        One row per molecule. An infinite number counts as missing.

    Raises
    ------
    InputError
        The answer is not one number per molecule.
    """
    if isinstance(answer, pd.DataFrame | Mapping):
        columns = {str(name): answer[name] for name in answer}
        if "value" not in columns:
            raise InputError(f"{where}: expected a column value in its table, got {', '.join(columns) or 'no column'}")
    else:
        columns = {"value": answer}
    value = read_numbers(columns["value"], n, f"{where}: value")
    given = list(columns.get("reason", [None] * n))
    if len(given) != n:
        raise InputError(f"{where}: reason: expected {n} rows, one per molecule, got {len(given)}")
    reasons: list[str | None] = []
    for number, reason in zip(value.tolist(), given, strict=True):
        text = reason.strip() if isinstance(reason, str) else ""
        infinite = "infinite value" if math.isinf(number) else _NO_VALUE
        reasons.append((text or infinite) if not math.isfinite(number) else None)
    extra = {
        name: read_numbers(column, n, f"{where}: {name}") for name, column in columns.items() if name not in _RESERVED
    }
    return Values(np.where(np.isinf(value), np.nan, value), reasons, extra)


def join(parts: Sequence[Values]) -> Values:
    """Join the values of several groups of molecules.

    Parameters
    ----------
    parts : sequence of Values
        The groups, in order.

    Returns
    -------
    Values
        All rows; further columns that a group lacks are NaN.
    """
    names = dict.fromkeys(name for part in parts for name in part.extra)
    extra = {
        name: np.concatenate([part.extra.get(name, np.full(len(part.value), np.nan)) for part in parts])
        for name in names
    }
    value = np.concatenate([part.value for part in parts]) if parts else np.zeros(0)
    return Values(value, [reason for part in parts for reason in part.reasons], extra)
