"""Finds the target column of an assay table, its unit, and the columns that belong to it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from molvae.datasets.columns import few, find_named, plain_name
from molvae.errors import InputError

LOG_UNIT = "-log10(mol/L)"
"""Unit of pIC50, pKi, pEC50 and of converted concentrations."""

MOLAR = {"pM": 1e-12, "nM": 1e-9, "uM": 1e-6, "mM": 1e-3, "M": 1.0}
"""Units of concentrations -> their size in mol/L."""

UNITS = (*MOLAR, "none")
"""Units that a user can give; none: the values are not converted."""

_ENDPOINTS = "ic50|ki|ec50|kd|ac50|xc50|gi50|cc50"
_LOG_NAME = re.compile(rf"(?<![a-z])p[ _-]?(?:{_ENDPOINTS}|chembl)(?![a-z0-9])", re.IGNORECASE)
_CONCENTRATION_NAME = re.compile(rf"(?<![a-z])(?:{_ENDPOINTS})(?![a-z0-9])|^standard[ _-]?value$", re.IGNORECASE)
_UNIT_IN_NAME = re.compile(r"(?<![A-Za-z])([pnuµμm]M|[nuµμ]m|M|[pnuµμm]?mol/[lL])(?![A-Za-z])")
_NOT_A_VALUE = re.compile(
    r"log|relation|unit|type|qualifier|operator|std|stdev|error|sem|count|comment|flag", re.IGNORECASE
)
_OTHER_NAMES = ("y", "target", "activity", "active", "label", "outcome", "class", "value", "measured")


@dataclass(frozen=True)
class Target:
    """The target column of an assay table.

    Parameters
    ----------
    column : str
        Its name in the file.
    unit : str
        Unit of the values that a model learns; "" if it is not known.
    factor : float or None, default=None
        Size of the unit of a concentration in mol/L; None if the values are not converted, or if each row has its own
        unit.
    units_column : str or None, default=None
        Column with the unit of each row.
    is_guessed : bool, default=False
        Whether the column was found by its name.
    rivals : tuple of str, default=()
        Other columns with values whose names are usual for a target, if the column was found by its name.
    """

    column: str
    unit: str
    factor: float | None = None
    units_column: str | None = None
    is_guessed: bool = False
    rivals: tuple[str, ...] = ()


def find_target(
    path: Path,
    header: list[str],
    target: str | None,
    unit: str | None,
    has_values: Callable[[str], bool] = lambda column: True,
) -> Target:
    """Find the target column and its unit.

    Parameters
    ----------
    path : Path
        The file, for error messages.
    header : list of str
        Names of the columns that may be the target.
    target : str or None
        Name from the user; None looks for the usual names.
    unit : str or None
        Unit from the user, one of `UNITS`; None looks for it in the name of the target and in a column of units.
    has_values : callable, optional
        Whether a column has a number or a class; a column that was not named by the user must have one.

    Returns
    -------
    Target

    Raises
    ------
    InputError
        There is no such column, several columns could be the target, the unit of a concentration is unknown, or a unit
        is given for a logarithm.
    """
    if unit is not None and unit not in UNITS:
        raise InputError(f"unit {unit}: unknown; known: {', '.join(UNITS)}")
    if target is None:
        column, rivals = _guess(path, header, has_values)
        return replace(_with_unit(path, header, column, unit), is_guessed=True, rivals=rivals)
    return _with_unit(path, header, header[find_named(path, header, target, "target")], unit)


def _with_unit(path: Path, header: list[str], column: str, unit: str | None) -> Target:
    """The target of a column; see `find_target`."""
    if unit is not None:
        if unit != "none" and _is_log(column):
            raise InputError(
                f"{path}: column {column} is a logarithm already, unit {unit} would take it twice; leave the unit out, "
                "or rename the column if it holds concentrations"
            )
        is_log = unit != "none" or _is_log(column)
        return Target(column, LOG_UNIT if is_log else "", MOLAR.get(unit))
    if _is_log(column):
        return Target(column, LOG_UNIT)
    named = _UNIT_IN_NAME.search(column)
    is_on_log_scale = "log" in column.lower()
    if named and not is_on_log_scale:
        return Target(column, LOG_UNIT, MOLAR[read_unit(named[1]) or "M"])
    units_column = find_related(header, column, ("units", "unit", "standardunits", "standardunit"))
    if units_column is not None and not is_on_log_scale:
        return Target(column, LOG_UNIT, None, units_column)
    if _CONCENTRATION_NAME.search(column) and not is_on_log_scale:
        raise InputError(
            f"{path}: column {column} is a concentration without a unit; give --unit nM (or pM, uM, mM, M), "
            "or --unit none to keep the values as they are"
        )
    return Target(column, "")


def find_related(header: Sequence[str], target: str, names: Sequence[str]) -> str | None:
    """Find a column that belongs to the target, e.g. the units of its values.

    Parameters
    ----------
    header : sequence of str
        Column names.
    target : str
        Name of the target column.
    names : sequence of str
        Usual names, without spaces and `_`; the name of the target with one of them is preferred.

    Returns
    -------
    str or None
        Name of the column; None if there is none.
    """
    plain = {plain_name(name): name for name in header}
    own = [plain_name(target) + name for name in names]
    return next((plain[name] for name in (*own, *names) if name in plain and plain[name] != target), None)


def read_unit(text: str) -> str | None:
    """Read a unit of concentration.

    Parameters
    ----------
    text : str
        Unit, e.g. "nM", "µM" or "nmol/L".

    Returns
    -------
    str or None
        A key of `MOLAR`; None for any other unit.

    Examples
    --------
    >>> read_unit("µM"), read_unit("nmol/L"), read_unit("mg/mL")
    ('uM', 'nM', None)
    """
    plain = re.sub("[µμ]", "u", text.strip())
    plain = re.sub(r"mol/l$|molar$", "M", plain, flags=re.IGNORECASE)
    plain = {"nano": "n", "micro": "u", "milli": "m", "pico": "p"}.get(plain[:-1].lower(), plain[:-1]) + plain[-1:]
    if plain in MOLAR:
        return plain
    return {"pm": "pM", "nm": "nM", "um": "uM"}.get(plain.lower())


def _is_log(name: str) -> bool:
    return _LOG_NAME.search(name) is not None


def _guess(path: Path, header: list[str], has_values: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """The target by its name, and the other columns that could be it."""
    values = [name for name in header if not _NOT_A_VALUE.search(name)]
    plain = {plain_name(name): name for name in reversed(header)}
    kinds = [
        [name for name in values if _LOG_NAME.search(name)],
        [name for name in values if _CONCENTRATION_NAME.search(name) and not _LOG_NAME.search(name)],
        [plain[name] for name in _OTHER_NAMES if name in plain],
    ]
    named = list(dict.fromkeys(name for kind in kinds for name in kind))
    if not named:
        raise InputError(f"{path}: no target column among {few(header)}; give its name with --target")
    filled = [name for name in named if has_values(name)]
    if not filled:
        raise InputError(f"{path}: no numbers or classes in column {few(named)}; give the target with --target")
    for kind in kinds[:2]:
        found = [name for name in kind if name in filled]
        if len(found) > 1:
            raise InputError(f"{path}: several columns could be the target ({few(found)}); give one with --target")
        if found:
            break
    return filled[0], tuple(filled[1:])
