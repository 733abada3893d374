"""`molvae why` at the command line."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import write_candidates

SCRIPT = """
import sys
from molvae.pipeline import cli
try:
    cli.main(["why", "lead-1", "best"])
except SystemExit as end:
    heavy = {name.split(".")[0] for name in sys.modules} & {"torch", "prefect", "sklearn"}
    sys.exit(f"imported: {heavy}" if heavy else end.code)
"""


@pytest.fixture
def run(tmp_path: Path, candidates: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run without its stage folders."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "lead-1"
    folder.mkdir(parents=True)
    (folder / "campaign.toml").write_text('name = "lead"\n', encoding="utf-8")
    write_candidates(folder, candidates)
    (tmp_path / "runs" / "latest").symlink_to("lead-1")
    return folder


def run_molvae(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return end.value.code


@pytest.mark.parametrize("word", ["latest", "lead-1", "runs/lead-1", "runs/lead-1/candidates.csv"])
def test_the_best_candidate_is_explained(run: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_molvae("why", word) == 0
    text = capsys.readouterr().out
    assert text.startswith("C000001 of lead-1")
    assert "rank 1 of 2 that passed every check" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_failed_candidate_shows_its_reasons(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("latest", "runs/lead-1/candidates.csv"):  # the CSV file has no columns check_*
        assert run_molvae("why", word, "C000004") == 0
        text = capsys.readouterr().out
        assert "alerts: BRENK: made up" in text


def test_the_page_is_self_contained(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_molvae("why", "latest", "3", "-o", "why.html") == 0
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "C000004" in page
    assert page.count("<svg") > 4
    assert "http" not in page.replace("http-equiv", "")
    assert "style=" not in page  # the security policy allows only the style elements
    assert "why.html" in capsys.readouterr().err


def test_mistakes_are_one_line_with_exit_code_2(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["latest", "C000009"], ["latest", "9"], ["lates", "best"], ["latest", "best", "-o", "why.pdf"]):
        assert run_molvae("why", *arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("molvae: ")
        assert error.count("\n") == 1


def test_torch_and_prefect_are_not_imported(run: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=run.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "C000001" in done.stdout
