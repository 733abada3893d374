"""Records of a text file with separated fields; a malformed record does not affect the others."""

import csv
from collections import deque
from collections.abc import Iterator

from molvae.chem.structures import is_extension
from molvae.datasets.columns import has_smiles_name
from molvae.datasets.text_lines import MAX_LINE
from molvae.tables import unmark

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
"""Supported separator -> its name in messages. Several spaces count as one."""
_MAX_QUOTED_LINES = 50


def read_records(
    lines: Iterator[str], separator: str, n_fields: int | None = None, is_marked: bool = False
) -> Iterator[tuple[list[str] | None, str | None]]:
    """Split lines into the fields of records.

    A quoted field may contain line breaks, provided that the record then has the right number of fields; an unmatched
    quotation mark invalidates only its own line. Empty lines are records, except at the end.

    Parameters
    ----------
    lines : iterator of str
        Lines without their ends, as from `TextLines.with_cr`.
    separator : str
        Character between fields.
    n_fields : int or None, default=None
        Number of fields of the header; None does not check the number.
    is_marked : bool, default=False
        Whether the marks of `molvae.tables.csv_line` are removed from fields.

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
        if "\r" in line:
            line, *others = _split_at_cr(line)
            ahead.extendleft(reversed(others))
        if not line or line.isspace():
            n_empty += 1
            continue
        for _ in range(n_empty):
            yield None, "empty: no SMILES"
        n_empty = 0
        if len(line) > MAX_LINE:
            yield None, f"too long: the line has more than {MAX_LINE:,} characters"
            continue
        if '"' in line:
            fields = _unquote(line, separator, lines, ahead, n_fields, is_marked)
        else:
            fields = _split(line, separator)
        if fields is None:
            yield _split(line.removesuffix("\r"), separator), "unmatched or misplaced quotation mark"
        elif n_fields is None or len(fields) == n_fields:
            yield fields, None
        elif len(fields) > n_fields and not any(field.strip() for field in fields[n_fields:]):
            yield fields[:n_fields], None
        else:
            yield fields, f"ragged row: {_count(len(fields))}, the header has {n_fields}"


def _count(n: int) -> str:
    return "1 field" if n == 1 else f"{n} fields"


def _unquote(
    line: str, separator: str, lines: Iterator[str], ahead: deque[str], n_fields: int | None, is_marked: bool
) -> list[str] | None:
    """The fields of a record with quotation marks, which may span several lines; None if one is unmatched."""
    fields = _read_quoted(line, separator, is_marked)
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
            fields = _read_quoted(text.removesuffix("\r"), separator, is_marked)
            if fields is not None and (n_fields is None or len(fields) == n_fields):
                for _ in range(n_lines):
                    ahead.popleft()
                return fields
    return None


def _read_quoted(text: str, separator: str, is_marked: bool) -> list[str] | None:
    lines = text.split("\n")  # splitlines() would also split at other characters, and the rest would be lost
    lines = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
    try:
        fields = next(csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=separator == " "))
    except (csv.Error, StopIteration):
        return None
    return unmark(fields, text) if is_marked else fields


def _split_at_cr(line: str) -> list[str]:
    """The lines of a line at each CR outside quotation marks; a CR at the end belongs to the end of the line."""
    if line.endswith("\r") and line.count('"') % 2 == 0:
        line = line[:-1]
    parts = line.split("\r")
    lines = parts[:1]
    for part in parts[1:]:
        if lines[-1].count('"') % 2:
            lines[-1] += f"\r{part}"
        else:
            lines.append(part)
    return lines


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.split(separator)


def find_separator(lines: list[str], usual: str, smiles_column: str | None = None) -> str:
    """Find the separator of a table.

    In order of priority: a separator that gives a SMILES column, one that gives all lines the same number of fields,
    the usual separator, and the one that gives the most fields. Spaces separate only if nothing else does and all lines
    have the same number of words.

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
        has_smiles = has_smiles_name(names, smiles_column)
        is_even = all(line.count(separator) == len(names) - 1 for line in lines if line.strip())
        return has_smiles, is_even, separator == usual, len(names)

    found = max((one for one in SEPARATORS if one in header and one != " "), key=fitness, default=usual)
    words = header.split()
    if found in header or len(words) < 2 or not has_smiles_name(words, smiles_column):
        return found
    rows = [line.split() for line in lines if line.strip()]
    are_even = all(len(row) == len(words) and not any(map(is_extension, row)) for row in rows)
    return " " if are_even else found
