"""A small run whose lineage, terms and neighbors are known."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.candidates.explanation import explain, shorten
from molvae.candidates.lineage import Step, trace_lineage
from molvae.candidates.lookup import find_candidate
from molvae.candidates.run_data import LATENT, MODELS, read_run
from molvae.chem.fingerprints import tanimoto
from molvae.errors import InputError

PHENOL, ANISOLE, FLUORO, BENZENE = "Oc1ccccc1", "COc1ccccc1", "COc1ccccc1F", "c1ccccc1"
NAN = float("nan")

CAMPAIGN = """
name = "anisoles"
[objective]
combine = "geometric_mean"
[objective.terms.potency]
assay = "assay.csv"
shape = "higher"
low = 4.0
high = 8.0
weight = 2.0
[objective.terms.tpsa]
property = "tpsa"
shape = "lower"
low = 0.0
high = 40.0
weight = 1.0
[objective.terms.ring]
property = "substructure"
smarts = "c1ccccc1"
"""


@pytest.fixture
def table() -> pd.DataFrame:
    """Phenol (a draw from the prior) -> anisole -> 2-fluoroanisole, and benzene without a score."""
    potency, tpsa = np.array([0.25, 0.36, 0.64, NAN]), np.array([0.5, 0.75, 0.75, 1.0])
    return pd.DataFrame(
        {
            "candidate_id": ["C000001", "C000002", "C000003", "C000004"],
            "smiles": [PHENOL, ANISOLE, FLUORO, BENZENE],
            "raw_smiles": [PHENOL, ANISOLE, FLUORO, BENZENE],
            "round": [0, 1, 2, 2],
            "move": ["prior", "climb", "swap", "prior"],
            "parent_id": [None, "C000001", "C000002", None],
            "mate_id": [None, None, "C000001", None],
            "latent_row": [0, 1, 2, 3],
            "predicted_score": [NAN, NAN, 0.6, NAN],
            "predicted_std": [NAN, NAN, 0.1, NAN],
            "score": (potency**2 * tpsa) ** (1 / 3),
            "value_potency": [5.0, 5.44, 6.56, NAN],
            "value_potency_std": [0.3, 0.2, 0.2, NAN],
            "score_potency": potency,
            "value_tpsa": [20.0, 10.0, 10.0, 0.0],
            "score_tpsa": tpsa,
            "value_ring": [1.0, 1.0, 1.0, 1.0],
            "score_ring": [1.0, 1.0, 1.0, 1.0],
            "unscored_reason": [None, None, None, "potency: no value"],
            "check_mol_weight": ["pass", "pass", "pass", "78 Da, below 90 Da"],
            "check_alerts": ["pass", "phenol ether", "pass", "pass"],
            "passed": [True, False, True, False],
            "reason": [None, "phenol ether", None, "78 Da, below 90 Da"],
            "nearest_reference": ["R1", "R1", "R1", "R1"],
            "nearest_reference_smiles": [ANISOLE] * 4,
            "nearest_reference_similarity": [0.5, 1.0, 0.6, 0.3],
            "inchikey": ["ISWSIDIOOBJBQZ-UHFFFAOYSA-N", "RDOXTESZEPMUJZ-UHFFFAOYSA-N", "JIXDOBAQOWOUPA-UHFFFAOYSA-N",
                         "UHOVQNZJYSORNB-UHFFFAOYSA-N"],
            "open_stereo_centers": [0, 0, 0, 0],
        }
    )  # fmt: skip


@pytest.fixture
def run(table: pd.DataFrame, tmp_path: Path) -> Path:
    """A run folder as far as an explanation reads it."""
    table.to_parquet(tmp_path / "candidates.parquet")
    (tmp_path / "campaign.toml").write_text(CAMPAIGN, encoding="utf-8")
    (tmp_path / LATENT).parent.mkdir()
    np.save(tmp_path / LATENT, np.array([[0, 0], [3, 4], [3, 5], [0, 1]], dtype=np.float32))
    (tmp_path / MODELS / "potency").mkdir(parents=True)
    (tmp_path / MODELS / "potency" / "model.json").write_text(json.dumps({"unit": "-log10(mol/L)"}), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("word", "row"),
    [
        ("best", 2),
        ("1", 2),
        ("#2", 0),
        ("3", 1),
        ("4", 3),
        ("C000002", 1),
        ("c2", 1),
        ("C1", 0),
        ("c1ccccc1OC", 1),
        ("[Na+].[O-]c1ccccc1", 0),
        ("InChIKey=JIXDOBAQOWOUPA-UHFFFAOYSA-N", 2),
    ],
)
def test_a_candidate_is_found_by_rank_id_or_structure(table: pd.DataFrame, word: str, row: int) -> None:
    assert find_candidate(table, word) == row


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("C000012", "C000002"),
        ("Cc1ccccc1F", "C000003"),
        ("5", "1 to 4"),
        ("nonsense", "C000001 to C000004"),
        ("\udcff", "C000001 to C000004"),
        ("RDOXTESZEPMUJZ-UHFFFAOYSA-M", "C000002"),
    ],
)
def test_an_unknown_candidate_gets_an_error_that_names_similar_ones(table: pd.DataFrame, word: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        find_candidate(table, word)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_id_that_looks_like_a_rank_is_an_id(table: pd.DataFrame) -> None:
    mine = table.assign(candidate_id=["best", "1", "0003", "x"])
    assert [find_candidate(mine, word) for word in ("best", "1", "0003", "#1", "3")] == [0, 1, 2, 2, 1]


def test_a_molecule_that_passed_without_a_score_is_not_counted_as_ranked(table: pd.DataFrame) -> None:
    why = explain(table.assign(passed=True), "1")
    assert (why.rank_passed, why.n_passed, why.n_scored) == (1, 3, 3)


def test_best_is_the_best_compromise_of_several_goals(table: pd.DataFrame) -> None:
    assert find_candidate(table.assign(best_compromise=[True, False, False, False]), "best") == 0


def test_best_passed_every_check_if_one_did(table: pd.DataFrame) -> None:
    failed = table.assign(passed=[True, False, False, False])
    assert find_candidate(failed, "best") == 0
    assert find_candidate(failed.assign(passed=False), "best") == 2


def test_each_step_reports_what_changed(run: Path) -> None:
    lineage = explain(run, "best").lineage
    assert [step.candidate_id for step in lineage] == ["C000001", "C000002", "C000003"]
    assert [step.description for step in lineage] == [
        "draw from the prior",
        "OH -> OCH3 on aromatic C",
        "H -> F on aromatic C",
    ]
    assert lineage[2].mate_smiles == PHENOL
    assert lineage[1].change is not None
    assert lineage[1].change.after_atoms == (0, 1)


def test_standing_and_percentiles(run: Path) -> None:
    best = explain(run, "C3")
    assert (best.rank, best.n_scored, best.rank_passed, best.n_passed) == (1, 3, 1, 2)
    assert [round(term.percentile) for term in best.terms] == [100, 75, 100]
    assert (best.other_label, best.other["candidate_id"] if best.other else "") == ("rank 2", "C000001")
    failed = explain(run, "C2")
    assert (failed.rank, failed.rank_passed) == (2, 0)
    assert failed.failed_checks == (("alerts", "phenol ether"),)
    assert failed.other_label == "rank 1"


def test_the_limiting_term_is_the_one_whose_ideal_value_adds_most(run: Path) -> None:
    why = explain(run, "C3")
    potency, tpsa, ring = why.terms
    assert why.limiting == ("potency",)
    assert potency.at_ideal == pytest.approx(0.75 ** (1 / 3))
    assert tpsa.at_ideal == pytest.approx(0.64 ** (2 / 3))
    assert ring.at_ideal == pytest.approx(why.candidate["score"])
    assert (potency.weight, ring.weight, ring.is_condition) == (2.0, None, True)
    assert "potency 2" in why.combination
    assert "geometric" in why.combination


def test_terms_have_units_parents_and_further_values(run: Path) -> None:
    potency, tpsa, _ = explain(run, "C3").terms
    assert (potency.unit, tpsa.unit) == ("-log10(mol/L)", "Å²")
    assert potency.parent == (5.44, 0.36)
    assert potency.mate == (5.0, 0.25)
    assert potency.other == (5.0, 0.25)
    assert potency.extra == {"std": 0.2}


def test_the_sentences_compare_with_the_next_candidate(run: Path) -> None:
    first, second, third = explain(run, "1").answer
    assert "rank 1 of 2 that passed" in first
    assert "C000001" in second
    assert re.search(r"better in potency \(6.56 against 5\), tpsa \(10 against 20\)", second)
    assert third.startswith("potency limits")


def test_neighbors_by_latent_distance_and_fingerprint(run: Path) -> None:
    why = explain(run, "C2")
    assert [(one.candidate_id, one.distance) for one in why.by_latent][:2] == [
        ("C000003", 1.0),
        ("C000004", pytest.approx(18**0.5)),
    ]
    assert len(why.by_latent) == len(why.by_fingerprint) == 3
    assert why.by_fingerprint[0].similarity == max(one.similarity for one in why.by_fingerprint)


def test_the_most_similar_measured_molecules_have_their_values(run: Path) -> None:
    assert explain(run, "C1").measured == ()
    path = run / MODELS / "potency" / "training.csv"
    path.write_text("smiles,value\nCCO,4.1\nOc1ccccc1,6.25\nCc1ccccc1O,7.5\nCCN,5\n", encoding="utf-8")
    found = explain(run, "C1").measured
    assert [(one.smiles, one.value) for one in found[:2]] == [("Oc1ccccc1", 6.25), ("Cc1ccccc1O", 7.5)]
    assert (found[0].term, found[0].unit, found[0].similarity) == ("potency", "-log10(mol/L)", 1.0)
    assert len(found) == 3
    assert "6.25  Tanimoto 1.00  Oc1ccccc1" in str(explain(run, "C1"))
    path.write_text("molecule\nCCO\n", encoding="utf-8")
    assert explain(run, "C1").measured == ()


def test_a_molecule_without_a_score_is_explained_by_its_reason(run: Path) -> None:
    why = explain(run, "C4")
    assert (why.rank, why.rank_passed, why.limiting) == (0, 0, ())
    assert "potency: no value" in why.answer[0]
    assert "78 Da" in str(why)


def test_the_text_fits_a_terminal(run: Path) -> None:
    text = str(explain(run, "best"))
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 45
    for part in ("C000003", FLUORO, "OH -> OCH3", "0.600 ± 0.100", "R1", "-log10(mol/L)"):
        assert part in text


def test_the_page_escapes_text_and_shows_each_step(table: pd.DataFrame) -> None:
    html = explain(table.assign(reason=[None, "<script>", None, None]).drop(columns="check_alerts"), "C2")._repr_html_()
    assert "<script>" not in html
    assert "OH → OCH3" in html
    assert html.count('<circle class="mark"') >= 3


def test_missing_files_and_columns_leave_parts_out_with_a_note(run: Path, table: pd.DataFrame) -> None:
    (run / LATENT).unlink()
    why = explain(run, "best")
    assert why.by_latent == ()
    assert any("latent.npy" in note for note in why.notes)
    old = table.drop(
        columns=[
            "move",
            "mate_id",
            "predicted_score",
            "predicted_std",
            "value_potency_std",
            "unscored_reason",
            "check_mol_weight",
            "check_alerts",
        ]
    )
    for one in ("1", "C2", "C4"):
        assert str(explain(old, one))
        assert explain(old, one)._repr_html_()
    assert explain(old, "C2").failed_checks


def test_another_campaign_is_not_taken_for_the_objective(run: Path) -> None:
    """If the settings do not give the scores of the table, no term is called limiting."""
    (run / "campaign.toml").write_text(CAMPAIGN.replace("geometric", "arithmetic"), encoding="utf-8")
    why = explain(run, "best")
    assert (why.combination, why.limiting) == ("", ())
    assert why.notes


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "[objective]\nterms = 3",
        "[objective.terms]\nqed = 1",
        "objective = 1",
        "[objective.terms.qed]\nweight = 'heavy'\nshape = 'higher'",
    ],
)
def test_damaged_settings_are_a_note(run: Path, text: str) -> None:
    (run / "campaign.toml").write_text(text, encoding="utf-8")
    why = explain(run, "best")
    assert any("campaign.toml" in note for note in why.notes)
    assert why.by_latent


def test_columns_of_the_user_are_kept(table: pd.DataFrame) -> None:
    mine = table.assign(ordered=[True, False, False, True]).set_axis([7, 8, 9, 10])
    assert explain(mine, "C1").candidate["ordered"]
    assert not explain(mine, "C3").candidate["ordered"]


def test_latent_vectors_of_another_table_are_not_used(run: Path) -> None:
    np.save(run / LATENT, np.zeros((2, 2), dtype=np.float32))
    assert read_run(run).latent is None
    (run / LATENT).write_bytes(b"nonsense")
    assert read_run(run).latent is None


def test_a_lineage_with_a_cycle_or_a_missing_parent_ends(table: pd.DataFrame) -> None:
    cycle = table.assign(parent_id=["C000002", "C000001", "C000002", None])
    assert [step.candidate_id for step in trace_lineage(cycle, "C000003")] == ["C000001", "C000002", "C000003"]
    part = table.iloc[1:].assign(parent_smiles=[PHENOL, ANISOLE, None])
    steps = trace_lineage(part, "C000003")
    assert [step.candidate_id for step in steps] == ["C000001", "C000002", "C000003"]
    assert [step.description for step in steps[:2]] == ["not in this table", "OH -> OCH3 on aromatic C"]


def test_a_long_lineage_is_shortened() -> None:
    steps = [Step(f"C{i}", "C", 0.5) for i in range(50)]
    shown = shorten(steps, 2, 5)
    assert [step.candidate_id if step else None for step in shown] == [
        "C0",
        "C1",
        None,
        *(f"C{i}" for i in range(45, 50)),
    ]
    assert shorten(steps[:8], 2, 5) == steps[:8]


def test_the_similarity_is_that_of_the_fingerprints(run: Path) -> None:
    """Neighbors are computed by a faster parser."""
    why = explain(run, "C2")
    expected = dict(zip([PHENOL, FLUORO, BENZENE], tanimoto(ANISOLE, [PHENOL, FLUORO, BENZENE]), strict=True))
    assert {one.smiles: one.similarity for one in why.by_fingerprint} == pytest.approx(expected)


def test_an_empty_table_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no rows"):
        explain(table.iloc[:0], "best")
