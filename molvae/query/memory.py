"""The memory limit of a query's process."""

import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXIT_CODE = 75
"""Exit code of a process that `watched_memory` ends."""

_WATCH_SECONDS = 0.1


@contextmanager
def limited_memory(gigabytes: float) -> Iterator[None]:
    """Limit the memory of this process to this much more than is in use now.

    On Linux, the address space is limited, so that an allocation beyond the limit fails. macOS does not support this;
    there, `watched_memory` is used.

    Parameters
    ----------
    gigabytes : float
        The limit.

    Yields
    ------
    None
        While the limit holds.
    """
    try:
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        with watched_memory(gigabytes):
            yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [in_use + int(gigabytes * 1e9), *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def watched_memory(gigabytes: float) -> Iterator[None]:
    """End this process with EXIT_CODE if its peak memory grows by this much; it is read ten times per second.

    Parameters
    ----------
    gigabytes : float
        The limit. A process that allocates quickly can exceed it before it is ended.

    Yields
    ------
    None
        While the memory is watched.
    """
    limit = _peak_bytes() + gigabytes * 1e9
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_WATCH_SECONDS):
            if _peak_bytes() > limit:
                os._exit(EXIT_CODE)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _peak_bytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
