"""What a stage read, did and wrote, and how a finished stage is recognised."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from molvae.errors import InputError
from molvae.files import sha256_of, write_text
from molvae.settings import Settings

from . import terminal
from .log import log
from .run_dir import MANIFEST, clear_folder
from .terminal import elapsed
from .version import installed

PACKAGES = ("molvae", "numpy", "pandas", "prefect", "pyarrow", "rdkit", "tokenizers", "torch")


class Entry(Settings):
    """One file that a stage read or wrote; `path` is relative to the stage's folder where it stands below the run."""

    path: str
    sha256: str
    rows: int | None = None


class Counts(Settings):
    """How many rows came in, how many were kept, and why each of the others was not."""

    into: int
    kept: int
    dropped: dict[str, int] = Field(default_factory=dict)
    notes: dict[str, int] = Field(default_factory=dict)


class Manifest(Settings):
    """The record of one finished stage; its file is written last, so that where it stands the stage is whole."""

    stage: str
    version: int
    key: str
    settings: dict[str, Any]
    seed: int
    inputs: dict[str, Entry]
    outputs: tuple[Entry, ...]
    counts: Counts
    stopped: str
    seconds: float
    packages: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The manifest of a stage folder; None where the stage is not finished or the file cannot be understood."""
        try:
            return cls.from_dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")), MANIFEST)
        except (OSError, ValueError, InputError):
            return None

    def is_whole(self, folder: Path) -> bool:
        """Whether every output is there and still has the content that it was closed with."""
        try:
            return all(sha256_of(folder / entry.path) == entry.sha256 for entry in self.outputs)
        except OSError:
            return False


@dataclass(frozen=True)
class Outcome:
    """What the body of a stage hands back.

    outputs: file name, relative to the stage's folder -> rows in it, None where it is no table.
    """

    outputs: Mapping[str, int | None]
    counts: Counts
    stopped: str = "done"


@dataclass(frozen=True)
class Plan:
    """What a stage is about to do; two plans with the same key give the same files.

    settings: all that can change the outputs, and nothing else (no path, no number of processes).
    inputs: a name for each file or codec that is read -> the file.
    """

    stage: str
    version: int
    folder: Path
    settings: Mapping[str, Any]
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
        """Name of the checkpoint in the stage's folder; one left by another plan is never taken up."""
        return f"checkpoint-{self.key[:12]}"

    def finished(self) -> Manifest | None:
        """The manifest, if this very stage was finished before and its outputs are unchanged."""
        manifest = Manifest.read(self.folder)
        return manifest if manifest and manifest.key == self.key and manifest.is_whole(self.folder) else None

    def carry_out(self, body: Callable[[Path], Outcome]) -> Manifest:
        """Run the body in the stage's folder and close the folder; or the old manifest, if all is done already.

        What an earlier, killed attempt left is removed first, but for this plan's own checkpoint. When the body
        fails, whatever it wrote is removed, but for the checkpoint.
        """
        manifest = self.finished()
        if manifest is not None:
            _tell(f"{self.stage}: done before")
        else:
            clear_folder(self.folder, keep={self.checkpoint})
            start = time.monotonic()
            try:
                manifest = self._close(body(self.folder), time.monotonic() - start)
            except BaseException:
                clear_folder(self.folder, keep={self.checkpoint})
                raise
            counts = manifest.counts
            _tell(f"{self.stage}: {counts.into:,} in, {counts.kept:,} kept; {elapsed(manifest.seconds)}")
        clear_folder(self.folder, keep={MANIFEST, *(entry.path.split("/")[0] for entry in manifest.outputs)})
        return manifest

    def _close(self, outcome: Outcome, seconds: float) -> Manifest:
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
        )
        write_text(self.folder / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
        return manifest


def file_entry(path: Path, base: Path, rows: int | None = None) -> Entry:
    """The entry of a file, its path relative to `base` where it stands below it."""
    shown = path.relative_to(base) if path.is_relative_to(base) else path
    return Entry(path=shown.as_posix(), sha256=sha256_of(path), rows=rows)


def _tell(line: str) -> None:
    log.info("%s", line)
    terminal.say(line)


def _packages() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}
