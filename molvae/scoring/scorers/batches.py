"""Scores batches of molecules with a call that may fail: several at a time; after a failure, one molecule at a time."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import failed, join

MAX_MEGABYTES = 50
"""Limit of what one call may print."""
_log = logging.getLogger("molvae.scoring")

Call = Callable[[Sequence[str], Event], Values | str]
"""Takes a batch and an event that asks it to stop; returns the values, or why there are none."""


def score_batches(smiles: Sequence[str], size: int, n_at_once: int, call: Call, where: str) -> Values:
    """The values of molecules, computed in batches.

    If the call of a batch fails, each of its molecules is tried by itself; one that fails again has no value.

    Parameters
    ----------
    smiles : sequence of str
        SMILES.
    size : int
        Largest number of molecules per call.
    n_at_once : int
        Number of calls at the same time; it does not change the values.
    call : callable
        Scores a batch.
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
    answers = _call_all(call, batches, n_at_once)
    for batch, answer in zip(batches, answers, strict=True):
        if isinstance(answer, str) and batch[1:]:
            _log.warning("%s: %s; %d molecules, tried one by one", where, answer, len(batch))
    failures = [batch for batch, answer in zip(batches, answers, strict=True) if isinstance(answer, str) and batch[1:]]
    alone = iter(_call_all(call, [[one] for batch in failures for one in batch], n_at_once))
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
