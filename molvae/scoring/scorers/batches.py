"""Scores batches of molecules with a call that may fail: several at a time; after a failure, one molecule at a time.

The calls are made here, or by the workers of a cluster, on each of which the files of the scorer must be the same.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from threading import Event
from typing import Any, ClassVar, Protocol

from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import failed, join
from molvae.workers import Mapper, WorkerFailure

MAX_MEGABYTES = 50
"""Limit of what one call may print."""
_log = logging.getLogger("molvae.scoring")

_START_SECONDS = 600.0  # the import of a module with a model
_CLUSTER_MEGABYTES = 1_000_000  # what a command may use is up to the machine, as in a call from here

Call = Callable[[Sequence[str], Event], Values | str]
"""Takes a batch and an event that asks it to stop; returns the values, or why there are none."""

CallAll = Callable[[Sequence[Sequence[str]]], list[Values | str]]
"""Takes batches; returns the answer for each, in order."""


class BatchScorer(Protocol):
    """A scorer that workers of a cluster can make from its settings."""

    Settings: ClassVar[Any]

    def __init__(self, settings: Any) -> None: ...

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of its files; see `Scorer.identity`."""
        ...

    def score_batch(self, smiles: Sequence[str], is_stopped: Event) -> Values | str:
        """The values of a batch, or why there are none."""
        ...


def in_threads(call: Call, n_at_once: int) -> CallAll:
    """Call from this process.

    Parameters
    ----------
    call : callable
        Scores a batch.
    n_at_once : int
        Number of calls at the same time; it does not change the values.

    Returns
    -------
    callable
        For `score_batches`.
    """
    return lambda batches: _call_all(call, batches, n_at_once)


def is_cluster(mapper: Mapper) -> bool:
    """Whether the workers of a mapper are on other machines.

    Parameters
    ----------
    mapper : Mapper
        The mapper.

    Returns
    -------
    bool
    """
    return bool(getattr(mapper, "is_cluster", False))


def on_cluster(mapper: Mapper, scorer: BatchScorer, settings: str, seconds: float) -> CallAll:
    """Call from the workers of a cluster, each of which makes the scorer once.

    Parameters
    ----------
    mapper : Mapper
        Its workers are on other machines.
    scorer : BatchScorer
        The scorer here.
    settings : str
        Its settings, as JSON.
    seconds : float
        Time limit for one batch.

    Returns
    -------
    callable
        For `score_batches`.
    """
    identity = tuple(sorted(scorer.identity().items()))
    call = partial(_score_there, scorer=type(scorer), settings=settings, identity=identity)

    def call_all(batches: Sequence[Sequence[str]]) -> list[Values | str]:
        rows = ([tuple(batch)] for batch in batches)
        limit = seconds + _START_SECONDS
        answers = [
            row for part in mapper(call, rows, seconds_per_row=limit, megabytes=_CLUSTER_MEGABYTES) for row in part
        ]
        return [answer.reason if isinstance(answer, WorkerFailure) else answer for answer in answers]

    return call_all


def _score_there(
    smiles: tuple[str, ...], scorer: type[BatchScorer], settings: str, identity: tuple[tuple[str, str], ...]
) -> Values | str:
    """Score a batch in a worker of a cluster."""
    return _scorer_of(scorer, settings, identity).score_batch(smiles, Event())


@lru_cache(maxsize=4)
def _scorer_of(scorer: type[BatchScorer], settings: str, identity: tuple[tuple[str, str], ...]) -> BatchScorer:
    """The scorer, with the same files as in the process that needs the values."""
    made = scorer(scorer.Settings.model_validate_json(settings))
    found = made.identity()
    for path, sha256 in identity:
        if found.get(path) != sha256:
            raise InputError(f"{path}: differs from the file of the same path on the machine of the run")
    return made


def score_batches(smiles: Sequence[str], size: int, call_all: CallAll, where: str) -> Values:
    """The values of molecules, computed in batches.

    If the call of a batch fails, each of its molecules is tried by itself; one that fails again has no value.

    Parameters
    ----------
    smiles : sequence of str
        SMILES.
    size : int
        Largest number of molecules per call.
    call_all : callable
        Scores the batches; see `in_threads` and `on_cluster`.
    where : str
        What is called, for the log.

    Returns
    -------
    Values
        One row per molecule, in order.

    Raises
    ------
    InputError
        A call raised it: the other calls are stopped.
    """
    batches = [smiles[begin : begin + size] for begin in range(0, len(smiles), size)]
    answers = call_all(batches)
    for batch, answer in zip(batches, answers, strict=True):
        if isinstance(answer, str) and batch[1:]:
            _log.warning("%s: %s; %d molecules, tried one by one", where, answer, len(batch))
    failures = [batch for batch, answer in zip(batches, answers, strict=True) if isinstance(answer, str) and batch[1:]]
    alone = iter(call_all([[one] for batch in failures for one in batch]) if failures else [])
    parts = []
    for batch, answer in zip(batches, answers, strict=True):
        tried = [next(alone) for _ in batch] if isinstance(answer, str) and batch[1:] else [answer]
        parts += [failed(1, one) if isinstance(one, str) else one for one in tried]
    return join(parts)


def _call_all(call: Call, batches: Sequence[Sequence[str]], n_at_once: int) -> list[Values | str]:
    """The answer for each batch, in order; if a call raises an error, the others are stopped."""
    is_stopped = Event()
    with ThreadPoolExecutor(n_at_once, thread_name_prefix="molvae-scorer") as threads:
        answers = [threads.submit(call, batch, is_stopped) for batch in batches]
        try:
            return [answer.result() for answer in answers]
        except BaseException:
            is_stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
