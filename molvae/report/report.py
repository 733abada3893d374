"""The report of a run: one HTML file that works offline, made for a chemist to read and to hand on."""

import base64
import hashlib
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from molvae.candidates.columns import CANDIDATE_COLUMNS, check_table
from molvae.candidates.files import arrange
from molvae.checks.check import PASS
from molvae.chem.drawing import draw_svg
from molvae.chem.properties import PROPERTIES
from molvae.chem.scaffolds import first_of_each
from molvae.errors import InputError
from molvae.files import write_text

N_CARDS, N_NEAR_MISSES, MAX_DRAWN, MAX_LISTED, MAX_DOTS = 12, 6, 200, 1_000, 4_000

_TEMPLATE = "report.html.j2"
_LINES = (("best", "best so far"), ("top10", "mean of the ten best"), ("median", "median of the round"))
_NAMES = {
    "qed": "QED",
    "logp": "logP",
    "tpsa": "TPSA",
    "sa_score": "SA score",
    "np_score": "NP score",
    "hbd": "H-bond donors",
    "hba": "H-bond acceptors",
}


@dataclass(frozen=True)
class Report:
    """What a report tells.

    candidates: a candidate table, in any order. funnel: (label, count), widest first. history: a row per round with
    the columns calls (molecules scored so far) and any of best, top10, median. campaign_toml: the resolved campaign.
    notes: warnings of the run, a sentence each. facts: what stands under the title, e.g. version, seed, codec.
    """

    title: str
    candidates: pd.DataFrame
    funnel: Sequence[tuple[str, int]]
    history: pd.DataFrame
    campaign_toml: str
    notes: Sequence[str] = ()
    facts: dict[str, str] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Write the report, whole or not at all; the same report gives the same bytes.

    Nothing in the file loads or links to the network; scripts other than its own cannot run in it, and names from the
    input appear as text, whatever they hold.

    Raises:
        InputError: report.candidates is no candidate table, or the file cannot be written.
    """
    text = render(report).encode("utf-8", "replace").decode()  # file names need not be Unicode
    try:
        write_text(path, text)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({why}); make room there or choose another folder") from None


def render(report: Report) -> str:
    """The report as HTML text.

    Raises:
        InputError: report.candidates is no candidate table.
    """
    table = arrange(check_table(report.candidates, CANDIDATE_COLUMNS, "report"))
    table = table.assign(rank=np.arange(len(table)))
    order = table.sort_values(["passed", "score", "rank"], ascending=[False, False, True], na_position="last")
    ranked = [{str(name): value for name, value in row.items()} for row in order.to_dict("records")]
    terms = _terms(table)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "number": _number, "value": _value, "sha256": _sha256}
    passed = [row for row in ranked if row["passed"]]
    failed = [row for row in ranked if not row["passed"]]
    return environment.get_template(_TEMPLATE).render(
        report=report,
        terms=terms,
        n_candidates=len(ranked),
        n_passed=len(passed),
        best=ranked[0] if ranked else None,
        best_cards=[_card(passed[place], terms) for place in first_of_each((row["smiles"] for row in passed), N_CARDS)],
        near_misses=[_card(row, terms) for row in failed[:N_NEAR_MISSES]],
        rows=[_row(row, terms, is_drawn=place < MAX_DRAWN) for place, row in enumerate(ranked[:MAX_LISTED])],
        n_drawn=min(MAX_DRAWN, len(ranked)),
        funnel=_funnel(report.funnel),
        chart=_chart(table, report.history),
        failures=_failures(table),
        columns=CANDIDATE_COLUMNS,
    ) + "\n"  # fmt: skip


@dataclass(frozen=True)
class _Term:
    """One term of the objective: its name as in the columns, as it reads, and its unit."""

    name: str
    label: str
    unit: str
    has_value: bool


def _terms(table: pd.DataFrame) -> list[_Term]:
    columns = [str(name) for name in table]
    names = [
        name.removeprefix(family) for family in ("score_", "value_") for name in columns if name.startswith(family)
    ]
    return [
        _Term(
            name,
            _label(name),
            PROPERTIES[name].unit if name in PROPERTIES else "",
            f"value_{name}" in table,
        )
        for name in dict.fromkeys(names)
    ]


def _label(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


def _card(row: dict[str, Any], terms: Sequence[_Term]) -> dict[str, Any]:
    bars = [
        {"term": term, "value": row.get(f"value_{term.name}"), "score": _unit_interval(row.get(f"score_{term.name}"))}
        for term in terms
    ]
    return row | {"drawing": Markup(draw_svg(row["smiles"])), "bars": bars}


def _row(row: dict[str, Any], terms: Sequence[_Term], is_drawn: bool) -> dict[str, Any]:
    drawing = Markup(draw_svg(row["smiles"], 160, 110)) if is_drawn else ""
    return row | {"drawing": drawing, "values": [row.get(f"value_{term.name}") for term in terms if term.has_value]}


def _unit_interval(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else min(max(value, 0.0), 1.0)


def _funnel(steps: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Per step the lines of its label, its count, its share of the step before, and half its width in [0, 1]."""
    widest = max((count for _, count in steps), default=0) or 1
    before = [None, *(count for _, count in steps)]
    return [
        {
            "lines": textwrap.wrap(label, 28) or [""],
            "n": count,
            "share": None if not earlier else count / earlier,
            "half": count / widest / 2,
        }
        for (label, count), earlier in zip(steps, before, strict=False)
    ]


@dataclass(frozen=True)
class _Chart:
    """The score over the search as paths in a box of 640 x 300."""

    passed: str
    failed: str
    lines: list[tuple[str, str, str]]  # class, label, path
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    is_thinned: bool


_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 612.0, 10.0, 262.0


def _chart(table: pd.DataFrame, history: pd.DataFrame) -> _Chart | None:
    scored = table.sort_values("latent_row")
    scored = scored.assign(call=np.arange(1, len(scored) + 1)).dropna(subset="score")
    if scored.empty:
        return None
    low, high = min(0.0, scored["score"].min()), max(1.0, scored["score"].max())
    last = len(table)

    def place(call: float, score: float) -> str:
        x = _LEFT + (_RIGHT - _LEFT) * call / last
        return f"{x:.1f} {_BOTTOM - (_BOTTOM - _TOP) * (score - low) / (high - low):.1f}"

    step = math.ceil(len(scored) / MAX_DOTS)
    dots = {
        is_passed: "".join(f"M{place(call, score)}h0" for call, score in zip(part["call"], part["score"], strict=True))
        for is_passed, part in scored.iloc[::step].groupby("passed")
    }
    lines = []
    for name, label in _LINES:
        known = history.dropna(subset=name) if name in history and "calls" in history else history.iloc[:0]
        points = [place(min(call, last), score) for call, score in known.get([*("calls", name)], known).to_numpy()]
        if points:
            lines.append((name, label, "M" + "L".join(points)))
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


def _whole_ticks(last: int) -> list[int]:
    """From four to eight round numbers up to the last."""
    step = next(factor * 10**power for power in range(12) for factor in (1, 2, 5) if last / (factor * 10**power) <= 8)
    return list(range(0, last + 1, step))


def _failures(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Per check that some molecule failed: how many did, and the reasons given, the most frequent check first."""
    found = []
    for name in (column for column in map(str, table) if column.startswith("check_")):
        reasons = table[name][table[name] != PASS]
        if len(reasons):
            parts = Counter(part for reason in reasons for part in str(reason).split("; "))
            top = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
            often = [f"{part} ({n:,})" for part, n in top[:5] if n > 1]
            rest = [f"and {len(top) - len(often):,} more"] if len(top) > len(often) else []
            found.append({
                "name": _label(name.removeprefix("check_")),
                "n": len(reasons),
                "share": len(reasons) / len(table),
                "reasons": [*often, *rest] if often else [f"e.g. {top[0][0]}"],
            })  # fmt: skip
    return sorted(found, key=lambda failure: -failure["n"])


def _count(value: int) -> str:
    return f"{value:,}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _value(value: float | None) -> str:
    """A property for the eye: two digits behind the point, none of a whole number; a dash for a missing one."""
    return f"{value:,.0f}" if value is not None and value.is_integer() else _number(value, 2)


def _sha256(text: str) -> str:
    """The digest of an inline script or style, by which the page's security policy knows its own."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
