"""Readers of limits: they convert the values of a `[checks]` section, and reject invalid ones."""

import difflib
import math
from typing import TypeGuard

from molvae.chem.alerts import SOURCES
from molvae.chem.molecules import parse_smarts
from molvae.errors import InputError

_OR_OFF = "or false to omit this check"


def read_flag(value: object) -> bool:
    """The setting of a check without a limit.

    Parameters
    ----------
    value : object
        Value in the settings file: true.

    Returns
    -------
    bool
        True.

    Raises
    ------
    ValueError
        Any other value.
    """
    if value is True:
        return True
    raise ValueError(f"expected true, {_OR_OFF}")


def read_range(value: object) -> tuple[float, float]:
    """The lower and the upper limit of a range.

    Parameters
    ----------
    value : object
        Value in the settings file: two numbers in ascending order.

    Returns
    -------
    tuple of float
        Lower and upper limit.

    Raises
    ------
    ValueError
        Any other value.
    """
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = value
        if _is_finite(low) and _is_finite(high) and low <= high:
            return float(low), float(high)
    raise ValueError(f"expected [lowest, highest], two numbers in ascending order, {_OR_OFF}")


def read_highest(value: object) -> float:
    """The highest number that passes.

    Parameters
    ----------
    value : object
        Value in the settings file: a finite number.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        Any other value.
    """
    if _is_finite(value):
        return float(value)
    raise ValueError(f"expected the highest number that passes, {_OR_OFF}")


def read_percentile(value: object) -> float:
    """A percentile between 0 and 100.

    Parameters
    ----------
    value : object
        Value in the settings file: a number above 0 and below 100.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        Any other value.
    """
    if _is_finite(value) and 0 < value < 100:
        return float(value)
    raise ValueError(f"expected a percentile between 0 and 100, such as 99, {_OR_OFF}")


def read_elements(value: object) -> tuple[str, ...]:
    """Element symbols.

    Parameters
    ----------
    value : object
        Value in the settings file: a list of symbols.

    Returns
    -------
    tuple of str
        The symbols, in order.

    Raises
    ------
    ValueError
        Any other value, or an empty list.
    """
    if _is_text_list(value):
        return tuple(value)
    raise ValueError(f'expected a list of element symbols, e.g. ["C", "N", "O"], {_OR_OFF}')


def read_catalogs(value: object) -> tuple[str, ...]:
    """Names of rule sets for structural alerts, in upper case.

    Parameters
    ----------
    value : object
        Value in the settings file: a list of names, in any case.

    Returns
    -------
    tuple of str
        The names, in order.

    Raises
    ------
    ValueError
        Any other value, an empty list, or an unknown rule set.
    """
    if not _is_text_list(value):
        raise ValueError(f"expected a list of rule sets ({', '.join(SOURCES)}), {_OR_OFF}")
    for name in value:
        if name.upper() not in SOURCES:
            near = difflib.get_close_matches(name.upper(), SOURCES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SOURCES)}"
            raise ValueError(f"unknown rule set {name}; {hint}")
    return tuple(name.upper() for name in value)


def read_patterns(value: object) -> tuple[str, ...]:
    """Substructures as SMARTS.

    Parameters
    ----------
    value : object
        Value in the settings file: a SMARTS, or a list of them.

    Returns
    -------
    tuple of str
        The patterns, in order.

    Raises
    ------
    ValueError
        Any other value, an empty list, or an invalid SMARTS.
    """
    patterns = [value] if isinstance(value, str) else value
    if not _is_text_list(patterns):
        raise ValueError(f'expected a list of SMARTS, e.g. ["[CX3H1]=O"], {_OR_OFF}')
    for smarts in patterns:
        try:
            parse_smarts(smarts)
        except InputError as error:
            raise ValueError(str(error)) from None
    return tuple(patterns)


def _is_finite(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text_list(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)
