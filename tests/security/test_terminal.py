"""Text from files cannot send commands to a terminal, nor forge lines of a log."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import terminal
from molvae.pipeline.log import logging_to

from molvae.candidates.files import write_candidates
from molvae.printable import printable

EVIL = "C1\x1b]0;title\x07\x1b[2K\r\x9b1m\u202egnp\u2066\u2028x"


def is_safe(text: str) -> bool:
    return not set(text) & set("\x1b\x07\r\x9b\u202e\u2066\u2028")


@pytest.mark.parametrize("text", ["µM\tCCO", "C[C@H](N)C(=O)O", "α-1,β", "日本語", "عربى", "a\nb"])
def test_other_text_stays(text: str) -> None:
    assert printable(text) == text


def test_control_characters_are_shown_as_escapes() -> None:
    assert printable("a\x1b[2K\u202eb") == "a\\x1b[2K\\u202eb"
    assert printable("\ud800") == "\\ud800"
    assert is_safe(printable(EVIL))


def test_streams_and_bars_print_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    terminal.protect_output()
    print(EVIL)
    terminal.report(EVIL)
    with terminal.showing():
        terminal.show(EVIL)
    terminal.plain(sys.stdout).write("\x1b")
    found = {}
    for name in streams:
        terminal.plain(getattr(sys, name)).flush()
        found[name] = streams[name].buffer.getvalue().decode()
    assert found["stdout"] == printable(EVIL) + "\n\x1b", "a table as data is not changed"
    assert found["stderr"] == 2 * (printable(EVIL) + "\n")


def test_a_log_line_cannot_be_forged(tmp_path: Path) -> None:
    with logging_to(tmp_path / "run.log"):
        logging.getLogger("pipeline").info("id %s", "x\n2026-01-01 00:00:00 UTC INFO    pipeline: all passed\x1b[2K")
    first, second = (tmp_path / "run.log").read_text().splitlines()
    assert first.endswith("id x")
    assert second == "    2026-01-01 00:00:00 UTC INFO    pipeline: all passed\\x1b[2K"


def test_a_command_prints_the_text_of_a_table_safely(candidates: pd.DataFrame, tmp_path: Path) -> None:
    candidates.loc[candidates.index[0], "candidate_id"] = EVIL.replace("\r", "")
    (tmp_path / "runs").mkdir()
    write_candidates(tmp_path / "runs", candidates)
    code = "import sys; from molvae.pipeline import cli; cli.main(sys.argv[1:])"
    for arguments in (["why", "runs", EVIL.replace("\r", "")], ["why", "runs", "1"], ["query", "runs", EVIL]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, check=False)
        for output in (done.stdout, done.stderr):
            assert is_safe(output.decode()), output
        assert b"Traceback" not in done.stderr
