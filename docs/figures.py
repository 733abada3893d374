"""Fills in figures in README.md, CHANGELOG.md and docs/: of the bundled codecs from their cards, of searches from runs.

A figure is a number, with " %" where it is a share, followed by a comment that is not displayed:

    97.12 %<!-- druglike exact_reconstruction.zinc250k -->

The comment names the codec and the entry of `card.metrics` in its codec.json. The number of decimals is kept.

A table of the search benchmark is made from benchmarks/results/ by benchmarks/search_tables.py. It is between a comment
that names it and one that ends it:

    <!-- table of searches: 1000 calls, start zinc250k -->    <!-- table of leads -->
    <!-- table of ablations: 1000 calls, start zinc250k -->   <!-- end of table -->

The table of costs, between `<!-- table of costs -->` and such an end, is made by benchmarks/scale.py.

    python docs/figures.py             # write the figures and tables
    python docs/figures.py --check     # fail if one differs from its source, or a figure has no comment
"""

import argparse
import json
import re
import runpy
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

_MARKED = re.compile(r"(?P<number>\d[\d,]*(?:\.\d+)?)(?P<percent> %)?<!-- (?P<codec>\w+) (?P<path>[\w.]+) -->")
_TABLE = re.compile(
    r"^<!-- table of (?P<what>searches|ablations|leads|costs)(?:: (?P<calls>\d+) calls, start (?P<start>\w+))? -->\n"
    r"(?:.*\n)*?(?=<!-- end of table -->$)",
    re.MULTILINE,
)
_SHARE = re.compile(r"\d\d\.\d\d %(?!<!--)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


class FigureError(Exception):
    """A comment names an unknown codec or figure."""


@cache
def metrics(codec: str) -> dict[str, Any]:
    """The metrics of a bundled codec's card."""
    path = ROOT / "data" / codec / "codec.json"
    if not path.exists():
        raise FigureError(f"{codec}: no such bundled codec")
    return dict(json.loads(path.read_text(encoding="utf-8"))["card"]["metrics"])


def figure(codec: str, path: str) -> float:
    """One number of a card; `path` is its key, or nested keys joined by dots."""
    value: Any = metrics(codec)
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise FigureError(f"{codec}: no {path} in its card")
        value = value[key]
    if not isinstance(value, int | float):
        raise FigureError(f"{codec} {path}: expected a number in its card, got {value!r}")
    return float(value)


def fill(text: str) -> str:
    """The text, with every marked figure replaced by that of its card, and every table made from the runs."""

    def write(match: re.Match[str]) -> str:
        value = Decimal(str(figure(match["codec"], match["path"]))) * (100 if match["percent"] else 1)
        decimals = len(match["number"].partition(".")[2])
        value = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        return f"{value:,}{match['percent'] or ''}<!-- {match['codec']} {match['path']} -->"

    return _TABLE.sub(_write_table, _MARKED.sub(write, text))


def _write_table(match: re.Match[str]) -> str:
    if match["what"] == "costs":
        table = runpy.run_path(str(ROOT / "benchmarks" / "scale.py"))["scale_table"]()
        return f"{match[0].splitlines()[0]}\n\n{table}\n"
    script = _tables()
    if match["what"] == "leads":
        table = script["lead_table"](script["read_rows"](script["LEAD_CSV"]))
    else:
        make = script["search_tables" if match["what"] == "searches" else "ablation_table"]
        table = make(script["read_rows"](script["SEARCH_CSV"]), int(match["calls"]), match["start"])
    return f"{match[0].splitlines()[0]}\n\n{table}\n\n"


@cache
def _tables() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "search_tables.py"))


def shares(codec: str, path: str = "") -> Iterator[str]:
    """Every share of a card as a percentage with two decimals, such as "97.12 %"."""
    value: Any = metrics(codec)
    for key in filter(None, path.split(".")):
        value = value[key]
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from shares(codec, f"{path}.{key}".strip("."))
        elif isinstance(inner, float) and 0 < inner < 1:
            yield f"{100 * inner:.2f} %"


def unmarked(text: str) -> list[str]:
    """Percentages in the text that equal a share of a card but have no comment."""
    known = {share for codec in ("moses", "druglike") for share in shares(codec)}
    return sorted(known & set(_SHARE.findall(_CODE.sub("", text))))


def main() -> int:
    """Write or check the figures of every page; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Fill in the figures of the bundled codecs and the tables of the search benchmark."
    )
    parser.add_argument("--check", action="store_true", help="Only check; fail if one is wrong or unmarked.")
    check = parser.parse_args().check
    faults = []
    for page in PAGES:
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT)
        filled = fill(text)
        if not check:
            page.write_text(filled, encoding="utf-8")
        elif filled != text:
            faults.append(f"{name}: figures or tables differ from their sources; run: python docs/figures.py")
        faults += [f"{name}: {share} is a figure of a card; add its comment" for share in unmarked(filled)]
    print("\n".join(faults) or "Figures and tables match their sources.")
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main())
