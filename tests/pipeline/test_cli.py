"""The command line: help texts, exit codes and one-line errors."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from molvae.pipeline import cli

from molvae.bundled import bundled_codecs
from molvae.codec.description import find_codec, read_description
from molvae.devices import CODEC_DEVICE, choose_precision, fastest_device
from molvae.errors import InputError, MolvaeError

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *(found.callback.__name__ for found in cli.app.registered_commands if found.callback),
    *(group.info.name for group in cli.GROUPS),
]
SUBCOMMANDS = [
    f"{group.info.name} {found.callback.__name__}"
    for group in cli.GROUPS
    for found in group.registered_commands
    if found.callback
]


def run(arguments: list[str]) -> int:
    return cli._run(arguments)


def run_job(job: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command with this job."""
    monkeypatch.setattr(cli, "app", lambda *args, **kwargs: job)
    return run([])


def fail_with(error: BaseException) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_help_has_examples_in_80_columns(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    output = capsys.readouterr().out
    examples = output.split("  Examples:\n")[1]
    assert examples.startswith("    molvae ")
    assert f"    molvae {command}" in examples
    assert max(map(len, output.splitlines())) <= 80


def test_every_command_module_is_registered() -> None:
    modules = {path.stem for path in (ROOT / "pipeline" / "commands").glob("*.py")}
    assert set(COMMANDS) == modules - {"__init__", "declaration"}
    assert len(COMMANDS) >= 12


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"  {command} " in output for command in COMMANDS)
    assert "..." not in output.split("Commands:")[1], "a first sentence is cut off"


def test_help_imports_nothing_heavy() -> None:
    lines = [["--help"], ["smaple"], *([*command.split(), "--help"] for command in [*COMMANDS, *SUBCOMMANDS])]
    code = f"import sys; from molvae.pipeline import cli; [cli._run(line) for line in {lines}]; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(output.splitlines()[-1].split())
    assert "typer" in loaded
    assert not {"torch", "rdkit", "prefect", "pandas", "numpy"} & loaded


def test_a_mistake_in_a_campaign_is_found_without_torch_and_prefect() -> None:
    code = "import sys; from molvae.pipeline import cli; cli._run(['design', '--set', 'seach.budget=3']); "
    code += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "did you mean search?" in done.stderr
    assert not {"torch", "prefect", "sklearn", "scipy.stats"} & set(done.stdout.split())


def test_a_codec_is_loaded_without_plots() -> None:
    code = "import sys, molvae; molvae.load_codec; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"matplotlib", "sklearn", "scipy.stats", "prefect"} & set(loaded)


def test_version_lists_packages_codecs_and_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"molvae {version('molvae')}"
    assert f"torch {version('torch')}" in lines
    assert f"RDKit {version('rdkit')}" in lines
    assert f"Prefect {version('prefect')}" in lines
    for name in bundled_codecs():
        assert f"codec {name}, sha256 {read_description(find_codec(name))['sha256'][:12]}" in lines
    assert lines[-2] == f"precision of encoding and decoding: {choose_precision(CODEC_DEVICE)} on cpu"
    assert lines[-1] == f"precision of training: {choose_precision(fastest_device())} on {fastest_device()}"


def test_version_follows_the_environment_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for precision in ("float32", "bfloat16"):
        monkeypatch.setenv("MOLVAE_PRECISION", precision)
        assert run(["--version"]) == 0
        assert f"precision of encoding and decoding: {precision} on cpu" in capsys.readouterr().out.splitlines()
    monkeypatch.setenv("MOLVAE_PRECISION", "single")
    assert run(["--version"]) == 2
    assert "MOLVAE_PRECISION: expected one of auto, bfloat16, float32; got 'single'" in capsys.readouterr().err


def test_version_reports_a_missing_package(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> str:
        if name in ("prefect", "torch"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("molvae.pipeline.version.version", find)
    assert run(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Prefect not installed" in lines
    assert "torch not installed" in lines
    assert not [line for line in lines if line.startswith("precision")]


@pytest.mark.parametrize(
    ("arguments", "part"),
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
def test_a_wrong_command_line_gives_one_line_and_exit_code_2(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("molvae: ")
    assert part in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (InputError("a.csv: empty"), 2, "molvae: a.csv: empty\n"),
        (MolvaeError("the server did not start"), 1, "molvae: the server did not start\n"),
        (KeyboardInterrupt(), 130, "molvae: stopped\n"),
        (cli.Terminated(), 143, "molvae: stopped by SIGTERM\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/a.csv"),
            2,
            "/x/a.csv: no space left on device; ",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/x/a.csv"),
            2,
            "/x/a.csv: read-only file system; choose a folder",
        ),
        (MemoryError(), 1, "molvae: cannot allocate memory; close other programs"),
        (ZeroDivisionError("by\nzero"), 1, "molvae: failed unexpectedly (ZeroDivisionError: by); "),
    ],
)
def test_every_error_gives_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_job(fail_with(error), monkeypatch) == code
    output = capsys.readouterr().err
    assert part in output
    assert output.count("\n") == 1
    assert "Traceback" not in output
    assert ("Traceback" in "".join(path.read_text() for path in tmp_path.glob("*.log"))) == (
        type(error) is ZeroDivisionError
    )


def test_a_note_follows_the_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = KeyboardInterrupt()
    error.add_note("resume with: molvae design --resume runs/a")
    error.add_note("a\ntraceback")
    assert run_job(fail_with(error), monkeypatch) == 130
    assert capsys.readouterr().err == "molvae: stopped; resume with: molvae design --resume runs/a\n"


def test_every_line_of_a_long_error_starts_with_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(fail_with(InputError("a\nb")), monkeypatch) == 2
    assert capsys.readouterr().err == "molvae: a\nmolvae: b\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf_8_is_not_an_error(encoding: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "molvae.pipeline.cli", "columns"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert ("Å²" if encoding == "latin-1" else "\\xc5\\xb2").encode(encoding) in done.stdout


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
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
def test_signals_stop_a_job_at_once(signals: list[str], code: int) -> None:
    busy = (
        "import time\n"
        "from molvae.pipeline import cli\n"
        "def job():\n"
        "    try: print('started', flush=True); time.sleep(60)\n"
        "    finally: time.sleep(60 if len(SIGNALS) > 1 else 0)\n"
        "cli.app = lambda *a, **k: job\n"
        "cli.main([])\n"
    ).replace("SIGNALS", repr(signals))
    process = subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    for name in signals:
        process.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.3)
    _, error = process.communicate(timeout=20)
    assert process.returncode == code
    assert error.startswith("molvae: stopped")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("handler", "code", "line"),
    [
        (cli._interrupt, 130, "molvae: stopped; resume with: molvae design --resume mine"),
        (cli._terminate, 143, "molvae: stopped by SIGTERM; resume with: molvae design --resume mine"),
    ],
)
def test_a_stop_request_that_a_library_wraps_gives_the_same_exit(
    handler: Callable[..., None],
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def job() -> None:
        try:
            handler(0, None)
        except BaseException as stop:
            error = RuntimeError(f"error calling a serializer: {type(stop).__name__}")
            error.add_note("details: mine/run.log")
            error.add_note("resume with: molvae design --resume mine")
            raise error from None

    monkeypatch.setattr(cli, "app", lambda *arguments, **settings: job)
    monkeypatch.setattr(cli, "_stops", [])
    before = signal.getsignal(signal.SIGINT)
    try:
        assert run(["design"]) == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_stop_inside_compiled_code_keeps_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text("""
from molvae.pipeline import cli
code = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
cli.app = lambda *arguments, **settings: lambda: exec(code)
cli.main([])
""")
    command = [sys.executable, "-m", "stopped"]  # run as a file, Python has the same exit code in both cases
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (130, "molvae: stopped\n")
