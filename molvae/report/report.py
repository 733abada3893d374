"""The report of a search: one offline HTML file with a grid of all candidates, structures, plots and failed checks."""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from molvae.benchmark.controls import verdict
from molvae.candidates.build import is_eligible
from molvae.candidates.columns import CANDIDATE_COLUMNS, check_table
from molvae.candidates.files import arrange, known_columns
from molvae.checks.check import PASS
from molvae.chem.changes import compare_structures
from molvae.chem.drawing import draw_svg
from molvae.chem.scaffolds import first_per_scaffold
from molvae.report.explore import (
    N_SCAFFOLDS,
    SearchMap,
    explore_data,
    marked_atoms,
    scaffold_table,
    scaffolds_of,
)
from molvae.report.grid import GRID_SCRIPTS, GRID_STYLES, grid_data
from molvae.report.labels import label, unit
from molvae.report.page import render_page, write_page
from molvae.report.pareto import KINDS, Goal, plot_goals

N_CARDS, N_NEAR_MISSES, N_PRINTED, MAX_DOTS = 12, 6, 25, 4_000

_LINES = (("best", "best so far"), ("top10", "mean of the ten best"), ("median", "median of the round"))


@dataclass(frozen=True)
class HeldOutSeries:
    """A scaffold series that was held out of a run.

    Parameters
    ----------
    scaffold : str
        SMILES of its Bemis-Murcko scaffold.
    n : int
        Number of molecules.
    measured, predicted : float
        Means of the measured values, and of those that the model of the run predicts.
    """

    scaffold: str
    n: int
    measured: float
    predicted: float


@dataclass(frozen=True)
class Report:
    """The content of a report.

    Parameters
    ----------
    title : str
        Heading.
    candidates : DataFrame
        Candidate table, in any order.
    funnel : sequence of (str, int), default=()
        Label and count of each step of the search, in order; see `funnel_steps`.
    history : DataFrame, optional
        One row per round: `calls` (molecules scored so far) and any of the scores `best`, `top10` and `median`.
    campaign_toml : str, default=""
        Resolved settings of the run, as TOML.
    notes : sequence of str, default=()
        Warnings, one sentence each.
    facts : dict of str to str, optional
        Label and value of the facts below the title, e.g. version, seed and codec.
    goals : sequence of Goal, default=()
        The goals of a search for a Pareto front; see `molvae.report.pareto.goals_of`.
    comparison : DataFrame, optional
        The search and its controls; see `molvae.benchmark.controls.compare_methods`.
    held_out : sequence of HeldOutSeries, default=()
        The series that were held out of the run.
    controls : mapping of str to DataFrame, optional
        Name of a control -> its history, for the chart of the scores.
    lead : str, optional
        SMILES of the lead; structures are aligned with it.
    reference : DataFrame, optional
        Properties of a sample of the reference library, one column per column of the candidates, for the histograms.
    search_map : SearchMap, optional
        Map of the latent vectors of the search; see `molvae.report.explore.map_search`.
    """

    title: str
    candidates: pd.DataFrame
    funnel: Sequence[tuple[str, int]] = ()
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    campaign_toml: str = ""
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    comparison: pd.DataFrame | None = None
    held_out: Sequence[HeldOutSeries] = ()
    controls: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    lead: str | None = None
    reference: pd.DataFrame | None = None
    search_map: SearchMap | None = None


def funnel_steps(candidates: pd.DataFrame, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The steps from decoded latent vectors to molecules that passed every check.

    Parameters
    ----------
    candidates : DataFrame
        Candidate table.
    counts : mapping of str to int
        Counts of the search: the `funnel` of the result of `molvae.optimize`.

    Returns
    -------
    list of (str, int)
        Label and count of each step, in order.
    """
    steps = [
        ("latent vectors decoded", counts["n_proposed"]),
        ("valid SMILES", counts["n_valid"]),
        ("unique molecules", counts["n_unique"]),
        ("scored", counts["n_scored"]),
    ]
    known = [name for name in ("check_in_reference", "check_in_training") if name in candidates]
    if known:
        sets = " or ".join(name.removeprefix("check_in_") for name in known)
        steps.append((f"not in the {sets} set", int((candidates[known] == PASS).all(axis=1).sum())))
    steps.append(("passed every check", int(candidates["passed"].sum())))
    eligible = is_eligible(candidates)
    if (candidates["passed"] & ~eligible).any():
        steps.append(("of them with a score above 0", int(eligible.sum())))
    return steps


def write_report(path: Path, report: Report) -> None:
    """Write a report as HTML; the file is written completely or not at all.

    The same report gives the same bytes. The file loads nothing from the network and runs only its own scripts. Text
    from the input is escaped. All candidates are in its table; the browser draws their structures.

    Parameters
    ----------
    path : Path
        File to write.
    report : Report
        Content.

    Raises
    ------
    InputError
        ``report.candidates`` is not a candidate table, or the file cannot be written.

    Examples
    --------
    >>> import molvae
    >>> from molvae.codec import ToyCodec
    >>> result = molvae.optimize(lambda smiles: [1 / len(s) for s in smiles], budget=20, codec=ToyCodec())
    >>> candidates = molvae.build_candidates(result.table, reference=["CC(=O)Nc1ccccc1"])
    >>> funnel = funnel_steps(candidates, result.funnel)
    >>> report = Report("short amides", candidates, funnel, result.history, notes=result.notes)
    >>> write_report(Path("report.html"), report)  # doctest: +SKIP
    """
    write_page(path, render(report))


def render(report: Report) -> str:
    """The report as HTML.

    Parameters
    ----------
    report : Report
        Content.

    Returns
    -------
    str
        The complete page.

    Raises
    ------
    InputError
        ``report.candidates`` is not a candidate table.
    """
    table = arrange(check_table(report.candidates, CANDIDATE_COLUMNS, "report"))
    table = table.assign(rank=np.arange(len(table)))
    order = table.sort_values(
        ["passed", "score", "rank"], ascending=[False, False, True], na_position="last", ignore_index=True
    )
    ranked = [{str(name): value for name, value in row.items()} for row in order.to_dict("records")]
    terms = _terms(table)
    marks = marked_atoms(order)
    drawer = _Drawer(terms, report.lead, {row["smiles"]: marks[i] for i, row in enumerate(ranked) if i in marks})
    best = [row for row, ok in zip(ranked, is_eligible(order), strict=True) if ok]
    failed = [row for row in ranked if not row["passed"]]
    compromise = next((row for row in ranked if row.get("best_compromise")), None)
    scaffolds = scaffold_table(order)
    n_cards = N_CARDS - (report.lead is not None)  # the lead has a card of its own
    return render_page(
        "report.html.j2",
        styles=(*GRID_STYLES, "report.css"),
        scripts=("vendor/chart.umd.min.js", *GRID_SCRIPTS, "report.js"),
        data=_data(order.drop(columns="rank"), report, marks),
        has_structures=True,
        report=report,
        terms=terms,
        n_candidates=len(ranked),
        n_passed=len(ranked) - len(failed),
        ids=[row["candidate_id"] for row in ranked],
        best=best[0] if best else None,
        best_cards=[drawer.card(best[i]) for i in first_per_scaffold((row["smiles"] for row in best), n_cards)],
        near_misses=[drawer.card(row, is_alert=True) for row in failed[:N_NEAR_MISSES]],
        has_marks=any(row["smiles"] in drawer.marks for row in failed[:N_NEAR_MISSES]),
        lead=_Lead(report.lead, Markup(draw_svg(report.lead))) if report.lead else None,
        printed=[drawer.listed(row) for row in ranked[:N_PRINTED]],
        funnel=_funnel(report.funnel),
        chart=_chart(table, report.history, report.controls),
        has_surrogate="predicted_score" in table and bool(table["predicted_score"].notna().sum() >= 20),
        search_map=report.search_map,
        has_reference=report.reference is not None,
        n_reference=0 if report.reference is None else len(report.reference),
        scaffolds=[
            (row, Markup(draw_svg(row["scaffold"], 160, 110))) for row in scaffolds.head(N_SCAFFOLDS).to_dict("records")
        ],
        n_scaffolds=len(scaffolds),
        compared=_compared(report),
        series=[(one, Markup(draw_svg(one.scaffold, 160, 110))) for one in report.held_out],
        failures=_failures(table),
        columns=CANDIDATE_COLUMNS,
        goal_plot=plot_goals(ranked, report.goals, {goal.name: label(goal.name) for goal in report.goals}),
        goal_kinds=KINDS,
        compromise=drawer.card(compromise) if compromise else None,
    )


def _data(order: pd.DataFrame, report: Report, marks: Mapping[int, list[int]]) -> dict[str, Any]:
    """What the scripts read: the table of the grid, and the data of the plots."""
    checks = [name for name in map(str, order) if name.startswith("check_")]
    table = order.drop(columns=checks).assign(scaffold=scaffolds_of(order))
    if "failed_checks" not in table:
        failed = [
            ", ".join(name.removeprefix("check_") for name in checks if row[name] != PASS)
            for row in order.to_dict("records")
        ]
        table.insert(0, "failed_checks", failed)
    given = known_columns(table)
    data = grid_data(table[list(given)], name="candidates")
    hidden = {*_MORE_HIDDEN, *(name for name in ("first_seen",) if name in table and table[name].isna().all())}
    data["columns"] = [column | ({"visible": False} if column["name"] in hidden else {}) for column in data["columns"]]
    return data | {
        "marks": {str(row): atoms for row, atoms in marks.items()},
        "lead": report.lead,
        "explore": explore_data(order, report.reference, report.search_map),
        "goals": [goal.name for goal in report.goals],
    }


_MORE_HIDDEN = (
    "scaffold", "is_start", "is_known", "first_run", "predicted_score", "parent_id", "open_stereo_centers"
)  # fmt: skip


@dataclass(frozen=True)
class _Term:
    """A term of the objective: its name in the columns, its label, and its unit."""

    name: str
    label: str
    unit: str
    has_value: bool
    has_score: bool


def _terms(table: pd.DataFrame) -> list[_Term]:
    columns = [str(name) for name in table]
    names = [
        name.removeprefix(family) for family in ("score_", "value_") for name in columns if name.startswith(family)
    ]
    return [
        _Term(
            name,
            label(name),
            unit(name),
            f"value_{name}" in table,
            f"value_{name}" in table and f"score_{name}" in table,
        )
        for name in dict.fromkeys(names)
    ]


Row = dict[str, Any]
"""A candidate by column name."""


@dataclass(frozen=True)
class _Bar:
    """The value and the desirability of a term."""

    term: _Term
    value: float | None
    score: float | None


@dataclass(frozen=True)
class _Card:
    """A candidate with its drawing, a bar per term, and what differs from the lead."""

    row: Row
    drawing: Markup
    bars: list[_Bar]
    change: str


@dataclass(frozen=True)
class _Lead:
    """The lead and its drawing."""

    smiles: str
    drawing: Markup


@dataclass(frozen=True)
class _Listed:
    """A row of the printed table of candidates."""

    row: Row
    drawing: Markup
    values: list[float | None]


@dataclass(frozen=True)
class _Step:
    """A step of the funnel: lines of its label, count, share of the previous step, half its width in [0, 0.5]."""

    lines: list[str]
    n: int
    share: float | None
    half: float


@dataclass(frozen=True)
class _Failure:
    """A check that molecules failed: how many, their share of all molecules, and the most frequent reasons."""

    key: str
    name: str
    n: int
    share: float
    reasons: list[str]


@dataclass(frozen=True)
class _Drawer:
    """Draws candidates: aligned with the lead if there is one, and with the atoms of structural alerts marked."""

    terms: Sequence[_Term]
    lead: str | None
    marks: Mapping[str, list[int]]  # by SMILES

    def card(self, row: Row, is_alert: bool = False) -> _Card:
        bars = [
            _Bar(term, row.get(f"value_{term.name}"), _unit_interval(row.get(f"score_{term.name}")))
            for term in self.terms
        ]
        smiles = row["smiles"]
        marked = self.marks.get(smiles, []) if is_alert else []
        if self.lead is None or self.lead == smiles:
            return _Card(row, Markup(draw_svg(smiles, highlighted=marked)), bars, "")
        change = compare_structures(self.lead, smiles)
        marked = marked or [after for _, after in change.common]
        drawing = draw_svg(smiles, highlighted=marked, like=(self.lead, change.common))
        return _Card(row, Markup(drawing), bars, "; ".join(map(str, change.replacements)))

    def listed(self, row: Row) -> _Listed:
        values = [row.get(f"value_{term.name}") for term in self.terms if term.has_score]
        return _Listed(row, Markup(draw_svg(row["smiles"], 160, 110)), values)


def _unit_interval(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else min(max(value, 0.0), 1.0)


def _funnel(steps: Sequence[tuple[str, int]]) -> list[_Step]:
    widest = max((count for _, count in steps), default=0) or 1
    previous = [None, *(count for _, count in steps)]
    return [
        _Step(textwrap.wrap(label, 28) or [""], count, count / earlier if earlier else None, count / widest / 2)
        for (label, count), earlier in zip(steps, previous, strict=False)
    ]


@dataclass(frozen=True)
class _Chart:
    """The scores of a search as SVG paths in a box of 640 x 300."""

    passed: str
    failed: str
    lines: list[tuple[str, str, str]]  # class, label, path
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    is_thinned: bool


_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 612.0, 10.0, 262.0


def _chart(table: pd.DataFrame, history: pd.DataFrame, controls: Mapping[str, pd.DataFrame]) -> _Chart | None:
    scored = table.sort_values("latent_row")
    scored = scored.assign(call=np.arange(1, len(scored) + 1)).dropna(subset="score")
    if scored.empty:
        return None
    low, high = min(0.0, scored["score"].min()), max(1.0, scored["score"].max())
    last = len(table)

    def position(call: float, score: float) -> str:
        x = _LEFT + (_RIGHT - _LEFT) * call / last
        return f"{x:.1f} {_BOTTOM - (_BOTTOM - _TOP) * (score - low) / (high - low):.1f}"

    step = math.ceil(len(scored) / MAX_DOTS)
    dots = {
        is_passed: "".join(
            f"M{position(call, score)}h0" for call, score in zip(part["call"], part["score"], strict=True)
        )
        for is_passed, part in scored.iloc[::step].groupby("passed")
    }
    lines = []
    curves = [(name, text, history, name) for name, text in _LINES]
    for i, (name, rows) in enumerate(controls.items()):
        curves.append((f"control c{i % 3}", f"{name.replace('_', ' ')}: mean of the ten best", rows, "top10"))
    for css, text, rows, name in curves:
        known = rows.dropna(subset=name) if name in rows and "calls" in rows else rows.iloc[:0]
        vertices = [position(min(call, last), score) for call, score in known.get(["calls", name], known).to_numpy()]
        if vertices:
            lines.append((css, text, "M" + "L".join(vertices)))
    return _Chart(
        passed=dots.get(True, ""),
        failed=dots.get(False, ""),
        lines=lines,
        x_ticks=[(_LEFT + (_RIGHT - _LEFT) * tick / last, f"{tick:,}") for tick in _whole_ticks(last)],
        y_ticks=[
            (_BOTTOM - (_BOTTOM - _TOP) * part, f"{low + (high - low) * part:.2g}") for part in (0, 0.25, 0.5, 0.75, 1)
        ],
        is_thinned=step > 1,
    )


@dataclass(frozen=True)
class _Compared:
    """The comparison with the controls: sentences, and the rows of the table."""

    sentences: list[str]
    rows: list[Row]
    has_held_out: bool
    n_calls: int


def _compared(report: Report) -> _Compared | None:
    table = report.comparison
    if table is None:
        return None
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    for row in rows:
        row["label"] = row["name"].replace("_", " ")
    return _Compared(verdict(table), rows, "n_similar" in table, int(table["n"].iloc[0]))


def _whole_ticks(last: int) -> list[int]:
    """Round numbers from 0 to `last`, at most nine."""
    step = next(factor * 10**power for power in range(12) for factor in (1, 2, 5) if last / (factor * 10**power) <= 8)
    return list(range(0, last + 1, step))


def _failures(table: pd.DataFrame) -> list[_Failure]:
    """The checks that at least one molecule failed, by descending number of molecules."""
    found = []
    for name in (column for column in map(str, table) if column.startswith("check_")):
        reasons = table[name][table[name] != PASS]
        if len(reasons):
            parts = Counter(part for reason in reasons for part in str(reason).split("; "))
            top = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
            frequent = [f"{part} ({n:,})" for part, n in top[:5] if n > 1]
            rest = [f"and {len(top) - len(frequent):,} more"] if len(top) > len(frequent) else []
            shown = [*frequent, *rest] if frequent else [f"e.g. {top[0][0]}"]
            key = name.removeprefix("check_")
            found.append(_Failure(key, label(key), len(reasons), len(reasons) / len(table), shown))
    return sorted(found, key=lambda failure: -failure.n)
