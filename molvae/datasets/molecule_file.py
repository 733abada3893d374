"""Opens a molecule file of any supported format; every molecule is a row."""

from itertools import islice
from pathlib import Path

from molvae.datasets.columns import has_smiles_name
from molvae.datasets.delimited import open_delimited
from molvae.datasets.parquet import open_parquet
from molvae.datasets.records import find_separator
from molvae.datasets.rows import CHUNK_ROWS, MoleculeFile, string_column
from molvae.datasets.sdf import open_sdf
from molvae.datasets.smi import open_smi
from molvae.datasets.text_lines import TextLines
from molvae.errors import InputError
from molvae.workers import LocalProcesses, Mapper

__all__ = ["FORMATS", "MoleculeFile", "open_molecules", "string_column"]

FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".smi": "smi", ".smiles": "smi", ".cxsmiles": "smi", ".cxsmi": "smi",
    ".ism": "smi", ".can": "smi", ".txt": "txt", ".parquet": "parquet", ".pq": "parquet", ".sdf": "sdf", ".sd": "sdf",
    ".mol": "sdf",
}  # fmt: skip

_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


def open_molecules(
    path: Path,
    smiles_column: str | None = None,
    id_column: str | None = None,
    chunk_rows: int = CHUNK_ROWS,
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
        Name of the id column; None looks for the usual names. In an SDF it is a data item, or `title` for the first
        line of a record.
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
        The file cannot be read, has no rows, or has no such column; or several columns could hold the SMILES.
    """
    path = Path(path)
    kind = _find_format(path)
    if kind == "parquet":
        return open_parquet(path, smiles_column, id_column, chunk_rows)
    lines = TextLines(path)
    if kind == "txt":
        kind = _find_text_format(lines, smiles_column)
    if kind == "smi":
        return open_smi(lines, smiles_column, id_column, chunk_rows)
    if kind == "sdf":
        return open_sdf(lines, smiles_column, id_column, chunk_rows, mapper or LocalProcesses())
    return open_delimited(lines, kind, smiles_column, id_column, chunk_rows)


def _find_text_format(lines: TextLines, smiles_column: str | None) -> str:
    """csv if the first line has several column names, including one for SMILES; else smi."""
    head = list(islice(lines, 20))
    header = next((line for line in head if line.strip() and not line.startswith("#")), "")
    separator = find_separator([header], ",", smiles_column)
    names = header.split(separator)
    is_table = separator in ",;|" and len(names) > 1 and has_smiles_name(names, smiles_column)
    return "csv" if is_table else "smi"


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
