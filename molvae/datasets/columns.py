"""Which column of a table holds the SMILES, and which the ids."""

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
"""Column names taken for SMILES without asking, the first first; case, spaces, `_` and `-` do not count."""

ID_NAMES = (
    "id", "moleculeid", "molid", "compoundid", "moleculechemblid", "chemblid", "zincid", "cid", "catalogid", "name",
    "moleculename", "compoundname", "title",
)  # fmt: skip
"""Column names taken for the user's own ids without asking."""


_JUDGED_ROWS = 20

Sample = Sequence[Sequence[str | None]]


def find_columns(
    path: Path,
    header: list[str],
    sample: Sample,
    smiles_column: str | None,
    id_column: str | None,
    notes: list[str],
) -> tuple[int, int | None]:
    """The places of the SMILES and of the ids among the columns; what was guessed is added to the notes.

    sample: the first rows, by which the values are judged.

    Raises:
        InputError: there is no such column; the message guesses the one that was meant.
    """
    plain = [plain_name(name) for name in header]
    if smiles_column is not None:
        smiles_at = find_named(path, header, smiles_column, "SMILES")
    else:
        usual = [name for name in SMILES_NAMES if name in plain]
        if not usual:
            raise InputError(_explain_no_smiles(path, header, sample))
        if plain.count(usual[0]) > 1:
            alike = [name for name in header if plain_name(name) == usual[0]]
            raise InputError(f"{path}: several columns may hold the SMILES ({few(alike)}); give each a name of its own")
        smiles_at = plain.index(usual[0])
        if len(usual) > 1:
            others = ", ".join(header[plain.index(name)] for name in usual[1:])
            notes.append(f"SMILES are read from the column {header[smiles_at]} (not from {others})")
    if not _n_molecules(sample, smiles_at):
        likely = _likely_column(sample, len(header), apart_from=smiles_at)
        if likely is not None:
            example = next((row[smiles_at] for row in sample if row[smiles_at]), "")
            raise InputError(
                f"{path}: the first rows of column {header[smiles_at]} hold no SMILES (but {shorten(str(example))}); "
                f"did you mean --smiles-column {header[likely]}? its values parse as molecules"
            )
    if id_column is not None:
        return smiles_at, find_named(path, header, id_column, "id")
    found = next((name for name in ID_NAMES if plain.count(name) == 1 and plain.index(name) != smiles_at), None)
    if found is None:
        return smiles_at, None
    notes.append(f"ids are read from the column {header[plain.index(found)]}")
    return smiles_at, plain.index(found)


def find_named(path: Path, header: list[str], name: str, what: str) -> int:
    """The place of a column; its case may differ where that leaves no doubt.

    Raises:
        InputError: there is none, or several.
    """
    exact = [place for place, column in enumerate(header) if column == name]
    places = exact or [place for place, column in enumerate(header) if column.lower() == name.strip().lower()]
    if len(places) == 1:
        return places[0]
    if places:
        raise InputError(f"{path}: {len(places)} columns are named {name}; give the {what} column a name of its own")
    near = difflib.get_close_matches(name, header, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{path}: no {what} column {name} among {few(header)}{hint}")


def _explain_no_smiles(path: Path, header: list[str], sample: Sample) -> str:
    likely = _likely_column(sample, len(header))
    if any(_is_molecule(name) for name in (header if likely is None else [header[likely]])):
        return (
            f"{path}: no SMILES column: the first line looks like data ({few(header)}); put a line with column names "
            "above it (smiles, ...), or let the file's name end in .smi"
        )
    hint = (
        "name it with --smiles-column"
        if likely is None
        else f"did you mean --smiles-column {header[likely]}? its values parse as molecules"
    )
    return f"{path}: no SMILES column among {few(header)}; {hint}"


def _likely_column(sample: Sample, n_columns: int, apart_from: int | None = None) -> int | None:
    """The column of whose sampled values most, and at least half, are molecules."""
    counts = Counter({at: _n_molecules(sample, at) for at in range(n_columns) if at != apart_from})
    best, n_best = max(counts.items(), key=lambda item: item[1], default=(0, 0))
    return best if n_best and 2 * n_best >= len(sample[:_JUDGED_ROWS]) else None


def _n_molecules(sample: Sample, at: int) -> int:
    """How many of the first values are molecules."""
    return sum(_is_molecule(row[at] or "") for row in sample[:_JUDGED_ROWS] if at < len(row))


def _is_molecule(text: str) -> bool:
    """Whether a text parses; not a very long one, for this runs outside of the worker pool, nor one like N or CO."""
    return 2 < len(text) <= 200 and canonicalize(text).smiles is not None


def plain_name(name: str) -> str:
    """A name as it is compared: small letters and digits alone."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def few(names: list[str]) -> str:
    """Names for a message, not too many of them."""
    shown = [shorten(name) if name else "(unnamed)" for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def shorten(text: str, limit: int = 60) -> str:
    """A text for a message, not too long."""
    return text if len(text) <= limit else f"{text[:limit]}..."
