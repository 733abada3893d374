"""Tables of latent vectors and of decoded molecules, as `molvae encode` and `molvae decode` write them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.errors import InputError, first_line
from molvae.inputs import latent_columns
from molvae.tables import Kinds

from .tables import LATENT_ENDINGS

if TYPE_CHECKING:
    from molvae.codec import Codec, Decoded

DECODED: Kinds = {"raw_smiles": str, "smiles": str, "reason": str}
"""Columns of decoded molecules."""

_CHUNK_ROWS = 10_000


@dataclass(frozen=True)
class LatentTable:
    """A file of latent vectors, read chunk by chunk.

    Parameters
    ----------
    has_ids : bool
        Whether the file has a column `id`.
    chunks : iterator of tuple
        Ids (None if a row has none) and latent vectors (n, D), float32; NaN if a cell is not a number.
    """

    has_ids: bool
    chunks: Iterator[tuple[list[str | None], np.ndarray]]


def decoded_table(rows: "Iterable[Decoded]") -> pd.DataFrame:
    """Decoded molecules as a table.

    Parameters
    ----------
    rows : iterable of Decoded
        Return value of `Codec.decode` or `Codec.sample`.

    Returns
    -------
    DataFrame
        The columns of `DECODED`, one row per molecule, in order.
    """
    cells = [(row.raw_smiles, row.smiles, row.reason) for row in rows]
    return pd.DataFrame(cells, columns=list(DECODED), dtype=object)


def read_latent(source: Path, codec: "Codec") -> LatentTable:
    """Open a table of latent vectors.

    Parameters
    ----------
    source : Path
        A .parquet or .csv file.
    codec : Codec
        The codec that decodes the vectors.

    Returns
    -------
    LatentTable
        The open file; each chunk is read when it is needed.

    Raises
    ------
    InputError
        The file cannot be read, or its columns are not the latent dimensions of the codec.
    """
    if not source.is_file():
        problem = "is not a regular file" if source.exists() else "no such file"
        raise InputError(f"{source}: {problem}; give a table of latent vectors, as `molvae encode` writes it")
    if source.suffix.lower() not in LATENT_ENDINGS:
        raise InputError(f"{source}: expected latent vectors as {' or '.join(LATENT_ENDINGS)}")
    names, chunks = _open(source)
    columns = [name for name in names if re.fullmatch(r"z_\d+", name)]
    expected = latent_columns(codec.n_latent)
    if columns != expected:
        found = (
            f"{len(columns)} columns {columns[0]} to {columns[-1]}" if columns else f"columns {', '.join(names[:8])}"
        )
        raise InputError(
            f"{source}: expected the latent dimensions of codec {codec.name}, columns {expected[0]} to {expected[-1]}; "
            f"got {found}"
        )
    has_ids = "id" in names
    return LatentTable(has_ids, (_read_chunk(chunk, columns, has_ids) for chunk in chunks))


def _open(source: Path) -> tuple[list[str], Iterator[pd.DataFrame]]:
    """The column names and the rows, in chunks."""
    try:
        if source.suffix.lower() == ".parquet":
            parquet = pq.ParquetFile(source)
            return parquet.schema_arrow.names, (batch.to_pandas() for batch in parquet.iter_batches(_CHUNK_ROWS))
        reader = pd.read_csv(source, chunksize=_CHUNK_ROWS, dtype=str)
        first = next(reader)
        return first.columns.astype(str).tolist(), chain([first], reader)
    except (ValueError, OSError, StopIteration) as error:
        raise InputError(f"{source}: cannot be read as a table ({first_line(error)})") from None


def _read_chunk(chunk: pd.DataFrame, columns: list[str], has_ids: bool) -> tuple[list[str | None], np.ndarray]:
    z = chunk[columns].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    if not has_ids:
        return [None] * len(chunk), z
    return [None if pd.isna(name) else str(name) for name in chunk["id"]], z
