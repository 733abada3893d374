"""Finds the SMILES column and the id column of a table."""

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from molvae.chem.molecules import canonicalize
from molvae.errors import InputError

SMILES_NAMES = (
    "smiles", "canonicalsmiles", "isomericsmiles", "isosmiles", "standardizedsmiles", "standardsmiles", "rdkitsmiles",
    "smilesstring", "structuresmiles", "moleculesmiles", "molsmiles", "compoundsmiles", "ligandsmiles", "smi",
)  # fmt: skip
"""Names of SMILES columns, in order of preference; case, spaces, `_` and `-` are ignored."""

ID_NAMES = (
    "id", "moleculeid", "molid", "compoundid", "moleculechemblid", "chemblid", "zincid", "cid", "catalogid", "name",
    "moleculename", "compoundname", "title",
)  # fmt: skip
"""Names of id columns, in order of preference; case, spaces, `_` and `-` are ignored."""


_SAMPLE_ROWS = 20

Sample = Sequence[Sequence[str | None]]
"""The first rows of a table."""


def find_columns(
    path: Path,
    header: list[str],
    sample: Sample,
    smiles_column: str | None,
    id_column: str | None,
    notes: list[str],
) -> tuple[int, int | None]:
    """Find the SMILES column and the id column.

    Parameters
    ----------
    path : Path
        The file, for error messages.
    header : list of str
        Column names.
    sample : sequence of rows
        The first rows, for checking the values.
    smiles_column, id_column : str or None
        Column names from the user; None looks for the usual names.
    notes : list of str
        A note on each automatic choice is appended.

    Returns
    -------
    smiles_index : int
        Index of the SMILES column.
    id_index : int or None
        Index of the id column; None if there is none.

    Raises
    ------
    InputError
        There is no such column; the message suggests a similar one.
    """
    plain = [plain_name(name) for name in header]
    if smiles_column is not None:
        smiles_index = find_named(path, header, smiles_column, "SMILES")
    else:
        usual = [name for name in SMILES_NAMES if name in plain]
        if not usual:
            raise InputError(_explain_no_smiles(path, header, sample))
        if plain.count(usual[0]) > 1:
            same = [name for name in header if plain_name(name) == usual[0]]
            raise InputError(f"{path}: several SMILES columns ({few(same)}); rename all but one")
        smiles_index = plain.index(usual[0])
        if len(usual) > 1:
            others = ", ".join(header[plain.index(name)] for name in usual[1:])
            notes.append(f"SMILES are read from column {header[smiles_index]} (not from {others})")
    if not _count_valid(sample, smiles_index):
        likely = _likely_column(sample, len(header), excluded=smiles_index)
        if likely is not None:
            example = next((row[smiles_index] for row in sample if row[smiles_index]), "")
            raise InputError(
                f"{path}: the first rows of column {header[smiles_index]} are not SMILES ({shorten(str(example))}); "
                f"did you mean --smiles-column {header[likely]}, whose values are valid SMILES?"
            )
    if id_column is not None:
        return smiles_index, find_named(path, header, id_column, "id")
    found = next((name for name in ID_NAMES if plain.count(name) == 1 and plain.index(name) != smiles_index), None)
    if found is None:
        return smiles_index, None
    notes.append(f"ids are read from column {header[plain.index(found)]}")
    return smiles_index, plain.index(found)


def find_named(path: Path, header: list[str], name: str, what: str) -> int:
    """Find a column by its name; case is ignored if that is unambiguous.

    Parameters
    ----------
    path : Path
        The file, for error messages.
    header : list of str
        Column names.
    name : str
        Name from the user.
    what : str
        Content of the column, for error messages: "SMILES" or "id".

    Returns
    -------
    int
        Index of the column.

    Raises
    ------
    InputError
        There is no such column, or there are several.
    """
    exact = [i for i, column in enumerate(header) if column == name]
    found = exact or [i for i, column in enumerate(header) if column.lower() == name.strip().lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{path}: {len(found)} columns are named {name}; rename all but the {what} column")
    near = difflib.get_close_matches(name, header, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{path}: no {what} column {name} among {few(header)}{hint}")


def plain_name(name: str) -> str:
    """Normalize a column name for comparison.

    Parameters
    ----------
    name : str
        Column name.

    Returns
    -------
    str
        Its letters, in lowercase, and its digits.
    """
    return "".join(letter for letter in name.lower() if letter.isalnum())


def few(names: list[str]) -> str:
    """Join up to 20 names for a message.

    Parameters
    ----------
    names : list of str
        Names.

    Returns
    -------
    str
    """
    shown = [shorten(name) if name else "(unnamed)" for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def shorten(text: str, limit: int = 60) -> str:
    """Shorten a text for a message.

    Parameters
    ----------
    text : str
        Any text.
    limit : int, default=60
        Number of characters to keep.

    Returns
    -------
    str
    """
    return text if len(text) <= limit else f"{text[:limit]}..."


def _explain_no_smiles(path: Path, header: list[str], sample: Sample) -> str:
    likely = _likely_column(sample, len(header))
    if any(_is_valid(name) for name in (header if likely is None else [header[likely]])):
        return (
            f"{path}: no SMILES column: the first line looks like data ({few(header)}); insert a line with column "
            "names (smiles, ...), or rename the file to end in .smi"
        )
    hint = (
        "give its name with --smiles-column"
        if likely is None
        else f"did you mean --smiles-column {header[likely]}, whose values are valid SMILES?"
    )
    return f"{path}: no SMILES column among {few(header)}; {hint}"


def _likely_column(sample: Sample, n_columns: int, excluded: int | None = None) -> int | None:
    """The column with the most valid SMILES among the sampled values, if at least half of its values are valid."""
    counts = Counter({i: _count_valid(sample, i) for i in range(n_columns) if i != excluded})
    best, n_best = max(counts.items(), key=lambda item: item[1], default=(0, 0))
    return best if n_best and 2 * n_best >= len(sample[:_SAMPLE_ROWS]) else None


def _count_valid(sample: Sample, column: int) -> int:
    return sum(_is_valid(row[column] or "") for row in sample[:_SAMPLE_ROWS] if column < len(row))


def _is_valid(text: str) -> bool:
    """Whether a text is a valid SMILES of 3 to 200 characters: N or CO may be words, and long text may crash RDKit."""
    return 2 < len(text) <= 200 and canonicalize(text).smiles is not None
