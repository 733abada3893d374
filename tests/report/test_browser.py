"""The pages in a browser: they load without errors, and sort, filter, select, export and print."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from molvae.candidates.files import read_candidates
from molvae.report.explore import SearchMap
from molvae.report.grid import write_grid
from molvae.report.report import Report, write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

EVIL = "</script><script>alert(1)</script>"
PHONE = {"width": 390, "height": 844}


class Watched:
    """A page of the browser with the errors and the requests that it made."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on(
            "console", lambda message: message.type in ("error", "warning") and self.problems.append(message.text)
        )
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.problems.append("dialog"), dialog.dismiss()))
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]")
        self.page.wait_for_selector(".tabulator-row .structure svg")
        assert self.requests == [path.as_uri()]

    def ids(self) -> list[str]:
        """The ids of the rows that the grid shows, in order."""
        return self.page.locator(".tabulator-row .tabulator-cell[tabulator-field=c0]").all_inner_texts()

    def shown(self) -> str:
        return self.page.locator(".status output").inner_text()

    def go_down(self, row: int) -> None:
        """Press the key for the next row, and wait until this row is the current one."""
        self.page.keyboard.press("ArrowDown")
        current = self.page.locator(".tabulator-row.current .tabulator-cell[tabulator-field=c0]")
        sync_api.expect(current).to_have_text(self.ids()[row])

    def is_too_wide(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api.expect.set_options(timeout=20_000)  # a loaded machine
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def molecules() -> pd.DataFrame:
    """Sixty molecules with ids, of which one is hostile."""
    smiles = [
        f"{'C' * (number % 15 + 1)}Oc1ccc({tail})cc1" for number in range(15) for tail in ("Cl", "C#N", "N", "CO")
    ]
    table = pd.DataFrame({"candidate_id": [f"C{number:06d}" for number in range(60)], "smiles": smiles})
    table.loc[59, "candidate_id"] = EVIL
    table["score"] = [number / 60 for number in range(60)]
    table["passed"] = [number % 3 > 0 for number in range(60)]
    table["failed_checks"] = [None if number % 3 else "alerts, logp" if number % 2 else "logp" for number in range(60)]
    table["reason"] = ["=SUM " + names if isinstance(names, str) else None for names in table["failed_checks"]]
    return table


@pytest.fixture(scope="module")
def grid(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    path = tmp_path_factory.mktemp("grid") / "grid.html"
    write_grid(path, molecules(), title=EVIL, notes=[EVIL])
    watched = Watched(browser, path)
    yield watched
    watched.context.close()
    assert watched.problems == []


def test_the_grid_sorts_by_any_column_with_structures(grid: Watched) -> None:
    head = grid.page.locator(".tabulator-col[tabulator-field=c2]")
    head.focus()
    grid.page.keyboard.press("Enter")
    assert grid.ids()[:2] == [EVIL, "C000058"]
    grid.page.keyboard.press("Enter")
    assert grid.ids()[:2] == ["C000000", "C000001"]
    grid.page.wait_for_function("() => document.querySelectorAll('.tabulator-row .structure.pending').length === 0")
    rows = grid.page.locator(".tabulator-row").count()
    assert grid.page.locator(".tabulator-row .structure svg").count() == rows


def test_the_grid_filters_by_number_reason_substructure_and_similarity(grid: Watched) -> None:
    page = grid.page
    page.locator(".tabulator-col[tabulator-field=c2] .min").fill("0.5")
    page.locator(".tabulator-col[tabulator-field=c2] .max").fill("0,9")
    sync_api.expect(page.locator(".status output")).to_have_text("25 of 60 rows shown")
    page.get_by_label("Failed check", exact=True).select_option("alerts")
    sync_api.expect(page.locator(".status output")).to_have_text("4 of 60 rows shown")
    page.get_by_role("button", name="Clear filters").click()
    sync_api.expect(page.locator(".status output")).to_have_text("60 of 60 rows shown")
    page.get_by_label("Substructure").fill("C#N")
    sync_api.expect(page.locator(".status output")).to_have_text("15 of 60 rows shown")
    assert page.locator(".tabulator-row .structure .mark").count() > 0
    page.get_by_label("Substructure").fill("")
    page.get_by_label("similarity to this SMILES").fill(molecules()["smiles"][4])
    page.get_by_label("lowest similarity").fill("1")
    sync_api.expect(page.locator(".status output")).to_have_text("1 of 60 rows shown")
    assert grid.ids() == ["C000004"]
    page.get_by_label("Substructure").fill("C(")
    sync_api.expect(page.get_by_role("alert")).to_contain_text("neither SMARTS nor SMILES")
    page.get_by_role("button", name="Clear filters").click()
    sync_api.expect(page.locator(".status output")).to_have_text("60 of 60 rows shown")


def test_selected_rows_are_exported(grid: Watched, tmp_path: Path) -> None:
    page = grid.page
    page.get_by_label("Text in any column").fill("=sum")
    sync_api.expect(page.locator(".status output")).to_have_text("20 of 60 rows shown")
    body = page.locator(".tabulator-tableholder")
    body.focus()
    for row in range(2):
        grid.go_down(row)
        page.keyboard.press(" ")
    sync_api.expect(page.locator(".status output")).to_have_text("20 of 60 rows shown, 2 selected")
    files = {}
    for kind in ("csv", "sdf"):
        with page.expect_download() as waiting:
            page.locator(f"[data-export={kind}]").click()
        files[kind] = waiting.value.path().read_text(encoding="utf-8")
    chosen = grid.ids()[:2]
    lines = files["csv"].splitlines()
    assert lines[0] == "candidate_id,smiles,score,passed,failed_checks,reason"
    assert [line.split(",")[0] for line in lines[1:]] == chosen
    assert "\"'=SUM " in files["csv"]  # as molvae marks text that a spreadsheet would run
    records = files["sdf"].split("$$$$\n")
    assert [record.split("\n")[0] for record in records[:-1]] == chosen
    assert all("V2000" in record and ">  <score>" in record for record in records[:-1])
    page.get_by_role("button", name="Clear filters").click()


def test_the_details_of_a_row_open_and_close_by_keyboard(grid: Watched) -> None:
    page = grid.page
    page.locator(".tabulator-tableholder").focus()
    current = page.locator(".tabulator-row.current .tabulator-cell[tabulator-field=c0]")
    before = current.inner_text() if current.count() else "none"
    page.keyboard.press("ArrowDown")
    sync_api.expect(current).not_to_have_text(before)
    page.keyboard.press("Enter")
    details = page.get_by_role("dialog")
    first = details.locator("h2").inner_text()
    sync_api.expect(details.locator(".big svg")).to_be_visible()
    page.keyboard.press("ArrowRight")
    assert details.locator("h2").inner_text() != first
    page.keyboard.press("Escape")
    assert details.count() == 0


def test_a_phone_in_dark_mode_does_not_scroll_sideways(browser: Any, grid: Watched) -> None:
    phone = Watched(browser, Path(grid.requests[0].removeprefix("file://")), viewport=PHONE, color_scheme="dark")
    assert not phone.is_too_wide()
    assert phone.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 27)"
    phone.context.close()
    assert phone.problems == []


@pytest.fixture(scope="module")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    path = tmp_path_factory.mktemp("report") / "report.html"
    table = molecules()
    n = len(table)
    rows = np.arange(n)
    table = table.assign(
        raw_smiles=table["smiles"],
        round=rows // 10,
        move=["start" if row < 10 else "swap" for row in rows],
        is_start=rows < 10,
        parent_id=[None if row < 10 else f"C{row - 10:06d}" for row in rows],
        parent_smiles=[None if row < 10 else table["smiles"][row - 10] for row in rows],
        latent_row=rows,
        predicted_score=table["score"] * 0.9,
        value_logp=np.linspace(-1, 5, n),
        score_logp=np.linspace(0, 1, n),
        check_alerts=["pass" if one else "BRENK: nitro group" for one in table["passed"]],
        nearest_reference="R1",
        nearest_reference_smiles="COc1ccccc1",
        nearest_reference_similarity=0.5,
        inchikey="A",
        open_stereo_centers=0,
    )
    known = pd.DataFrame({"kind": ["best of the assay"], "smiles": ["CCO"], "label": ["pki 9"], "x": [0.5], "y": [0.5]})
    write_report(
        path,
        Report(
            EVIL,
            table,
            funnel=[("latent vectors decoded", 100), (EVIL, 60)],
            notes=[EVIL],
            facts={"library": EVIL},
            campaign_toml=EVIL,
            lead="COc1ccccc1",
            reference=pd.DataFrame({"logp": np.linspace(0, 4, 50)}),
            search_map=SearchMap(np.stack([rows / n, rows % 7], 1), known, 0.8),
        ),
    )
    watched = Watched(browser, path)
    yield watched
    watched.context.close()
    assert watched.problems == []


def center_of_point(report: Watched, canvas: str, row: str) -> tuple[float, float]:
    """The position in the window of the point of a molecule."""
    report.page.locator(f"#{canvas}").scroll_into_view_if_needed()
    x, y = report.page.evaluate(
        """([canvas, id]) => {
            const chart = Chart.getChart(canvas), frame = chart.canvas.getBoundingClientRect();
            for (const [number, set] of chart.data.datasets.entries()) {
                const index = set.data.findIndex(point => point.row && point.row.c0 === id);
                if (index < 0) continue;
                const {x, y} = chart.getDatasetMeta(number).data[index];
                return [frame.left + x, frame.top + y];
            }
        }""",
        [canvas, row],
    )
    return x, y


def test_the_report_shows_a_structure_next_to_a_point_and_opens_it(report: Watched) -> None:
    page = report.page
    page.mouse.move(*center_of_point(report, "map", "C000031"))
    sync_api.expect(page.locator(".tip svg")).to_be_visible()
    name = page.locator(".tip strong").inner_text()
    page.mouse.down()
    page.mouse.up()
    details = page.get_by_role("dialog")
    assert details.locator("h2").inner_text() == name
    sync_api.expect(details).to_contain_text("move swap")
    sync_api.expect(details.locator(".lineage svg")).not_to_have_count(0)  # the parent and the nearest reference
    details.get_by_role("button", name=re.compile("^parent C")).click()
    assert details.locator("h2").inner_text() == f"C{int(name[1:]) - 10:06d}"
    page.keyboard.press("Escape")


def test_a_box_in_a_plot_selects_rows(report: Watched) -> None:
    page = report.page
    page.locator("#scatter").scroll_into_view_if_needed()
    frame = page.locator("#scatter").bounding_box()
    page.mouse.move(frame["x"] + 60, frame["y"] + 5)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] - 4, frame["y"] + frame["height"] - 60, steps=4)
    page.mouse.up()
    sync_api.expect(report.page.locator(".status output")).to_have_text(re.compile("selected"))
    page.evaluate("document.querySelector('.tabulator-header input[type=checkbox]').click()")
    page.evaluate(
        "document.querySelectorAll('.tabulator-header input[type=checkbox]:checked').forEach(one => one.click())"
    )


def test_checks_and_scaffolds_filter_the_table_and_the_plots(report: Watched) -> None:
    page = report.page
    page.locator("[data-failed=alerts]").click()
    sync_api.expect(page.locator(".status output")).to_have_text(re.compile("^10 of 60 rows shown"))
    shown = "() => Chart.getChart('scatter').data.datasets.slice(0, 2).flatMap(set => set.data).length === 10"
    page.wait_for_function(shown)
    page.get_by_role("button", name="Clear filters").click()
    page.locator("[data-scaffold]").first.click()
    sync_api.expect(page.locator(".status output")).to_have_text(re.compile("^60 of 60 rows shown"))
    page.get_by_role("button", name="Clear filters").click()


def test_the_exported_table_is_a_candidate_table(report: Watched, tmp_path: Path) -> None:
    with report.page.expect_download() as waiting:
        report.page.locator("[data-export=csv]").click()
    waiting.value.save_as(tmp_path / "candidates.csv")
    table = read_candidates(tmp_path / "candidates.csv")
    assert len(table) == 60
    assert set(table["candidate_id"]) == set(molecules()["candidate_id"])
    assert table["passed"].tolist() == sorted(molecules()["passed"], reverse=True)
    assert table["reason"].dropna().str.startswith("=SUM ").all()


def test_the_report_fits_a_phone(browser: Any, report: Watched) -> None:
    phone = Watched(browser, Path(report.requests[0].removeprefix("file://")), viewport=PHONE, color_scheme="dark")
    assert not phone.is_too_wide()
    phone.page.locator("[data-open]").first.click()
    assert phone.page.get_by_role("dialog").bounding_box()["width"] <= PHONE["width"]
    phone.context.close()
    assert phone.problems == []


def test_the_report_has_at_most_twelve_printed_pages(report: Watched) -> None:
    assert 3 <= n_pages(report.page.pdf(format="A4")) <= 12


def n_pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_the_grid_is_printed_as_a_table(grid: Watched) -> None:
    assert 1 <= n_pages(grid.page.pdf()) <= 6
