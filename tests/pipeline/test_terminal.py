"""What is shown: bars where somebody watches, plain lines where nobody does, nothing where nobody asked."""

import io
import sys

import pytest
from molvae.pipeline import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work() -> None:
    terminal.say("one line")
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
    shown = screen.getvalue()
    assert "one line" in shown
    assert "featurize" in shown
    assert "\x1b[" in shown


def test_elsewhere_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.showing():
        work()
    assert capsys.readouterr().err == "one line\n"


def test_outside_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    work()
    with pytest.raises(KeyError), terminal.showing():
        raise KeyError
    work()
    assert capsys.readouterr() == ("", "")
