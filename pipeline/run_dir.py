"""Every file name inside a run folder, who may write to it, and where `latest` points; nothing else knows a path."""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from molvae.errors import InputError
from molvae.files import PART_PREFIX, replacing, write_text
from molvae.folders import folder_lock

RUNS = "runs"
LATEST = "latest"
SERVE_LOG = Path(RUNS) / "serve.log"
MANIFEST = "manifest.json"
"""Closes a stage folder: written last."""
REPORT = "report.html"
PUBLISHED = ("candidates.csv", "candidates.parquet", "candidates.sdf", REPORT)
"""What people open; made in 4-validate and placed at the top of the run folder."""

_LOCK, _LOG, _CAMPAIGN = ".lock", "run.log", "campaign.toml"
_held: set[Path] = set()


@dataclass(frozen=True)
class RunDir:
    """One run: its settings, its four stage folders, each closed by a manifest, and what people open."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "RunDir":
        """A new run folder.

        Raises:
            InputError: something is there already, or the folder cannot be made.
        """
        if (path / _CAMPAIGN).is_file():
            raise InputError(
                f"{path}: holds a run already; go on with `molvae design --resume {path}`, or give another --out"
            )
        if path.exists() and (not path.is_dir() or any(not _is_own(entry) for entry in path.iterdir())):
            raise InputError(
                f"{path}: expected a new or empty folder for the run, but something is there; give another --out"
            )
        path.mkdir(parents=True, exist_ok=True)
        return cls(path.absolute())

    @classmethod
    def create_named(cls, runs: Path, name: str) -> "RunDir":
        """A new run folder NAME-TIME below `runs`; when two start in one second, the later one gets a number."""
        stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        runs.mkdir(parents=True, exist_ok=True)
        for suffix in ["", *(f"-{i}" for i in range(2, 1000))]:
            with contextlib.suppress(FileExistsError):
                (runs / f"{stem}{suffix}").mkdir()
                return cls((runs / f"{stem}{suffix}").absolute())
        raise InputError(f"{runs}: too many runs named {stem}; give --out")

    @classmethod
    def open(cls, path: Path) -> "RunDir":
        """An existing run.

        Raises:
            InputError: there is no run in this folder.
        """
        if not (path / _CAMPAIGN).is_file():
            what = "no such folder" if not path.exists() else f"no run here (it has no {_CAMPAIGN})"
            raise InputError(f"{path}: {what}; give the folder of a run, such as {RUNS}/{LATEST}")
        return cls(path.resolve())

    # files at the top

    @property
    def campaign(self) -> Path:
        """The resolved settings; written first."""
        return self.path / _CAMPAIGN

    @property
    def log(self) -> Path:
        """What happened, every start and resume one after the other."""
        return self.path / _LOG

    @property
    def published(self) -> tuple[Path, ...]:
        """The files that people open."""
        return tuple(self.path / name for name in PUBLISHED)

    # stage folders and what stands in them

    @property
    def featurize(self) -> Path:
        """The reference library, standardized, and what was dropped from it."""
        return self.path / "1-featurize"

    @property
    def train(self) -> Path:
        """A codec trained for this run; absent where the campaign names a finished one."""
        return self.path / "2-train"

    @property
    def search(self) -> Path:
        """Every molecule that was scored, and its point."""
        return self.path / "3-search"

    @property
    def validate(self) -> Path:
        """Candidates with their checks, and the report."""
        return self.path / "4-validate"

    @property
    def molecules(self) -> Path:
        """Kept molecules of the library: row, id, smiles, warning."""
        return self.featurize / "molecules.parquet"

    @property
    def codec(self) -> Path:
        """The codec folder of this run's own training."""
        return self.train / "codec"

    @property
    def proposals(self) -> Path:
        """The candidate table as the search left it."""
        return self.search / "proposals.parquet"

    @property
    def latent(self) -> Path:
        """Points (m, D) float32; `latent_row` of the proposals counts in it."""
        return self.search / "latent.npy"

    @property
    def history(self) -> Path:
        """The score over the search, and the counts of its funnel."""
        return self.search / "history.json"

    # who may write

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Only this process writes to the run inside the block; the lock dies with the process, however it dies.

        May be taken again by the process that holds it.

        Raises:
            InputError: another process writes to this run.
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
        """Whether another process writes to this run now."""
        try:
            with self.lock():
                return False
        except InputError:
            return True

    # endings

    def tidy(self) -> None:
        """Remove what a killed process was still writing at the top of the folder."""
        for entry in self.path.glob(f"{PART_PREFIX}*"):
            entry.unlink(missing_ok=True)

    def publish(self) -> None:
        """Place what people open at the top of the folder, where it is missing or differs."""
        for place in self.published:
            source = self.validate / place.name
            if not place.exists() or place.read_bytes() != source.read_bytes():
                with replacing(place) as part:
                    shutil.copyfile(source, part)

    def point_latest(self) -> None:
        """Let `latest` point to this complete run, unless it points to one that was completed later.

        The link stands in the folder that the run stands in, if that is named `runs`, else in `runs` below the working
        folder. Whoever follows it meanwhile finds the old run or the new one.

        Raises:
            OSError: the link cannot be written.
        """
        runs = self.path.parent if self.path.parent.name == RUNS else Path.cwd() / RUNS
        runs.mkdir(parents=True, exist_ok=True)
        link = runs / LATEST
        if _completed_at(link) > _completed_at(self.path):
            return
        part = runs / f"{PART_PREFIX}{LATEST}-{secrets.token_hex(4)}"
        part.symlink_to(self.path.name if self.path.parent.resolve() == runs.resolve() else self.path)
        try:
            os.replace(part, link)
        finally:
            part.unlink(missing_ok=True)


def clear_folder(folder: Path, keep: Collection[str] = ()) -> None:
    """Make the folder, if need be, and remove all that stands in it but the names to keep; its manifest goes first."""
    folder.mkdir(exist_ok=True)
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name != MANIFEST):
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_campaign(run: RunDir, text: str) -> None:
    """Write the resolved settings; from here on the folder is a run."""
    write_text(run.campaign, text)


def _completed_at(run: Path) -> float:
    """When the last stage of a run was closed; 0 where it was not."""
    try:
        return (run / "4-validate" / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def _is_own(entry: Path) -> bool:
    return entry.name in (_LOCK, _LOG) or entry.name.startswith(PART_PREFIX)
