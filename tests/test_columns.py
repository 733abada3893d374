"""The tables of docs/columns.md match the code; `python tests/test_columns.py` updates them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from molvae.pipeline.commands.columns import columns as columns_command

from molvae.candidates.columns import CANDIDATE_COLUMNS
from molvae.checks.checks import CHECKS
from molvae.chem.properties import PROPERTIES
from molvae.chem.stability import UNSTABLE_GROUPS

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
    yield "| column | default | passes |"
    yield "|---|---|---|"
    for name, entry in CHECKS.items():
        limits = entry.default if isinstance(entry.default, tuple) else (entry.default,)
        yield f"| `check_{name}` | {', '.join(map(_show, limits))} | {entry.passes} |"


def unstable() -> Iterator[str]:
    yield "| group | what happens |"
    yield "|---|---|"
    for name, reason in {group.name: group.reason for group in UNSTABLE_GROUPS}.items():
        yield f"| {name} | {reason} |"
    yield "| double bond at a bridgehead | is strained |"


def _show(limit: object) -> str:
    return f"{limit:g}" if isinstance(limit, float) else {"True": "on", "False": "off"}.get(str(limit), str(limit))


TABLES = {"columns": columns, "properties": values, "checks": checks, "unstable": unstable}


def rewrite(text: str) -> str:
    """The page with each table between its two markers rewritten."""
    for name, rows in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n" + "\n".join(rows()) + f"\n\n{end}" + rest.split(end, 1)[1]
    return text


def test_the_page_matches_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rewrite(text) == text, "docs/columns.md is outdated; rewrite it: python tests/test_columns.py"


def test_every_column_has_a_meaning() -> None:
    assert all(column.meaning and column.kind in ("text", "number", "integer", "flag") for column in CANDIDATE_COLUMNS)


def test_the_command_prints_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    columns_command(run=None)()
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert names == [column.name for column in CANDIDATE_COLUMNS]


def test_the_command_prints_the_columns_of_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "candidates.csv"
    path.write_text("smiles,value_ic50,batch\nC,1,2\n", encoding="utf-8")
    columns_command(run=str(path))()
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [(line[0], line[1]) for line in lines] == [("smiles", "text"), ("value_ic50", "number"), ("batch", "a")]


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
