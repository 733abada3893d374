"""Remove old runs: which ones, how many bytes that frees, and the removal, which leaves no half run behind."""

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from molvae.errors import InputError

from .run_dir import RunDir
from .run_states import RunState, list_runs

_REMOVED = ".removed-"
"""Prefix of the name of a folder that is being removed."""


@dataclass(frozen=True)
class Cleaning:
    """What a cleaning removes.

    Parameters
    ----------
    folder : Path
        The folder of the runs.
    removed : tuple of RunState
        The runs to remove, the newest first.
    kept : tuple of (RunState, str)
        Older runs that are kept, each with the reason.
    leftovers : tuple of Path
        Folders that an interrupted cleaning left.
    n_bytes : int
        Bytes that the removal frees; a file that other runs share counts only if all of them are removed.
    """

    folder: Path
    removed: tuple[RunState, ...]
    kept: tuple[tuple[RunState, str], ...]
    leftovers: tuple[Path, ...]
    n_bytes: int


def plan_cleaning(
    folder: Path, *, max_age: float, n_best: int = 0, campaign: str | None = None, now: float | None = None
) -> Cleaning:
    """Choose the runs to remove: those that are older than an age, unless there is a reason to keep them.

    Kept are running and pinned runs, the one that `latest` links to, the last completed run of each campaign (the next
    run may continue from it), its runs with the best scores, and whatever is not a readable run.

    Parameters
    ----------
    folder : Path
        The folder of the runs.
    max_age : float
        Seconds since the completion, or since the start if a run is not complete.
    n_best : int, default=0
        Number of runs of each campaign to keep for their best scores.
    campaign : str or None, default=None
        Only runs of this campaign; None: of all.
    now : float, optional
        The current time, in seconds since the epoch.

    Returns
    -------
    Cleaning

    Raises
    ------
    InputError
        The folder does not exist or cannot be read.
    """
    states = list_runs(folder)
    oldest = (time.time() if now is None else now) - max_age
    completed = [one for one in states if one.state == "completed"]
    best: set[str] = set()
    last: dict[str, RunState] = {}
    for one in sorted(completed, key=lambda one: (one.time, one.run)):
        last[one.campaign] = one
    for name in last:
        scored = [one for one in completed if one.campaign == name and one.best_score is not None]
        best |= {one.run for one in sorted(scored, key=lambda one: (-(one.best_score or 0), -one.time))[:n_best]}
    last_names = {one.run for one in last.values()}
    removed, kept = [], []
    for one in states:
        if one.time >= oldest or (campaign is not None and one.campaign != campaign):
            continue
        reason = _reason_to_keep(one, last_names, best)
        if reason:
            kept.append((one, reason))
        else:
            removed.append(one)
    leftovers = tuple(sorted(path for path in folder.glob(f"{_REMOVED}*") if path.is_dir() and not path.is_symlink()))
    n_bytes = _freed([*(Path(one.path) for one in removed), *leftovers])
    return Cleaning(folder, tuple(removed), tuple(kept), leftovers, n_bytes)


def clean(cleaning: Cleaning) -> list[tuple[RunState, str]]:
    """Remove the runs of a cleaning.

    A run is first renamed to a hidden name, and its settings are removed first: an interrupted removal leaves nothing
    that looks like a run, and the next cleaning removes the rest.

    Parameters
    ----------
    cleaning : Cleaning
        What `plan_cleaning` returned.

    Returns
    -------
    list of (RunState, str)
        Runs that could not be removed, each with the reason: a process has started to write to it, it was pinned in
        the meantime, or its files cannot be removed.
    """
    failed = []
    for one in cleaning.removed:
        try:
            _remove_run(RunDir(Path(one.path)))
        except InputError as error:
            failed.append((one, str(error)))
        except OSError as error:
            failed.append((one, (error.strerror or str(error)).lower()))
    for path in cleaning.leftovers:
        shutil.rmtree(path, ignore_errors=True)
    return failed


def _reason_to_keep(one: RunState, last: Iterable[str], best: Iterable[str]) -> str:
    if one.state == "running":
        return "running"
    if one.is_pinned:
        return "pinned"
    if one.is_latest:
        return "latest"
    if one.run in last:
        return f"last completed run of {one.campaign}"
    if one.run in best:
        return "among the best"
    return "damaged: look at it first" if one.state == "damaged" else ""


def _remove_run(run: RunDir) -> None:
    with run.lock():
        if run.is_pinned:
            raise InputError("pinned")
        hidden = run.path.with_name(f"{_REMOVED}{run.path.name}-{secrets.token_hex(4)}")
        os.rename(run.path, hidden)
        RunDir(hidden).campaign.unlink(missing_ok=True)
    shutil.rmtree(hidden)


def _freed(folders: Sequence[Path]) -> int:
    """Bytes on disk that end with these folders: those of the files whose every name is in them."""
    found: dict[tuple[int, int], tuple[int, int, int]] = {}  # of a file: its size, its names here, all its names
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                entry = os.lstat(os.path.join(parent, name))
                size, n, _ = found.get((entry.st_dev, entry.st_ino), (entry.st_blocks * 512, 0, 0))
                found[entry.st_dev, entry.st_ino] = size, n + 1, entry.st_nlink
    return sum(size for size, n, n_names in found.values() if n == n_names)
