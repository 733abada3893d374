"""Runs of a tiny campaign under injected faults, and what must hold after each of them.

A test copies a complete run, removes the stages that it wants to see again, runs `molvae design --resume` under faults,
and calls `Lab.heals`: the run is resumed without faults and must give the same candidates, with no file and no process
left over. A fault that can be made with the system (a full disk, a lock of another process, SIGSTOP) is made so; the
others, such as EIO, come from faulty.c, which fails system calls by the path of their file.
"""

import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.search import search
from molvae.pipeline.train import train
from molvae.pipeline.validate import validate

from molvae.files import sha256_of

ROOT = Path(__file__).parents[2]

WITHOUT_PREFECT = """
import contextlib, sys, types
from pathlib import Path
import molvae.pipeline
from molvae.pipeline import cli
from molvae.pipeline.commands import design

def run_flow(path, *rest):
    from molvae.pipeline.campaign import Campaign
    from molvae.pipeline.featurize import featurize
    from molvae.pipeline.run_dir import RunDir
    from molvae.pipeline.search import search
    from molvae.pipeline.train import train
    from molvae.pipeline.validate import validate
    run = RunDir(Path(path))
    for stage in (featurize, *([train] if Campaign.load(run.campaign).train else []), search, validate):
        stage(run)

design.api = lambda log, *rest: contextlib.nullcontext(lambda: None)
flow = types.ModuleType("molvae.pipeline.flow")
flow.run_flow = run_flow
sys.modules["molvae.pipeline.flow"] = molvae.pipeline.flow = flow
cli.main(sys.argv[1:])
"""
"""The command line, without Prefect: it takes half of the time, and plays no part in most faults."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault that faulty.c injects; see there."""

    event: str
    action: str
    pattern: str
    argument: int = 0
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.event} {self.action} {self.argument} {self.skip} {self.pattern}"


def fails(event: str, pattern: str, error: int = errno.EIO, after: int = 0) -> Fault:
    """The calls fail after so many bytes (write) or calls."""
    return Fault(event, "errno", f"*/{pattern}", error, after)


def fills_disk(pattern: str, left: int) -> Fault:
    """The disk has so many bytes left when the file is opened for writing."""
    return Fault("open", "full", f"*/{pattern}", left)


def stops(event: str, pattern: str, after: int = 0) -> Fault:
    """SIGSTOP before the call; the test may change anything and continue."""
    return Fault(event, "stop", f"*/{pattern}", 0, after)


def kills(event: str, pattern: str, after: int = 0) -> Fault:
    """SIGKILL before the call."""
    return Fault(event, "kill", f"*/{pattern}", 0, after)


class Ending(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str
    injected: list[str]

    @property
    def last_line(self) -> str:
        """The last line on the terminal."""
        return (self.err.splitlines() or [""])[-1]

    def is_refused(self, *parts: str, code: int = 2) -> None:
        """The command failed with this exit code and one clear last line, which has these parts."""
        assert self.code == code, self
        assert self.last_line.startswith("molvae: "), self
        assert self.err.count("molvae: ") == 1, self
        assert "Traceback" not in self.err, self
        for part in parts:
            assert part in self.last_line, self.last_line


@dataclasses.dataclass
class Lab:
    """A working folder with runs, in which commands run under faults."""

    folder: Path
    library: Path
    """LD_PRELOAD library, compiled from faulty.c."""

    def copy(self, run: RunDir, *stages: str, to: Path | None = None) -> RunDir:
        """A copy of a run that has only these stages; without the published files."""
        target = to or self.folder / "run"
        names = {"campaign.toml", *stages}
        target.mkdir(parents=True, exist_ok=True)
        for entry in run.path.iterdir():
            if entry.name in names:
                (shutil.copytree if entry.is_dir() else shutil.copyfile)(entry, target / entry.name)
        return RunDir(target)

    def start(
        self,
        *arguments: str,
        faults: Sequence[Fault] = (),
        mount: Path | None = None,
        with_prefect: bool = False,
        environment: dict[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> "subprocess.Popen[str]":
        """Start `molvae ARGUMENTS` in the working folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env = kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "80", "HOME": str(self.folder), "OMP_NUM_THREADS": "1"}
        if faults or environment:
            env |= {"LD_PRELOAD": str(self.library), "FAULTS": "\n".join(map(str, faults))}
            env |= {"FAULTS_LOG": str(self._log), "FAULTS_MOUNT": str(mount or self.folder)}
        command = ["-m", "molvae.pipeline.cli"] if with_prefect else ["-c", WITHOUT_PREFECT]
        return subprocess.Popen(
            [sys.executable, *command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=env | (environment or {}),
            preexec_fn=before,
        )

    def finish(self, process: "subprocess.Popen[str]", seconds: float = 240) -> Ending:
        """Wait for the end of a command."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Ending(process.returncode, out, err, self.injected())

    def run(self, *arguments: str, **options: Any) -> Ending:
        """Run `molvae ARGUMENTS` to its end; the faults must have been injected."""
        ending = self.finish(self.start(*arguments, **options))
        assert len(ending.injected) >= len(options.get("faults", ())), f"no fault was injected: {ending}"
        return ending

    def resume(self, run: RunDir, **options: Any) -> Ending:
        """Run `molvae design --resume RUN` to its end; the faults must have been injected."""
        return self.run("design", "--resume", self.name_of(run), **options)

    def name_of(self, run: RunDir) -> str:
        """The run as a user of the working folder names it."""
        return str(run.path.relative_to(self.folder) if run.path.is_relative_to(self.folder) else run.path)

    def wait_until_stopped(self, process: "subprocess.Popen[str]", seconds: float = 120) -> None:
        """Wait until the command has stopped itself (`stops`)."""
        deadline = time.monotonic() + seconds
        while _state(process.pid) != "T":
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the process was not stopped"
            time.sleep(0.05)

    def injected(self) -> list[str]:
        """The faults that were injected so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def heals(self, run: RunDir, expected: RunDir) -> None:
        """Resume the run without faults: it has the expected candidates, and no file and no process is left over."""
        assert not self.processes(), "a process is left over"
        complete(run)
        assert results(run) == results(expected)
        assert files_of(run) == files_of(expected)
        assert not self.processes(), "a process is left over"

    def processes(self) -> list[str]:
        """Command lines of the processes whose working folder or arguments are in the working folder."""
        deadline = time.monotonic() + 5  # processes that end with their parent notice it within a second
        while (found := _processes_of(self.folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    @property
    def _log(self) -> Path:
        return self.folder / "injected.log"


def complete(run: RunDir) -> None:
    """Run the stages that are not complete, in this process: the imports of the command line take longer."""
    with run.lock():
        run.tidy()
        for stage in (featurize, *([train] if Campaign.load(run.campaign).train else []), search, validate):
            stage(run)


def results(run: RunDir) -> dict[str, str]:
    """SHA-256 of the result files of a complete run."""
    return {path.name: sha256_of(path) for path in (*run.published[:3], run.molecules, run.proposals, run.latent)}


def files_of(run: RunDir) -> set[str]:
    """Every file of a run except its log and its lock."""
    found = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*")}
    return found - {"run.log", ".lock", "start.json", "failure.json"}


def flip_bit(path: Path, position: float = 0.5) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 0b100
    path.write_bytes(content)


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut off the end of a file."""
    os.truncate(path, int(share * path.stat().st_size))


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs with these options; the test is skipped where the system does not allow it."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder, on a file system that is mounted read-only."""
    done = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(mount: Path) -> None:
    """Use every byte of a file system."""
    (mount / "ballast").mkdir()
    with contextlib.suppress(OSError), (mount / "ballast" / "0").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def use_all_inodes(mount: Path) -> None:
    """Create empty files until the file system cannot hold another one."""
    (mount / "ballast").mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (mount / "ballast" / str(number)).touch()


def free_space(mount: Path) -> None:
    """Remove the file that `fills_disk` made."""
    (mount / "ballast").unlink()


def continue_process(process: "subprocess.Popen[str]") -> None:
    """Continue a command that stopped itself."""
    process.send_signal(signal.SIGCONT)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
            is_inside = Path(os.readlink(entry / "cwd")).is_relative_to(folder) or str(folder) in command
            if is_inside and _state(int(entry.name)) not in ("Z", ""):
                found.append(command)
    return found
