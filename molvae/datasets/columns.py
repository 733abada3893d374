"""Finds the SMILES column and the id column of a table; every choice among several columns is noted or refused."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from molvae.chem.molecules import canonicalize
from molvae.errors import InputError
from molvae.inputs import SMILES_NAMES, plain_name

ID_NAMES = (
    "id", "ids", "candidateid", "moleculeid", "molid", "compoundid", "cmpdid", "cpdid", "structureid", "ligandid",
    "substanceid", "sampleid", "entityid", "registrationid", "registrationnumber", "regid", "regno", "corpid",
    "moleculechemblid", "compoundchemblid", "chemblid", "zincid", "enamineid", "mculeid", "drugbankid", "databaseid",
    "pubchemcompoundcid", "pubchemcid", "pubchemid", "cid", "catalogid", "catalognumber", "catalogno", "catalogueid",
    "idnumber", "vendorid", "supplierid", "productid", "identifier", "compoundidentifier", "casnumber", "casrn", "cas",
    "compound", "code", "compoundcode", "name", "moleculename", "compoundname", "title",
)  # fmt: skip
"""Names of id columns, in order of preference; case, spaces, `_` and `-` are ignored."""

_QUALIFIERS = re.compile(
    "canonical|isomeric|iso|standardi[sz]ed|standard|std|rdkit|string|structure|molecule|mol|compound|cx|absolute|abs"
    "|raw|input|original|parent|clean(?:ed)?|final|openeye|cactvs|pubchem|kekule|flat|desalted|neutral(?:i[sz]ed)?"
)
"""Words next to SMILES in the name of a column that do not name a part of a reaction or of a complex."""

_OTHER_IDS = {
    "batch", "lot", "assay", "cluster", "target", "scaffold", "document", "doc", "plate", "well", "series", "parent",
    "mate", "group", "set", "fold", "project", "patent", "paper", "source", "run",
}  # fmt: skip
"""Words in the name of an id column that is not the id of a molecule."""

_SAMPLE_ROWS = 20

Sample = Sequence[Sequence[str | None]]
"""The first rows of a table."""


class _Choice(NamedTuple):
    """A column and the others that could have been chosen."""

    column: int
    rivals: list[int]


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
        There is no such column, the message suggests a similar one; or several columns could hold the SMILES.
    """
    if smiles_column is not None:
        smiles_index = find_named(path, header, smiles_column, "SMILES")
    else:
        chosen = _choose_smiles(path, header, sample)
        smiles_index = chosen.column
        if chosen.rivals or plain_name(header[smiles_index]) not in SMILES_NAMES:
            notes.append(f"SMILES are read from column {header[smiles_index]}{_not_from(header, chosen.rivals)}")
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
    found = _choose_id(header, sample, smiles_index)
    if found is not None:
        notes.append(f"ids are read from column {header[found.column]}{_not_from(header, found.rivals)}")
        return smiles_index, found.column
    others = [name for i, name in enumerate(header) if i != smiles_index and not _names_smiles(name)]
    if others:
        notes.append(f"no column is named like an id; --id-column chooses one of {few(others, 8)}")
    return smiles_index, None


def find_id_column(header: list[str], notes: list[str] | None = None) -> int | None:
    """Find the id column of a table by the names of its columns.

    Parameters
    ----------
    header : list of str
        Column names.
    notes : list of str, optional
        A note on the choice is appended.

    Returns
    -------
    int or None
        Index of the column; None if there is none.

    Examples
    --------
    >>> find_id_column(["smiles", "Catalog ID", "MW"])
    1
    """
    found = _choose_id(header, [], -1)
    if found is None:
        return None
    if notes is not None:
        notes.append(f"ids are read from column {header[found.column]}{_not_from(header, found.rivals)}")
    return found.column


def _choose_smiles(path: Path, header: list[str], sample: Sample) -> _Choice:
    """The column with the SMILES of a molecule; columns for parts of a reaction or of a complex are equally good."""
    plain = [plain_name(name) for name in header]
    general = [i for i, name in enumerate(plain) if _is_general(name)]
    special = [i for i, name in enumerate(header) if _names_smiles(name) and i not in general]
    if not general and not special:
        raise InputError(_explain_no_smiles(path, header, sample))
    ranks = {name: rank for rank, name in enumerate(SMILES_NAMES)}
    ranked = sorted(general, key=lambda i: ranks.get(plain[i], len(ranks)))
    best = [i for i in ranked if ranks.get(plain[i], 99) == ranks.get(plain[ranked[0]], 99)] if ranked else special
    if len(best) > 1:
        names = [header[i] for i in best]
        cure = (
            "rename all but one"
            if len(set(names)) < len(names)
            else f"choose one with --smiles-column {quote(names[0])} (smiles_column in Python and in a campaign), or "
            "rename the others"
        )
        raise InputError(f"{path}: several SMILES columns ({few(names)}); {cure}")
    return _Choice(best[0], sorted({*general, *special} - {best[0]}))


def _names_smiles(name: str) -> bool:
    return "smiles" in name.lower() and not re.search(r"[,;|\t]", name)  # these separate columns


def _is_general(plain: str) -> bool:
    return plain in SMILES_NAMES or _QUALIFIERS.sub("", plain) == "smiles"


def _choose_id(header: list[str], sample: Sample, smiles_index: int) -> _Choice | None:
    """The column with the ids: of a usual name, or else one named "... id" whose values in the sample all differ."""
    plain = [plain_name(name) for name in header]
    ranks = {name: rank for rank, name in enumerate(ID_NAMES)}
    found = sorted(
        (i for i, name in enumerate(plain) if name in ranks and i != smiles_index), key=lambda i: ranks[plain[i]]
    )
    if not found:
        found = [
            i for i, name in enumerate(header)
            if i != smiles_index and _is_named_like_id(name) and _are_different(sample, i)
        ]  # fmt: skip
    return _Choice(found[0], found[1:]) if found else None


def _is_named_like_id(name: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
    return len(words) > 1 and words[-1] in ("id", "identifier") and not set(words) & _OTHER_IDS


def _are_different(sample: Sample, column: int) -> bool:
    values = [row[column] for row in sample if column < len(row) and row[column]]
    return bool(values) and len(set(values)) == len(values)


def _not_from(header: list[str], rivals: Sequence[int]) -> str:
    return f" (not from {', '.join(header[i] for i in rivals)})" if rivals else ""


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


def few(names: list[str], limit: int = 20) -> str:
    """Join the first names of a list for a message.

    Parameters
    ----------
    names : list of str
        Names.
    limit : int, default=20
        Number of names to show.

    Returns
    -------
    str
    """
    shown = [shorten(name) if name else "(unnamed)" for name in names[:limit]]
    return ", ".join(shown) + (f" and {len(names) - limit} more" if len(names) > limit else "")


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


def quote(name: str) -> str:
    """A column name as an argument of a command.

    Parameters
    ----------
    name : str
        Column name.

    Returns
    -------
    str
        In quotation marks if it has white space.
    """
    return f'"{name}"' if re.search(r"\s", name) else name


def has_smiles_name(names: Sequence[str], smiles_column: str | None = None) -> bool:
    """Whether one of several names is that of a SMILES column.

    Parameters
    ----------
    names : sequence of str
        Fields of a line that may be the header.
    smiles_column : str or None, default=None
        Name from the user.

    Returns
    -------
    bool
    """
    stripped = [name.strip().strip('"').lstrip("#").strip() for name in names]
    if smiles_column is not None:
        return any(name.lower() == smiles_column.strip().lower() for name in stripped)
    return any(_names_smiles(name) or plain_name(name) in SMILES_NAMES for name in stripped)


def is_smiles(text: str) -> bool:
    """Whether a text is a valid SMILES of 3 to 200 characters: N or CO may be words, and long text may crash RDKit.

    Parameters
    ----------
    text : str
        Content of a cell.

    Returns
    -------
    bool
    """
    return 2 < len(text) <= 200 and canonicalize(text).smiles is not None


def _explain_no_smiles(path: Path, header: list[str], sample: Sample) -> str:
    likely = _likely_column(sample, len(header))
    if any(is_smiles(name) for name in (header if likely is None else [header[likely]])):
        return (
            f"{path}: no SMILES column: the first line looks like data ({few(header)}); insert a line with column "
            "names (smiles, ...), or rename the file to end in .smi"
        )
    if likely is not None:
        hint = f"did you mean --smiles-column {quote(header[likely])}, whose values are valid SMILES?"
    elif len(header) == 1:
        hint = (
            "the line has one column only: columns are separated by commas, semicolons, tabs or |, and the header has "
            "to name one of them smiles"
        )
    else:
        hint = "give its name with --smiles-column"
    return f"{path}: no SMILES column among {few(header)}; {hint}"


def _likely_column(sample: Sample, n_columns: int, excluded: int | None = None) -> int | None:
    """The column with the most valid SMILES among the sampled values, if at least half of its values are valid."""
    counts = Counter({i: _count_valid(sample, i) for i in range(n_columns) if i != excluded})
    best, n_best = max(counts.items(), key=lambda item: item[1], default=(0, 0))
    return best if n_best and 2 * n_best >= len(sample[:_SAMPLE_ROWS]) else None


def _count_valid(sample: Sample, column: int) -> int:
    return sum(is_smiles(row[column] or "") for row in sample[:_SAMPLE_ROWS] if column < len(row))
