"""Reads a .smi file: a SMILES, an id and perhaps more on each line; with or without a header and comments."""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from molvae.chem.structures import is_extension
from molvae.datasets.columns import find_columns, has_smiles_name, is_smiles, shorten
from molvae.datasets.rows import SAMPLE_ROWS, MoleculeFile, Row
from molvae.datasets.text_lines import MAX_LINE, TextLines
from molvae.errors import InputError
from molvae.inputs import plain_name

_EXTENSION = re.compile(r"(\|[^|]*\|)(?=\s|$)")

_BLANKS = " \t\r\x0b\x0c"

_Split = Callable[[str], tuple[str, str | None]]
"""A line -> SMILES, with its CXSMILES extension, and id."""


def open_smi(lines: TextLines, smiles_column: str | None, id_column: str | None, chunk_rows: int) -> MoleculeFile:
    """Open a .smi file; see `molvae.datasets.open_molecules`.

    Parameters
    ----------
    lines : TextLines
        The lines of the file.
    smiles_column, id_column : str or None
        Names of columns in the header; without a header "smiles" and "id".
    chunk_rows : int
        Number of rows per chunk.

    Returns
    -------
    MoleculeFile

    Raises
    ------
    InputError
        The file has no rows, is another table, or has no such column.
    """
    header, n_before, head = _read_head(lines)
    if not head:
        problem = "only empty lines" if header is None else "only a header"
        raise InputError(f"{lines.path}: {problem}; expected one SMILES per line")
    if header is None:
        columns, smiles_index, id_index, split = _without_header(lines, smiles_column, id_column, head)
    else:
        columns, smiles_index, id_index, split = _with_header(lines, header, smiles_column, id_column, head)

    def rows() -> Iterator[Row]:
        n_empty = n_comments = 0
        for line in islice(lines, n_before, None):
            if not line or line.isspace():
                n_empty += 1
                continue
            for _ in range(n_empty):
                yield Row(None, None, "empty: no SMILES")
            n_empty = 0
            if line.startswith("#"):
                n_comments += 1
            elif len(line) > MAX_LINE:
                yield Row(None, None, f"too long: the line has more than {MAX_LINE:,} characters")
            else:
                raw, name = split(line)
                yield Row(name, raw)
        note = f"comment lines (#) are skipped: {n_comments:,}"
        if n_comments and note not in lines.notes:
            lines.notes.append(note)

    id_name = None if id_index is None else columns[id_index]
    return MoleculeFile(
        lines.path, "smi", columns, columns[smiles_index], id_name, lines.notes, chunk_rows, rows,
        lambda: lines.fraction_read,
    )  # fmt: skip


def _read_head(lines: TextLines) -> tuple[str | None, int, list[str]]:
    """The header, the number of lines up to it, and the first lines with molecules."""
    header, n_before = None, 0
    head: list[str] = []
    for number, line in enumerate(islice(lines, 10 * SAMPLE_ROWS), start=1):
        if not line.strip() or len(head) == SAMPLE_ROWS:
            continue
        if not head and header is None and _is_header(line):
            header, n_before = line.lstrip("#").strip(), number
        elif not line.startswith("#"):
            head.append(line)
    return header, n_before, head


def _is_header(line: str) -> bool:
    words = line.lstrip("#").split()
    if not words or is_smiles(words[0]):
        return False
    exact = [plain_name(word) for word in words]
    return has_smiles_name(line.lstrip("#").split("\t")) or any(one in ("smiles", "smi") for one in exact)


def _without_header(
    lines: TextLines, smiles_column: str | None, id_column: str | None, head: list[str]
) -> tuple[list[str], int, int | None, _Split]:
    for name, wanted in ((smiles_column, "smiles"), (id_column, "id")):
        if name is not None and plain_name(name) != wanted:
            raise InputError(
                f"{lines.path}: no column {name}: a line of this file is a SMILES and an id, without a header; "
                f"insert a line with column names, such as smiles {name}"
            )
    words = [line.split() for line in head]
    if all(any(mark in first[0] for mark in ",;") for first in words):
        raise InputError(
            f"{lines.path}: expected one SMILES per line, got {shorten(words[0][0])}; "
            "if this is a table, rename it to end in .csv"
        )
    n_second = sum(len(row) > 1 and is_smiles(_unquote(row[1])) for row in words)
    if 2 * n_second >= len(words) and not any(is_smiles(_unquote(row[0])) for row in words):
        raise InputError(
            f"{lines.path}: expected a SMILES first in each line, got {shorten(words[0][0])}; the SMILES are the "
            "second word: insert a line with the column names, such as id smiles"
        )
    split = [split_line(line) for line in head]
    if any(len(fields) > 2 for line in head for fields in [[one for one in line.split("\t") if one.strip()]]):
        lines.notes.append("the id is the second column; the columns after it are not read")
    has_ids = any(name for _, name in split) or id_column is not None
    columns = ["smiles", "id"] if has_ids else ["smiles"]
    return columns, 0, 1 if has_ids else None, split_line


def _with_header(
    lines: TextLines, header: str, smiles_column: str | None, id_column: str | None, head: list[str]
) -> tuple[list[str], int, int | None, _Split]:
    lines.notes.append("the first line is a header and is skipped")
    is_tabbed = "\t" in header
    columns = [name.strip().strip('"') for name in (header.split("\t") if is_tabbed else header.split())]
    is_even = all(len(line.split()) == len(columns) for line in head)
    if not is_tabbed and len(columns) > 2 and not is_even:
        lines.notes.append(
            f"the lines do not have {len(columns)} words as the header has: all words after the first are the id"
        )
        columns = columns[:2]
    separator = "\t" if is_tabbed else None
    sample = [[_unquote(one.strip()) for one in line.split(separator)] for line in head]
    chosen: list[str] = []
    smiles_index, id_index = find_columns(lines.path, columns, sample, smiles_column, id_column, chosen)
    if id_index is None and len(columns) > 1:
        id_index = 1 if smiles_index == 0 else 0
        chosen = [f"ids are read from column {columns[id_index]}"]
    lines.notes += chosen
    if len(columns) < 3 and smiles_index == 0 and not is_tabbed:
        return columns, 0, id_index, split_line

    def split(line: str) -> tuple[str, str | None]:
        fields = line.split(separator)
        if smiles_index == 0 and len(fields) < len(columns) and (len(fields) < 2 or not is_tabbed):
            return split_line(line)
        raw = fields[smiles_index].strip() if smiles_index < len(fields) else ""
        name = fields[id_index].strip() if id_index is not None and id_index < len(fields) else ""
        return _unquoted(raw, name)

    return columns, smiles_index, id_index, split


def split_line(line: str) -> tuple[str, str | None]:
    """Split a line without a header: a SMILES, perhaps a CXSMILES extension, and an id up to the next tab.

    Parameters
    ----------
    line : str
        The line.

    Returns
    -------
    raw : str
        The SMILES, with its extension.
    id : str or None
        The id; None if there is none.

    Examples
    --------
    >>> split_line("C[C@H](N)C(=O)O |&1:1| rac-ala")
    ('C[C@H](N)C(=O)O |&1:1|', 'rac-ala')
    """
    raw = line.split(None, 1)[0]
    rest = line.lstrip()[len(raw) :].lstrip(_BLANKS)
    found = _EXTENSION.match(rest)
    if found and is_extension(found[1]):
        raw, rest = (f"{raw} {found[1]}" if len(found[1]) > 2 else raw), rest[found.end() :]
    return _unquoted(raw, rest.strip(_BLANKS).split("\t", 1)[0].strip(_BLANKS))


def _unquoted(raw: str, name: str) -> tuple[str, str | None]:
    """Remove the quotation marks that some programs put around every field."""
    is_quoted = len(raw) > 1 and raw[0] == raw[-1] == '"'
    return (_unquote(raw), _unquote(name) or None) if is_quoted else (raw, name or None)


def _unquote(text: str) -> str:
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text
