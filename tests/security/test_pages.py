"""Hostile text in a page runs no script and loads nothing, in a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from molvae.codec.interactive_map import Panel, make_map
from molvae.report import page as module
from molvae.report.grid import write_grid
from molvae.report.page import _VENDOR

PAYLOADS = (
    "</script><script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "<svg onload=\"document.title='ran'\"><image href='http://192.0.2.1/a'></svg>",
    "javascript:document.title='ran'",
    '"><iframe srcdoc="<script>top.document.title=\'ran\'</script>"></iframe>',
    "{{ 7 * 7 }}{% raw %}",
    "<link rel=stylesheet href=http://192.0.2.1/a.css><meta http-equiv=refresh content='0;url=http://192.0.2.1'>",
    "@DRAWINGS@<!--<script>",
)


def hostile_table() -> pd.DataFrame:
    """Two molecules, with a payload in every name and text."""
    table = pd.DataFrame({"candidate_id": [PAYLOADS[0], PAYLOADS[1]], "smiles": ["CCO", "c1ccccc1O"]})
    for number, payload in enumerate(PAYLOADS):
        table[f"{payload}{number}"] = [payload, "x"]
    return table


def test_no_page_can_create_code_from_strings() -> None:
    """Of RDKit's JavaScript, the two places that do are replaced."""
    text = module._read("vendor/RDKit_minimal.js")
    assert not re.search(r"new Function|(?<![\w.$])(?:eval|Function)\(", text)
    assert re.search(r"new Function", (_VENDOR / "RDKit_minimal.js").read_text(encoding="utf-8"))
    policy = module._policy([], ["x"], True)
    assert "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy
    assert "default-src 'none'" in policy


def test_a_changed_vendor_file_is_not_used_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="has changed"):
        module._without_eval("return new Function(args, body)")


sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def visit(browser: Any, path: Path, is_ready: str) -> tuple[list[str], Any]:
    """What a page requests beyond itself, and the page, in which strings cannot be run."""
    page = browser.new_context().new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector(is_ready, state="attached", timeout=30_000)
    page.evaluate("""() => {
      for (const [name, text] of [["direct", "document.title = 'ran'"], ["handler", ""]]) {
        const script = document.createElement("script");
        script.textContent = text || "eval('1')";
        document.body.append(script);
      }
      document.body.insertAdjacentHTML("beforeend", `<img src=x onerror="document.title = 'ran'">`);
    }""")  # what a text could do that got into the page as HTML
    page.wait_for_timeout(300)
    return [url for url in requests if url != path.as_uri() and not url.endswith("/x")], page


@needs_chromium
def test_hostile_text_in_a_table_runs_nothing(browser: Any, tmp_path: Path) -> None:
    write_grid(tmp_path / "grid.html", hostile_table(), title=PAYLOADS[2], notes=PAYLOADS)
    requests, page = visit(browser, tmp_path / "grid.html", ".tabulator-row .structure svg")
    assert requests == []
    assert page.title() == PAYLOADS[2]
    heads = page.locator(".tabulator-col .tabulator-col-title").all_text_contents()
    assert sum("<" in head for head in heads) >= 5, "names are shown as text"
    for head in page.locator(".tabulator-col[tabulator-field]").all()[:6]:
        head.hover()
        page.wait_for_timeout(700)
    assert page.locator("main iframe, main link, main meta, .tabulator script").count() == 0
    assert page.title() == PAYLOADS[2]
    assert requests == []


@needs_chromium
def test_hostile_names_on_a_map_run_nothing(browser: Any, tmp_path: Path) -> None:
    n = len(PAYLOADS)
    panel = Panel(PAYLOADS[0], PAYLOADS[1], PAYLOADS[2], np.random.default_rng(0).normal(size=(n, 2)))
    page = make_map([panel], ["CCO"] * n, PAYLOADS, np.arange(n, dtype=float), PAYLOADS[3], n_structures=n)
    page.save(tmp_path / "map.html")
    requests, page = visit(browser, tmp_path / "map.html", "#maps canvas")
    assert requests == []
    assert page.title() == "Map of molecules"
