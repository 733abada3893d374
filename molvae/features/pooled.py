"""Features and labels of many molecules, made in worker processes, which import no more than this."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from molvae.features.featurizer import Features, Featurizer
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_PIECE_ROWS = 1_000  # of a chunk, which a worker encodes at once
_PIECE_SECONDS = 60.0

_Encoded = tuple[Features, Features | None]


class Labels(NamedTuple):
    """What a codec learns of a molecule: properties, in the order they were asked for, and packed fingerprint bits."""

    properties: list[float]
    bits: np.ndarray


def label(smiles: str, properties: Sequence[str], n_bits: int) -> Labels:
    """The labels of one canonical SMILES; bits: of a Morgan fingerprint of radius 2, none where n_bits is 0."""
    from molvae.chem.fingerprints import morgan_bits
    from molvae.chem.properties import compute

    bits = morgan_bits([smiles], n_bits=n_bits)[0] if n_bits else np.zeros(0, np.uint8)
    return Labels([float(value) for value in compute([smiles], properties).iloc[0]], np.packbits(bits))


def encode_chunks(
    chunks: Iterable[list[str]], featurizer: Featurizer, view: Featurizer | None = None, mapper: Mapper | None = None
) -> Iterator[_Encoded]:
    """Each chunk's canonical SMILES as features that are rebuilt and, where there is a view, as those that are read.

    A molecule that ends its worker or takes too long is not ok, and its reason says so.

    Raises:
        MolvaeError: the workers cannot start.
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


def _encode(texts: list[str], featurizer: Featurizer, view: Featurizer | None) -> _Encoded:
    return featurizer.encode(texts), view.encode(texts) if view else None


def _encode_singly(encode: Callable[[list[str]], _Encoded], texts: list[str], mapper: Mapper) -> _Encoded:
    """A piece that ended its worker: the molecule at fault costs itself only."""
    nothing = encode([])
    return _joined(
        [
            _failed(nothing, answer.reason) if isinstance(answer, WorkerFailure) else answer
            for (answer,) in mapper(encode, ([[text]] for text in texts))
        ]
    )


def _failed(nothing: _Encoded, reason: str) -> _Encoded:
    """One row that could not be encoded, shaped as the others are."""

    def row(of: Features) -> Features:
        return Features(np.zeros((1, *of.x.shape[1:]), of.x.dtype), np.zeros(1, bool), [reason])

    rebuilt, view = nothing
    return row(rebuilt), None if view is None else row(view)


def _joined(parts: list[_Encoded]) -> _Encoded:
    rebuilt, views = zip(*parts, strict=True)
    return _concatenated(rebuilt), None if views[0] is None else _concatenated(views)


def _concatenated(parts: Sequence[Features]) -> Features:
    return Features(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.ok for part in parts]),
        [reason for part in parts for reason in part.reason],
    )
