import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.report import report as module
from molvae.report.report import Report, render, write_report

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
VOID = {"meta", "input", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """What a browser makes of the report: elements with attributes, the text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.inside: dict[str, list[str]] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.inside.setdefault(self.open[-1] if self.open else "", []).append(data)
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def report(candidates: pd.DataFrame) -> Report:
    history = pd.DataFrame(
        {"round": [0, 1], "calls": [2, 4], "best": [0.8, 0.81], "top10": [0.7, 0.75], "median": [0.7, None]}
    )
    return Report(
        title="paracetamol analogues",
        candidates=candidates,
        funnel=[("latent points proposed", 1000), ("texts that parse", 900), ("passed all checks", 2)],
        history=history,
        campaign_toml='name = "analogues"\n[search]\nbudget = 4\n',
        notes=["one start could not be encoded"],
        facts={"version": "molvae 0.1.0", "seed": "7"},
    )  # fmt: skip


def test_says_what_a_reader_wants_to_know(report: Report) -> None:
    text = Page(render(report)).text
    assert "2 of 4 scored molecules passed every check; the best of them, C000001, scores 0.812." in " ".join(
        text.split()
    )
    for part in (
        "paracetamol analogues", "one start could not be encoded", "molvae 0.1.0", "seed", "budget = 4",
        "latent points proposed", "1,000", "nearest reference CHEMBL112, similarity 0.55",
        "MW 107.1 < 150 Da; BRENK: aldehyde; PAINS: made up", "All 4 are listed",
    ):  # fmt: skip
        assert part in text


def test_draws_every_structure_with_a_label(report: Report) -> None:
    page = Page(render(report))
    drawn = [svg["aria-label"] for svg in page.all("svg") if svg.get("class") == "mol"]
    for smiles in report.candidates["smiles"]:
        assert drawn.count(f"Structure of {smiles}") == 2  # its card and its row


def test_loads_and_links_to_nothing(report: Report) -> None:
    text = render(report)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|xmlns|<\?xml", text)
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}
        for name, value in attributes.items():
            assert name not in {"src", "srcset", "action", "style"}
            assert not name.startswith("on")
            assert name != "href" or str(value).startswith("#")


def test_security_policy_knows_its_own_style_and_script_and_no_other(report: Report) -> None:
    page = Page(render(report))
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = page.inside[tag]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_names_from_the_input_appear_as_text(report: Report) -> None:
    table = report.candidates.copy()
    table["candidate_id"] = [SCRIPT, IMAGE, "C3", "C4"]
    table["nearest_reference"] = [IMAGE, SCRIPT, "a", "{{ 7 * 7 }}"]
    table.loc[3, ["reason", "check_alerts"]] = SCRIPT
    table.loc[2, ["reason", "check_mol_weight"]] = IMAGE
    table = table.rename(columns={"value_logp": f"value_{SCRIPT}", "score_logp": f"score_{SCRIPT}"})
    evil = Report(
        SCRIPT, table, [(SCRIPT, 4), (IMAGE, 2)], report.history, f"name = '''{SCRIPT}</pre>{IMAGE}'''",
        [SCRIPT, IMAGE], {SCRIPT: IMAGE},
    )  # fmt: skip
    page = Page(render(evil))
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(SCRIPT) >= 10
    assert page.text.count(IMAGE) >= 6
    assert "{{ 7 * 7 }}" in page.text
    assert f"{SCRIPT}</pre>{IMAGE}" in page.text


def test_heads_sort_by_keyboard_and_numbers_have_their_value(report: Report) -> None:
    page = Page(render(report))
    buttons = [button for button in page.all("button") if button.get("type") == "button"]
    assert len(buttons) == 9  # all heads but the structure's
    assert {th["data-first"] for th in page.all("th") if "data-first" in th} == {"ascending", "descending"}
    values = [cell["data-v"] for cell in page.all("td") if cell.get("class") == "n" and "data-v" in cell]
    assert "0.812345678901" in values
    assert "" in values  # a missing score sorts last, as no number
    assert "nan" not in values


def test_every_picture_has_a_label_or_is_hidden_from_readers(report: Report) -> None:
    for svg in Page(render(report)).all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and svg.get("aria-label"))


def test_candidates_stand_best_first_passed_before_failed(report: Report) -> None:
    shuffled = replace(report, candidates=report.candidates.sample(frac=1, random_state=3))
    text = Page(render(shuffled)).text
    table = text[text.index("All 4 are listed") :]
    places = [table.index(name) for name in ("C000001", "C000002", "C000004", "C000003")]
    assert places == sorted(places)


def test_bars_show_desirability_and_dashes_what_is_missing(report: Report) -> None:
    page = Page(render(report))
    labels = [span["aria-label"] for span in page.all("span") if "aria-label" in span]
    assert labels == ["desirability 0.90", "desirability 0.50", "desirability 0.10"]
    widths = [rect["width"] for rect in page.all("rect") if rect.get("height") == "8"]
    assert widths[:2] == ["90.0", "50.0"]
    assert "–" in page.text


def test_reasons_are_counted_by_check(report: Report) -> None:
    text = " ".join(Page(render(report)).text.split())
    failed = text[text.index("Why molecules failed") :]
    assert "2 of 4 failed at least one check" in failed
    assert "2 alerts BRENK: aldehyde" not in failed
    assert "2alerts" in failed.replace(" ", "")
    assert "e.g. BRENK: aldehyde" in failed
    assert "1molweighte.g.MW107.1<150Da" in failed.replace(" ", "")


def test_a_rule_hit_twice_is_counted(report: Report) -> None:
    table = report.candidates.copy()
    table["check_alerts"] = ["pass", "BRENK: imine", "BRENK: imine; PAINS: x", "PAINS: y"]
    text = " ".join(Page(render(replace(report, candidates=table))).text.split())
    assert "BRENK: imine (2), and 2 more" in text


def test_without_a_pass_the_best_that_failed_are_shown(report: Report) -> None:
    table = report.candidates.assign(passed=False, reason="net charge +1", check_charge="net charge +1")
    text = Page(render(replace(report, candidates=table))).text
    assert "0 of 4 scored molecules passed every check." in " ".join(text.split())
    assert "No molecule passed every check. The best that failed, and why, stand below." in text
    assert "The best that failed" in text


def test_an_empty_run_has_a_report(report: Report) -> None:
    empty = Report("empty", report.candidates.iloc[:0], [], pd.DataFrame(), "")
    text = Page(render(empty)).text
    assert "No molecule was scored." in text
    assert "How the search went" not in text


def test_a_search_without_any_score_has_a_report(report: Report) -> None:
    unscored = report.candidates.assign(score=np.nan)
    assert "Score over the search" not in Page(render(replace(report, candidates=unscored))).text


def test_long_tables_are_cut_and_say_so(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MAX_LISTED": 3, "MAX_DRAWN": 1, "N_CARDS": 1, "N_NEAR_MISSES": 0, "MAX_DOTS": 2}.items():
        monkeypatch.setattr(module, name, value)
    page = Page(render(report))
    text = " ".join(page.text.split())
    assert "The 3 first of 4 are listed; candidates.csv has all 4. The 1 first are drawn." in text
    assert sum(svg.get("class") == "mol" for svg in page.all("svg")) == 2
    assert "not every molecule is shown" in text


def test_the_course_of_the_search_is_drawn_from_its_rounds(report: Report) -> None:
    paths = {path.get("class"): path["d"] for path in Page(render(report)).all("path") if "d" in path}
    assert paths["line best"] == "M329.0 60.4L612.0 57.9"
    assert paths["line median"] == "M329.0 85.6"  # the round without a score has no point
    assert str(paths["dots ok few"]).count("M") == 2
    assert str(paths["dots few"]).count("M") == 1


def test_scores_beyond_zero_and_one_stretch_the_axis(report: Report) -> None:
    table = report.candidates.assign(score=[-5.0, 3.0, 15.0, 0.0])
    text = Page(render(replace(report, candidates=table))).text
    for label in ("-5", "0", "5", "10", "15"):
        assert label in text.split()


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", report)
    write_report(tmp_path / "b.html", report)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert b"nan" not in (tmp_path / "a.html").read_bytes().replace(b"nance", b"")


def test_a_name_that_is_not_unicode_is_written_all_the_same(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", replace(report, facts={"reference": "caf\udce9.csv"}))
    assert "caf?.csv" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_folder_that_is_not_there_is_said(report: Report, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report.html: cannot be written \(No such file or directory\)"):
        write_report(tmp_path / "nowhere" / "report.html", report)


def test_what_is_no_candidate_table_is_refused(report: Report) -> None:
    with pytest.raises(InputError, match="report: not a candidate table"):
        render(replace(report, candidates=pd.DataFrame({"smiles": ["C"]})))
