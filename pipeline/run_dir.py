"""The run folder: every path in it, the lock for writing, and the link `latest`; no other module builds these paths."""

import contextlib
import json
import os
import re
import secrets
import shutil
import time
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from molvae.errors import InputError
from molvae.files import PART_PREFIX, replacing, write_text
from molvae.folders import folder_lock, lock_holder

from . import clock

RUNS = "runs"
LATEST = "latest"
SERVE_LOG = Path(RUNS) / "serve.log"
MANIFEST = "manifest.json"
"""Name of the file that marks a stage as complete; it is written last."""
REPORT = "report.html"
PUBLISHED = ("candidates.csv", "candidates.parquet", "candidates.sdf", REPORT)
"""The result files; they are written to 4-validate and copied to the top of the run folder."""
SEARCH_STATE = "state"
"""Folder with the state of a search, in the stage folder and in a run that continues it."""
POSES = "poses.sdf"
"""A further result file, of a campaign that docks molecules."""

_LOCK, _LOG, _CAMPAIGN = ".lock", "run.log", "campaign.toml"
_START, _FAILURE, _PINNED, _EARLIER = "start.json", "failure.json", ".pinned", "earlier"
_NAME = re.compile(r'\Aname = "([A-Za-z0-9._-]+)"\n')  # the first line of settings that molvae wrote
_held: set[Path] = set()


@dataclass(frozen=True)
class RunDir:
    """A run: its settings, its stage folders (complete if they have a manifest), and the result files.

    Parameters
    ----------
    path : Path
        The run folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> "RunDir":
        """Create a new run folder.

        Parameters
        ----------
        path : Path
            The folder; missing parent folders are created.

        Returns
        -------
        RunDir
            The run, without settings yet.

        Raises
        ------
        InputError
            The folder contains a run or other files.
        """
        if (path / _CAMPAIGN).is_file():
            raise InputError(
                f"{path}: contains a run; resume it with `molvae design --resume {path}` or choose another --out"
            )
        if path.exists() and (not path.is_dir() or any(not _is_own(entry) for entry in path.iterdir())):
            raise InputError(f"{path}: expected a new or empty folder for the run; choose another --out")
        path.mkdir(parents=True, exist_ok=True)
        return cls(path.absolute())

    @classmethod
    def create_named(cls, runs: Path, name: str) -> "RunDir":
        """Create a new run folder named NAME-TIME; a number is appended if that folder exists.

        Parameters
        ----------
        runs : Path
            The folder of the runs; it is created if it does not exist.
        name : str
            Name of the campaign.

        Returns
        -------
        RunDir
            The run, without settings yet.

        Raises
        ------
        InputError
            All names of this campaign and second are used, with numbers up to 999.
        """
        stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        runs.mkdir(parents=True, exist_ok=True)
        for suffix in ["", *(f"-{i}" for i in range(2, 1000))]:
            with contextlib.suppress(FileExistsError):
                (runs / f"{stem}{suffix}").mkdir()
                return cls((runs / f"{stem}{suffix}").absolute())
        raise InputError(f"{runs}: too many runs are named {stem}; choose a folder with --out")

    @classmethod
    def open(cls, path: Path) -> "RunDir":
        """Open an existing run.

        Parameters
        ----------
        path : Path
            The run folder, or a link to it.

        Returns
        -------
        RunDir
            The run.

        Raises
        ------
        InputError
            The folder does not contain a run.
        """
        if not (path / _CAMPAIGN).is_file():
            problem = "no such folder" if not path.exists() else f"not a run folder ({_CAMPAIGN} is missing)"
            raise InputError(f"{path}: {problem}; give a run folder, such as {RUNS}/{LATEST}")
        return cls(path.resolve())

    # files at the top

    @property
    def campaign(self) -> Path:
        """The resolved settings; the first file of a run."""
        return self.path / _CAMPAIGN

    @property
    def log(self) -> Path:
        """The log; every resume appends to it."""
        return self.path / _LOG

    @property
    def start(self) -> Path:
        """When the run was started, and which earlier runs count; it does not exist in runs of earlier releases."""
        return self.path / _START

    @property
    def earlier_molecules(self) -> Path:
        """The molecules that earlier runs reported, as of the start; it does not exist without an earlier run."""
        return self.path / _EARLIER / "molecules.parquet"

    @property
    def earlier_search(self) -> Path:
        """The search that this run continues, as of the start: its manifest and its state; else it does not exist."""
        return self.path / _EARLIER / "search"

    @property
    def failure(self) -> Path:
        """Why the last attempt failed; it does not exist after another start of the run."""
        return self.path / _FAILURE

    @property
    def published(self) -> tuple[Path, ...]:
        """The result files at the top of the folder."""
        return tuple(self.path / name for name in PUBLISHED)

    # stage folders and their files

    @property
    def stages(self) -> tuple[Path, ...]:
        """The stage folders, in order; a stage that is skipped has none."""
        return self.fit, self.featurize, self.train, self.search, self.validate

    @property
    def fit(self) -> Path:
        """The models of the score; it does not exist if the campaign has no assay table."""
        return self.path / "0-fit"

    @property
    def featurize(self) -> Path:
        """The standardized reference library, and the rows that were dropped."""
        return self.path / "1-featurize"

    @property
    def train(self) -> Path:
        """Folder of the training stage; it does not exist if the campaign uses an existing codec."""
        return self.path / "2-train"

    @property
    def search(self) -> Path:
        """All scored molecules and their latent vectors."""
        return self.path / "3-search"

    @property
    def validate(self) -> Path:
        """The candidates with their checks, and the report."""
        return self.path / "4-validate"

    @property
    def models(self) -> Path:
        """One model folder per term with an assay table, with its card and report."""
        return self.fit / "models"

    @property
    def held_out(self) -> Path:
        """The molecules that are held out of the run: smiles, value, scaffold."""
        return self.fit / "held_out.csv"

    @property
    def starts(self) -> Path:
        """Measured molecules that the search may start from, in random order: smiles, value."""
        return self.fit / "starts.csv"

    @property
    def molecules(self) -> Path:
        """The kept molecules of the library: row, id, smiles, warning."""
        return self.featurize / "molecules.parquet"

    @property
    def codec(self) -> Path:
        """The codec trained in this run."""
        return self.train / "codec"

    @property
    def proposals(self) -> Path:
        """The scored molecules, before the checks."""
        return self.search / "proposals.parquet"

    @property
    def latent(self) -> Path:
        """Latent vectors (m, D), float32; the column `latent_row` of the proposals gives the row."""
        return self.search / "latent.npy"

    @property
    def history(self) -> Path:
        """The scores by round, the counts of the funnel, the notes and the stop reason."""
        return self.search / "history.json"

    @property
    def search_state(self) -> Path:
        """State of the search, if the next run of the campaign continues it."""
        return self.search / SEARCH_STATE

    @property
    def controls(self) -> Path:
        """The molecules that the controls scored, with a column `method`."""
        return self.search / "controls.parquet"

    @property
    def comparison(self) -> Path:
        """The search compared with its controls; one row per method."""
        return self.validate / "comparison.csv"

    @property
    def shards(self) -> Path:
        """Results from a Dask cluster; the folder exists until its stage is complete."""
        return self.path / ".shards"

    # other runs

    def campaign_name(self) -> str:
        """The name of the campaign.

        Returns
        -------
        str
            Its name; "" if the settings have none.

        Raises
        ------
        OSError
            The settings cannot be read.
        ValueError
            They are not valid TOML.
        """
        text = self.campaign.read_text(encoding="utf-8")
        found = _NAME.match(text)
        return found[1] if found else str(tomllib.loads(text).get("name", ""))

    def siblings(self) -> "list[RunDir]":
        """The other runs in the same folder, if the name of that folder is `runs`; a run elsewhere stands alone.

        Returns
        -------
        list of RunDir
            Runs in any state, by name; links, hidden folders and folders that cannot be read are skipped.
        """
        folder = self.path.parent
        if folder.name != RUNS:
            return []
        found = []
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                if path != self.path and not path.name.startswith(".") and not path.is_symlink():
                    found += [RunDir(path)] if (path / _CAMPAIGN).is_file() else []
        return found

    def of_siblings(self, stage: Path) -> list[Path]:
        """The folders of a stage in the other runs, the newest name first.

        Parameters
        ----------
        stage : Path
            The folder of the stage in this run.

        Returns
        -------
        list of Path
            Folders of complete stages.
        """
        folders = [other.path / stage.name for other in reversed(self.siblings())]
        return [folder for folder in folders if (folder / MANIFEST).exists()]

    # writing

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run for this process; the lock ends with the block, or with the process.

        The process that holds the lock can acquire it again.

        Yields
        ------
        None
            While the lock is held.

        Raises
        ------
        InputError
            Another process holds the lock.
        """
        key = self.path.resolve()
        if key in _held:
            yield
            return
        with folder_lock(self.path / _LOCK, self.path):
            _held.add(key)
            try:
                yield
            finally:
                _held.remove(key)

    def is_locked(self) -> bool:
        """Whether another process holds the lock. The lock itself is not touched.

        Returns
        -------
        bool
            True if another process writes to the run.
        """
        return self.path.resolve() not in _held and lock_holder(self.path / _LOCK) is not None

    @property
    def is_pinned(self) -> bool:
        """Whether `molvae runs clean` must keep the run."""
        return (self.path / _PINNED).exists()

    def pin(self) -> None:
        """Let `molvae runs clean` keep the run."""
        (self.path / _PINNED).touch()

    def unpin(self) -> None:
        """Undo `pin`."""
        (self.path / _PINNED).unlink(missing_ok=True)

    # completion

    def tidy(self) -> None:
        """Remove partial files that a killed process left at the top of the folder."""
        for entry in self.path.glob(f"{PART_PREFIX}*"):
            entry.unlink(missing_ok=True)

    def publish(self) -> None:
        """Copy the result files to the top of the folder where they are missing or differ."""
        for target in (*self.published, self.path / POSES):
            source = self.validate / target.name
            if target.name == POSES and not source.exists():
                target.unlink(missing_ok=True)
            elif not target.exists() or target.read_bytes() != source.read_bytes():
                with replacing(target) as part:
                    shutil.copyfile(source, part)

    def completed_at(self) -> float:
        """The time at which the run was completed.

        Returns
        -------
        float
            Seconds since the epoch; 0 if the last stage is not complete. It is in the manifest of the last stage. In
            runs of earlier releases, it is the time at which this file was written, which a copy may change.
        """
        path = self.stages[-1] / MANIFEST
        try:
            written = path.stat().st_mtime
        except OSError:
            return 0.0
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (RecursionError, OSError, ValueError):
            return written
        finished = clock.seconds_of(content.get("finished")) if isinstance(content, dict) else None
        return written if finished is None else finished

    def link_latest(self) -> None:
        """Link `latest` to this complete run, unless it links to a run that was completed later.

        The link is in the parent folder if its name is `runs`, else in the folder `runs` of the working folder. The
        link is replaced atomically.

        Raises
        ------
        OSError
            The link cannot be written.
        """
        runs = self.path.parent if self.path.parent.name == RUNS else Path.cwd() / RUNS
        runs.mkdir(parents=True, exist_ok=True)
        link = runs / LATEST
        if RunDir(link).completed_at() > self.completed_at():
            return
        part = runs / f"{PART_PREFIX}{LATEST}-{secrets.token_hex(4)}"
        part.symlink_to(self.path.name if self.path.parent.resolve() == runs.resolve() else self.path)
        try:
            os.replace(part, link)
        finally:
            part.unlink(missing_ok=True)


def clear_folder(folder: Path, keep: Collection[str] = ()) -> None:
    """Empty a folder, or create it. Its manifest is removed first.

    Parameters
    ----------
    folder : Path
        The folder.
    keep : collection of str, default=()
        Names of the entries to keep.
    """
    folder.mkdir(exist_ok=True)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name != MANIFEST):
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_campaign(run: RunDir, text: str) -> None:
    """Write the resolved settings; this makes the folder a run.

    Parameters
    ----------
    run : RunDir
        The new run.
    text : str
        The settings as TOML.
    """
    write_text(run.campaign, text)


def _is_own(entry: Path) -> bool:
    return entry.name in (_LOCK, _LOG, _START, _EARLIER) or entry.name.startswith(PART_PREFIX)
