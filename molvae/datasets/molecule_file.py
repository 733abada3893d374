"""A molecule file of a user's as a stream of tables, whatever its format: one row per molecule, none is lost."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.chem.molecules import guard, read_mol_block
from molvae.datasets.columns import SMILES_NAMES, few, find_columns, find_named, plain_name, shorten
from molvae.datasets.records import SEPARATORS, find_separator, read_records, read_sdf_records, sdf_fields
from molvae.datasets.text_lines import MAX_LINE, TextLines, check_regular
from molvae.errors import InputError
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".smi": "smi", ".smiles": "smi", ".txt": "txt",
    ".parquet": "parquet", ".pq": "parquet", ".sdf": "sdf", ".sd": "sdf",
}  # fmt: skip

_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_PEEK_ROWS = 50
_PIECE_ROWS = 500

_Row = tuple[str | None, str | None, str | None]  # id, raw, reason


@dataclass(eq=False)
class MoleculeFile:
    """A file with molecules; iterating reads it anew, in chunks.

    Each chunk is a table with one row per molecule of the file, in its order: `row` (int64, the number of the data row
    from 1), `id` (the user's own; None where there is none), `raw` (the SMILES as it stands), `reason` (why the row
    cannot be used; None where nothing is wrong so far). Empty lines at the end of a file are no rows.

    format: csv, tsv, smi, parquet or sdf. columns: the names in the file. notes: what was not plain, in words; it may
    grow while the file is read.
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
        """
        Raises:
            InputError: the file is damaged or cut off further down.
        """
        rows = self.read_rows()
        n_rows = 0
        while chunk := list(islice(rows, self.chunk_rows)):
            ids, raws, reasons = zip(*chunk, strict=True)
            yield pd.DataFrame(
                {
                    "row": np.arange(n_rows + 1, n_rows + len(chunk) + 1, dtype=np.int64),
                    "id": texts(ids),
                    "raw": texts(raws),
                    "reason": texts(reasons),
                }
            )
            n_rows += len(chunk)

    @property
    def fraction_read(self) -> float:
        """How much of the file the latest iteration has read, in [0, 1], for a progress bar."""
        return self.read_fraction()


def open_molecules(
    path: Path,
    smiles_column: str | None = None,
    id_column: str | None = None,
    chunk_rows: int = 20_000,
    mapper: Mapper | None = None,
) -> MoleculeFile:
    """A molecule file, its format told by its name: .csv, .tsv, .smi, .txt (also .gz), .parquet, .sdf (also .gz).

    Without `smiles_column` a column by one of the usual names is taken, so for the ids; a .smi holds a SMILES and,
    behind white space, an id; an .sdf has its structures, and its titles for ids.

    Raises:
        InputError: the file cannot be read, holds no row, or has no such column; the message says what to do.
    """
    path = Path(path)
    kind = _find_format(path)
    if kind == "parquet":
        return _open_parquet(path, smiles_column, id_column, chunk_rows)
    lines = TextLines(path)
    if kind == "txt":
        kind = _find_kind_of_text(lines, smiles_column)
    if kind == "smi":
        return _open_smi(lines, smiles_column, id_column, chunk_rows)
    if kind == "sdf":
        return _open_sdf(lines, smiles_column, id_column, chunk_rows, mapper or LocalProcesses())
    return _open_delimited(lines, kind, smiles_column, id_column, chunk_rows)


def texts(values: Iterable[str | None]) -> pd.Series:
    """A column of text in which what is missing is None; pandas' own text columns would make it NaN."""
    return pd.Series(list(values), dtype=object)


def _find_kind_of_text(lines: TextLines, smiles_column: str | None) -> str:
    """csv where the first line names several columns, and one of them SMILES; else smi."""
    header = next(iter(lines), "")
    names = header.split(find_separator([header], ",", smiles_column))
    is_table = any(name == smiles_column or plain_name(name) in SMILES_NAMES for name in names)
    return "csv" if is_table and len(names) > 1 else "smi"


def _find_format(path: Path) -> str:
    name = path.name.lower()
    ending = Path(name.removesuffix(".gz")).suffix
    if ending in _SPREADSHEETS:
        raise InputError(
            f"{path}: a spreadsheet cannot be read; in Excel or LibreOffice choose Save As, CSV (UTF-8), "
            "and give that file"
        )
    kind = FORMATS.get(ending)
    if kind is None or (kind == "parquet" and name.endswith(".gz")):
        raise InputError(
            f"{path}: the ending {''.join(path.suffixes) or '(none)'} is not known; known: {', '.join(FORMATS)}, "
            "and .gz behind those of text"
        )
    return kind


def _open_delimited(
    lines: TextLines, kind: str, smiles_column: str | None, id_column: str | None, chunk_rows: int
) -> MoleculeFile:
    usual = "\t" if kind == "tsv" else ","
    head = list(islice(lines, _PEEK_ROWS + 1))
    n_empty = next((place for place, line in enumerate(head) if line.strip()), None)
    if n_empty is None:
        raise InputError(f"{lines.path}: the file holds empty lines only; a header and rows are expected")
    n_before, head = n_empty + 1, head[n_empty:]
    if head[0].lower().startswith("sep=") and len(head[0].strip()) == 5:  # what Excel writes, and reads
        separator, head, n_before = head[0][4], head[1:], n_before + 1
    else:
        separator = find_separator(head, usual, smiles_column)
    if separator != usual:
        lines.notes.append(f"columns are separated by {SEPARATORS.get(separator, separator)}")
    header = next((fields for fields, _ in read_records(iter(head[:1]), separator) if fields), [])
    header = [name.strip() for name in header]
    if not any(line.strip() for line in head[1:]) and len(head) < _PEEK_ROWS:
        raise InputError(
            f"{lines.path}: one line only ({few(header)}); a header and then one row per molecule is expected"
        )
    records = read_records(iter(head[1:]), separator, len(header))
    sample = [fields for fields, reason in records if fields is not None and reason is None]
    smiles_at, id_at = find_columns(lines.path, header, sample, smiles_column, id_column, lines.notes)

    def rows() -> Iterator[_Row]:
        data = islice(lines, n_before, None)
        for fields, reason in read_records(data, separator, len(header)):
            if fields is None:
                yield None, None, reason
                continue
            name = fields[id_at].strip() if id_at is not None and id_at < len(fields) else None
            yield name or None, fields[smiles_at] if smiles_at < len(fields) else None, reason

    return MoleculeFile(
        lines.path, kind, header, header[smiles_at], None if id_at is None else header[id_at],
        lines.notes, chunk_rows, rows, lambda: lines.fraction_read,
    )  # fmt: skip


def _open_smi(lines: TextLines, smiles_column: str | None, id_column: str | None, chunk_rows: int) -> MoleculeFile:
    for name, wanted in ((smiles_column, "smiles"), (id_column, "id")):
        if name is not None and plain_name(name) != wanted:
            raise InputError(
                f"{lines.path}: no column {name}: a .smi holds a SMILES and then an id, without a header; "
                "for a table with named columns use .csv or .tsv"
            )
    head = [line.split(None, 1) for line in islice(lines, _PEEK_ROWS) if line.strip()]
    if not head:
        raise InputError(f"{lines.path}: the file holds empty lines only; a SMILES per line is expected")
    n_before = 0
    if plain_name(head[0][0]) in SMILES_NAMES:
        n_before = 1
        lines.notes.append("the first line is a header, and passed over")
        head = head[1:]
        if not head:
            raise InputError(f"{lines.path}: a header and nothing else; a SMILES per line is expected")
    if all(any(mark in words[0] for mark in ",;") for words in head):
        raise InputError(
            f"{lines.path}: a SMILES per line is expected, got {shorten(head[0][0])}; "
            "if this is a table, let its name end in .csv"
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
                yield None, None, f"too long: a line of more than {MAX_LINE:,} characters"
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
        raise InputError(f"{lines.path}: an .sdf holds structures; leave the SMILES column ({smiles_column}) away")
    head = [sdf_fields(record) for record in islice(read_sdf_records(lines), _PEEK_ROWS)]
    if not head:
        raise InputError(f"{lines.path}: the file holds no record; mol blocks closed by $$$$ are expected")
    columns = ["title", *dict.fromkeys(name for fields in head for name in fields if name != "title")]
    if id_column is not None:
        id_column = columns[find_named(lines.path, columns, id_column, "id")]
    elif any(fields["title"] for fields in head):
        id_column = "title"

    def rows() -> Iterator[_Row]:
        waiting: deque[list[str | None]] = deque()

        def blocks() -> Iterator[list[str]]:
            records = read_sdf_records(lines)
            while piece := list(islice(records, _PIECE_ROWS)):
                waiting.append(_sdf_ids(piece, id_column))
                yield [record[: record.find("M  END") + 7] if "M  END" in record else record for record in piece]

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
            head = next(file.iter_batches(_PEEK_ROWS), None)
            values = [] if head is None else [column.to_pylist() for column in head.columns]
            sample = [list(map(_cell, row)) for row in zip(*values, strict=True)]
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file that can be read ({_first_line(error)})") from None
    if not n_rows:
        raise InputError(f"{path}: the table has no rows ({few(header)}); one row per molecule is expected")
    notes: list[str] = []
    smiles_at, id_at = find_columns(path, header, sample, smiles_column, id_column, notes)
    done = [0.0]

    def rows() -> Iterator[_Row]:
        names = list(dict.fromkeys(header[at] for at in (smiles_at, id_at) if at is not None))
        n_read = 0
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(chunk_rows, columns=names):
                    raws = batch.column(header[smiles_at]).to_pylist()
                    ids = [None] * len(raws) if id_at is None else batch.column(header[id_at]).to_pylist()
                    n_read += len(raws)
                    done[0] = n_read / n_rows
                    for name, raw in zip(ids, raws, strict=True):
                        is_text = raw is None or isinstance(raw, str)
                        yield _cell(name) or None, _cell(raw), None if is_text else guard(raw)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: damaged after row {n_read:,} ({_first_line(error)}); copy it again") from None

    return MoleculeFile(
        path, "parquet", header, header[smiles_at], None if id_at is None else header[id_at],
        notes, chunk_rows, rows, lambda: done[0],
    )  # fmt: skip


def _sdf_ids(records: list[str], id_column: str | None) -> list[str | None]:
    return [None if id_column is None else sdf_fields(record).get(id_column) or None for record in records]


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
