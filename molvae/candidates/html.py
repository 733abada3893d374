"""Explanations and comparisons of candidates as HTML fragments, for notebooks and for pages."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from molvae.chem.changes import Change
from molvae.chem.drawing import draw_svg

if TYPE_CHECKING:
    from molvae.candidates.explanation import Explanation

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
