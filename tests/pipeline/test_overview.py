"""The tables, sentences and the page on a run that an operator reads."""

import json
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import overview
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.manifest import Counts, Outcome, Plan
from molvae.pipeline.run_dir import RunDir

FUNNEL = {"n_proposed": 100, "n_valid": 90, "n_unique": 60, "n_infeasible": 10, "n_scored": 40}
OBJECTIVE = {"terms": {"qed": {"property": "qed", "shape": "higher", "low": 0, "high": 1}}}


def campaign(budget: int = 40, min_passed: int = 24) -> Campaign:
    sections = {"search": {"budget": budget}, "notify": {"min_passed": min_passed}}
    return Campaign.from_dict({"objective": OBJECTIVE, **sections}, "test")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose search is complete."""
    return RunDir(tmp_path / "my run")


def complete_search(run: RunDir, stop_reason: str = "budget", shares: tuple[float, ...] = ()) -> RunDir:
    rounds = [{"calls": 10 * row, "new_share": share} for row, share in enumerate(shares, 1)]

    def body(folder: Path) -> Outcome:
        content = {"funnel": FUNNEL, "stop_reason": stop_reason, "history": rounds}
        (folder / "history.json").write_text(json.dumps(content))
        return Outcome({"history.json": None}, Counts(into=100, kept=40, dropped={"a | b <c>": 60}))

    run.path.mkdir()
    Plan("search", 1, run.search, {}, 0).carry_out(body)
    return run


def test_counts_are_those_of_the_files(run: RunDir, candidates: pd.DataFrame) -> None:
    assert overview.count_run(run) == {}
    complete_search(run)
    counted = {"proposed": 100, "decoded": 90, "new": 60, "feasible": 50, "scored": 40}
    assert overview.count_run(run) == counted
    assert overview.count_run(run, candidates) == counted | {"passed": 2, "eligible": 2}
    rows = overview.list_funnel(counted)
    assert [(row["step"], row["share"]) for row in rows][:3] == [("proposed", ""), ("decoded", "90%"), ("new", "67%")]


def test_the_best_are_listed_with_reasons(candidates: pd.DataFrame) -> None:
    rows = overview.list_best(candidates, 3)
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert [row["passed"] for row in rows] == ["yes", "yes", "no"]
    assert rows[0] | {"score": 0.8123} == rows[0]
    assert rows[2]["score"] is None
    assert rows[2]["reasons"] == "MW 107.1 < 150 Da; BRENK: aldehyde; PAINS: made up"
    json.dumps(rows, allow_nan=False)


@pytest.mark.parametrize(
    ("passed", "budget", "stopped", "parts"),
    [
        (24, 40, "budget", None),
        (23, 40, "budget", ["23 ", "24 "]),
        (20, 20, "budget", None),  # no more than the budget can be asked for
        (30, 90, "no new molecule in 20 rounds", ["40 of 90", "no new molecule in 20 rounds"]),
    ],
)
def test_a_starved_run_is_found(run: RunDir, passed: int, budget: int, stopped: str, parts: list[str] | None) -> None:
    complete_search(run, stopped)
    sentence = overview.explain_starvation(run, campaign(budget), {"scored": 40, "passed": passed})
    assert (sentence is None) == (parts is None)
    assert all(part in str(sentence) for part in parts or ())


def test_a_collapse_is_found_although_the_search_recovers(run: RunDir) -> None:
    complete_search(run, shares=(0.5,) * 5 + (0.01,) * 10 + (0.5,) * 3)
    sentence = overview.explain_collapse(run)
    assert sentence is not None
    assert "after 150 molecules" in sentence
    assert "1.0%" in sentence


def test_ten_rounds_are_needed_for_a_collapse(run: RunDir) -> None:
    assert overview.explain_collapse(complete_search(run, shares=(0.5, *(0.01,) * 9))) is None


def test_the_page_escapes_text_and_quotes_paths(run: RunDir) -> None:
    complete_search(run)
    page = overview.write_page(run, "lost: <b>|x|</b>", {"search": "Completed"}, ["a *note*"], is_complete=False)
    assert "<b>" not in page
    assert "\\|x\\|" in page
    assert f"molvae design --resume '{run.path}'" in page
    (row,) = [line for line in page.splitlines() if line.startswith("| search |")]
    assert row == "| search | Completed | 100 | 40 | 60 | 0.0 s | a \\| b &lt;c&gt;: 60 |"
