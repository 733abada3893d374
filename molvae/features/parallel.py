"""Features and labels of many molecules, computed in worker processes, which do not import torch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from molvae.features.featurizer import Features, Featurizer
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_PIECE_ROWS = 1_000  # rows that a worker encodes at a time
_PIECE_SECONDS = 60.0

_Encoded = tuple[Features, Features | None]


class Labels(NamedTuple):
    """Labels of one molecule.

    Parameters
    ----------
    properties : list of float
        Properties, in the requested order.
    bits : ndarray of uint8
        Packed bits of the fingerprint.
    """

    properties: list[float]
    bits: np.ndarray


def label(smiles: str, properties: Sequence[str], n_bits: int) -> Labels:
    """Compute the labels of one molecule.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    properties : sequence of str
        Names of properties.
    n_bits : int
        Length of the Morgan fingerprint of radius 2; 0: no fingerprint.

    Returns
    -------
    Labels
        Properties and packed bits.
    """
    from molvae.chem.fingerprints import morgan_bits
    from molvae.chem.properties import compute

    bits = morgan_bits([smiles], n_bits=n_bits)[0] if n_bits else np.zeros(0, np.uint8)
    return Labels([float(value) for value in compute([smiles], properties).iloc[0]], np.packbits(bits))


def encode_chunks(
    chunks: Iterable[list[str]], featurizer: Featurizer, view: Featurizer | None = None, mapper: Mapper | None = None
) -> Iterator[_Encoded]:
    """Features of chunks of molecules, computed in worker processes.

    Parameters
    ----------
    chunks : iterable of list of str
        Canonical SMILES.
    featurizer : Featurizer
        Featurizer of the decoder output.
    view : Featurizer, optional
        Featurizer of the encoder input, if it differs.
    mapper : Mapper, optional
        Runs the featurizers; None takes LocalProcesses().

    Yields
    ------
    tuple of (Features, Features or None)
        Features of each chunk, in order, and those of the view. `ok` is False for a molecule that crashes a worker or
        exceeds the time limit.

    Raises
    ------
    MolvaeError
        The workers cannot start.
    """
    mapper = mapper or LocalProcesses()
    encode = partial(_encode, featurizer=featurizer, view=view)
    waiting: deque[list[list[str]]] = deque()

    def pieces() -> Iterator[list[list[str]]]:
        for chunk in chunks:
            waiting.append([chunk[begin : begin + _PIECE_ROWS] for begin in range(0, max(1, len(chunk)), _PIECE_ROWS)])
            yield from ([piece] for piece in waiting[-1])

    done: list[_Encoded] = []
    for (answer,) in mapper(encode, pieces(), seconds_per_row=_PIECE_SECONDS):
        if isinstance(answer, WorkerFailure):
            answer = _encode_singly(encode, waiting[0][len(done)], mapper)
        done.append(answer)
        if len(done) == len(waiting[0]):
            waiting.popleft()
            yield _joined(done)
            done = []


def _encode(smiles: list[str], featurizer: Featurizer, view: Featurizer | None) -> _Encoded:
    return featurizer.encode(smiles), view.encode(smiles) if view else None


def _encode_singly(encode: Callable[[list[str]], _Encoded], smiles: list[str], mapper: Mapper) -> _Encoded:
    """The features of a piece that crashed its worker, molecule by molecule, so that only the faulty one is lost."""
    empty = encode([])
    return _joined(
        [
            _failed(empty, answer.reason) if isinstance(answer, WorkerFailure) else answer
            for (answer,) in mapper(encode, ([[one]] for one in smiles))
        ]
    )


def _failed(empty: _Encoded, reason: str) -> _Encoded:
    """One row with `ok` False, of the same shape as the others."""

    def row(features: Features) -> Features:
        return Features(np.zeros((1, *features.x.shape[1:]), features.x.dtype), np.zeros(1, bool), [reason])

    output, view = empty
    return row(output), None if view is None else row(view)


def _joined(parts: list[_Encoded]) -> _Encoded:
    outputs, views = zip(*parts, strict=True)
    return _concatenated(outputs), None if views[0] is None else _concatenated(views)


def _concatenated(parts: Sequence[Features]) -> Features:
    return Features(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.ok for part in parts]),
        [reason for part in parts for reason in part.reason],
    )
