"""The plot of several goals in the report."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from molvae.report import pareto as module
from molvae.report.pareto import Goal, goals_of, nice_ticks, plot_goals
from molvae.report.report import Report, render
from molvae.scoring.objective import ObjectiveSettings

SIMILARITY, LOGP = Goal("similarity"), Goal("logp", "", "lower")
TPSA = Goal("tpsa", "Å²", "window", 40, 60)
LABELS = {"similarity": "similarity", "logp": "logP", "tpsa": "TPSA"}


def markup(text: str) -> str:
    """The page without its data and scripts."""
    return text[: text.index('<script type="application/gzip"')]


@pytest.fixture
def table(candidates: pd.DataFrame) -> pd.DataFrame:
    """Four candidates with three goals: two on the front, one of which failed a check; one without a score."""
    return candidates.assign(
        value_similarity=[0.2, 0.1, math.nan, 0.5],
        value_logp=[1.0, 2.0, 0.5, 3.0],
        value_tpsa=[50.0, 20.0, 30.0, 90.0],
        score_similarity=[0.2, 0.1, math.nan, 0.5],
        score_tpsa=[1.0, 0.5, 0.7, 0.0],
        front=[1, 2, 0, 1],
        best_compromise=[True, False, False, False],
    )


def plot(table: pd.DataFrame, *goals: Goal) -> Any:
    return plot_goals(table.to_dict("records"), goals, LABELS)


def test_two_goals_are_a_scatter_of_raw_values(table: pd.DataFrame) -> None:
    found = plot(table, SIMILARITY, LOGP)
    assert found.is_scatter
    assert [mark.kind for mark in found.marks] == ["other", "front open", "best"]  # the best is drawn on top
    assert [mark.row for mark in found.marks] == [1, 3, 0]
    x, y = (np.array([getattr(mark, name) for mark in found.marks]) for name in "xy")
    assert np.argsort(x).tolist() == [0, 2, 1]
    assert np.argsort(-y).tolist() == [2, 0, 1]  # logP increases upwards
    assert (found.n_front, found.n_passed, found.n_hidden) == (2, 1, 0)
    assert found.marks[2].title == "C000001, front 1: similarity 0.2, logP 1"
    assert [axis.aim for axis in found.axes] == ["higher is better", "lower is better"]


def test_three_goals_are_parallel_coordinates_with_better_values_on_top(table: pd.DataFrame) -> None:
    found = plot(table, SIMILARITY, LOGP, TPSA)
    assert not found.is_scatter
    positions = {mark.row: [float(y) for y in re.findall(r" ([\d.]+)", mark.path)] for mark in found.marks}
    assert positions[3][0] < positions[0][0]  # a higher similarity is further up
    assert positions[0][1] < positions[3][1]  # and so is a lower logP
    assert found.axes[2].label == "TPSA, Å²"
    assert found.axes[2].aim == "best from 40 to 60"
    low, high = found.axes[2].band
    assert low < positions[0][2] < high
    assert "TPSA 50 Å²" in found.marks[-1].title


def test_a_goal_without_raw_values_is_shown_by_its_desirability(table: pd.DataFrame) -> None:
    found = plot(table.drop(columns="value_logp"), SIMILARITY, LOGP)
    assert found.axes[1].label == "logP, desirability"
    assert found.axes[1].aim == "higher is better"


def test_there_is_no_plot_without_goals_fronts_or_values(table: pd.DataFrame) -> None:
    assert plot(table) is None
    assert plot(table, SIMILARITY) is None
    assert plot(table.drop(columns="front"), SIMILARITY, LOGP) is None
    assert plot(table.assign(front=0), SIMILARITY, LOGP) is None
    assert plot(table.iloc[:0], SIMILARITY, LOGP) is None


def test_equal_values_have_an_axis(table: pd.DataFrame) -> None:
    found = plot(table.assign(value_logp=2.0, value_similarity=0.0), SIMILARITY, LOGP)
    assert all(np.isfinite([mark.x, mark.y]).all() for mark in found.marks)
    assert all(len(axis.ticks) >= 2 for axis in found.axes)


def test_dominated_molecules_are_hidden_first(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MARKS", 2)
    found = plot(table, SIMILARITY, LOGP)
    assert [mark.kind for mark in found.marks] == ["front open", "best"]
    assert found.n_hidden == 1


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 4.1), (117.0, 523.0), (1e-5, 2e-5), (-1e6, 1e6)])
def test_ticks_are_few_round_numbers(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 3 <= len(ticks) <= 7
    assert low <= ticks[0] < ticks[-1] <= high
    assert max(len(f"{tick:.10g}") for tick in ticks) <= 8


def test_goals_are_those_of_the_objective() -> None:
    terms = {
        "near": {"property": "similarity", "to": "CCO"},
        "polar": {"property": "tpsa", "shape": "window", "low": 40, "high": 60},
        "shown": {"property": "qed", "shape": "higher", "weight": 0},
        "core": {"property": "substructure", "smarts": "c"},
    }
    goals = goals_of(ObjectiveSettings.from_dict({"terms": terms, "combine": "pareto"}, "x"))
    assert [(goal.name, goal.unit, goal.shape) for goal in goals] == [("near", "", "higher"), ("polar", "Å²", "window")]
    assert goals_of(ObjectiveSettings.from_dict({"terms": terms}, "x")) == ()


@pytest.mark.parametrize("goals", [(SIMILARITY, LOGP), (SIMILARITY, LOGP, TPSA)])
def test_the_report_shows_the_plot_and_the_best_compromise(table: pd.DataFrame, goals: tuple[Goal, ...]) -> None:
    page = markup(render(Report("goals", table, goals=goals)))
    assert page.count('data-row="') == 3  # one without a score is not shown
    linked = re.findall(r'<a href="#list" data-open="(\w+)"><path', page)
    assert len(linked) == 2  # the front
    assert set(linked) <= set(table["candidate_id"])
    assert len(re.findall(r'C000001</button><span class="badge">best compromise</span>', page)) == 1
    assert "2 molecules are on the Pareto front" in " ".join(page.split())
    assert "1 of them passed every check" in " ".join(page.split())
    assert "nan" not in page


def test_names_in_the_plot_are_escaped(table: pd.DataFrame) -> None:
    evil = "<script>alert(1)</script>"
    table = table.assign(candidate_id=[evil, "C2", "C3", "C4"]).rename(columns={"value_logp": f"value_{evil}"})
    page = render(Report("goals", table, goals=(SIMILARITY, Goal(evil, evil))))
    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;, front 1" in page


def test_a_report_without_goals_has_no_plot(candidates: pd.DataFrame) -> None:
    page = render(Report("one goal", candidates))
    assert 'class="plot goals"' not in page
