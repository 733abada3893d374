"""Records of a text file: separated fields, or blocks of an SDF; a malformed record does not affect the others."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator

from molvae.datasets.columns import SMILES_NAMES, plain_name
from molvae.datasets.text_lines import MAX_LINE

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""Supported separator -> its name in messages."""
_MAX_QUOTED_LINES = 50


def read_records(
    lines: Iterator[str], separator: str, n_fields: int | None = None
) -> Iterator[tuple[list[str] | None, str | None]]:
    """Split lines into the fields of records.

    A quoted field may contain line breaks, provided that the record then has the right number of fields; an unmatched
    quotation mark invalidates only its own line. Empty lines are records, except at the end.

    Parameters
    ----------
    lines : iterator of str
        Lines without their ends.
    separator : str
        Character between fields.
    n_fields : int or None, default=None
        Number of fields of the header; None does not check the number.

    Yields
    ------
    fields : list of str or None
        Fields of the record; None if it is empty or too long.
    reason : str or None
        Why the record is malformed; None if it is well formed.
    """
    n_empty = 0
    ahead: deque[str] = deque()
    while True:
        if ahead:
            line = ahead.popleft()
        else:
            try:
                line = next(lines)
            except StopIteration:
                return
        if not line or line.isspace():
            n_empty += 1
            continue
        for _ in range(n_empty):
            yield None, "empty: no SMILES"
        n_empty = 0
        if len(line) > MAX_LINE:
            yield None, f"too long: the line has more than {MAX_LINE:,} characters"
            continue
        fields = line.split(separator) if '"' not in line else _unquote(line, separator, lines, ahead, n_fields)
        if fields is None:
            yield line.split(separator), "unmatched or misplaced quotation mark"
        elif n_fields is None or len(fields) == n_fields:
            yield fields, None
        elif len(fields) > n_fields and not any(field.strip() for field in fields[n_fields:]):
            yield fields[:n_fields], None
        else:
            yield fields, f"ragged row: {_count(len(fields))}, the header has {n_fields}"


def _count(n: int) -> str:
    return "1 field" if n == 1 else f"{n} fields"


def _unquote(
    line: str, separator: str, lines: Iterator[str], ahead: deque[str], n_fields: int | None
) -> list[str] | None:
    """The fields of a record with quotation marks, which may span several lines; None if one is unmatched."""
    fields = _read_quoted(line, separator)
    if fields is not None or line.count('"') % 2 == 0:
        return fields
    text, n_lines, n_marks = line, 0, line.count('"')
    while n_lines < _MAX_QUOTED_LINES and len(text) <= MAX_LINE:
        if n_lines == len(ahead):
            more = next(lines, None)
            if more is None:
                break
            ahead.append(more)
        text += "\n" + ahead[n_lines]
        n_marks += ahead[n_lines].count('"')
        n_lines += 1
        if n_marks % 2 == 0:
            fields = _read_quoted(text, separator)
            if fields is not None and (n_fields is None or len(fields) == n_fields):
                for _ in range(n_lines):
                    ahead.popleft()
                return fields
    return None


def _read_quoted(text: str, separator: str) -> list[str] | None:
    try:
        return next(csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True))
    except (csv.Error, StopIteration):
        return None


def find_separator(lines: list[str], usual: str, smiles_column: str | None = None) -> str:
    """Find the separator of a table.

    In order of priority: a separator that gives a SMILES column, one that gives all lines the same number of fields,
    the usual separator, and the one that gives the most fields.

    Parameters
    ----------
    lines : list of str
        First lines of the file; the first is the header.
    usual : str
        The usual separator of this format.
    smiles_column : str or None, default=None
        Name of the SMILES column, from the user.

    Returns
    -------
    str
        A key of SEPARATORS.
    """
    header = lines[0] if lines else ""

    def fitness(separator: str) -> tuple[bool, bool, bool, int]:
        names = [name.strip().strip('"') for name in header.split(separator)]
        has_smiles = any(name == smiles_column or plain_name(name) in SMILES_NAMES for name in names)
        is_even = all(line.count(separator) == len(names) - 1 for line in lines if line.strip())
        return has_smiles, is_even, separator == usual, len(names)

    return max((separator for separator in SEPARATORS if separator in header), key=fitness, default=usual)


def read_sdf_records(lines: Iterable[str]) -> Iterator[str]:
    """Split the lines of an SDF into records.

    Parameters
    ----------
    lines : iterable of str
        Lines without their ends.

    Yields
    ------
    str
        Text of a record, without the delimiter; truncated shortly after MAX_LINE characters.
    """
    record: list[str] = []
    n_characters = 0
    for line in lines:
        if line.rstrip() == "$$$$":
            yield "\n".join(record)
            record, n_characters = [], 0
        elif n_characters <= MAX_LINE:
            record.append(line)
            n_characters += len(line) + 1
    if any(line.strip() for line in record):
        yield "\n".join(record)


def sdf_fields(record: str) -> dict[str, str]:
    """Read the title and the data fields of an SDF record.

    Parameters
    ----------
    record : str
        Text of the record.

    Returns
    -------
    dict of str to str
        "title" and the names of the data fields -> first line of the value.
    """
    lines = record.split("\n")
    fields = {"title": lines[0].strip()}
    for i, line in enumerate(lines):
        if line.startswith(">") and "<" in line and ">" in line[1:]:
            name = line[line.index("<") + 1 : line.rindex(">")].strip()
            fields[name] = lines[i + 1].strip() if i + 1 < len(lines) else ""
    return fields
