"""Data-parallel training on CPU: one process a core, gradients averaged after each step.

Two processes of one thread train half as fast again as one process of two threads: small matrix products gain nothing
from a second thread.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn

from molvae.errors import MolvaeError

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)


@dataclass(frozen=True)
class Rank:
    """This process among those that train together."""

    rank: int = 0
    n: int = 1

    def average_gradients(self, model: nn.Module) -> None:
        """Give every process the mean of all processes' gradients."""
        if self.n == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        try:
            distributed.all_reduce(flat)
        except RuntimeError as error:
            raise MolvaeError(
                f"a training process beside this one ended ({error}); start again with --resume"
            ) from None
        flat /= self.n
        for gradient, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))


@contextmanager
def ranks(n_processes: int, features: Path, work: Path) -> Iterator[Rank]:
    """This process as rank 0, with n - 1 others started beside it, which end with it."""
    if n_processes == 1:
        yield Rank()
        return
    with tempfile.TemporaryDirectory(prefix="molvae-") as meeting:
        store = f"file://{Path(meeting, 'store')}"
        others = []
        try:
            for rank in range(1, n_processes):
                task = {"features": str(features), "work": str(work), "store": store, "rank": rank, "n": n_processes}
                command = [sys.executable, "-m", "molvae.training.worker", json.dumps(task)]
                others.append(subprocess.Popen(command, env=_worker_environment()))
            join(store, Rank(0, n_processes))
            yield Rank(0, n_processes)
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
            for process in others:
                process.terminate()
                process.wait()


def join(store: str, rank: Rank) -> None:
    """Meet the other processes; training runs on one thread each from here on."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=store, rank=rank.rank, world_size=rank.n)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: fresh pages for every step's arrays cost a fifth of a training step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent where the C library is another
    if mallopt is not None:
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26)):
            mallopt(option, value)


def _worker_environment() -> dict[str, str]:
    package_home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package_home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": path}
