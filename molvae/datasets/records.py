"""The records of a text: fields between separators, or the blocks of an SDF; one that is odd costs itself only."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator

from molvae.datasets.columns import SMILES_NAMES, plain_name
from molvae.datasets.text_lines import MAX_LINE

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_MAX_QUOTED_LINES = 50


def read_records(
    lines: Iterator[str], separator: str, n_fields: int | None = None
) -> Iterator[tuple[list[str] | None, str | None]]:
    """The fields of each record, and the reason where they are not what the header promises.

    A quoted field may hold line ends, if the record then has the right number of fields; a quotation mark without a
    partner spoils its own line only. Empty lines count as records, save those at the end.
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
            yield None, f"too long: a line of more than {MAX_LINE:,} characters"
            continue
        fields = line.split(separator) if '"' not in line else _unquote(line, separator, lines, ahead, n_fields)
        if fields is None:
            yield line.split(separator), "quotation mark without a partner, or out of place"
        elif n_fields is None or len(fields) == n_fields:
            yield fields, None
        elif len(fields) > n_fields and not any(field.strip() for field in fields[n_fields:]):
            yield fields[:n_fields], None
        else:
            yield fields, f"ragged row: {_count(len(fields))} where the header has {n_fields}"


def _count(n: int) -> str:
    return "1 field" if n == 1 else f"{n} fields"


def _unquote(
    line: str, separator: str, lines: Iterator[str], ahead: deque[str], n_fields: int | None
) -> list[str] | None:
    """The fields of a record with quotation marks, which may go on over the next lines; None if one has no partner."""
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
    """The separator of a table's lines, the first of which is the header.

    One that cuts out a column of SMILES goes before one that cuts all lines into equally many fields, that before the
    usual one, and that before the one that cuts most.
    """
    header = lines[0] if lines else ""

    def fitness(separator: str) -> tuple[bool, bool, bool, int]:
        names = [name.strip().strip('"') for name in header.split(separator)]
        has_smiles = any(name == smiles_column or plain_name(name) in SMILES_NAMES for name in names)
        is_even = all(line.count(separator) == len(names) - 1 for line in lines if line.strip())
        return has_smiles, is_even, separator == usual, len(names)

    return max((separator for separator in SEPARATORS if separator in header), key=fitness, default=usual)


def read_sdf_records(lines: Iterable[str]) -> Iterator[str]:
    """The text of each record; of one that is too long only so much that it is seen to be."""
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
    """The title and the named data of a record."""
    lines = record.split("\n")
    fields = {"title": lines[0].strip()}
    for place, line in enumerate(lines):
        if line.startswith(">") and "<" in line and ">" in line[1:]:
            name = line[line.index("<") + 1 : line.rindex(">")].strip()
            fields[name] = lines[place + 1].strip() if place + 1 < len(lines) else ""
    return fields
