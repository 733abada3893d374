"""Explanations and comparisons of candidates as HTML fragments, for notebooks and for pages."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from molvae.chem.changes import Change, compare_structures
from molvae.chem.drawing import draw_svg

if TYPE_CHECKING:
    import pandas as pd

    from molvae.candidates.comparison import Comparison
    from molvae.candidates.explanation import Explanation

N_LISTED = 12

_LEFT, _RIGHT, _TOP, _BOTTOM, _SQUARE = 10.0, 630.0, 12.0, 232.0, 240.0
_N_BINS = 40

STYLE = Path(__file__).parent / "fragment.css"
"""The stylesheet of the fragments."""


def explanation_html(explanation: "Explanation") -> str:
    """An explanation as HTML, with the complete lineage and structures.

    Parameters
    ----------
    explanation : Explanation
        The explanation.

    Returns
    -------
    str
        One element, without its style; it loads nothing from the network.
    """
    return render("explanation.html.j2", why=explanation)


def comparison_html(comparison: "Comparison") -> str:
    """A comparison of two runs as HTML, with plots and structures.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    str
        One element, without its style; it loads nothing from the network.
    """
    improved = comparison.improved.head(N_LISTED)
    changes = [
        compare_structures(before, after)
        for before, after in zip(improved["best_smiles_earlier"], improved["best_smiles_later"], strict=True)
    ]
    return render(
        "comparison.html.j2",
        diff=comparison,
        counts=comparison.counts().to_dict("records"),
        plot=Markup(plot_scores(comparison.molecules)),
        scatter=Markup(plot_shared(comparison.rescored)),
        best_new=comparison.best_new.to_dict("records"),
        lost=_lost(comparison.molecules).to_dict("records"),
        n_new_scaffolds=len(comparison.new_scaffolds),
        new_scaffolds=comparison.new_scaffolds.head(N_LISTED).to_dict("records"),
        n_improved=len(comparison.improved),
        improved=list(zip(improved.to_dict("records"), changes, strict=True)),
        n_rescored=len(comparison.rescored),
        rescored=comparison.rescored.head(N_LISTED).to_dict("records"),
    )


def _lost(molecules: "pd.DataFrame") -> "pd.DataFrame":
    """The best molecules of the earlier run that passed every check and that the later one did not find."""
    lost = molecules[(molecules["status"] == "lost") & molecules["passed_earlier"].to_numpy(bool, na_value=False)]
    return lost.sort_values("score_earlier", ascending=False, kind="stable").head(N_LISTED // 2)


def plot_scores(molecules: "pd.DataFrame") -> str:
    """The scores of two runs as histograms, one upwards and one downwards; shared molecules are marked.

    Parameters
    ----------
    molecules : DataFrame
        The molecules of a comparison.

    Returns
    -------
    str
        An SVG element; "" if no molecule has a score.
    """
    scores = {which: molecules[f"score_{which}"].to_numpy(float) for which in ("later", "earlier")}
    known = np.concatenate([one[~np.isnan(one)] for one in scores.values()])
    if not len(known):
        return ""
    edges = np.linspace(min(0.0, known.min()), max(1.0, known.max()), _N_BINS + 1)
    is_shared = (molecules["status"] == "both").to_numpy()
    counts = {
        (which, shared): np.histogram(score[(is_shared == shared) & ~np.isnan(score)], edges)[0]
        for which, score in scores.items()
        for shared in (True, False)
    }
    most = max(int((counts[which, True] + counts[which, False]).max()) for which in scores) or 1
    width, half = (_RIGHT - _LEFT) / _N_BINS, (_BOTTOM - _TOP) / 2
    middle = _TOP + half
    bars = []
    for (which, shared), numbers in counts.items():
        below = np.zeros(_N_BINS) if shared else counts[which, True]
        for n, (count, start) in enumerate(zip(numbers, below, strict=True)):
            if count:
                height, offset = count / most * half, start / most * half
                y = middle - offset - height if which == "later" else middle + offset
                css = "both" if shared else "new" if which == "later" else "lost"
                bars.append(
                    f'<rect class="{css}" x="{_LEFT + n * width:.1f}" y="{y:.1f}" width="{width - 1:.1f}" '
                    f'height="{height:.1f}"/>'
                )
    ticks = "".join(
        f'<text x="{_LEFT + (_RIGHT - _LEFT) * part:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">'
        f"{edges[0] + (edges[-1] - edges[0]) * part:.2g}</text>"
        for part in (0, 0.25, 0.5, 0.75, 1)
    )
    labels = f'<text x="{_RIGHT}" y="{_TOP + 4}" text-anchor="end">later (the highest bar: {most:,} molecules)</text>'
    labels += f'<text x="{_RIGHT}" y="{_BOTTOM - 2}" text-anchor="end">earlier</text>'
    line = f'<path class="axis" d="M{_LEFT} {middle}H{_RIGHT}"/>'
    title = "Scores of the molecules of both runs"
    box = f'viewBox="0 0 640 {_BOTTOM + 24:.0f}" role="img" aria-label="{title}"'
    return f'<svg class="mv-plot" {box}>{"".join(bars)}{line}{labels}{ticks}</svg>'


def plot_shared(rescored: "pd.DataFrame") -> str:
    """The scores of molecules that are in both runs and have a different score in each.

    Parameters
    ----------
    rescored : DataFrame
        Columns `score_earlier` and `score_later`.

    Returns
    -------
    str
        An SVG element; "" without molecules.
    """
    known = rescored.dropna(subset=["score_earlier", "score_later"])
    if known.empty:
        return ""
    values = known[["score_earlier", "score_later"]].to_numpy(float)
    low, high = min(0.0, values.min()), max(1.0, values.max())
    x, y = (_SQUARE * (values - low) / (high - low)).T
    dots = "".join(f"M{40 + a:.1f} {_TOP + _SQUARE - b:.1f}h0" for a, b in zip(x, y, strict=True))
    bottom, right = _TOP + _SQUARE, 40 + _SQUARE
    frame = f'<path class="axis" d="M40 {_TOP}V{bottom}H{right}M40 {bottom}L{right} {_TOP}"/>'
    texts = f'<text x="{40 + _SQUARE / 2}" y="{bottom + 32}" text-anchor="middle">score in the earlier run</text>'
    texts += f'<text transform="translate(12 {_TOP + _SQUARE / 2})rotate(-90)" text-anchor="middle">later</text>'
    texts += f'<text x="40" y="{bottom + 15}">{low:.2g}</text><text x="{right}" y="{bottom + 15}" text-anchor="end">'
    texts += f"{high:.2g}</text>"
    box = f'viewBox="0 0 {right + 20} {bottom + 40}" role="img" aria-label="Scores of molecules of both runs"'
    return f'<svg class="mv-plot mv-square" {box}>{frame}<path class="dots" d="{dots}"/>{texts}</svg>'


def with_style(fragment: str) -> str:
    """A fragment with its style, for notebooks.

    Parameters
    ----------
    fragment : str
        HTML.

    Returns
    -------
    str
        HTML.
    """
    return f"<style>{STYLE.read_text(encoding='utf-8')}</style>{fragment}"


def render(template: str, **content: Any) -> str:
    """Render a template of this folder.

    Parameters
    ----------
    template : str
        Name of its file.
    **content : object
        Variables of the template.

    Returns
    -------
    str
        HTML; text from the input is escaped.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "short": _short, "arrow": _arrow}
    environment.globals |= {"draw": _draw, "pair": _draw_pair}
    return environment.get_template(template).render(**content)


def _draw(smiles: str, highlighted: Sequence[int] = (), width: int = 240, height: int = 170) -> Markup:
    return Markup(draw_svg(smiles, width, height, highlighted))


def _draw_pair(change: Change, width: int = 240, height: int = 170) -> tuple[Markup, Markup]:
    """Both molecules of a change, turned alike, with the removed and the added atoms marked."""
    before = draw_svg(change.before, width, height, change.before_atoms)
    after = draw_svg(change.after, width, height, change.after_atoms, like=(change.before, change.common))
    return Markup(before), Markup(after)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _short(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def _arrow(text: object) -> str:
    return str(text).replace(" -> ", " → ")
