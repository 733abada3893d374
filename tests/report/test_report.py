import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.report import report as module
from molvae.report.report import Report, funnel_steps, render, write_report

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
VOID = {"meta", "input", "br", "hr", "img", "link"}


class Page(HTMLParser):
    """The report as a browser parses it: elements with attributes, and text; every tag must be closed."""

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


def markup(text: str) -> str:
    """The page without its data and scripts."""
    start, end = text.index('<script type="application/gzip"'), text.rindex("</script>") + len("</script>")
    return text[:start] + text[end:]


def data_of(text: str) -> dict:
    """What the scripts of the page read."""
    packed = re.findall(r'id="data">([^<]+)<', text)[0]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def column(data: dict, name: str) -> list:
    return data["values"][[one["name"] for one in data["columns"]].index(name)]


@pytest.fixture
def report(candidates: pd.DataFrame) -> Report:
    history = pd.DataFrame(
        {"round": [0, 1], "calls": [2, 4], "best": [0.8, 0.81], "top10": [0.7, 0.75], "median": [0.7, None]}
    )
    return Report(
        title="paracetamol analogues",
        candidates=candidates,
        funnel=[("latent vectors decoded", 1000), ("valid SMILES", 900), ("passed every check", 2)],
        history=history,
        campaign_toml='name = "analogues"\n[search]\nbudget = 4\n',
        notes=["one start could not be encoded"],
        facts={"version": "molvae 0.1.0", "seed": "7"},
    )  # fmt: skip


def test_the_report_shows_results_and_settings(report: Report) -> None:
    text = Page(markup(render(report))).text
    lead = " ".join(text.split())
    assert re.search(r"2 of 4 scored molecules passed every check.*C000001.*0\.812", lead)
    for part in (
        "paracetamol analogues", "one start could not be encoded", "molvae 0.1.0", "seed", "budget = 4",
        "latent vectors decoded", "1,000", "nearest reference CHEMBL112, similarity 0.55",
        "MW 107.1 < 150 Da; BRENK: aldehyde; PAINS: made up", "All 4 scored molecules",
    ):  # fmt: skip
        assert part in text


def test_all_candidates_are_in_the_table_with_their_reasons(report: Report) -> None:
    data = data_of(render(report))
    assert column(data, "candidate_id") == ["C000001", "C000002", "C000004", "C000003"]
    assert column(data, "reason")[2:] == ["BRENK: made up", "MW 107.1 < 150 Da; BRENK: aldehyde; PAINS: made up"]
    assert column(data, "failed_checks") == [None, None, "alerts", "mol_weight, alerts"]
    assert column(data, "scaffold") == ["c1ccccc1", "C1CCCCC1", "c1ccccc1", "c1ccncc1"]
    assert data["marks"] == {"3": [0, 1]}  # the aldehyde
    assert not any(one["name"].startswith("check_") for one in data["columns"])


def test_a_table_of_an_earlier_version_has_a_report(report: Report) -> None:
    new = ["failed_checks", "scaffold", "is_start", "is_known", "parent_smiles", "mol_weight"]
    data = data_of(render(replace(report, candidates=report.candidates.drop(columns=new, errors="ignore"))))
    assert column(data, "failed_checks") == [None, None, "alerts", "mol_weight, alerts"]
    assert column(data, "scaffold") == ["c1ccccc1", "C1CCCCC1", "c1ccccc1", "c1ccncc1"]


def test_the_page_loads_and_links_nothing(report: Report) -> None:
    text = markup(render(report))
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|xmlns|<\?xml", text)
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}
        for name, value in attributes.items():
            assert name not in {"src", "srcset", "action", "style"}
            assert not name.startswith("on")
            assert name != "href" or str(value).startswith("#")


def test_the_security_policy_allows_only_the_inline_styles_and_scripts(report: Report) -> None:
    text = render(report)
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)[0].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy
    for tag in ("style", "script"):
        contents = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in contents]
        assert f"{tag}-src " + " ".join(f"'sha256-{digest}'" for digest in digests) in policy


def test_names_from_the_input_are_escaped(report: Report) -> None:
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
    text = render(evil)
    page = Page(markup(text))
    assert page.all("script") == []
    assert SCRIPT not in text
    assert column(data_of(text), "candidate_id")[0] == SCRIPT
    assert page.all("img") == []
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(SCRIPT) >= 8
    assert page.text.count(IMAGE) >= 5
    assert "{{ 7 * 7 }}" in page.text
    assert f"{SCRIPT}</pre>{IMAGE}" in page.text


def test_every_picture_has_a_label_or_is_hidden_from_screen_readers(report: Report) -> None:
    for svg in Page(markup(render(report))).all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") in ("img", "group") and svg.get("aria-label"))


def test_candidates_are_sorted_by_passed_and_score(report: Report) -> None:
    shuffled = replace(report, candidates=report.candidates.sample(frac=1, random_state=3))
    assert column(data_of(render(shuffled)), "candidate_id") == ["C000001", "C000002", "C000004", "C000003"]


def test_structures_are_aligned_with_the_lead_and_compared_with_it(report: Report) -> None:
    text = render(replace(report, lead="CC(=O)Nc1ccccc1"))
    page = Page(markup(text))
    assert data_of(text)["lead"] == "CC(=O)Nc1ccccc1"
    assert "from the lead: H -> OH on aromatic C" in " ".join(page.text.split())
    marks = [svg for name, svg in page.elements if name == "circle" and svg.get("class") == "mark"]
    assert len(marks) >= 10  # the shared atoms of paracetamol


def test_the_print_has_a_table_with_complete_smiles(report: Report) -> None:
    text = render(report)
    printed = text[text.index("The first 4 of 4 candidates") : text.index('id="made"')]
    for smiles in report.candidates["smiles"]:
        assert f'<div class="smiles">{smiles}</div>' in printed
    assert "candidates.csv" in printed


def test_bars_show_desirability_and_dashes_missing_values(report: Report) -> None:
    page = Page(markup(render(report)))
    labels = [span["aria-label"] for span in page.all("span") if "aria-label" in span]
    assert labels == ["desirability 0.90", "desirability 0.50", "desirability 0.10"]
    widths = [rect["width"] for rect in page.all("rect") if rect.get("height") == "8"]
    assert widths[:2] == ["90.0", "50.0"]
    assert "–" in page.text


def test_reasons_are_counted_by_check(report: Report) -> None:
    text = " ".join(Page(markup(render(report))).text.split())
    failed = text[text.rindex("Failed checks") :]
    assert "2 of 4 molecules failed" in failed
    assert "2 alerts BRENK: aldehyde" not in failed
    assert "2alerts" in failed.replace(" ", "")
    assert "e.g. BRENK: aldehyde" in failed
    assert "1molecularweighte.g.MW107.1<150Da" in failed.replace(" ", "")


def test_repeated_reasons_are_counted(report: Report) -> None:
    table = report.candidates.copy()
    table["check_alerts"] = ["pass", "BRENK: imine", "BRENK: imine; PAINS: x", "PAINS: y"]
    text = " ".join(Page(markup(render(replace(report, candidates=table)))).text.split())
    assert "BRENK: imine (2), and 2 more" in text


def test_without_a_pass_the_best_failed_molecules_are_shown(report: Report) -> None:
    table = report.candidates.assign(passed=False, reason="net charge +1", check_charge="net charge +1")
    text = Page(markup(render(replace(report, candidates=table)))).text
    assert "0 of 4 scored molecules" in " ".join(text.split())
    assert "No molecule passed every check." in text
    assert "Best molecules that failed" in text


def test_a_run_without_candidates_has_a_report(report: Report) -> None:
    empty = Report("empty", report.candidates.iloc[:0])
    text = Page(markup(render(empty))).text
    assert "No molecule was scored." in text
    assert "From latent vectors" not in text
    assert "Settings" not in text


def test_a_search_without_scores_has_a_report(report: Report) -> None:
    unscored = report.candidates.assign(score=np.nan)
    assert "Scores during the search" not in Page(markup(render(replace(report, candidates=unscored)))).text


def test_long_tables_are_truncated_with_a_notice(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"N_PRINTED": 3, "N_CARDS": 1, "N_NEAR_MISSES": 0, "MAX_DOTS": 2}.items():
        monkeypatch.setattr(module, name, value)
    page = Page(markup(render(report)))
    text = " ".join(page.text.split())
    assert "first 3 of 4 candidates The complete table is in candidates.csv." in text
    assert sum(svg.get("class") == "mol" for svg in page.all("svg")) == 1 + 3 + 3  # card, scaffolds, printed rows
    assert "only some of the molecules are shown" in text


def test_lines_are_drawn_from_the_rounds(report: Report) -> None:
    paths = {path.get("class"): path["d"] for path in Page(markup(render(report))).all("path") if "d" in path}
    assert paths["line best"] == "M329.0 60.4L612.0 57.9"
    assert paths["line median"] == "M329.0 85.6"  # a round without a score has no vertex
    assert str(paths["dots ok few"]).count("M") == 2
    assert str(paths["dots few"]).count("M") == 1


def test_scores_outside_zero_and_one_extend_the_axis(report: Report) -> None:
    table = report.candidates.assign(score=[-5.0, 3.0, 15.0, 0.0])
    text = Page(markup(render(replace(report, candidates=table)))).text
    for label in ("-5", "0", "5", "10", "15"):
        assert label in text.split()


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", report)
    write_report(tmp_path / "b.html", report)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert "nan" not in markup((tmp_path / "a.html").read_text())


def test_a_name_that_is_not_unicode_is_written(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", replace(report, facts={"reference": "caf\udce9.csv"}))
    assert "caf?.csv" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_missing_folder_is_reported(report: Report, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.html: .*no such file or directory"):
        write_report(tmp_path / "nowhere" / "report.html", report)


def test_a_table_without_candidates_is_refused(report: Report) -> None:
    with pytest.raises(InputError, match="candidate_id"):
        render(replace(report, candidates=pd.DataFrame({"smiles": ["C"]})))


def test_the_funnel_counts_novel_and_passed_molecules(candidates: pd.DataFrame) -> None:
    counts = {"n_proposed": 12_000, "n_valid": 9_000, "n_unique": 900, "n_scored": 4, "n_failed_score": 1}
    assert [n for _, n in funnel_steps(candidates, counts)] == [12_000, 9_000, 900, 4, 2]
    assert "not in" not in " ".join(label for label, _ in funnel_steps(candidates, counts))
    candidates["check_in_reference"] = ["pass", "in the reference library as x", "pass", "pass"]
    assert ("not in the reference set", 3) in funnel_steps(candidates, counts)
    candidates["check_in_training"] = ["in the training set", "pass", "pass", "pass"]
    assert ("not in the reference or training set", 2) in funnel_steps(candidates, counts)


def test_a_molecule_with_a_score_of_0_is_not_among_the_best(report: Report, candidates: pd.DataFrame) -> None:
    table = candidates.assign(score=[0.0, 0.75, float("nan"), 0.4])
    text = render(replace(report, candidates=table))
    best = text[text.index('id="best"') : text.index('id="course"')]
    assert "C000002" in best
    assert "C000001" not in best
    assert ("of them with a score above 0", 1) in funnel_steps(
        table, dict.fromkeys(("n_proposed", "n_valid", "n_unique", "n_scored"), 4)
    )
