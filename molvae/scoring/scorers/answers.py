"""Reads what a function or a command of the user returns.

Processes that call functions import this module, so it does without pandas: a table is what has columns.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.scoring.scorer import Values

_RESERVED = ("value", "reason", "smiles")
_MAX_SHOWN = 60


def read_answer(answer: Any, smiles: Sequence[str], where: str) -> Values:
    """Check an answer and convert it to values.

    Parameters
    ----------
    answer : sequence of float, mapping or DataFrame
        One number per molecule, in order; or columns, with `value` among them. None and NaN mark molecules without a
        value. A column `reason` explains why. With a column `smiles`, rows may have any order, and molecules without
        a row have no value. Other columns are numbers; other cells are empty. A Series or a table without such a column
        is matched by its row labels: numbers from 0, or the SMILES.
    smiles : sequence of str
        The molecules of the call.
    where : str
        Source of the answer, for error messages.

    Returns
    -------
    Values
        One row per molecule. A value that is infinite or not a number is missing; the reason shows it.

    Raises
    ------
    InputError
        The answer does not have one row per molecule, or its SMILES are not those of the call.
    """
    answer = _match_labels(answer, smiles, where)
    if isinstance(answer, Mapping) or hasattr(answer, "columns"):
        columns = {str(name): answer[name] for name in getattr(answer, "columns", answer)}
        if "value" not in columns:
            names = _shorten(", ".join(columns)) or "no column"
            raise InputError(f"{where}: expected a column value in its table, got {names}")
    else:
        columns = {"value": answer}
    if "smiles" in columns:
        order = _find_rows(_to_list(columns["smiles"], None, f"{where}: smiles"), smiles, where)
        n = len(list(columns["smiles"]))
    else:
        order, n = list(range(len(smiles))), len(smiles)
    table = {name: _to_list(column, n, f"{where}: {name}") for name, column in columns.items() if name != "smiles"}
    given = table.get("reason", [None] * n)
    rows = [
        (math.nan, "not in the answer") if row is None else _value(table["value"][row], given[row]) for row in order
    ]
    extra = {
        name: np.array([math.nan if row is None else _number(column[row]) for row in order], dtype=float)
        for name, column in table.items()
        if name not in _RESERVED
    }
    return Values(np.array([number for number, _ in rows], dtype=float), [reason for _, reason in rows], extra)


def failed(n: int, reason: str) -> Values:
    """Values of molecules that could not be scored; another attempt may succeed.

    Parameters
    ----------
    n : int
        Number of molecules.
    reason : str
        Why.

    Returns
    -------
    Values
        NaN in every row.
    """
    return Values(np.full(n, np.nan), [reason] * n, {}, [False] * n)


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
    is_final = [one for part in parts for one in (part.is_final or [True] * len(part.value))]
    return Values(value, [reason for part in parts for reason in part.reasons], extra, is_final)


def hash_files(paths: Iterable[str | Path], where: str) -> dict[str, str]:
    """Compute the hashes of files that a scorer uses.

    Parameters
    ----------
    paths : iterable of str or Path
        The files.
    where : str
        The key that names them, for the error message.

    Returns
    -------
    dict of str to str
        SHA-256 by path.

    Raises
    ------
    InputError
        A file cannot be read.
    """
    found = {}
    for path in map(Path, paths):
        try:
            found[str(path)] = sha256_of(path)
        except OSError as error:
            raise InputError(f"{where}: {path}: cannot be read: {error.strerror or error}") from error
    return found


def _match_labels(answer: Any, smiles: Sequence[str], where: str) -> Any:
    """A Series or a table of pandas without a column `smiles`, with its rows in the order of the molecules."""
    if type(answer).__module__.partition(".")[0] != "pandas" or "smiles" in getattr(answer, "columns", ()):
        return answer
    import pandas as pd

    from molvae.inputs import align

    return align(answer, None, len(smiles), where, [pd.Index(smiles)])


def _find_rows(given: Sequence[Any], smiles: Sequence[str], where: str) -> list[int | None]:
    """The row of each molecule in an answer with SMILES; None for a molecule without a row."""
    if given == list(smiles):
        return list(range(len(smiles)))
    wanted, found = set(smiles), dict[str, int]()
    for row, cell in enumerate(given):
        one = cell.strip() if isinstance(cell, str) else cell
        if not isinstance(one, str) or one not in wanted:
            raise InputError(
                f"{where}: smiles, row {row} (counted from 0): expected a SMILES of the call, unchanged, got "
                f"{_show(cell)}; without a column smiles, the order counts"
            )
        if one in found:
            raise InputError(f"{where}: smiles: expected one row per molecule, got two of {one}")
        found[one] = row
    return [found.get(one) for one in smiles]


def _to_list(column: Any, n: int | None, where: str) -> list[Any]:
    """The cells of a column, whose order is defined."""
    if isinstance(column, str | bytes | Mapping | set | frozenset) or not hasattr(column, "__iter__"):
        expected = "a list" if n is None else f"a list of {n} numbers"
        raise InputError(f"{where}: expected {expected}, got {_show(column)}")
    if getattr(column, "ndim", 1) != 1:
        shape = getattr(column, "shape", "unknown")
        raise InputError(f"{where}: expected one number per molecule, got an array of shape {shape}")
    cells = list(column)
    if n is not None and len(cells) != n:
        raise InputError(f"{where}: expected {n} numbers, one per molecule, got {len(cells)}")
    return cells


def _value(cell: Any, given: Any) -> tuple[float, str | None]:
    """The value, and the reason if there is none."""
    number = _number(cell)
    if math.isfinite(number):
        return number, None
    reason = given.strip() if isinstance(given, str) else ""
    if math.isinf(number):
        return math.nan, reason or "infinite value"
    is_missing = cell is None or type(cell).__name__ == "NAType" or (isinstance(cell, str) and not cell.strip())
    is_nan = isinstance(cell, float | np.floating)
    return math.nan, reason or ("no value" if is_missing or is_nan else f"expected a number, got {_show(cell)}")


def _number(cell: Any) -> float:
    """The number in a cell; NaN for a cell without one."""
    if isinstance(cell, str | bytes | np.complexfloating) or getattr(cell, "ndim", 0) > 0:
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _show(cell: Any) -> str:
    return _shorten(repr(cell) if isinstance(cell, str) else f"{type(cell).__name__} {cell!r}")


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
