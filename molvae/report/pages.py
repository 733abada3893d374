"""Explanations and comparisons of candidates as HTML pages."""

import os
from pathlib import Path

from markupsafe import Markup

from molvae.candidates.comparison import Comparison
from molvae.candidates.explanation import Explanation
from molvae.candidates.html import STYLE, comparison_html, explanation_html
from molvae.report.page import render_page, write_page

_STYLES = ("page.css", os.path.relpath(STYLE, Path(__file__).parent))


def write_explanation(path: Path, explanation: Explanation) -> None:
    """Write an explanation as one HTML file, with the complete lineage and structures.

    The same explanation gives the same bytes. The file loads nothing from the network and has no script.

    Parameters
    ----------
    path : Path
        File to write.
    explanation : Explanation
        Content.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    candidate = explanation.candidate["candidate_id"]
    _write(path, f"Why {candidate}", explanation.run, explanation_html(explanation))


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write a comparison of two runs as one HTML file, with plots and structures.

    The same comparison gives the same bytes. The file loads nothing from the network and has no script.

    Parameters
    ----------
    path : Path
        File to write.
    comparison : Comparison
        Content.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    _write(path, f"{comparison.later} compared with {comparison.earlier}", "Comparison", comparison_html(comparison))


def _write(path: Path, title: str, subject: str, fragment: str) -> None:
    text = render_page("fragment.html.j2", styles=_STYLES, title=title, subject=subject, fragment=Markup(fragment))
    write_page(path, text)
