"""Two small runs whose differences are known."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from molvae.candidates.comparison import compare_candidates
from molvae.candidates.files import write_candidates
from molvae.errors import InputError
from molvae.report.pages import write_comparison

TOLUENE, ANISOLE, PHENOL, PYRIDINE, BUTANE, THIOPHENE = (
    "Cc1ccccc1", "COc1ccccc1", "Oc1ccccc1", "Cc1ccncc1", "CCCC", "Cc1cccs1",
)  # fmt: skip
NAN = float("nan")

CAMPAIGN = """
name = "lead"
seed = {seed}
[objective]
combine = "geometric_mean"
[objective.terms.logp]
property = "logp"
shape = "window"
low = {low}
high = 3.0
[checks]
alerts = {alerts}
"""


def make_table(rows: list[tuple[str, float, bool]]) -> pd.DataFrame:
    """A candidate table of molecules with a score, and whether they passed."""
    n = len(rows)
    return pd.DataFrame(
        {
            "candidate_id": [f"C{number:06}" for number in range(1, n + 1)],
            "smiles": [smiles for smiles, *_ in rows],
            "raw_smiles": [smiles for smiles, *_ in rows],
            "round": [0] * n,
            "parent_id": [None] * n,
            "latent_row": list(range(n)),
            "score": [score for _, score, _ in rows],
            "passed": [passed for *_, passed in rows],
            "reason": [None if passed else "no" for *_, passed in rows],
            "nearest_reference": ["R1"] * n,
            "nearest_reference_smiles": ["CCO"] * n,
            "nearest_reference_similarity": [0.1] * n,
            "inchikey": [f"KEY{number}" for number in range(n)],
            "open_stereo_centers": [0] * n,
        }
    )


EARLIER = [(TOLUENE, 0.5, True), (BUTANE, 0.4, True), (PHENOL, 0.3, False)]
LATER = [
    (ANISOLE, 0.8, True),
    (TOLUENE, 0.5, True),
    (PYRIDINE, 0.7, True),
    (THIOPHENE, 0.9, False),
    (PHENOL, 0.3, True),
]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    def make(
        name: str, rows: list[tuple[str, float, bool]], low: float = 1.0, seed: int = 0, alerts: str = "true"
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_candidates(folder, make_table(rows))
        (folder / "campaign.toml").write_text(CAMPAIGN.format(seed=seed, low=low, alerts=alerts), encoding="utf-8")
        return folder

    return make


def test_each_molecule_is_new_lost_or_in_both() -> None:
    found = compare_candidates(make_table(EARLIER), make_table(LATER)).molecules
    assert dict(zip(found["smiles"], found["status"], strict=True)) == {
        ANISOLE: "new", PYRIDINE: "new", THIOPHENE: "new", TOLUENE: "both", PHENOL: "both", BUTANE: "lost",
    }  # fmt: skip
    row = found.set_index("smiles").loc[PHENOL]
    assert (row["candidate_id_earlier"], row["candidate_id_later"]) == ("C000003", "C000005")
    assert (bool(row["passed_earlier"]), bool(row["passed_later"])) == (False, True)
    assert found["smiles"].tolist() == [
        ANISOLE,
        PYRIDINE,
        TOLUENE,
        PHENOL,
        THIOPHENE,
        BUTANE,
    ]  # best first
    assert pd.isna(found.set_index("smiles").loc[BUTANE, "score_later"])


def test_large_scores_and_molecules_without_rings_are_readable() -> None:
    later = [(PYRIDINE, -12_345.678, True), (BUTANE, 5e9, True), (TOLUENE, 0.5, True)]
    text = str(compare_candidates(make_table([(PYRIDINE, 0.3, True)]), make_table(later)))
    assert re.search(r" 0\.300 +1 -1\.23e\+04 +3 ", text)
    assert re.search(r"5e\+09 +\S+ +none ", text)


def test_counts() -> None:
    counts = compare_candidates(make_table(EARLIER), make_table(LATER)).counts().set_index("what")
    columns = ["earlier", "later", "new", "lost", "both"]
    assert counts.loc["molecules scored", columns].tolist() == [3, 5, 3, 1, 2]
    assert counts.loc["passed every check", columns].tolist() == [2, 4, 3, 1, 1]
    assert counts.loc["scaffolds", columns].tolist() == [1, 3, 2, 0, 1]


def test_new_scaffolds_have_a_member_that_passed() -> None:
    comparison = compare_candidates(make_table(EARLIER), make_table(LATER))
    assert comparison.new_scaffolds["scaffold"].tolist() == ["c1ccncc1"]  # the thiophene failed a check
    assert comparison.new_scaffolds["best_smiles_later"].tolist() == [PYRIDINE]
    assert comparison.best_new["smiles"].tolist() == [ANISOLE, PYRIDINE]
    assert comparison.best_new["scaffold_status"].tolist() == ["both", "new"]
    assert comparison.best_new["nearest_smiles"].tolist()[0] in (TOLUENE, PHENOL)


def test_a_better_molecule_of_a_known_scaffold() -> None:
    improved = compare_candidates(make_table(EARLIER), make_table(LATER)).improved
    assert improved["scaffold"].tolist() == ["c1ccccc1"]
    assert improved[["best_earlier", "best_later"]].iloc[0].tolist() == [0.5, 0.8]


def test_the_best_of_both_runs() -> None:
    comparison = compare_candidates(make_table(EARLIER), make_table(LATER))
    assert (comparison.n_top, comparison.n_top_shared) == (2, 0)
    same = compare_candidates(make_table(LATER), make_table(LATER))
    assert (same.n_top, same.n_top_shared) == (4, 4)
    assert same.counts()["new"].tolist() == [0, 0, 0]


def test_equal_objectives_are_comparable(make_run: Callable[..., Path]) -> None:
    comparison = compare_candidates(make_run("a", EARLIER), make_run("b", LATER, seed=7))
    assert [(one.name, one.earlier, one.later) for one in comparison.settings] == [("seed", "0", "7")]
    assert comparison.is_comparable
    assert "0.800; it was 0.500" in str(comparison)
    assert comparison.notes == ()


def test_scores_under_other_objectives_are_not_compared(make_run: Callable[..., Path]) -> None:
    changed = [(TOLUENE, 0.9, True), *LATER[2:]]
    comparison = compare_candidates(make_run("a", EARLIER), make_run("b", changed, low=0.5, seed=1, alerts="false"))
    assert [one.name for one in comparison.settings] == ["objective.terms.logp.low", "seed", "checks.alerts"]
    assert not comparison.is_comparable
    assert comparison.improved.empty
    assert comparison.rescored[["smiles", "score_earlier", "score_later"]].iloc[0].tolist() == [TOLUENE, 0.5, 0.9]
    assert comparison.rescored[["rank_earlier", "rank_later"]].iloc[0].tolist() == [1, 1]
    assert "not comparable" in str(comparison)
    assert any("checks differ" in note for note in comparison.notes)


def test_shared_molecules_with_another_score_are_noticed_under_equal_settings() -> None:
    """A file of a scorer may have changed."""
    comparison = compare_candidates(make_table(EARLIER), make_table([(TOLUENE, 0.6, True)]))
    assert not comparison.is_comparable
    assert not comparison.has_other_objective
    assert comparison.rescored["smiles"].tolist() == [TOLUENE]
    rounded = compare_candidates(make_table(EARLIER), make_table([(TOLUENE, 0.500001, True)]))
    assert rounded.is_comparable


def test_runs_without_anything_in_common_or_without_scores() -> None:
    for rows in ([(BUTANE, 0.2, False)], [(BUTANE, NAN, True), (TOLUENE, NAN, False)]):
        comparison = compare_candidates(make_table(rows), make_table([(PYRIDINE, 0.7, True)]))
        assert comparison.n_top == 0
        assert comparison.best_new["smiles"].tolist() == [PYRIDINE]
        assert str(comparison)
        assert comparison._repr_html_()
    comparison = compare_candidates(make_table([(PYRIDINE, 0.7, True)]), make_table([(BUTANE, NAN, False)]))
    assert comparison.best_new.empty
    assert str(comparison)
    assert comparison._repr_html_()


def test_the_text_fits_a_terminal_and_the_page_is_self_contained(make_run: Callable[..., Path], tmp_path: Path) -> None:
    comparison = compare_candidates(make_run("a", EARLIER), make_run("b", LATER, seed=7))
    lines = str(comparison).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    write_comparison(tmp_path / "diff.html", comparison)
    page = (tmp_path / "diff.html").read_text(encoding="utf-8")
    assert "style=" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") >= 6
    assert not re.search(r"\bnan\b", page)


def test_an_empty_run_is_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        compare_candidates(make_table(EARLIER), make_table(LATER).iloc[:0])
