"""Data-parallel training on CPU: one process per core, gradients averaged after each step.

Two processes with one thread are 1.5 times as fast as one process with two threads: small matrix products gain nothing
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
from typing import TypedDict

import torch
from torch import distributed, nn

from molvae.errors import MolvaeError

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)


class Task(TypedDict):
    """The arguments of an additional process.

    Parameters
    ----------
    features : str
        The features folder.
    work : str
        The folder of the training run.
    store : str
        URL of the file by which the processes find each other.
    rank : int
        Number of the process, from 1.
    n : int
        Number of processes.
    """

    features: str
    work: str
    store: str
    rank: int
    n: int


@dataclass(frozen=True)
class Rank:
    """The position of this process among the data-parallel processes.

    Parameters
    ----------
    rank : int, default=0
        Number of this process; 0 is the first.
    n : int, default=1
        Number of processes.
    """

    rank: int = 0
    n: int = 1

    def average_gradients(self, model: nn.Module) -> None:
        """Replace the gradients by their mean over all processes.

        Parameters
        ----------
        model : nn.Module
            The model, after its backward pass.

        Raises
        ------
        MolvaeError
            Another process ended.
        """
        if self.n == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        try:
            distributed.all_reduce(flat)
        except RuntimeError as error:
            raise MolvaeError(f"another training process ended ({error}); resume with --resume") from None
        flat /= self.n
        for gradient, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))


@contextmanager
def ranks(n_processes: int, features: Path, work: Path) -> Iterator[Rank]:
    """Start the other processes; they are terminated when the `with` block ends.

    Parameters
    ----------
    n_processes : int
        Number of processes, this one included.
    features : Path
        The features folder.
    work : Path
        The folder of the training run, which holds its settings.

    Yields
    ------
    Rank
        This process, rank 0.
    """
    if n_processes == 1:
        yield Rank()
        return
    with tempfile.TemporaryDirectory(prefix="molvae-") as folder:
        store = f"file://{Path(folder, 'store')}"
        others = []
        try:
            for rank in range(1, n_processes):
                task = Task(features=str(features), work=str(work), store=store, rank=rank, n=n_processes)
                command = [sys.executable, "-P", "-m", "molvae.training.worker", json.dumps(task)]
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
    """Join the process group, and make torch use one thread.

    Parameters
    ----------
    store : str
        URL of the file by which the processes find each other.
    rank : Rank
        This process.
    """
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=store, rank=rank.rank, world_size=rank.n)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory: fresh pages for the arrays of each step cost a fifth of a training step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent in other C libraries
    if mallopt is not None:
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26)):
            mallopt(option, value)


def _worker_environment() -> dict[str, str]:
    package_home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package_home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": path}
