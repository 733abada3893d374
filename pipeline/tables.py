"""The tables that commands write, chunk by chunk, as .csv, .smi or .parquet; whole or not at all."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.files import replacing

Kinds = dict[str, type]
"""Column -> str, int, float or bool; in a text column None stands for what is not there."""

_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float32(), bool: pa.bool_()}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class TableWriter(Protocol):
    """Takes a table piece by piece."""

    def write(self, table: pd.DataFrame) -> None:
        """Append rows."""
        ...


def check_ending(path: Path, endings: Sequence[str], option: str = "-o") -> None:
    """Refuse a file name whose ending does not say one of the formats, or whose folder is not there.

    Raises:
        InputError: naming the endings that can be written.
    """
    if path.suffix.lower() not in endings:
        raise InputError(f"{option} {path}: expected a file name that ends in {' or '.join(endings)}")
    if path.is_dir():
        raise InputError(f"{option} {path}: is a folder; give a file name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent} to write it in")


@contextmanager
def writing(path: Path, kinds: Kinds) -> Iterator[TableWriter]:
    """A writer for the format that the ending says; the file takes its place, over an older one, when the block ends.

    .smi holds the rows that have a SMILES: the SMILES, and the id where there is one.
    """
    with replacing(path) as part, ExitStack() as stack:
        ending = path.suffix.lower()
        if ending == ".parquet":
            schema = pa.schema([(name, _ARROW[kind]) for name, kind in kinds.items()])
            yield _Parquet(stack.enter_context(pq.ParquetWriter(part, schema, compression="zstd")), schema)
        else:
            file = stack.enter_context(part.open("w", encoding="utf-8", newline=""))
            yield _Csv(file, kinds) if ending == ".csv" else _Smi(file)


def kind_of(reason: str) -> str:
    """What kind of reason it is, for counting: what stands before its first colon, or before the number of a row.

    Example:
        >>> kind_of("too long: 1,200 characters"), kind_of("duplicate of row 12")
        ('too long', 'duplicate')
    """
    return re.split(r":| of row \d", reason, maxsplit=1)[0]


class _Parquet:
    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema

    def write(self, table: pd.DataFrame) -> None:
        arrays = [pa.array(table[field.name], type=field.type, from_pandas=True) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


class _Csv:
    """Numbers to nine digits, which give a float32 back exactly; text never as a spreadsheet's formula."""

    def __init__(self, file: IO[str], kinds: Kinds) -> None:
        self._kinds = kinds
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(kinds)

    def write(self, table: pd.DataFrame) -> None:
        columns = [[_cell(value, kind) for value in table[name]] for name, kind in self._kinds.items()]
        self._writer.writerows(zip(*columns, strict=True))


class _Smi:
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, table: pd.DataFrame) -> None:
        names = table["id"] if "id" in table else [None] * len(table)
        for smiles, name in zip(table["smiles"], names, strict=True):
            if isinstance(smiles, str):
                label = f" {' '.join(name.split())}" if isinstance(name, str) and name.strip() else ""
                self._file.write(f"{smiles}{label}\n")


def _cell(value: Any, kind: type) -> str:
    if value is None or value != value:
        return ""
    if kind is float:
        return f"{value:.9g}"
    text = str(value)
    return f"'{text}" if kind is str and text.lstrip("'").startswith(_FORMULA) else text
