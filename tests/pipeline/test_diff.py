"""`molvae diff` at the command line."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import write_candidates


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, candidates: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of two campaigns, completed on different days: the second lead run lacks a molecule of the third."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    runs = [
        ("lead-1", "lead", candidates.iloc[:2]),
        ("lead-2", "lead", candidates.iloc[1:]),
        ("other-1", "other", candidates),
        ("lead-3", "lead", candidates),
    ]
    for day, (name, campaign, table) in enumerate(runs):
        run = folder / name
        (run / "4-validate").mkdir(parents=True)
        (run / "campaign.toml").write_text(f'name = "{campaign}"\n', encoding="utf-8")
        write_candidates(run, table)
        (run / "4-validate" / "manifest.json").write_text("{}", encoding="utf-8")
        os.utime(run / "4-validate" / "manifest.json", (86_400 * day, 86_400 * day))
    (folder / "lead-0").mkdir()
    (folder / "lead-0" / "campaign.toml").write_text('name = "lead"\n', encoding="utf-8")  # not complete
    (folder / "latest").symlink_to("lead-3")
    return folder


def run_molvae(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return end.value.code


@pytest.mark.parametrize("words", [[], ["latest"], ["lead-3"], ["lead-2", "latest"], ["runs/lead-2", "runs/lead-3"]])
def test_a_run_is_compared_with_the_last_one_of_its_campaign(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_molvae("diff", *words) == 0
    text = capsys.readouterr().out
    assert text.startswith("lead-2 (earlier) and lead-3 (later)")
    assert "lead-3 found 1 molecule that lead-2 did not" in text
    assert "C000001" in text


def test_runs_with_the_same_name_are_labelled_once(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(runs / "lead-2", runs.parent / "old" / "lead-3")
    assert run_molvae("diff", "old/lead-3", "runs/lead-3") == 0
    first, _, answer = capsys.readouterr().out.splitlines()[:3]
    assert first == "lead-3 (earlier) and lead-3 (later)"
    assert answer.startswith("lead-3 (later) found 1 molecule that lead-3 (earlier) did not")


def test_the_table_and_the_page_are_written(tmp_path: Path, candidates: pd.DataFrame) -> None:
    assert run_molvae("diff", "lead-1", "lead-2", "-o", "diff.csv", "-o", "diff.html", "-o", "diff.parquet") == 0
    table = pd.read_csv("diff.csv").set_index("candidate_id_later")
    assert table["status"].tolist() == ["both", "new", "new", "lost"]
    assert table.loc["C000002", "score_earlier"] == 0.75
    assert pd.read_parquet("diff.parquet")["smiles"].tolist() == table["smiles"].tolist()
    assert "C000001" in (tmp_path / "diff.html").read_text(encoding="utf-8")


def test_mistakes_are_one_line_with_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in (
        (["lead-1"], "no earlier complete run"),
        (["lead-1", "lead-1"], "same run"),
        (["lead-1", "lead-2", "lead-3"], "got 3"),
        (["lead-9"], "lead-9"),
        (["latest", "-o", "diff.pdf"], ".html"),
        (["runs"], "got"),
    ):
        assert run_molvae("diff", *arguments) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("molvae: ")
        assert word in error
