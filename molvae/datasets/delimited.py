"""Reads tables of separated columns: .csv, .tsv and .txt."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from molvae.chem.structures import split_extension
from molvae.datasets.columns import few, find_columns, has_smiles_name
from molvae.datasets.records import SEPARATORS, find_separator, read_records
from molvae.datasets.rows import SAMPLE_ROWS, MoleculeFile, Row
from molvae.datasets.text_lines import TextLines
from molvae.errors import InputError

_MAX_TITLE_LINES = 30


def open_delimited(
    lines: TextLines, kind: str, smiles_column: str | None, id_column: str | None, chunk_rows: int
) -> MoleculeFile:
    """Open a table of separated columns; see `molvae.datasets.open_molecules`.

    Parameters
    ----------
    lines : TextLines
        The lines of the file.
    kind : {"csv", "tsv"}
        Its format, which gives the usual separator; another one is found.
    smiles_column, id_column : str or None
        Column names; None looks for the usual ones.
    chunk_rows : int
        Number of rows per chunk.

    Returns
    -------
    MoleculeFile

    Raises
    ------
    InputError
        The file has no rows, or no such column.
    """
    usual = "\t" if kind == "tsv" else ","
    head = list(islice(lines, SAMPLE_ROWS + 1 + _MAX_TITLE_LINES))
    n_empty = next((i for i, line in enumerate(head) if line.strip()), None)
    if n_empty is None:
        raise InputError(f"{lines.path}: only empty lines; expected a header and rows")
    n_before, head = n_empty, head[n_empty:]
    separator = None
    if head[0].lower().startswith("sep=") and len(head[0].strip()) == 5:  # a line that Excel reads and writes
        separator, head, n_before = head[0][4], head[1:], n_before + 1
    n_titles = _count_title_lines(head, smiles_column)
    if n_titles:
        lines.notes.append(f"lines above the header are skipped: {n_titles}")
        n_before, head = n_before + n_titles, head[n_titles:]
    head = head[: SAMPLE_ROWS + 1]
    separator = separator or find_separator(head, usual, smiles_column)
    if separator != usual:
        lines.notes.append(f"columns are separated by {SEPARATORS.get(separator, separator)}")
    header = next((fields for fields, _ in read_records(iter(head[:1]), separator) if fields), [])
    header = [name.strip() for name in header]
    if header and header[0].startswith("#"):
        header[0] = header[0].lstrip("# ")
    if not any(line.strip() for line in head[1:]) and len(head) < SAMPLE_ROWS:
        raise InputError(f"{lines.path}: only one line ({few(header)}); expected a header and one row per molecule")
    _check_one_column(lines.path, header, smiles_column, head[1:])
    is_marked = not head[0].startswith('"')  # a header without quotation marks, as molvae writes it
    records = read_records(iter(head[1:]), separator, len(header), is_marked)
    sample = [fields for fields, reason in records if fields is not None and reason is None]
    smiles_index, id_index = find_columns(lines.path, header, sample, smiles_column, id_column, lines.notes)

    def rows() -> Iterator[Row]:
        data = islice(lines.with_cr(), n_before + 1, None)
        for fields, reason in read_records(data, separator, len(header), is_marked):
            if fields is None:
                yield Row(None, None, reason)
                continue
            name = fields[id_index] if id_index is not None and id_index < len(fields) else ""
            raw = fields[smiles_index] if smiles_index < len(fields) else None
            yield Row(None if not name or name.isspace() else name, raw, reason)

    return MoleculeFile(
        lines.path, kind, header, header[smiles_index], None if id_index is None else header[id_index],
        lines.notes, chunk_rows, rows, lambda: lines.fraction_read,
    )  # fmt: skip


def _check_one_column(path: Path, header: list[str], smiles_column: str | None, rows: list[str]) -> None:
    """Refuse a table whose only column looks like several ones, with spaces in the header and in most rows."""
    if len(header) > 1 or not has_smiles_name(header[0].split() if header else [], smiles_column):
        return
    filled = [row for row in rows if row.strip()]
    if 2 * sum(" " in row.strip() and split_extension(row) is None for row in filled) > len(filled):
        raise InputError(
            f"{path}: the columns ({header[0]}) are separated by spaces, but not every line has the same number of "
            "words; separate them with commas or tabs, or rename the file to end in .smi"
        )


def _count_title_lines(head: list[str], smiles_column: str | None) -> int:
    """The number of lines above the header: those before the first line that has the name of a SMILES column."""
    for number, line in enumerate(head[:_MAX_TITLE_LINES]):
        if any(has_smiles_name(line.split(separator), smiles_column) for separator in (*SEPARATORS, None)):
            return number
    return 0
