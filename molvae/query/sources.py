"""The candidate tables of a query as one table; columns are matched by name."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from molvae.candidates.files import find_candidates, known_columns, read_candidates
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.query.decimals import DecimalColumn, decimal_columns
from molvae.query.request import RUN_COLUMNS, Source

_ARROW = {"text": pa.string(), "number": pa.float64(), "integer": pa.int64(), "flag": pa.bool_()}
_EXACT = 2**53


@dataclass(frozen=True, eq=False)
class Tables:
    """The candidate tables of a query as one table.

    Parameters
    ----------
    table : Table
        The rows of all sources; columns that a source lacks are null there. `run`, `campaign` and `date` come first.
    sources : tuple of Source
        The sources, with unique names of runs.
    added : tuple of str
        Those of `run`, `campaign` and `date` that are not columns of the user.
    decimals : mapping of str to DecimalColumn
        Columns of the user that are text, but numbers in a query.
    missing : mapping of str to list of str
        Column -> runs that do not have it.
    notes : tuple of str
        Types that were reconciled.
    """

    table: pa.Table
    sources: tuple[Source, ...]
    added: tuple[str, ...]
    decimals: Mapping[str, DecimalColumn]
    missing: Mapping[str, list[str]]
    notes: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.table.column_names)

    def texts(self, name: str) -> list[str | None]:
        """The values of a text column.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        list of str or None
            One per row.
        """
        return self.table[name].to_pylist()


class _Read(NamedTuple):
    source: Source
    table: pd.DataFrame
    decimals: dict[str, DecimalColumn]
    where: str


def find_sources(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The files of the sources, with unique names of runs.

    Parameters
    ----------
    sources : sequence of Source
        The sources.

    Returns
    -------
    tuple of Source
        In order; `path` is the file, and `run` is not empty.

    Raises
    ------
    InputError
        A file does not exist, or there is no source.
    """
    if not sources:
        raise InputError("query: expected at least one candidate table or run, got none")
    found: list[Source] = []
    for source in sources:
        path = find_candidates(source.path)
        name = source.run or (path.resolve().parent.name if path.stem == "candidates" else path.stem)
        found.append(replace(source, path=path, run=name))
    for longer in (lambda one: f"{one.path.resolve().parent.parent.name}/{one.run}", lambda one: str(one.path)):
        count = Counter(one.run for one in found)
        found = [replace(one, run=longer(one)) if count[one.run] > 1 else one for one in found]
    return tuple(found)


def content_key(sources: Sequence[Source]) -> tuple[object, ...]:
    """What the combined table depends on.

    Parameters
    ----------
    sources : sequence of Source
        The sources, as `find_sources` returns them.

    Returns
    -------
    tuple
        Equal if the files have the same content and the sources the same descriptions.
    """
    try:
        return tuple((one, sha256_of(one.path)) for one in sources)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None


def read_sources(sources: Sequence[Source]) -> Tables:
    """Read the tables as one table; columns are matched by name.

    Numbers and integers in one column become numbers, any other mixture of types becomes text, with a note.

    Parameters
    ----------
    sources : sequence of Source
        The sources, as `find_sources` returns them.

    Returns
    -------
    Tables

    Raises
    ------
    InputError
        A table cannot be read, or column names differ only in case, which SQL ignores.
    """
    parts = []
    for source in sources:
        table = read_candidates(source.path, may_hold_more=True)
        where = str(source.path)
        own_decimals = decimal_columns(table) if source.path.suffix.lower() == ".csv" else {}
        parts.append(_Read(source, table, own_decimals, where))
    columns = _unite_names(parts)
    own = {name.lower() for name in columns}
    if len(parts) > 1 and "run" in own:
        where = next(part.where for part in parts if "run" in map(str.lower, map(str, part.table)))
        raise InputError(f"{where}: has a column run, a name that a query of several runs needs; rename it")
    added = tuple(name for name in RUN_COLUMNS if name not in own)
    decimals: dict[str, DecimalColumn] = {}
    notes: list[str] = []
    arrays: dict[str, list[pa.Array]] = {}
    for name in columns:
        having = [part for part in parts if name in part.table]
        if all(name in part.decimals for part in having):
            joined = _join_decimals([part.decimals[name] for part in having])
            decimals |= {name: joined} if joined else {}
        arrays[name], note = _unite(name, parts)
        notes += note
    for position, name in enumerate(RUN_COLUMNS):
        if name in added:
            values = [(part.source.run, part.source.campaign, part.source.date)[position] or None for part in parts]
            arrays[name] = [
                pa.array([value] * len(part.table), pa.string()) for value, part in zip(values, parts, strict=True)
            ]
    order = [*added, *columns] if len(parts) > 1 else [*columns, *added]
    missing = {
        name: [part.source.run for part in parts if name not in part.table]
        for name in columns
        if any(name not in part.table for part in parts)
    }
    return Tables(
        pa.table({name: pa.chunked_array(arrays[name]) for name in order}),
        tuple(sources),
        added,
        decimals,
        missing,
        tuple(notes),
    )


def _unite_names(parts: Sequence[_Read]) -> list[str]:
    """The names of all columns: those of molvae in their order, then the others."""
    first: dict[str, tuple[str, str]] = {}
    for part in parts:
        for name in map(str, part.table):
            known, where = first.setdefault(name.lower(), (name, part.where))
            if known != name:
                both = part.where if where == part.where else f"{where} and {part.where}"
                raise InputError(
                    f"{both}: the columns {known} and {name} differ only in case, which SQL ignores; rename one of them"
                )
    names = [name for name, _ in first.values()]
    known_names = list(known_columns(names))
    return [*known_names, *(name for name in names if name not in set(known_names))]


def _unite(name: str, parts: Sequence[_Read]) -> tuple[list[pa.Array], list[str]]:
    """The values of a column in every part, of one type, and a note if types differ."""
    kind = known_columns([name]).get(name)
    are_numbers = all(
        name not in part.table or name in part.decimals or pd.api.types.is_numeric_dtype(part.table[name])
        for part in parts
    )
    values: list[pa.Array | None] = []
    for part in parts:
        if name not in part.table:
            values.append(None)
            continue
        column = part.decimals[name].numbers if are_numbers and name in part.decimals else part.table[name]
        values.append(_combine(pa.array(column, from_pandas=True)))
    types = list(dict.fromkeys(one.type for one in values if one is not None and not pa.types.is_null(one.type)))
    if kind is not None:
        wanted = _ARROW[kind]
    elif not types:
        wanted = pa.string()
    elif len(types) == 1:
        wanted = types[0]
    else:
        wanted = _common_type(types, [one for one in values if one is not None])
    note = []
    if kind is None and len(types) > 1 and pa.types.is_string(wanted):
        runs = {str(one.type): part.source.run for one, part in zip(values, parts, strict=True) if one is not None}
        kinds = " and ".join(f"{_type_name(type_)} in {run}" for type_, run in runs.items() if type_ != "null")
        note = [f"column {name} is {kinds}: it is text in the query"]
    arrays = [
        pa.nulls(len(part.table), wanted) if one is None else _cast(one, wanted)
        for one, part in zip(values, parts, strict=True)
    ]
    return arrays, note


def _combine(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _common_type(types: Sequence[pa.DataType], arrays: Sequence[pa.Array]) -> pa.DataType:
    if all(pa.types.is_string(one) or pa.types.is_large_string(one) for one in types):
        return pa.string()
    if all(pa.types.is_integer(one) for one in types):
        return pa.int64()
    if all(pa.types.is_integer(one) or pa.types.is_floating(one) for one in types):
        whole = (one for one in arrays if pa.types.is_integer(one.type))
        is_exact = all(abs(value) <= _EXACT for one in whole for value in one.to_pylist() if value is not None)
        return pa.float64() if is_exact else pa.string()
    return pa.string()


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if array.type == wanted:
        return array
    if pa.types.is_string(wanted) and not pa.types.is_null(array.type) and not pa.types.is_large_string(array.type):
        values = [None if value is None else str(value) for value in array.to_pylist()]
        return pa.array(values, wanted)
    return array.cast(wanted)


def _type_name(type_: str) -> str:
    names: list[tuple[Callable[[str], bool], str]] = [
        (lambda one: "string" in one, "text"),
        (lambda one: one in ("double", "float", "halffloat") or "int" in one, "a number"),
        (lambda one: one == "bool", "a flag"),
    ]
    return next((name for is_kind, name in names if is_kind(type_)), type_)


def _join_decimals(columns: Sequence[DecimalColumn]) -> DecimalColumn | None:
    """The texts of all sources; None if a number is written in two ways."""
    texts: dict[float, str] = {}
    for column in columns:
        for number, text in column.texts.items():
            if texts.setdefault(number, text) != text:
                return None
    return DecimalColumn(pd.Series(np.empty(0)), texts)
