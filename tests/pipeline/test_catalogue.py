"""Which tables a word names: latest, a run, its name, a folder of runs, a pattern, a file."""

import os
from pathlib import Path

import pytest
from molvae.pipeline.catalogue import find_run, find_tables

from molvae.errors import InputError


def make_run(runs: Path, name: str, campaign: str = "lead", *, is_complete: bool = True, day: int = 1) -> Path:
    """A run folder as far as the catalogue looks at it, completed on this day of January 1970."""
    run = runs / name
    (run / "4-validate").mkdir(parents=True)
    (run / "campaign.toml").write_text(f'name = "{campaign}"\n', encoding="utf-8")
    if is_complete:
        (run / "candidates.csv").write_text("", encoding="utf-8")
        manifest = run / "4-validate" / "manifest.json"
        manifest.write_text("{}", encoding="utf-8")
        os.utime(manifest, (86_400 * day, 86_400 * day))
    return run


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two complete runs and one that is not, next to a log; `latest` links to the second."""
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    make_run(runs, "lead-1", day=2)
    make_run(runs, "admet-1", "admet", day=1)
    make_run(runs, "lead-2", is_complete=False)
    (runs / "latest").symlink_to("lead-1")
    (runs / "serve.log").write_text("", encoding="utf-8")
    return runs


@pytest.mark.parametrize("word", ["latest", "lead-1", "runs/latest", "runs/lead-1", "runs/lead-1/candidates.csv"])
def test_a_word_names_one_run(runs: Path, word: str) -> None:
    (table,) = find_tables([word])
    assert (table.run, table.campaign, table.date) == ("lead-1", "lead", "1970-01-03T00:00:00Z")


def test_a_folder_of_runs_gives_the_complete_ones_by_date(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("runs", "runs/*"):
        assert [table.run for table in find_tables([word])] == ["admet-1", "lead-1"]
        assert "incomplete runs are skipped: lead-2\n" in capsys.readouterr().err


def test_each_table_occurs_once(runs: Path) -> None:
    assert [table.run for table in find_tables(["latest", "lead-1", "runs/lead-*"])] == ["lead-1"]


def test_a_run_and_its_own_file_are_one_table(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(find_tables(["latest", "runs/lead-1/candidates.csv", "runs/lead-1"])) == 1
    assert not capsys.readouterr().err
    (runs / "lead-1" / "candidates.parquet").write_text("", encoding="utf-8")
    assert len(find_tables(["latest", "runs/lead-1/candidates.csv"])) == 2
    assert "twice" in capsys.readouterr().err


def test_a_file_outside_a_run_has_no_campaign(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("", encoding="utf-8")
    (table,) = find_tables([tmp_path / "mine.csv"])
    assert (table.run, table.campaign) == ("mine", "")


def test_a_run_with_damaged_settings_is_found_without_a_campaign(runs: Path) -> None:
    (runs / "lead-1" / "campaign.toml").write_bytes(b"\xff name = ")
    (table,) = find_tables(["lead-1"])
    assert (table.run, table.campaign) == ("lead-1", "")


def test_find_run_gives_the_folder(runs: Path) -> None:
    for word in ("latest", "runs/lead-1/candidates.csv"):
        assert find_run(word).path == (runs / "lead-1").resolve()


@pytest.mark.parametrize(
    ("word", "fact"),
    [
        ("lead-3", "did you mean lead-"),
        ("runs/lead-2", "resume it with `molvae design --resume runs/lead-2`"),
        ("runs/none-*", "no file or folder matches"),
        ("gone/", "no such run or file"),
    ],
)
def test_a_word_that_names_no_table_is_refused(runs: Path, word: str, fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        find_tables([word])


def test_find_run_refuses_several_runs_and_files_outside_a_run(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one run, got 2"):
        find_run("runs")
    (tmp_path / "mine.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine.csv: .* not in a run folder"):
        find_run(tmp_path / "mine.csv")


def test_a_broken_link_is_named(runs: Path) -> None:
    (runs / "latest").unlink()
    (runs / "latest").symlink_to("gone")
    with pytest.raises(InputError, match="link to gone"):
        find_tables(["latest"])
    with pytest.raises(InputError, match="at least one run"):
        find_tables([])
