"""docs/search.md matches the code: its methods, its settings and its example."""

import re
import runpy
from pathlib import Path

import pytest

from molvae.search.optimizers import OPTIMIZERS
from molvae.search.settings import SearchSettings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table in a section, without its head."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    assert section
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_method_is_described() -> None:
    assert [name for name, _ in rows("Which method")] == list(OPTIMIZERS)


@pytest.mark.parametrize(("name", "default"), [row[:2] for row in rows("Settings")])
def test_defaults_are_those_of_the_code(name: str, default: str) -> None:
    value = SearchSettings()
    for part in name.split("."):
        value = getattr(value, part) if part != "evolution" else value.optimizer  # type: ignore[assignment]
    assert str(value) == default


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = re.search(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block
    names: dict[str, object] = {}
    exec(compile(block[1], "docs/search.md", "exec"), names)
    search = names["search"]
    assert search.n_scored == 49  # type: ignore[attr-defined]
    assert len(search.pending) == 24  # type: ignore[attr-defined]


def test_tables_are_made_from_the_runs() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "figures.py"))
    script["_tables"]()["lead_table"]  # the script next to the CSV files loads
    text = "a\n<!-- table of leads -->\nold\n<!-- end of table -->\nb\n<!-- table of searches: 77 calls, start no -->\n"
    filled = script["fill"](text + "<!-- end of table -->\n")
    assert "old" not in filled
    assert filled.startswith("a\n<!-- table of leads -->\n\n")
    assert filled.endswith("start no -->\n\nNo run has finished yet.\n\n<!-- end of table -->\n")
    assert script["fill"](filled) == filled
