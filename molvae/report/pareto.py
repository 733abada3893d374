"""The plot of several goals in the report: a scatter for two, parallel coordinates for more."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molvae.chem.properties import list_properties
from molvae.scoring.objective import ObjectiveSettings
from molvae.scoring.term import ShapedTerm

MAX_MARKS, MAX_LINES = 4_000, 500
"""Largest number of molecules that a scatter and parallel coordinates show; the first fronts first."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 624.0, 14.0, 348.0
_MARGIN = 0.04  # of the range of an axis, on both sides


@dataclass(frozen=True)
class Goal:
    """A goal of a search, as the report describes it.

    Parameters
    ----------
    name : str
        Name of its term.
    unit : str, default=""
        Unit of its value.
    shape : str, default="higher"
        "higher", "lower" or "window", as in `molvae.scoring.term.ShapedTerm`.
    low, high : float, default=0
        Bounds of a window.
    """

    name: str
    unit: str = ""
    shape: str = "higher"
    low: float = 0.0
    high: float = 0.0

    @property
    def aim(self) -> str:
        """Which values are better."""
        if self.shape == "window":
            return f"best from {self.low:g} to {self.high:g}"
        return f"{self.shape} is better"


def goals_of(settings: ObjectiveSettings) -> tuple[Goal, ...]:
    """Describe the goals of an objective for the report.

    Parameters
    ----------
    settings : ObjectiveSettings
        Settings of the objective.

    Returns
    -------
    tuple of Goal
        In the order of the terms; empty unless `combine` is "pareto".
    """
    properties = list_properties() if settings.goals else {}
    found = []
    for name in settings.goals:
        term = settings.terms[name]
        of = properties.get(str(getattr(term, "property", "")))
        unit = of.unit if of else ""
        found.append(
            Goal(name, unit, term.shape, term.low, term.high) if isinstance(term, ShapedTerm) else Goal(name, unit)
        )
    return tuple(found)


@dataclass(frozen=True)
class _Axis:
    """An axis: its position, label, aim, ticks (position, text), and the ends of a window."""

    at: float
    label: str
    aim: str
    ticks: list[tuple[float, str]]
    band: tuple[float, float] | None


@dataclass(frozen=True)
class _Mark:
    """A molecule: its class, its position or its path, the row of the table of candidates, and its tooltip."""

    kind: str
    x: float
    y: float
    path: str
    row: int
    title: str


@dataclass(frozen=True)
class GoalPlot:
    """The layout of the plot, in a box of 640 x 400.

    Parameters
    ----------
    is_scatter : bool
        Whether it is a scatter plot; otherwise parallel coordinates.
    axes : list of _Axis
        One per goal; the first one of a scatter plot is horizontal.
    marks : list of _Mark
        One per molecule; those that matter more come last, so that they are drawn on top.
    n_front, n_passed : int
        Molecules on the Pareto front, and how many of them passed every check.
    n_hidden : int
        Molecules that are not shown.
    kinds : list of str
        Kinds of the marks, in the order of `KINDS`.
    """

    is_scatter: bool
    axes: list[_Axis]
    marks: list[_Mark]
    n_front: int
    n_passed: int
    n_hidden: int
    kinds: list[str]


def plot_goals(rows: Sequence[Mapping[str, Any]], goals: Sequence[Goal], labels: Mapping[str, str]) -> GoalPlot | None:
    """Lay out the plot of all molecules with a front.

    Parameters
    ----------
    rows : sequence of mapping
        Candidates by column name, in the order of the table of candidates.
    goals : sequence of Goal
        The goals.
    labels : mapping of str to str
        Label of each goal by name.

    Returns
    -------
    GoalPlot or None
        None without two goals, or if no molecule has a value of each.
    """
    columns = [
        next((c for c in (f"value_{goal.name}", f"score_{goal.name}") if rows and c in rows[0]), "") for goal in goals
    ]
    if len(goals) < 2 or not all(columns) or "front" not in rows[0]:
        return None
    values = np.array([[row[column] for column in columns] for row in rows], float)
    front = np.array([row["front"] for row in rows])
    known = np.flatnonzero((front > 0) & np.isfinite(values).all(axis=1))
    if not len(known):
        return None
    is_scatter = len(goals) == 2
    best = np.array([bool(row.get("best_compromise")) for row in rows])
    important = known[np.lexsort((known, front[known], ~best[known]))]
    shown = important[: MAX_MARKS if is_scatter else MAX_LINES]
    axes, positions = _axes(goals, columns, values[known], values[shown], labels)
    marks = [
        _Mark(
            _kind(rows[row]),
            float(position[0]),
            float(position[1]),
            "" if is_scatter else _polyline(axes, position),
            row,
            _title(rows[row], goals, columns, labels),
        )
        for row, position in zip(shown.tolist(), positions, strict=True)
    ]
    on_front = [row for row in known.tolist() if front[row] == 1]
    return GoalPlot(
        is_scatter,
        axes,
        marks[::-1],
        len(on_front),
        sum(bool(rows[row]["passed"]) for row in on_front),
        len(known) - len(shown),
        [kind for kind in KINDS if any(mark.kind == kind for mark in marks)],
    )


KINDS = {
    "best": "best compromise",
    "front": "Pareto front, passed every check",
    "front open": "Pareto front, failed a check",
    "other": "dominated",
}
"""The kinds of marks, and their meaning."""


def _kind(row: Mapping[str, Any]) -> str:
    if row.get("best_compromise"):
        return "best"
    if row["front"] != 1:
        return "other"
    return "front" if row["passed"] else "front open"


def _polyline(axes: Sequence[_Axis], position: np.ndarray) -> str:
    return "M" + "L".join(f"{axis.at:.1f} {y:.1f}" for axis, y in zip(axes, position, strict=True))


def _title(row: Mapping[str, Any], goals: Sequence[Goal], columns: Sequence[str], labels: Mapping[str, str]) -> str:
    """The id, the front and the value of each goal."""
    values = [
        f"{labels[goal.name]} {row[column]:.3g}{' ' + goal.unit if goal.unit and column.startswith('value_') else ''}"
        for goal, column in zip(goals, columns, strict=True)
    ]
    return f"{row['candidate_id']}, front {row['front']}: {', '.join(values)}"


def _axes(
    goals: Sequence[Goal], columns: Sequence[str], values: np.ndarray, shown: np.ndarray, labels: Mapping[str, str]
) -> tuple[list[_Axis], np.ndarray]:
    """The axes, and the positions (m, k) of the shown molecules on them."""
    axes, positions = [], []
    is_scatter = len(goals) == 2
    for number, (goal, column) in enumerate(zip(goals, columns, strict=True)):
        is_value = column.startswith("value_")
        is_horizontal = is_scatter and number == 0
        start, end = (_LEFT, _RIGHT) if is_horizontal else (_BOTTOM, _TOP)
        if not is_scatter and is_value and goal.shape == "lower":
            start, end = end, start  # better is up
        low, high = _limits(values[:, number])

        def place(value: Any, low: float = low, high: float = high, start: float = start, end: float = end) -> Any:
            return start + (end - start) * (np.clip(value, low, high) - low) / (high - low)

        unit = goal.unit if is_value else "desirability"
        label = labels[goal.name] + (f", {unit}" if unit else "")
        ticks = [(float(place(tick)), f"{tick:.10g}") for tick in nice_ticks(low, high)]
        band = (float(place(goal.low)), float(place(goal.high))) if is_value and goal.shape == "window" else None
        at = _LEFT + (_RIGHT - _LEFT) * (number + 0.5) / len(goals)
        aim = goal.aim if is_value else "higher is better"
        axes.append(_Axis(at, label, aim, ticks, (min(band), max(band)) if band else None))
        positions.append(place(shown[:, number]))
    return axes, np.stack(positions, axis=1)


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 0.5 * max(abs(high), 1.0)
    return low - margin, high + margin


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`.

    Parameters
    ----------
    low, high : float
        Ends of an axis, low < high.

    Returns
    -------
    list of float
        Three to seven multiples of 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> nice_ticks(-0.1, 1.02)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
