"""Reads an SDF: mol blocks and their data items, one record per molecule."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from molvae.chem.molecules import Standardized, read_mol_block
from molvae.datasets.columns import ID_NAMES, few, find_named, plain_name
from molvae.datasets.rows import SAMPLE_ROWS, MoleculeFile, Row
from molvae.datasets.text_lines import MAX_LINE, TextLines
from molvae.errors import InputError
from molvae.workers import Mapper, WorkerFailure

TITLE, STRUCTURE = "title", "structure"
"""Names of the first line of a record and of its mol block; a data item of such a name is written `<title>`."""

_NOTES = {
    TITLE: "the data item title is column <title>; column title is the first line of a record",
    STRUCTURE: "the data item structure is column <structure>; column structure is the mol block",
}
_CHUNK_ROWS = 500
_BLANKS = " \t\r"
_HEADER = re.compile(r">[^<]*<(.+)>[^>]*")
_PLAIN_TITLE = re.compile(
    r"(?:compound|cpd|cmpd|structure|molecule|mol|record|entry|ligand|untitled|unnamed|no ?name|none|null|document)*"
    r"[\s_#:.-]*\d*",
    re.IGNORECASE,
)
"""A title that only counts records."""


def open_sdf(
    lines: TextLines, smiles_column: str | None, id_column: str | None, chunk_rows: int, mapper: Mapper
) -> MoleculeFile:
    """Open an SDF; see `molvae.datasets.open_molecules`.

    Parameters
    ----------
    lines : TextLines
        The lines of the file.
    smiles_column : str or None
        Must be None.
    id_column : str or None
        Name of the data item with the ids, or "title"; None chooses one.
    chunk_rows : int
        Number of rows per chunk.
    mapper : Mapper
        Reads the mol blocks.

    Returns
    -------
    MoleculeFile

    Raises
    ------
    InputError
        The file has no records, or there is no such data item.
    """
    if smiles_column is not None:
        raise InputError(f"{lines.path}: an SDF has structures, no SMILES column; omit {smiles_column}")
    head = [sdf_fields(record) for record in islice(read_sdf_records(lines), SAMPLE_ROWS)]
    if not head:
        raise InputError(f"{lines.path}: no records; expected mol blocks that end with $$$$")
    columns = [TITLE, *dict.fromkeys(name for fields in head for name in fields if name != TITLE)]
    lines.notes += [_NOTES[name] for name in (TITLE, STRUCTURE) if f"<{name}>" in columns]
    if id_column is not None:
        id_column = columns[find_named(lines.path, columns, id_column, "id")]
    else:
        id_column = _choose_id(head, columns, lines.notes)

    def rows() -> Iterator[Row]:
        waiting: deque[list[str | None]] = deque()

        def blocks() -> Iterator[list[str]]:
            records = read_sdf_records(lines)
            while part := list(islice(records, _CHUNK_ROWS)):
                waiting.append([_id_of(record, id_column) for record in part])
                yield [record[: _end_of_block(record)] for record in part]

        for answers in mapper(read_mol_block, blocks()):
            yield from map(_row, waiting.popleft(), answers)

    return MoleculeFile(
        lines.path, "sdf", columns, STRUCTURE, id_column, lines.notes, chunk_rows, rows, lambda: lines.fraction_read
    )


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
    """Read the title and the data items of an SDF record.

    Parameters
    ----------
    record : str
        Text of the record.

    Returns
    -------
    dict of str to str
        "title" and the names of the data items -> value, with its line breaks. An item of the name `title` or
        `structure` is named `<title>` or `<structure>`; a second item of a name gets the number 2.

    Examples
    --------
    >>> sdf_fields("m1\\n\\n\\nM  END\\n> <title>\\nfirst\\nsecond\\n\\n> <x> (1)\\n> 5\\n")
    {'title': 'm1', '<title>': 'first\\nsecond', 'x': '> 5'}
    """
    end = _end_of_block(record)
    fields = {TITLE: record.split("\n", 1)[0].strip(_BLANKS)}
    lines = record[end:].split("\n") if end < len(record) else record.split("\n")[1:]
    name: str | None = None
    for line in lines:
        if name is not None:
            if line.strip():
                value = line.strip(_BLANKS)
                fields[name] = f"{fields[name]}\n{value}" if fields[name] else value
                continue
            name = None  # an empty line ends a value
        if line.startswith(">") and (found := _HEADER.fullmatch(line.rstrip())):
            name = _free_name(found[1].strip(), fields)
            fields[name] = ""
    return fields


def _free_name(name: str, fields: dict[str, str]) -> str:
    name = f"<{name}>" if name in (TITLE, STRUCTURE) else name
    number = 2
    free = name
    while free in fields:
        free, number = f"{name} {number}", number + 1
    return free


def _end_of_block(record: str) -> int:
    """The number of characters of the mol block."""
    end = record.find("M  END")
    return len(record) if end < 0 else end + len("M  END")


def _row(name: str | None, answer: Standardized | WorkerFailure) -> Row:
    if isinstance(answer, WorkerFailure):
        return Row(name, None, answer.reason)
    return Row(name, answer.smiles, answer.reason, answer.warning)


def _id_of(record: str, id_column: str | None) -> str | None:
    if id_column is None:
        return None
    if id_column == TITLE:
        return record.split("\n", 1)[0].strip(_BLANKS) or None
    return sdf_fields(record).get(id_column) or None


def _choose_id(head: list[dict[str, str]], columns: list[str], notes: list[str]) -> str | None:
    """The title, unless it only counts the records, repeats or is missing; then a data item of a usual name."""
    ranks = {name: rank for rank, name in enumerate(ID_NAMES)}
    items = [name for name in columns[1:] if plain_name(name) in ranks and any(fields.get(name) for fields in head)]
    items.sort(key=lambda name: ranks[plain_name(name)])
    titles = [fields[TITLE] for fields in head if fields[TITLE]]
    has_titles = bool(titles)
    is_poor = all(map(_PLAIN_TITLE.fullmatch, titles)) or len({*titles}) < len(titles)
    if items and (is_poor or len(titles) < sum(bool(fields.get(items[0])) for fields in head)):
        rivals = ([TITLE] if has_titles else []) + items[1:]
        notes.append(
            f"ids are read from the data item {items[0]}" + (f" (not from {', '.join(rivals)})" if rivals else "")
        )
        return items[0]
    if has_titles:
        if items:
            notes.append(f"ids are read from the title line (not from {', '.join(items)})")
        return TITLE
    if columns[1:]:
        notes.append(f"no data item is named like an id; --id-column chooses one of {few(columns[1:], 8)}")
    return None
