"""Result tables as files: .csv, .xlsx, .parquet, .smi, .sdf and .html."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from molvae.errors import InputError

from . import terminal

if TYPE_CHECKING:
    import pandas as pd

    from molvae.tables import Kinds

RESULT_ENDINGS = (".csv", ".xlsx", ".parquet", ".smi", ".sdf", ".html")


def write_result(table: "pd.DataFrame", out: Path, *, title: str, excel: bool = False) -> None:
    """Write a table of molecules; notes on what the format cannot hold are printed.

    Parameters
    ----------
    table : DataFrame
        The table. .smi and .sdf need a column `smiles`; ids come from `candidate_id` or a similar column, and for
        several runs (`run`) they begin with the name of the run.
    out : Path
        The file, which is replaced as a whole; its ending chooses the format.
    title : str
        Heading of an .html file.
    excel : bool, default=False
        Whether a .csv file begins with the mark by which Excel recognizes UTF-8.

    Raises
    ------
    InputError
        The format needs a column that the table lacks.
    """
    ending = out.suffix.lower()
    if excel and ending != ".csv":
        raise InputError(f"--excel: expected an output file that ends in .csv, got {out}")
    if ending in (".smi", ".sdf") and "smiles" not in table:
        raise InputError(f"-o {out}: {ending} needs a column smiles; got {', '.join(map(str, table))}")
    _WRITERS[ending](table, out, title)
    if excel:
        _mark(out)


def to_plain(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table with columns of numbers, flags and text only; dates, lists and other values of SQL become text.

    Parameters
    ----------
    table : DataFrame
        The result of a query.

    Returns
    -------
    DataFrame
        The same rows and columns.
    """
    import decimal

    import pandas as pd
    from pandas.api import types

    plain = {}
    for name in table:
        column = table[name]
        if types.is_numeric_dtype(column) or types.is_bool_dtype(column) or isinstance(column.dtype, pd.StringDtype):
            continue
        values = [value for value in column if not (value is None or value is pd.NaT or value is pd.NA)]
        if values and all(isinstance(value, decimal.Decimal) for value in values):
            plain[str(name)] = column.astype(float)
        elif column.dtype != object or not all(isinstance(value, str | bool | float | int) for value in values):
            plain[str(name)] = pd.Series([_plain_text(value) for value in column], column.index, dtype=object)
    return table.assign(**plain)


def _plain_text(value: object) -> str | None:
    import numpy as np
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, np.ndarray | list | tuple):
        return f"[{', '.join(_plain_text(one) or 'NULL' for one in value)}]"
    if isinstance(value, dict):
        pairs = [f"{key}: {_plain_text(one) or 'NULL'}" for key, one in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def kinds_of(table: "pd.DataFrame") -> "Kinds":
    """The kinds of the columns, by their dtypes.

    Parameters
    ----------
    table : DataFrame
        The table.

    Returns
    -------
    dict of str to type
        As `molvae.tables.Kinds`.
    """
    import numpy as np
    from pandas.api import types

    kinds: Kinds = {}
    for name in table:
        column = table[name]
        is_flag, is_whole = types.is_bool_dtype(column), types.is_integer_dtype(column)
        is_number = types.is_numeric_dtype(column)
        kinds[str(name)] = bool if is_flag else int if is_whole else np.float64 if is_number else str
    return kinds


def _write_table(table: "pd.DataFrame", out: Path, title: str) -> None:
    from molvae.tables import writing

    with writing(out, kinds_of(table)) as writer:
        writer.write(table)
    for note in writer.notes:
        terminal.report(f"note: {out}: {note}")


def _write_smi(table: "pd.DataFrame", out: Path, title: str) -> None:
    import pandas as pd

    ids = _ids(table, out)
    _write_table(table if ids is None else table.assign(id=pd.Series(ids, table.index, dtype=object)), out, title)


def _write_sdf(table: "pd.DataFrame", out: Path, title: str) -> None:
    from molvae.chem.drawing import sdf_record
    from molvae.chem.molecules import canonicalize
    from molvae.files import replacing
    from molvae.tables import cell_text

    ids, kinds = _ids(table, out), kinds_of(table)
    n_invalid = 0
    with replacing(out) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for row, values in enumerate(table.to_dict("records")):
            smiles = canonicalize(values["smiles"]).smiles
            n_invalid += smiles is None
            fields = {str(name): cell_text(value, kinds[str(name)]) for name, value in values.items()}
            file.write(sdf_record(smiles, "" if ids is None else ids[row] or "", fields))
    if n_invalid:
        terminal.report(f"note: {out}: {n_invalid:,} rows without a valid SMILES have no structure")


def _write_html(table: "pd.DataFrame", out: Path, title: str) -> None:
    from molvae.report.grid import write_grid

    write_grid(out, table, title=title)


def _write_xlsx(table: "pd.DataFrame", out: Path, title: str) -> None:
    from molvae.report.workbook import write_workbook

    for note in write_workbook(out, table):
        terminal.report(f"note: {out}: {note}")


def _ids(table: "pd.DataFrame", out: Path) -> "list[str | None] | None":
    """Ids of the molecules, unique over runs; None if there is no column of ids."""
    from molvae.datasets.columns import find_id_column
    from molvae.tables import cell_text

    names = [str(name) for name in table]
    found = find_id_column(names)
    if found is None:
        terminal.report(f"note: {out}: no column is named like an id (such as candidate_id): structures only")
        return None
    ids = [cell_text(value, str) or None for value in table.iloc[:, found]]
    if "run" in table and table["run"].nunique() > 1:
        terminal.report(f"note: {out}: ids are run:{names[found]}")
        return [f"{run}:{one}" if one else None for run, one in zip(table["run"], ids, strict=True)]
    terminal.report(f"note: {out}: ids from column {names[found]}")
    return ids


def _mark(out: Path) -> None:
    from molvae.files import replacing

    content = out.read_bytes()
    with replacing(out) as part:
        part.write_bytes(b"\xef\xbb\xbf" + content)


_WRITERS: Mapping[str, Callable[["pd.DataFrame", Path, str], None]] = {
    ".csv": _write_table,
    ".parquet": _write_table,
    ".smi": _write_smi,
    ".sdf": _write_sdf,
    ".html": _write_html,
    ".xlsx": _write_xlsx,
}
