"""Reads a molecule file of any supported format in chunks; every molecule is a row."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.chem.molecules import guard, read_mol_block
from molvae.datasets.columns import SMILES_NAMES, few, find_columns, find_named, plain_name, shorten
from molvae.datasets.records import SEPARATORS, find_separator, read_records, read_sdf_records, sdf_fields
from molvae.datasets.text_lines import MAX_LINE, TextLines, check_regular
from molvae.errors import InputError, first_line
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".smi": "smi", ".smiles": "smi", ".txt": "txt",
    ".parquet": "parquet", ".pq": "parquet", ".sdf": "sdf", ".sd": "sdf",
}  # fmt: skip

_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_SAMPLE_ROWS = 50
_CHUNK_ROWS = 500

_Row = tuple[str | None, str | None, str | None]  # id, raw, reason


@dataclass(eq=False)
class MoleculeFile:
    """A molecule file; each iteration reads it again, in chunks, and raises InputError if it is truncated or damaged.

    Each chunk is a table with one row per molecule, in the order of the file: `row` (int64, number of the data row,
    from 1), `id` (None if there is none), `raw` (the SMILES in the file), `reason` (why the row is malformed; None if
    it is well formed). Empty lines at the end of a file are not rows.

    Parameters
    ----------
    path : Path
        The file.
    format : {"csv", "tsv", "smi", "parquet", "sdf"}
        Its format.
    columns : list of str
        Column names in the file.
    smiles_column : str
        Name of the SMILES column.
    id_column : str or None
        Name of the id column.
    notes : list of str
        Notes on unusual content and on automatic choices; more may be added while the file is read.
    chunk_rows : int
        Number of rows per chunk.
    read_rows : callable
        Returns an iterator over the rows of the file.
    read_fraction : callable
        Returns the share of the file that has been read.
    """

    path: Path
    format: str
    columns: list[str]
    smiles_column: str
    id_column: str | None
    notes: list[str]
    chunk_rows: int
    read_rows: Callable[[], Iterator[_Row]] = field(repr=False)
    read_fraction: Callable[[], float] = field(repr=False)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        rows = self.read_rows()
        n_rows = 0
        while chunk := list(islice(rows, self.chunk_rows)):
            ids, raws, reasons = zip(*chunk, strict=True)
            yield pd.DataFrame(
                {
                    "row": np.arange(n_rows + 1, n_rows + len(chunk) + 1, dtype=np.int64),
                    "id": string_column(ids),
                    "raw": string_column(raws),
                    "reason": string_column(reasons),
                }
            )
            n_rows += len(chunk)

    @property
    def fraction_read(self) -> float:
        """Share of the file that the last iteration has read, in [0, 1]."""
        return self.read_fraction()


def open_molecules(
    path: Path,
    smiles_column: str | None = None,
    id_column: str | None = None,
    chunk_rows: int = 20_000,
    mapper: Mapper | None = None,
) -> MoleculeFile:
    """Open a molecule file; the extension gives the format: .csv, .tsv, .smi, .txt, .sdf (also with .gz) or .parquet.

    Parameters
    ----------
    path : Path
        The file. A line of a .smi file is a SMILES and, after whitespace, an id.
    smiles_column : str or None, default=None
        Name of the SMILES column; None looks for the usual names. Must be None for an SDF.
    id_column : str or None, default=None
        Name of the id column; None looks for the usual names. In an SDF it is a data field, by default the title.
    chunk_rows : int, default=20_000
        Number of rows per chunk.
    mapper : Mapper or None, default=None
        Reads the mol blocks of an SDF; None takes LocalProcesses().

    Returns
    -------
    MoleculeFile

    Raises
    ------
    InputError
        The file cannot be read, has no rows, or has no such column.
    """
    path = Path(path)
    kind = _find_format(path)
    if kind == "parquet":
        return _open_parquet(path, smiles_column, id_column, chunk_rows)
    lines = TextLines(path)
    if kind == "txt":
        kind = _find_text_format(lines, smiles_column)
    if kind == "smi":
        return _open_smi(lines, smiles_column, id_column, chunk_rows)
    if kind == "sdf":
        return _open_sdf(lines, smiles_column, id_column, chunk_rows, mapper or LocalProcesses())
    return _open_delimited(lines, kind, smiles_column, id_column, chunk_rows)


def string_column(values: Iterable[str | None]) -> pd.Series:
    """Make a column of strings in which missing values are None, not NaN as in a string column of pandas.

    Parameters
    ----------
    values : iterable of str or None
        Values of the column.

    Returns
    -------
    Series
    """
    return pd.Series(list(values), dtype=object)


def _find_text_format(lines: TextLines, smiles_column: str | None) -> str:
    """csv if the first line has several column names, including one for SMILES; else smi."""
    header = next(iter(lines), "")
    names = header.split(find_separator([header], ",", smiles_column))
    is_table = any(name == smiles_column or plain_name(name) in SMILES_NAMES for name in names)
    return "csv" if is_table and len(names) > 1 else "smi"


def _find_format(path: Path) -> str:
    name = path.name.lower()
    ending = Path(name.removesuffix(".gz")).suffix
    if ending in _SPREADSHEETS:
        raise InputError(
            f"{path}: spreadsheets are not supported; in Excel or LibreOffice choose Save As, CSV (UTF-8), "
            "and give that file"
        )
    kind = FORMATS.get(ending)
    if kind is None or (kind == "parquet" and name.endswith(".gz")):
        raise InputError(
            f"{path}: unknown file extension {''.join(path.suffixes) or '(none)'}; known: {', '.join(FORMATS)}, "
            "and .gz after those of text files"
        )
    return kind


def _open_delimited(
    lines: TextLines, kind: str, smiles_column: str | None, id_column: str | None, chunk_rows: int
) -> MoleculeFile:
    usual = "\t" if kind == "tsv" else ","
    head = list(islice(lines, _SAMPLE_ROWS + 1))
    n_empty = next((i for i, line in enumerate(head) if line.strip()), None)
    if n_empty is None:
        raise InputError(f"{lines.path}: only empty lines; expected a header and rows")
    n_before, head = n_empty + 1, head[n_empty:]
    if head[0].lower().startswith("sep=") and len(head[0].strip()) == 5:  # a line that Excel reads and writes
        separator, head, n_before = head[0][4], head[1:], n_before + 1
    else:
        separator = find_separator(head, usual, smiles_column)
    if separator != usual:
        lines.notes.append(f"columns are separated by {SEPARATORS.get(separator, separator)}")
    header = next((fields for fields, _ in read_records(iter(head[:1]), separator) if fields), [])
    header = [name.strip() for name in header]
    if not any(line.strip() for line in head[1:]) and len(head) < _SAMPLE_ROWS:
        raise InputError(f"{lines.path}: only one line ({few(header)}); expected a header and one row per molecule")
    records = read_records(iter(head[1:]), separator, len(header))
    sample = [fields for fields, reason in records if fields is not None and reason is None]
    smiles_index, id_index = find_columns(lines.path, header, sample, smiles_column, id_column, lines.notes)

    def rows() -> Iterator[_Row]:
        data = islice(lines, n_before, None)
        for fields, reason in read_records(data, separator, len(header)):
            if fields is None:
                yield None, None, reason
                continue
            name = fields[id_index].strip() if id_index is not None and id_index < len(fields) else None
            yield name or None, fields[smiles_index] if smiles_index < len(fields) else None, reason

    return MoleculeFile(
        lines.path, kind, header, header[smiles_index], None if id_index is None else header[id_index],
        lines.notes, chunk_rows, rows, lambda: lines.fraction_read,
    )  # fmt: skip


def _open_smi(lines: TextLines, smiles_column: str | None, id_column: str | None, chunk_rows: int) -> MoleculeFile:
    for name, wanted in ((smiles_column, "smiles"), (id_column, "id")):
        if name is not None and plain_name(name) != wanted:
            raise InputError(
                f"{lines.path}: no column {name}: a line of a .smi file is a SMILES and an id, without a header; "
                "for a table with column names use .csv or .tsv"
            )
    head = [line.split(None, 1) for line in islice(lines, _SAMPLE_ROWS) if line.strip()]
    if not head:
        raise InputError(f"{lines.path}: only empty lines; expected one SMILES per line")
    n_before = 0
    if plain_name(head[0][0]) in SMILES_NAMES:
        n_before = 1
        lines.notes.append("the first line is a header and is skipped")
        head = head[1:]
        if not head:
            raise InputError(f"{lines.path}: only a header; expected one SMILES per line")
    if all(any(mark in words[0] for mark in ",;") for words in head):
        raise InputError(
            f"{lines.path}: expected one SMILES per line, got {shorten(head[0][0])}; "
            "if this is a table, rename it to end in .csv"
        )
    has_ids = any(len(words) > 1 for words in head)

    def rows() -> Iterator[_Row]:
        n_empty = 0
        for line in islice(lines, n_before, None):
            words = line.split(None, 1)
            if not words:
                n_empty += 1
                continue
            for _ in range(n_empty):
                yield None, None, "empty: no SMILES"
            n_empty = 0
            if len(line) > MAX_LINE:
                yield None, None, f"too long: the line has more than {MAX_LINE:,} characters"
            else:
                yield (words[1].strip() or None if len(words) > 1 else None), words[0], None

    columns = ["smiles", "id"] if has_ids or id_column else ["smiles"]
    return MoleculeFile(
        lines.path, "smi", columns, "smiles", "id" if "id" in columns else None,
        lines.notes, chunk_rows, rows, lambda: lines.fraction_read,
    )  # fmt: skip


def _open_sdf(
    lines: TextLines, smiles_column: str | None, id_column: str | None, chunk_rows: int, mapper: Mapper
) -> MoleculeFile:
    if smiles_column is not None:
        raise InputError(f"{lines.path}: an SDF has structures, no SMILES column; omit {smiles_column}")
    head = [sdf_fields(record) for record in islice(read_sdf_records(lines), _SAMPLE_ROWS)]
    if not head:
        raise InputError(f"{lines.path}: no records; expected mol blocks that end with $$$$")
    columns = ["title", *dict.fromkeys(name for fields in head for name in fields if name != "title")]
    if id_column is not None:
        id_column = columns[find_named(lines.path, columns, id_column, "id")]
    elif any(fields["title"] for fields in head):
        id_column = "title"

    def rows() -> Iterator[_Row]:
        waiting: deque[list[str | None]] = deque()

        def blocks() -> Iterator[list[str]]:
            records = read_sdf_records(lines)
            while part := list(islice(records, _CHUNK_ROWS)):
                waiting.append(_sdf_ids(part, id_column))
                yield [record[: record.find("M  END") + 7] if "M  END" in record else record for record in part]

        for answers in mapper(read_mol_block, blocks()):
            for name, answer in zip(waiting.popleft(), answers, strict=True):
                yield name, None if isinstance(answer, WorkerFailure) else answer.smiles, answer.reason

    return MoleculeFile(
        lines.path, "sdf", columns, "structure", id_column,
        lines.notes, chunk_rows, rows, lambda: lines.fraction_read,
    )  # fmt: skip


def _open_parquet(path: Path, smiles_column: str | None, id_column: str | None, chunk_rows: int) -> MoleculeFile:
    check_regular(path)
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            n_rows = file.metadata.num_rows
            head = next(file.iter_batches(_SAMPLE_ROWS), None)
            values = [] if head is None else [column.to_pylist() for column in head.columns]
            sample = [list(map(_cell, row)) for row in zip(*values, strict=True)]
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None
    if not n_rows:
        raise InputError(f"{path}: the table has no rows ({few(header)}); expected one row per molecule")
    notes: list[str] = []
    smiles_index, id_index = find_columns(path, header, sample, smiles_column, id_column, notes)
    done = [0.0]

    def rows() -> Iterator[_Row]:
        names = list(dict.fromkeys(header[i] for i in (smiles_index, id_index) if i is not None))
        n_read = 0
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(chunk_rows, columns=names):
                    raws = batch.column(header[smiles_index]).to_pylist()
                    ids = [None] * len(raws) if id_index is None else batch.column(header[id_index]).to_pylist()
                    n_read += len(raws)
                    done[0] = n_read / n_rows
                    for name, raw in zip(ids, raws, strict=True):
                        is_text = raw is None or isinstance(raw, str)
                        yield _cell(name) or None, _cell(raw), None if is_text else guard(raw)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: damaged after row {n_read:,} ({first_line(error)}); copy it again") from None

    return MoleculeFile(
        path, "parquet", header, header[smiles_index], None if id_index is None else header[id_index],
        notes, chunk_rows, rows, lambda: done[0],
    )  # fmt: skip


def _sdf_ids(records: list[str], id_column: str | None) -> list[str | None]:
    return [None if id_column is None else sdf_fields(record).get(id_column) or None for record in records]


def _cell(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
