"""Checks of the keys of terms, and helpers of scorers that compute one molecule at a time."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError

from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.scoring.scorer import Values


def check_name(name: str, names: Sequence[str], one: str, many: str) -> str:
    """Check that a name is known.

    Parameters
    ----------
    name : str
        The name.
    names : sequence of str
        Known names.
    one, many : str
        What kind of name it is, in the singular and in the plural.

    Returns
    -------
    str
        The name.

    Raises
    ------
    PydanticCustomError
        It is unknown; the message suggests a similar one.
    """
    if name not in names:
        near = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1)
        hint = [known for known in names if near and known.lower() == near[0]]
        rest = f"did you mean {hint[0]}?" if hint else f"known {many}: {', '.join(names)}"
        raise PydanticCustomError("unknown_name", "unknown {one}; {rest}", {"one": one, "rest": rest})
    return name


def report(check: Callable[[], Any]) -> None:
    """Run a check, and report its error as an error of the key.

    Parameters
    ----------
    check : callable
        Raises InputError if the value is invalid.

    Raises
    ------
    PydanticCustomError
        The check failed.
    """
    try:
        check()
    except InputError as error:
        raise PydanticCustomError("input", "invalid: {problem}", {"problem": str(error)}) from None


def check_molecules(molecules: Iterable[str]) -> None:
    """Check that all molecules can be read.

    Parameters
    ----------
    molecules : iterable of str
        SMILES.

    Raises
    ------
    PydanticCustomError
        One of them cannot be read, or there is none.
    """
    given = list(molecules)
    for raw in given:
        reason = standardize(raw).reason
        if reason:
            raise PydanticCustomError("smiles", "{reason}", {"reason": reason})
    if not given:
        raise PydanticCustomError("empty", "expected at least one SMILES")


def one_by_one(smiles: Sequence[str], measure: Callable[[str], float]) -> Values:
    """Compute one number per molecule.

    Parameters
    ----------
    smiles : sequence of str
        SMILES.
    measure : callable
        Takes a SMILES; raises InputError if it is invalid.

    Returns
    -------
    Values
        NaN with the reason for an invalid SMILES.
    """
    values, reasons = np.full(len(smiles), np.nan), list[str | None]([None] * len(smiles))
    for row, one in enumerate(smiles):
        try:
            values[row] = measure(one)
        except InputError as error:
            reasons[row] = str(error)
    return Values(values, reasons)
