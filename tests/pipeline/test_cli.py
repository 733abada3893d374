"""The command line: every ending is one line and an exit code."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from molvae.pipeline import cli

from molvae.errors import InputError, MolvaeError

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "design",
    "serve",
    "featurize",
    "train",
    "sweep",
    "sample",
    "encode",
    "novelty",
    "decode",
    "evaluate",
    "query",
]


def run(arguments: list[str]) -> int:
    return cli._run(arguments)


def run_job(job: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command whose job does this."""
    monkeypatch.setattr(cli, "app", lambda *args, **kwargs: job)
    return run([])


def fail_with(error: BaseException) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert f"molvae {command}" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {command} " in shown for command in COMMANDS)


def test_help_does_not_wait_for_heavy_imports() -> None:
    code = "import sys; from molvae.pipeline import cli; cli._run(['--help']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "rdkit", "prefect", "pandas", "numpy"} & set(loaded.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["sample", "--tmperature", "3"],
            "No such option: --tmperature (Possible options: --temperature); see molvae sample --help",
        ),
        (["smaple"], "No such command 'smaple'. Did you mean 'sample'?; see molvae --help"),
        (["sample", "-n", "0", "-o", "a.smi"], "Invalid value for '-n'"),
        (["sample", "-n", "many", "-o", "a.smi"], "Invalid value for '-n'"),
        (["sample"], "Missing option"),
        (["design", "a.toml", "b.toml"], "unexpected extra argument"),
        (["query", "a.csv"], "Missing argument"),
    ],
)
def test_a_slip_on_the_line_is_one_line_and_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("molvae: ")
    assert said in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("a.csv: empty"), 2, "molvae: a.csv: empty\n"),
        (MolvaeError("the server did not start"), 1, "molvae: the server did not start\n"),
        (KeyboardInterrupt(), 130, "molvae: stopped\n"),
        (cli.Terminated(), 143, "molvae: stopped by SIGTERM\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/a.csv"),
            2,
            "/x/a.csv: no space left on device; make room",
        ),
        (OSError(errno.EROFS, "Read-only file system", "/x/a.csv"), 2, "/x/a.csv: read-only file system\n"),
        (MemoryError(), 1, "molvae: out of memory\n"),
        (ZeroDivisionError("by\nzero"), 1, "molvae: failed unexpectedly (ZeroDivisionError: by); "),
    ],
)
def test_every_ending_is_one_line_and_a_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_job(fail_with(error), monkeypatch) == code
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert "Traceback" not in shown
    assert ("Traceback" in "".join(path.read_text() for path in tmp_path.glob("*.log"))) == (
        type(error) is ZeroDivisionError
    )


def test_a_note_follows_the_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = KeyboardInterrupt()
    error.add_note("go on with: molvae design --resume runs/a")
    error.add_note("a\ntraceback")
    assert run_job(fail_with(error), monkeypatch) == 130
    assert capsys.readouterr().err == "molvae: stopped; go on with: molvae design --resume runs/a\n"


def test_every_line_of_several_faults_says_who_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(fail_with(InputError("a\nb")), monkeypatch) == 2
    assert capsys.readouterr().err == "molvae: a\nmolvae: b\n"


def test_a_reader_that_has_had_enough_is_no_failure(tmp_path: Path) -> None:
    code = (
        "from molvae.pipeline import cli\n"
        "def job():\n"
        "    for i in range(100000): print(i)\n"
        "cli.app = lambda *a, **k: job\n"
        "cli.main([])\n"
    )
    command = f"'{sys.executable}' -c \"$CODE\" 2>err | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "CODE": code, "PYTHONPATH": str(Path.cwd())},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["0", "0"]
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.parametrize(("signals", "code"), [(["INT"], 130), (["TERM"], 143), (["INT", "INT"], 130)])
def test_signals_end_a_job_at_once(signals: list[str], code: int) -> None:
    busy = (
        "import time\n"
        "from molvae.pipeline import cli\n"
        "def job():\n"
        "    print('begun', flush=True)\n"
        "    try: time.sleep(60)\n"
        "    finally: time.sleep(60 if len(SIGNALS) > 1 else 0)\n"
        "cli.app = lambda *a, **k: job\n"
        "cli.main([])\n"
    ).replace("SIGNALS", repr(signals))
    process = subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    for name in signals:
        process.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.3)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == code
    assert shown.startswith("molvae: stopped")
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("come", "code", "line"),
    [
        (cli._interrupt, 130, "molvae: stopped; go on with: molvae design --resume mine"),
        (cli._terminate, 143, "molvae: stopped by SIGTERM; go on with: molvae design --resume mine"),
    ],
)
def test_a_stop_that_a_library_has_wrapped_is_still_a_stop(
    come: Callable[..., None], code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def job() -> None:
        try:
            come(0, None)
        except BaseException as stop:
            error = RuntimeError(f"error calling a serializer: {type(stop).__name__}")
            error.add_note("mine/run.log tells more")
            error.add_note("go on with: molvae design --resume mine")
            raise error from None

    monkeypatch.setattr(cli, "app", lambda *arguments, **settings: job)
    monkeypatch.setattr(cli, "_stops", [])
    before = signal.getsignal(signal.SIGINT)
    try:
        assert run(["design"]) == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_stop_amid_code_made_of_text_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text("""
from molvae.pipeline import cli
made = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
cli.app = lambda *arguments, **settings: lambda: exec(made)
cli.main([])
""")
    command = [sys.executable, "-m", "stopped"]  # as a file, Python does not tell one end from the other
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (130, "molvae: stopped\n")
