"""docs/columns.md says what the code does; `python tests/test_columns.py` writes its tables anew."""

import re
from collections.abc import Iterator
from pathlib import Path

from molvae.candidates.columns import CANDIDATE_COLUMNS
from molvae.checks.checks import CHECKS, ChecksSettings, InRange, Known, NotIn
from molvae.chem.properties import PROPERTIES

PAGE = Path(__file__).parent.parent / "docs" / "columns.md"


def columns() -> Iterator[str]:
    yield "| column | kind | meaning |"
    yield "|---|---|---|"
    for column in CANDIDATE_COLUMNS:
        yield f"| `{column.name}` | {column.kind} | {column.meaning} |"


def values() -> Iterator[str]:
    yield "| property | unit | usual range | source |"
    yield "|---|---|---|---|"
    for name, entry in PROPERTIES.items():
        low, high = entry.usual
        yield f"| `{name}` | {entry.unit} | {low:g} to {high:g} | {entry.source} |"


def checks() -> Iterator[str]:
    settings = ChecksSettings()
    yield "| column | default | passes |"
    yield "|---|---|---|"
    for name, make in CHECKS.items():
        check, limit = make(settings, Known()), getattr(settings, name)
        if isinstance(check, InRange):
            meaning = f"{check.label} from {check.low:g} to {check.high:g} {check.unit}".rstrip()
        elif isinstance(check, NotIn):
            meaning = f"not in the {check.title}, stereo aside"
        else:
            said = (check.__doc__ if hasattr(check, "__name__") else type(check).__doc__) or ""
            meaning = re.sub(r"^Whether (.*?)(: `.*)?\.?$", r"\1", said.splitlines()[0])
        shown = ", ".join(map(_show, limit)) if isinstance(limit, tuple) else _show(limit)
        yield f"| `check_{name}` | {shown} | {meaning} |"


def _show(limit: object) -> str:
    return f"{limit:g}" if isinstance(limit, float) else {"True": "", "False": "off"}.get(str(limit), str(limit))


TABLES = {"columns": columns, "properties": values, "checks": checks}


def rewrite(text: str) -> str:
    """The page with each table between its two marks made anew."""
    for name, rows in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n" + "\n".join(rows()) + f"\n\n{end}" + rest.split(end, 1)[1]
    return text


def test_page_is_as_the_code_has_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rewrite(text) == text, "docs/columns.md is behind the code; write it anew: python tests/test_columns.py"


def test_every_column_has_a_meaning() -> None:
    assert all(column.meaning and column.kind in ("text", "number", "integer", "flag") for column in CANDIDATE_COLUMNS)


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
