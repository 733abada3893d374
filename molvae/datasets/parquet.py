"""Reads molecules from a Parquet file."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from molvae.chem.molecules import guard
from molvae.datasets.columns import few, find_columns
from molvae.datasets.rows import SAMPLE_ROWS, MoleculeFile, Row
from molvae.datasets.text_lines import check_regular
from molvae.errors import InputError, first_line
from molvae.tables import id_texts


def open_parquet(path: Path, smiles_column: str | None, id_column: str | None, chunk_rows: int) -> MoleculeFile:
    """Open a Parquet file; see `molvae.datasets.open_molecules`.

    Parameters
    ----------
    path : Path
        The file.
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
        The file cannot be read, has no rows, or no such column.
    """
    check_regular(path)
    notes: list[str] = []
    try:
        with pq.ParquetFile(path) as file:
            header = file.schema_arrow.names
            n_rows = file.metadata.num_rows
            head = next(file.iter_batches(SAMPLE_ROWS), None)
            values = [] if head is None else [column.to_pylist() for column in head.columns]
            sample = [list(map(_text, row)) for row in zip(*values, strict=True)]
            if not n_rows:
                raise InputError(f"{path}: the table has no rows ({few(header)}); expected one row per molecule")
            smiles_index, id_index = find_columns(path, header, sample, smiles_column, id_column, notes)
            if id_index is not None and header.count(header[id_index]) > 1:
                notes[-1] = f"no ids: several columns are named {header[id_index]}; rename all but one"
                id_index = None
            is_whole = id_index is not None and holds_whole_numbers(file, header[id_index])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None
    done = [0.0]

    def rows() -> Iterator[Row]:
        names = list(dict.fromkeys(header[i] for i in (smiles_index, id_index) if i is not None))
        n_read = 0
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(chunk_rows, columns=names):
                    raws = batch.column(header[smiles_index]).to_pylist()
                    ids: list[str | None] = [None] * len(raws)
                    if id_index is not None:
                        ids = id_texts(batch.column(header[id_index]), is_whole)
                    n_read += len(raws)
                    done[0] = n_read / n_rows
                    for name, raw in zip(ids, raws, strict=True):
                        is_text = raw is None or isinstance(raw, str)
                        yield Row(name, _text(raw), None if is_text else guard(raw))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: damaged after row {n_read:,} ({first_line(error)}); copy it again") from None

    return MoleculeFile(
        path, "parquet", header, header[smiles_index], None if id_index is None else header[id_index],
        notes, chunk_rows, rows, lambda: done[0],
    )  # fmt: skip


def holds_whole_numbers(file: pq.ParquetFile, name: str) -> bool:
    """Whether a column of floats holds only whole numbers, as pandas stores integers if some are missing.

    Parameters
    ----------
    file : ParquetFile
        The open file.
    name : str
        Name of the column.

    Returns
    -------
    bool
        False also for a column of another type.
    """
    if not pa.types.is_floating(file.schema_arrow.field(name).type):
        return False
    values = (value for batch in file.iter_batches(columns=[name]) for value in batch.column(0).to_pylist())
    return all(value is None or value != value or value.is_integer() for value in values)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
