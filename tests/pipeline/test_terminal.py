"""Progress: bars on a terminal, plain lines elsewhere, nothing outside of a command."""

import io
import sys

import pytest
from molvae.pipeline import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work() -> None:
    terminal.show("one line")
    with terminal.bar("search", 40, "molecules") as bar:
        bar.advance(10)
    with terminal.bar("featurize", None, "molecules") as bar:
        bar.advance(10)
        bar.expect(0.25)
        assert bar._live is None or bar._live.tasks[0].total == 40


def test_a_bar_moves_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with terminal.showing():
        work()
    output = screen.getvalue()
    assert "one line" in output
    assert "featurize" in output
    assert "\x1b[" in output


def test_lines_are_plain_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.showing():
        work()
    assert capsys.readouterr().err == "one line\n"


def test_nothing_is_shown_outside_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    work()
    with pytest.raises(KeyError), terminal.showing():
        raise KeyError
    work()
    assert capsys.readouterr() == ("", "")
