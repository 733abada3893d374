import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.candidates.plates import assign_wells
from molvae.candidates.selection import Selection, pick_candidates
from molvae.errors import InputError
from molvae.report.plates import write_plates

SCRIPT = "</td><script>alert(1)</script>"


@pytest.fixture
def selection(candidates: pd.DataFrame) -> Selection:
    """Three picks, one of them without a score, and an alternate."""
    return pick_candidates(
        candidates, 3, diversity=0, latent_weight=0, eligible=np.ones(4, dtype=bool), include=["C000003"], alternates=1
    )


def page(selection: Selection, folder: Path, size: int = 24, title: str = "order") -> str:
    path = folder / "plate.html"
    write_plates(path, assign_wells(selection.table, size), size=size, title=title, summary=["short"], notes=["a note"])
    return path.read_text(encoding="utf-8")


def cells(text: str) -> list[str]:
    """The ids in the wells of all sheets, "" for an empty well."""
    found = re.findall(r'<td class="empty"></td>|<td><svg.*?<b>(C\d+)</b>', text)
    return list(found)


def test_each_pick_is_drawn_in_its_well_and_listed_with_its_reason(selection: Selection, tmp_path: Path) -> None:
    text = page(selection, tmp_path)
    picks = selection.picks["candidate_id"].tolist()
    assert cells(text)[:4] == [*picks, ""]
    assert len(cells(text)) == 24
    assert text.count("<svg") == len(picks) + len(selection.table)
    for reason, smiles in zip(selection.table["pick_reason"], selection.table["smiles"], strict=True):
        assert f"<td>{reason}</td>" in text
        assert smiles in text
    assert "short" in text
    assert "a note" in text
    assert "<td>170.26</td>" in text.replace(' class="n"', "")


@pytest.mark.parametrize(
    ("size", "n", "sheets"),
    [(24, 24, 1), (24, 25, 2), (48, 48, 1), (96, 96, 1), (384, 12, 1), (384, 13, 2), (384, 384, 4)],
)
def test_a_plate_takes_as_many_sheets_as_its_wells_need(
    selection: Selection, tmp_path: Path, size: int, n: int, sheets: int
) -> None:
    row = selection.picks.iloc[[0]]
    many = pd.concat([row] * n, ignore_index=True).assign(position=range(1, n + 1))
    text = page(Selection(many, selection.comparison, []), tmp_path, size)
    assert text.count('class="sheet"') == sheets
    assert sum(bool(name) for name in cells(text)) == n


def test_the_page_loads_nothing_is_the_same_each_time_and_escapes_text(selection: Selection, tmp_path: Path) -> None:
    selection.table["candidate_id"] = SCRIPT
    first, second = (page(selection, tmp_path, title=SCRIPT) for _ in range(2))
    assert first == second
    assert "<script" not in first
    assert "default-src 'none'" in html.unescape(first)
    assert not re.search(r'(?:src|href)="', first)


def test_a_table_without_wells_or_of_another_plate_is_refused(selection: Selection, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="assign_wells"):
        write_plates(tmp_path / "plate.html", selection.table, size=24, title="order")
    many = pd.concat([selection.picks] * 20, ignore_index=True)
    with pytest.raises(InputError, match="no well"):
        write_plates(tmp_path / "plate.html", assign_wells(many, 96), size=24, title="order")
    assert not list(tmp_path.iterdir())
