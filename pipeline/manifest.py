"""The record of a stage: inputs, settings, outputs and counts; it identifies a complete stage."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pydantic import Field, JsonValue

from molvae.errors import InputError
from molvae.files import link_or_copy, sha256_of, write_text
from molvae.settings import Settings

from . import clock, terminal
from .log import log
from .run_dir import MANIFEST, clear_folder
from .terminal import elapsed
from .version import installed

PACKAGES = ("molvae", "numpy", "pandas", "prefect", "pyarrow", "rdkit", "tokenizers", "torch")

_CHECKSUM = "checksum"  # a key of the file, not of the manifest


class Entry(Settings):
    """A file that a stage read or wrote.

    Parameters
    ----------
    path : str
        Relative to the run for inputs and to the stage folder for outputs; absolute for a file outside the run.
    sha256 : str
        Hash of its content.
    rows : int or None, default=None
        Number of rows; None if it is not a table.
    size : int or None, default=None
        Bytes; None if it is not a file, and in manifests of earlier releases.
    """

    path: str
    sha256: str
    rows: int | None = None
    size: int | None = None


class Counts(Settings):
    """The numbers of rows that were read, kept and dropped.

    Parameters
    ----------
    into : int
        Rows that were read.
    kept : int
        Rows that were kept.
    dropped : dict of str to int
        Kind of reason -> number of rows.
    notes : dict of str to int
        Kind of warning -> number of kept rows.
    """

    into: int
    kept: int
    dropped: dict[str, int] = Field(default_factory=dict)
    notes: dict[str, int] = Field(default_factory=dict)


class Manifest(Settings):
    """The record of a complete stage; its file is written last.

    Parameters
    ----------
    stage : str
        Name of the stage.
    version : int
        Version of the stage; a new version makes old results outdated.
    key : str
        `Plan.key`: two plans with the same key give the same files.
    settings : dict
        The settings of the plan.
    seed : int
        The random seed.
    inputs : dict of str to Entry
        The files and codecs that were read, by name.
    outputs : tuple of Entry
        The files that were written.
    counts : Counts
        The numbers of rows.
    stopped : str
        Why the stage ended.
    seconds : float
        Duration of the stage, in seconds.
    packages : dict of str to str
        Versions of Python and of the main packages.
    started, finished : str, default=""
        When the attempt that completed the stage started, and when it finished: ISO 8601 in UTC. They are not part of
        the key. "" in manifests of earlier releases.
    facts : dict of str to float or None
        Results in short, by name.
    reused : bool, default=False
        Whether the stage was complete already and did no work; not stored.
    reused_from : str, default=""
        Name of the run whose files were taken; "" if the stage did its own work.
    """

    stage: str
    version: int
    key: str
    settings: dict[str, JsonValue]
    seed: int
    inputs: dict[str, Entry]
    outputs: tuple[Entry, ...]
    counts: Counts
    stopped: str
    seconds: float
    packages: dict[str, str]
    started: str = ""
    finished: str = ""
    facts: dict[str, float | None] = Field(default_factory=dict)
    reused: bool = Field(default=False, exclude=True)
    reused_from: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the manifest of a stage.

        Parameters
        ----------
        folder : Path
            The stage folder.

        Returns
        -------
        Manifest or None
            None if the stage is not complete or the file is invalid.
        """
        try:
            content = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
            checksum = content.pop(_CHECKSUM, None)  # earlier releases wrote none
            if checksum is not None and checksum != _checksum_of(content):
                return None
            return cls.from_dict(content, MANIFEST)
        except (RecursionError, OSError, ValueError, TypeError, InputError):
            return None

    def write(self, folder: Path) -> None:
        """Write the manifest of a stage, with a checksum of its content.

        Parameters
        ----------
        folder : Path
            The stage folder.
        """
        content = json.loads(self.model_dump_json())
        content[_CHECKSUM] = _checksum_of(content)
        write_text(folder / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def is_whole(self, folder: Path) -> bool:
        """Whether every output exists and is unchanged.

        Parameters
        ----------
        folder : Path
            The stage folder.

        Returns
        -------
        bool
            False if the stage has to run again.
        """
        return self.find_change(folder) is None

    def find_change(self, folder: Path) -> str | None:
        """The first output that is missing or has changed.

        Parameters
        ----------
        folder : Path
            The stage folder.

        Returns
        -------
        str or None
            Its path, relative to the stage folder; None if every output is unchanged.
        """
        for entry in self.outputs:
            try:
                if sha256_of(folder / entry.path) != entry.sha256:
                    return entry.path
            except OSError:
                return entry.path
        return None


@dataclass(frozen=True)
class Outcome:
    """The result of the body of a stage.

    Parameters
    ----------
    outputs : mapping of str to int or None
        File name, relative to the stage folder -> number of rows; None if it is not a table.
    counts : Counts
        The numbers of rows.
    stopped : str, default="done"
        Why the stage ended.
    facts : mapping of str to float or None
        Results in short, by name, for lists of runs.
    """

    outputs: Mapping[str, int | None]
    counts: Counts
    stopped: str = "done"
    facts: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The work of a stage; two plans with the same key give the same files.

    Parameters
    ----------
    stage : str
        Name of the stage.
    version : int
        Version of the stage; a new version makes old results outdated.
    folder : Path
        The stage folder.
    settings : mapping
        All settings that can change the outputs, and no others (no path, no number of processes).
    seed : int
        The random seed.
    inputs : mapping of str to Entry
        The files and codecs that are read, by name.
    """

    stage: str
    version: int
    folder: Path
    settings: Mapping[str, object]
    seed: int
    inputs: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A hash of the stage, its version, the settings, the seed and the content of every input."""
        content = {
            "stage": self.stage,
            "version": self.version,
            "settings": dict(self.settings),
            "seed": self.seed,
            "inputs": {name: entry.sha256 for name, entry in self.inputs.items()},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint in the stage folder; it contains the key, so that no other plan resumes from it."""
        return f"checkpoint-{self.key[:12]}"

    def finished(self) -> Manifest | None:
        """The manifest of the stage, if it was written for this plan and the outputs are unchanged.

        Returns
        -------
        Manifest or None
            None if the stage has to run.
        """
        manifest = Manifest.read(self.folder)
        return manifest if manifest and manifest.key == self.key and manifest.is_whole(self.folder) else None

    def carry_out(
        self, body: Callable[[Path], Outcome], others: Sequence[Path] = (), *, uses_seed: bool = True
    ) -> Manifest:
        """Run the stage, unless it is complete or can be taken from another run, and write its manifest.

        The files of an earlier attempt are removed first. If the body fails, its files are removed, too. In both cases
        the checkpoint of this plan is kept.

        Parameters
        ----------
        body : callable
            Takes the stage folder and writes the outputs to it.
        others : sequence of Path, default=()
            The folders of this stage in other runs. If one of them has the same key, was made with the same packages
            and is unchanged, its files are taken: as hard links, or as copies where the file system has no links.
        uses_seed : bool, default=True
            Whether the seed changes the files; if not, a folder with another seed can be taken.

        Returns
        -------
        Manifest
            The record of the stage.
        """
        manifest = self.finished()
        if manifest is not None:
            manifest = manifest.model_copy(update={"reused": True})
            line = f"{self.stage}: already complete, skipped"
            log.info("%s", line)
            terminal.show(line)
        else:
            manifest = self._take(others, uses_seed) or self._run(body)
        clear_folder(self.folder, keep={MANIFEST, *(entry.path.split("/")[0] for entry in manifest.outputs)})
        return manifest

    def _run(self, body: Callable[[Path], Outcome]) -> Manifest:
        clear_folder(self.folder, keep={self.checkpoint})
        start, started = time.monotonic(), clock.now()
        try:
            manifest = self._close(body(self.folder), time.monotonic() - start, started)
        except BaseException:
            clear_folder(self.folder, keep={self.checkpoint})
            raise
        counts = manifest.counts
        log.info("%s", describe_counts(manifest))
        terminal.show(f"{self.stage}: {counts.into:,} in, {counts.kept:,} kept; {elapsed(manifest.seconds)}")
        return manifest

    def _take(self, others: Sequence[Path], uses_seed: bool) -> Manifest | None:
        """Take the files from another run; None if no run has them, or if they changed or vanished meanwhile."""
        start, started = time.monotonic(), clock.now()
        packages = _packages() if others else {}
        for other in others:
            found = Manifest.read(other)
            if found is None or found.stage != self.stage or found.packages != packages:
                continue
            plan = self if uses_seed else replace(self, seed=found.seed)
            if found.key != plan.key:
                continue
            clear_folder(self.folder, keep={self.checkpoint})
            try:
                for entry in found.outputs:
                    link_or_copy(other / entry.path, self.folder / entry.path)
            except FileNotFoundError:  # a run that is being removed
                continue
            except BaseException:
                clear_folder(self.folder, keep={self.checkpoint})
                raise
            if not found.is_whole(self.folder):
                continue
            manifest = found.model_copy(
                update={
                    "key": self.key,
                    "seed": self.seed,
                    "inputs": dict(self.inputs),
                    "seconds": round(time.monotonic() - start, 2),
                    "started": started,
                    "finished": clock.now(),
                    "reused_from": other.parent.name,
                }
            )
            manifest.write(self.folder)
            log.info("%s", describe_counts(manifest))
            terminal.show(f"{self.stage}: {manifest.counts.kept:,} kept; taken from {other.parent.name}")
            return manifest
        return None

    def _close(self, outcome: Outcome, seconds: float, started: str) -> Manifest:
        manifest = Manifest(
            stage=self.stage,
            version=self.version,
            key=self.key,
            settings=json.loads(json.dumps(dict(self.settings))),
            seed=self.seed,
            inputs=dict(self.inputs),
            outputs=tuple(file_entry(self.folder / name, self.folder, rows) for name, rows in outcome.outputs.items()),
            counts=outcome.counts,
            stopped=outcome.stopped,
            seconds=round(seconds, 2),
            packages=_packages(),
            started=started,
            finished=clock.now(),
            facts=dict(outcome.facts),
        )
        manifest.write(self.folder)
        return manifest


def _checksum_of(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_entry(path: Path, base: Path, rows: int | None = None) -> Entry:
    """Describe a file.

    Parameters
    ----------
    path : Path
        The file.
    base : Path
        The folder that the path is made relative to, if the file is inside it.
    rows : int or None, default=None
        Number of rows; None if it is not a table.

    Returns
    -------
    Entry
        Its path, hash and number of rows.
    """
    name = path.relative_to(base) if path.is_relative_to(base) else path
    return Entry(path=name.as_posix(), sha256=sha256_of(path), rows=rows, size=path.stat().st_size)


def describe_counts(manifest: Manifest) -> str:
    """The line of a stage in the logs.

    Parameters
    ----------
    manifest : Manifest
        The record of the stage.

    Returns
    -------
    str
        `stage: in=... kept=... dropped=... seconds=... reasons={...}`; the reasons are JSON, the most frequent first.
        Reasons do not add up to `dropped` if a row can have several, as in validate.
    """
    counts = manifest.counts
    reasons = {name: n for name, n in sorted(counts.dropped.items(), key=lambda one: -one[1]) if n}
    return (
        f"{manifest.stage}: in={counts.into} kept={counts.kept} dropped={counts.into - counts.kept} "
        f"seconds={manifest.seconds:g} reasons={json.dumps(reasons, ensure_ascii=False)}"
    )


def _packages() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}
