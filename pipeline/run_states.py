"""The state of every run in a folder, read from the run folders alone; an unreadable one is a row with a reason."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from molvae.errors import InputError, first_line

from . import clock
from .manifest import Entry, Manifest
from .run_dir import LATEST, MANIFEST, PUBLISHED, RUNS, RunDir

State = Literal["running", "unfinished", "failed", "completed", "damaged"]


@dataclass(frozen=True)
class RunState:
    """A run as a list of runs shows it.

    Parameters
    ----------
    run : str
        Name of the run folder.
    path : str
        The run folder.
    state : {"running", "unfinished", "failed", "completed", "damaged"}
        running: a process writes to it. completed: all files are there. failed: the last attempt ended with an error.
        unfinished: the last attempt was stopped or killed. damaged: a file is missing or cannot be read.
    reason : str
        Why it is in this state; "" for a completed run.
    campaign : str
        Name of the campaign; "" if the settings cannot be read.
    started, completed : str or None
        ISO 8601 in UTC; None if not known.
    seconds : float or None
        Time of all completed stages; of a running run, time since it was started.
    n_scored, n_passed : int or None
        Molecules that were scored, and that passed every check; None if the run is not complete.
    best_score : float or None
        Highest score of the molecules that passed every check.
    n_new, n_seen : int or None
        Molecules that no earlier run of the campaign had reported, and the others.
    is_latest, is_pinned : bool
        Whether `latest` links to it; whether `molvae runs clean` must keep it.
    """

    run: str
    path: str
    state: State
    reason: str = ""
    campaign: str = ""
    started: str | None = None
    completed: str | None = None
    seconds: float | None = None
    n_scored: int | None = None
    n_passed: int | None = None
    best_score: float | None = None
    n_new: int | None = None
    n_seen: int | None = None
    is_latest: bool = False
    is_pinned: bool = False

    @property
    def time(self) -> float:
        """When it was completed, or else started; seconds since the epoch, 0 if not known."""
        return clock.seconds_of(self.completed) or clock.seconds_of(self.started) or 0.0


def list_runs(folder: Path, campaign: str | None = None) -> list[RunState]:
    """All runs in a folder, the newest first.

    Parameters
    ----------
    folder : Path
        The folder of the runs.
    campaign : str or None, default=None
        Name of a campaign: only its runs, and those whose campaign is not known.

    Returns
    -------
    list of RunState
        One per run folder and per folder that cannot be read. Links and hidden folders are skipped.

    Raises
    ------
    InputError
        The folder does not exist or cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        reason = "no such folder" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise InputError(f"{folder}: {reason}; expected a folder with runs, such as {RUNS}") from None
    latest = _latest(folder)
    found = [state for path in entries if (state := _state_of(path, latest)) is not None]
    if campaign is not None:
        found = [state for state in found if state.campaign in (campaign, "")]
    return sorted(found, key=lambda state: (clock.seconds_of(state.started) or state.time, state.run), reverse=True)


def state_of(run: RunDir) -> RunState:
    """The state of one run.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    RunState
        As in `list_runs`.
    """
    state = _state_of(run.path, _latest(run.path.parent))
    return state or RunState(run.path.name, str(run.path), "damaged", "not a run folder")


def find_any_run(word: str, folder: Path) -> RunDir:
    """Find a run in any state.

    Parameters
    ----------
    word : str
        Name of a run in the folder, `latest`, or a run folder.
    folder : Path
        The folder of the runs.

    Returns
    -------
    RunDir
        The run.

    Raises
    ------
    InputError
        There is no such run.
    """
    for path in (folder / word, Path(word)):
        if RunDir(path).campaign.is_file():
            return RunDir.open(path)
    raise InputError(f"{word}: no such run in {folder}; `molvae runs` lists them")


def started_at(run: RunDir) -> str | None:
    """When a run was started.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    str or None
        ISO 8601 in UTC. In runs of earlier releases, the time at which the settings were written.
    """
    try:
        created = json.loads(run.start.read_text(encoding="utf-8"))["created"]
        if clock.seconds_of(created) is not None:
            return str(created)
    except (RecursionError, OSError, ValueError, LookupError, TypeError):
        pass
    try:
        return clock.iso(run.campaign.stat().st_mtime)
    except OSError:
        return None


def stage_manifests(run: RunDir) -> Iterator[tuple[Path, Manifest]]:
    """The stages of a run that are complete.

    Parameters
    ----------
    run : RunDir
        The run.

    Yields
    ------
    Path
        The stage folder.
    Manifest
        Its manifest.
    """
    for folder in run.stages:
        manifest = Manifest.read(folder)
        if manifest is not None:
            yield folder, manifest


def _latest(folder: Path) -> Path | None:
    link = folder / LATEST
    return link.resolve() if link.is_symlink() else None


def _state_of(path: Path, latest: Path | None) -> RunState | None:
    """The state of a folder; None if it is no run."""
    if path.name.startswith(".") or path.is_symlink():
        return None
    run = RunDir(path)
    try:
        if not run.campaign.is_file():
            return None
        return _describe(run, path.resolve() == latest)
    except OSError as error:
        return RunState(path.name, str(path), "damaged", f"cannot be read ({(error.strerror or str(error)).lower()})")


def _describe(run: RunDir, is_latest: bool) -> RunState:
    try:
        campaign, problem = run.campaign_name(), ""
    except ValueError as error:
        campaign, problem = "", f"{run.campaign.name}: not readable ({first_line(error)})"
    found = RunState(
        run.path.name,
        str(run.path),
        "damaged",
        problem,
        campaign,
        started=started_at(run),
        is_latest=is_latest,
        is_pinned=run.is_pinned,
    )
    if run.is_locked():
        begin = clock.seconds_of(found.started)
        seconds = None if begin is None else round(max(0.0, time.time() - begin), 2)
        return replace(found, state="running", reason=f"in {_stage(run)}", seconds=seconds)
    durations = [manifest.seconds for _, manifest in stage_manifests(run)]
    found = replace(found, seconds=round(sum(durations), 2) if durations else None)
    if problem:
        return found
    if not (run.validate / MANIFEST).exists():
        return _with_failure(found, run)
    found = replace(found, completed=clock.iso(run.completed_at()))
    manifest = Manifest.read(run.validate)
    problem = f"{run.validate.name}/{MANIFEST}: not readable" if manifest is None else _find_damage(run, manifest)
    if problem or manifest is None:
        return replace(found, reason=f"{problem}; --resume restores it")
    if not all(file.exists() for file in run.published):
        return replace(found, state="unfinished", reason="the result files are not in the run folder yet")
    return _with_results(replace(found, state="completed"), run, manifest)


def _stage(run: RunDir) -> str:
    """Name of the stage that is running or comes next."""
    folders = [folder for folder in run.stages if folder.is_dir()]
    return folders[-1].name if folders else "its start"


def _find_damage(run: RunDir, manifest: Manifest) -> str:
    """What is wrong with the files of the last stage, by their sizes; "" if nothing is."""
    for entry in manifest.outputs:
        if problem := find_damage(run.validate / entry.path, entry):
            return f"{run.validate.name}/{entry.path}: {problem}"
    return ""


def find_damage(path: Path, entry: Entry) -> str:
    """What is wrong with a file, without reading it.

    Parameters
    ----------
    path : Path
        The file.
    entry : Entry
        Its description in a manifest.

    Returns
    -------
    str
        In a few words; "" if it has the size that it was written with.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return "missing"
    return f"{size:,} bytes instead of {entry.size:,}" if entry.size not in (None, size) else ""


def _with_failure(found: RunState, run: RunDir) -> RunState:
    try:
        reason = str(json.loads(run.failure.read_text(encoding="utf-8"))["reason"])
    except FileNotFoundError:
        return replace(found, state="unfinished", reason=f"stopped in {_stage(run)}")
    except (OSError, ValueError, LookupError, TypeError):
        reason = f"see {run.log.name}"
    return replace(found, state="failed", reason=reason)


def _with_results(found: RunState, run: RunDir, manifest: Manifest) -> RunState:
    """With counts and the best score; a manifest of an earlier release lacks the latter, so the table is read."""
    facts, counts = manifest.facts, manifest.counts
    best = facts["best_score"] if "best_score" in facts else _best_score(run)
    n_new, n_seen = (None if facts.get(name) is None else int(facts[name] or 0) for name in ("n_new", "n_seen"))
    return replace(found, n_scored=counts.into, n_passed=counts.kept, best_score=best, n_new=n_new, n_seen=n_seen)


def _best_score(run: RunDir) -> float | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = next(run.path / name for name in PUBLISHED if name.endswith(".parquet"))
    try:
        found = pq.read_table(table, columns=["score", "passed"])
    except (OSError, pa.ArrowException):
        return None
    scores = [
        score
        for score, passed in zip(found["score"].to_pylist(), found["passed"].to_pylist(), strict=True)
        if passed and score is not None and score == score
    ]
    return max(scores, default=None)
