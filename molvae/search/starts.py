"""The start molecules of a search: standardized, encoded, and reported if they differ from what was given."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from molvae.chem.molecules import standardize, to_smiles
from molvae.errors import InputError
from molvae.inputs import read_molecules
from molvae.search.ledger import Candidate
from molvae.search.optimizers import FIRST_START

if TYPE_CHECKING:
    from molvae.codec import MoleculeSpace

_MAX_REASONS = 5
_MAX_SHOWN = 60


def read_starts(
    start: Iterable[str] | None,
    codec: "MoleculeSpace",
    budget: int,
    notify: Callable[[str], None],
    *,
    remove_stereo: bool = False,
) -> list[Candidate]:
    """Read the start molecules that the codec can encode.

    Parameters
    ----------
    start : iterable of str, or None
        SMILES; None gives no start molecules.
    codec : MoleculeSpace
        Codec of the search.
    budget : int
        Largest number of start molecules.
    notify : callable
        Called with each note: a molecule that is skipped, changed or not reconstructed, or molecules beyond the budget.
    remove_stereo : bool, default=False
        Whether stereo is removed.

    Returns
    -------
    list of Candidate
        Unique molecules in the order given.

    Raises
    ------
    InputError
        `start` is empty or not a list of SMILES, or no molecule can be encoded.
    """
    if start is None:
        return []
    given = _as_list(start)
    standardized = [standardize(raw) for raw in given]
    valid = [index for index, one in enumerate(standardized) if one.smiles is not None]
    encoding = codec.encode([standardized[index].smiles for index in valid], remove_stereo=remove_stereo)
    row_of = {index: row for row, index in enumerate(valid)}
    starts: list[Candidate] = []
    name_of: dict[str, str] = {}
    notes = []
    for index, (raw, (smiles, reason, warning)) in enumerate(zip(map(to_smiles, given), standardized, strict=True)):
        name = f"start {index + 1} ({_shorten(raw)})"
        row = row_of.get(index)
        encoded = encoding.smiles[row] if row is not None and encoding.ok[row] else None
        if row is None or encoded is None:
            notes.append(f"{name}: skipped: {reason if row is None else encoding.reason[row]}")
        elif encoded in name_of:
            notes.append(f"{name}: skipped: duplicate of {name_of[encoded]}")
        else:
            name_of[encoded] = name
            changes = [change for change in (warning, "stereo removed" if encoded != smiles else None) if change]
            if changes:
                notes.append(f"{name}: {'; '.join(changes)}; used as {encoded}")
            z = np.asarray(encoding.z[row], np.float32)
            starts.append(Candidate(encoded, str(raw).strip(), FIRST_START - len(starts), z, z))
    if not starts:
        raise InputError(f"start: none of {len(given)} molecules can be used: {'; '.join(notes[:_MAX_REASONS])}")
    for note in notes:
        notify(note)
    if len(starts) > budget:
        notify(f"start: {len(starts)} molecules exceed the budget of {budget}; only the first {budget} are scored")
        starts = starts[:budget]
    _report_inexact(starts, name_of, codec, notify)
    return starts


def _report_inexact(
    starts: list[Candidate], name_of: dict[str, str], codec: "MoleculeSpace", notify: Callable[[str], None]
) -> None:
    """Report the start molecules that are not reconstructed."""
    for start, decoded in zip(starts, codec.decode(np.stack([one.z for one in starts])), strict=True):
        if decoded.smiles != start.smiles:
            other = decoded.smiles or f"{decoded.raw_smiles} (invalid: {decoded.reason})"
            notify(
                f"{name_of[start.smiles]}: not reconstructed: its latent vector decodes to {other}; "
                "the search starts near the molecule"
            )


def _as_list(start: object) -> list[object]:
    given = read_molecules(start, "start").items
    if not given:
        raise InputError("start: expected at least one SMILES, got an empty list; None starts from the codec's prior")
    return given


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
