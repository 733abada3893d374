"""The molecules of a file, standardized in worker processes; what drops is kept with the reason."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from molvae.chem.molecules import Standardized, standardize
from molvae.datasets.molecule_file import MoleculeFile, texts
from molvae.workers import LocalProcesses, Mapper

_PIECE_ROWS = 500


def standardize_file(
    file: MoleculeFile, mapper: Mapper | None = None, progress: Callable[[int], None] | None = None
) -> Iterator[pd.DataFrame]:
    """The file's chunks, standardized in worker processes: row, id, raw, smiles, reason, warning.

    smiles is None where the row is dropped, and reason then says why. Of molecules that are the same once standardized
    the first is kept; the others' reason is `duplicate of row N`. Memory grows by 16 bytes per distinct molecule, by
    which a pair in 10^19 may be taken for equal.

    progress: told after each chunk how many rows it held.

    Raises:
        InputError: the file is damaged or cut off further down.
    """
    waiting: deque[pd.DataFrame] = deque()

    def pieces() -> Iterator[list[str | None]]:
        for chunk in file:
            waiting.append(chunk)
            texts = [None if reason else raw for raw, reason in zip(chunk["raw"], chunk["reason"], strict=True)]
            for begin in range(0, len(texts), _PIECE_ROWS):
                yield texts[begin : begin + _PIECE_ROWS]

    first_rows = _FirstRows()
    answers: list[Any] = []
    for piece in (mapper or LocalProcesses())(_standardize, pieces()):
        answers += piece
        if len(answers) == len(waiting[0]):  # pieces end where chunks end
            table = _standardized(waiting.popleft(), answers, first_rows)
            answers = []
            if progress is not None:
                progress(len(table))
            yield table


def _standardize(raw: str | None) -> str | Standardized:
    """As `standardize`, but the SMILES alone where there is nothing to say of it, which a worker sends faster."""
    answer = standardize(raw)
    return answer if answer.smiles is None or answer.warning else answer.smiles


def _standardized(chunk: pd.DataFrame, answers: list[Any], first_rows: "_FirstRows") -> pd.DataFrame:
    reasons = chunk["reason"].tolist()
    smiles = [answer if isinstance(answer, str) else None for answer in answers]
    warnings: list[str | None] = [None] * len(answers)
    for place in [place for place, reason in enumerate(reasons) if reason or smiles[place] is None]:  # few, as a rule
        answer = answers[place]
        reasons[place] = reasons[place] or answer.reason
        if reasons[place] is None:
            smiles[place], warnings[place] = answer.smiles, answer.warning
        else:
            smiles[place] = None
    for place, first in first_rows.see(smiles, chunk["row"].to_numpy()):
        smiles[place] = warnings[place] = None
        reasons[place] = f"duplicate of row {first}"
    return chunk[["row", "id", "raw"]].assign(smiles=texts(smiles), reason=texts(reasons), warning=texts(warnings))


class _FirstRows:
    """The row at which each molecule was first seen: sorted arrays of hashes, few because equal sizes are merged."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def see(self, smiles: list[str | None], rows: np.ndarray) -> list[tuple[int, int]]:
        """The places of what was seen before, each with the row of the first."""
        places = np.array([place for place, text in enumerate(smiles) if text is not None], dtype=np.int64)
        if not len(places):
            return []
        texts = np.array([text for text in smiles if text is not None], dtype=object)
        hashes = pd.util.hash_array(texts, categorize=False)
        firsts = np.full(len(places), -1, dtype=np.int64)
        for known, known_rows in self._runs:
            spot = np.searchsorted(known, hashes).clip(max=len(known) - 1)
            is_known = known[spot] == hashes
            firsts[is_known] = known_rows[spot[is_known]]
        fresh = np.flatnonzero(firsts < 0)
        values, first_places, inverse = np.unique(hashes[fresh], return_index=True, return_inverse=True)
        own_rows = rows[places[fresh]]
        within = own_rows[first_places][inverse]
        is_repeated = within != own_rows
        firsts[fresh[is_repeated]] = within[is_repeated]
        if len(values):
            self._add(values, own_rows[first_places])
        repeated = firsts >= 0
        return list(zip(places[repeated].tolist(), firsts[repeated].tolist(), strict=True))

    def _add(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        while self._runs and len(self._runs[-1][0]) <= len(hashes):
            last_hashes, last_rows = self._runs.pop()
            hashes, rows = np.concatenate([last_hashes, hashes]), np.concatenate([last_rows, rows])
            order = np.argsort(hashes, kind="stable")
            hashes, rows = hashes[order], rows[order]
        self._runs.append((hashes, rows))
