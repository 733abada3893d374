"""The rows of a molecule file, standardized: none is dropped, so that outputs have the rows of the input."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from molvae.chem.molecules import Standardized, standardize
from molvae.datasets import MoleculeFile
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_PIECE_ROWS = 500


@dataclass
class StandardizedChunk:
    """Some rows of a molecule file, as lists of equal length.

    Parameters
    ----------
    id : list of str or None
        The ids of the file; None where there is none.
    smiles : list of str or None
        Canonical SMILES; None where the row is invalid.
    reason : list of str or None
        Why the row is invalid.
    warning : list of str or None
        Warnings about a valid row.
    """

    id: list[str | None]
    smiles: list[str | None]
    reason: list[str | None]
    warning: list[str | None]


def standardized_chunks(file: MoleculeFile, mapper: Mapper | None = None) -> Iterator[StandardizedChunk]:
    """Standardize a file; a SMILES that hangs or crashes RDKit costs one row.

    Parameters
    ----------
    file : MoleculeFile
        The opened file.
    mapper : Mapper or None, default=None
        Parses the SMILES; None takes worker processes on this machine.

    Yields
    ------
    StandardizedChunk
        The rows of the file, in order, duplicates included.
    """
    chunks: deque[pd.DataFrame] = deque()

    def pieces() -> Iterator[list[str | None]]:
        for chunk in file:
            chunks.append(chunk)
            for begin in range(0, len(chunk), _PIECE_ROWS):
                yield chunk["raw"].iloc[begin : begin + _PIECE_ROWS].tolist()

    results: list[Standardized | WorkerFailure] = []
    for piece in (mapper or LocalProcesses())(standardize, pieces()):
        results += piece
        if len(results) == len(chunks[0]):  # the last piece of a chunk ends with the chunk
            yield _join(chunks.popleft(), results)
            results = []


def _join(chunk: pd.DataFrame, results: list[Standardized | WorkerFailure]) -> StandardizedChunk:
    joined = StandardizedChunk(chunk["id"].tolist(), [], [], [])
    for result, unreadable in zip(results, chunk["reason"], strict=True):
        reason = unreadable or result.reason
        valid = result if isinstance(result, Standardized) and not reason else None
        joined.smiles.append(valid.smiles if valid else None)
        joined.reason.append(reason)
        joined.warning.append(valid.warning if valid else None)
    return joined
