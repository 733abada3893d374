"""Standardizes the molecules of a file in worker processes; every dropped row has a reason."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from molvae.chem.molecules import Standardized, standardize
from molvae.chem.structures import AXIAL_REMOVED, STEREO_REMOVED
from molvae.datasets.rows import MoleculeFile, string_column
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_CHUNK_ROWS = 500  # per worker

_Answer = str | Standardized | WorkerFailure


def standardize_file(
    file: MoleculeFile,
    mapper: Mapper | None = None,
    progress: Callable[[int], None] | None = None,
    drop_duplicates: bool = True,
) -> Iterator[pd.DataFrame]:
    """Standardize the molecules of a file, chunk by chunk.

    With `drop_duplicates`, memory grows by 16 bytes per unique molecule. Molecules are compared by 64-bit hashes: one
    in 10^19 pairs of different molecules is mistaken for duplicates.

    Parameters
    ----------
    file : MoleculeFile
        The file.
    mapper : Mapper or None, default=None
        Standardizes the molecules; None takes LocalProcesses().
    progress : callable, optional
        Called after each chunk with its number of rows.
    drop_duplicates : bool, default=True
        Drop molecules that are the same as an earlier one after standardization, with the reason ``duplicate of row
        N``.

    Yields
    ------
    DataFrame
        The rows of a chunk, in order: row, id, raw, smiles (None if the row is dropped), reason (why it is dropped;
        None if it is kept) and warning.

    Raises
    ------
    InputError
        The file is truncated or damaged.
    """
    waiting: deque[pd.DataFrame] = deque()

    def chunks() -> Iterator[list[str | None]]:
        for table in file:
            waiting.append(table)
            raw = [None if reason else raw for raw, reason in zip(table["raw"], table["reason"], strict=True)]
            for begin in range(0, len(raw), _CHUNK_ROWS):
                yield raw[begin : begin + _CHUNK_ROWS]

    first_rows = _FirstRows() if drop_duplicates else None
    answers: list[_Answer] = []
    for part in (mapper or LocalProcesses())(_standardize, chunks()):
        answers += part
        if len(answers) == len(waiting[0]):  # the mapper's chunks end where the file's chunks end
            table = _standardized_table(waiting.popleft(), answers, first_rows)
            answers = []
            if progress is not None:
                progress(len(table))
            yield table


def standardized_rows(table: pd.DataFrame) -> list[Standardized]:
    """List the rows of a chunk of `standardize_file`, e.g. for `Codec.encode`.

    Parameters
    ----------
    table : DataFrame
        A chunk, with the columns smiles, reason and warning.

    Returns
    -------
    list of Standardized
        One per row, in order.
    """
    columns = (table[name].tolist() for name in ("smiles", "reason", "warning"))
    return [Standardized(*row) for row in zip(*columns, strict=True)]


def _standardize(raw: str | None) -> str | Standardized:
    """Like `standardize`, but only the SMILES if there is no warning, because a worker sends a string faster."""
    result = standardize(raw)
    return result if result.smiles is None or result.warning else result.smiles


def _standardized_table(
    table: pd.DataFrame, answers: Sequence[_Answer], first_rows: "_FirstRows | None"
) -> pd.DataFrame:
    reasons = table["reason"].tolist()
    smiles = [answer if isinstance(answer, str) else None for answer in answers]
    warnings: list[str | None] = [None] * len(answers)
    for i, answer in enumerate(answers):
        if isinstance(answer, str):
            if reasons[i]:
                smiles[i] = None
            continue
        reasons[i] = reasons[i] or answer.reason
        if reasons[i] is None and isinstance(answer, Standardized):
            smiles[i], warnings[i] = answer.smiles, answer.warning
    for i, read in enumerate(table["warning"].tolist()):
        if read and smiles[i] is not None:
            warnings[i] = "; ".join(filter(None, (read, warnings[i])))
    if first_rows is not None:
        for i, first in first_rows.find(smiles, table["row"].to_numpy()):
            reasons[i] = _explain_duplicate(first, warnings[i] or "")
            smiles[i] = warnings[i] = None
    columns = {"smiles": smiles, "reason": reasons, "warning": warnings}
    return table[["row", "id", "raw"]].assign(**{name: string_column(values) for name, values in columns.items()})


def _explain_duplicate(first: int, warning: str) -> str:
    """Why a row is dropped; a molecule that became a duplicate because stereo was removed is counted apart."""
    for removed in (STEREO_REMOVED, AXIAL_REMOVED):
        if removed in warning:
            return f"duplicate after {removed.replace(' removed', '')} was removed: row {first}"
    return f"duplicate of row {first}"


class _FirstRows:
    """The row of each molecule's first occurrence, in a few sorted arrays of hashes; smaller arrays are merged."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def find(self, smiles: Sequence[str | None], rows: np.ndarray) -> list[tuple[int, int]]:
        """The indices of duplicates, each with the row of the first occurrence; adds the new molecules."""
        indices = np.array([i for i, one in enumerate(smiles) if one is not None], dtype=np.int64)
        if not len(indices):
            return []
        hashes = pd.util.hash_array(
            np.array([one for one in smiles if one is not None], dtype=object), categorize=False
        )
        firsts = np.full(len(indices), -1, dtype=np.int64)
        for known, known_rows in self._runs:
            near = np.searchsorted(known, hashes).clip(max=len(known) - 1)
            is_known = known[near] == hashes
            firsts[is_known] = known_rows[near[is_known]]
        new = np.flatnonzero(firsts < 0)
        values, first_indices, inverse = np.unique(hashes[new], return_index=True, return_inverse=True)
        own_rows = rows[indices[new]]
        within = own_rows[first_indices][inverse]
        is_repeated = within != own_rows
        firsts[new[is_repeated]] = within[is_repeated]
        if len(values):
            self._add(values, own_rows[first_indices])
        repeated = firsts >= 0
        return list(zip(indices[repeated].tolist(), firsts[repeated].tolist(), strict=True))

    def _add(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        while self._runs and len(self._runs[-1][0]) <= len(hashes):
            last_hashes, last_rows = self._runs.pop()
            hashes, rows = np.concatenate([last_hashes, hashes]), np.concatenate([last_rows, rows])
            order = np.argsort(hashes, kind="stable")
            hashes, rows = hashes[order], rows[order]
        self._runs.append((hashes, rows))
