import gzip
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import molvae
from molvae.candidates import selection as module
from molvae.candidates.selection import Method, pick_candidates
from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.chem.molecules import canonicalize
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError

MOLECULES = Path(__file__).parents[2] / "data" / "moses_test.csv.gz"
METHODS: list[Method] = ["maxmin", "butina", "sphere"]
L_ALANINE, D_ALANINE, ALANINE = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O"


def make(smiles: list[str], score: list[float], passed: list[bool] | None = None) -> pd.DataFrame:
    """The columns of a candidate table that a selection needs."""
    return pd.DataFrame(
        {
            "candidate_id": [f"C{i:06d}" for i in range(1, len(smiles) + 1)],
            "smiles": smiles,
            "score": score,
            "passed": passed or [True] * len(smiles),
            "latent_row": range(len(smiles)),
        }
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """300 molecules with random scores; every tenth failed a check."""
    with gzip.open(MOLECULES, "rt") as file:
        smiles = [line.strip().split(",")[0] for line in itertools.islice(file, 1, 301)]
    score = np.random.default_rng(0).random(300).round(2)  # with ties
    table = make([canonicalize(one).smiles or "" for one in smiles], score.tolist(), [i % 10 > 0 for i in range(300)])
    return table.assign(scaffold=[murcko(one) or None for one in table["smiles"]])


@pytest.fixture(scope="module")
def latent(table: pd.DataFrame) -> np.ndarray:
    """Latent vectors whose similarity follows that of the fingerprints."""
    bits = morgan_bits(table["smiles"].tolist()).astype(float)
    return (bits @ np.random.default_rng(1).normal(size=(2048, 32))).astype(np.float32)


def similarity_of(smiles: pd.Series) -> float:
    """Mean Tanimoto similarity of all pairs."""
    bits = morgan_bits(smiles.tolist())
    return float(tanimoto_matrix(bits, bits)[np.triu_indices(len(bits), 1)].mean())


@pytest.mark.parametrize("method", METHODS)
def test_without_diversity_the_picks_are_the_n_best(table: pd.DataFrame, latent: np.ndarray, method: Method) -> None:
    best = table[table["passed"] & (table["score"] > 0)].sort_values("score", ascending=False, kind="stable")
    selection = pick_candidates(table, 24, diversity=0, method=method, latent=latent)
    assert selection.picks["candidate_id"].tolist() == best["candidate_id"].tolist()[:24]
    picks, others = selection.comparison.loc["picks"], selection.comparison.loc["best"]
    assert picks.tolist() == others.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_with_full_diversity_the_picks_are_less_similar_than_the_n_best(
    table: pd.DataFrame, latent: np.ndarray, method: Method, weight: float
) -> None:
    best = pick_candidates(table, 24, diversity=0, latent=latent).picks
    selection = pick_candidates(table, 24, diversity=1, method=method, latent=latent, latent_weight=weight, cutoff=0.2)
    assert similarity_of(selection.picks["smiles"]) < similarity_of(best["smiles"])
    comparison = selection.comparison
    assert comparison.loc["picks", "mean_nearest_similarity"] < comparison.loc["best", "mean_nearest_similarity"]
    assert comparison.loc["picks", "mean_score"] < comparison.loc["best", "mean_score"]


def test_more_diversity_costs_score(table: pd.DataFrame, latent: np.ndarray) -> None:
    steps = [pick_candidates(table, 24, diversity=d, latent=latent).comparison.loc["picks"] for d in (0, 0.5, 1)]
    assert steps[0]["mean_score"] > steps[1]["mean_score"] > steps[2]["mean_score"]
    assert steps[0]["mean_nearest_similarity"] > steps[1]["mean_nearest_similarity"]
    assert steps[1]["mean_nearest_similarity"] > steps[2]["mean_nearest_similarity"]


def test_maxmin_picks_the_molecule_farthest_from_the_picks_so_far(table: pd.DataFrame) -> None:
    selection = pick_candidates(table, 10, diversity=1, latent_weight=0)
    bits = morgan_bits(selection.picks["smiles"].tolist())
    allowed = table[table["passed"] & (table["score"] > 0)]
    others = morgan_bits(allowed["smiles"].tolist())
    for k in range(1, 10):
        nearest = tanimoto_matrix(others, bits[:k]).max(axis=1)
        own = tanimoto_matrix(bits[k : k + 1], bits[:k]).max()
        assert own == pytest.approx(nearest.min(), abs=1e-6)
        assert f"{own:.2f}" in selection.picks["pick_reason"][k]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1, 2])
def test_no_scaffold_occurs_more_often_than_allowed(
    table: pd.DataFrame, latent: np.ndarray, method: Method, limit: int
) -> None:
    picks = pick_candidates(table, 60, diversity=0.2, method=method, latent=latent, per_scaffold=limit).picks
    assert len(picks) == 60
    assert picks["scaffold"].dropna().value_counts().max() <= limit
    assert pick_candidates(table, 60, diversity=0.2).picks["scaffold"].value_counts().max() > limit


def test_molecules_without_rings_do_not_share_a_scaffold() -> None:
    table = make(["CCO", "CCN", "CCCC", "c1ccccc1"], [0.9, 0.8, 0.7, 0.6])
    picks = pick_candidates(table, 4, per_scaffold=1, latent_weight=0).picks
    assert len(picks) == 4
    assert sorted(picks["scaffold_number"]) == [0, 0, 0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_included_molecules_are_always_picked_and_excluded_ones_never(
    table: pd.DataFrame, latent: np.ndarray, method: Method
) -> None:
    best = pick_candidates(table, 24, diversity=0).picks
    worst = table["candidate_id"].iloc[[10, 20, 30]].tolist()  # these failed a check
    selection = pick_candidates(
        table, 24, method=method, latent=latent, include=worst, exclude=best["smiles"], alternates=1
    )
    assert selection.picks["candidate_id"].tolist()[:3] == worst
    assert set(selection.picks["pick_reason"][:3]) == {"in the list to include"}
    assert not set(selection.table["smiles"]) & set(best["smiles"])
    assert any("not eligible" in note for note in selection.notes)


def test_molecules_similar_to_an_excluded_one_are_not_picked(table: pd.DataFrame) -> None:
    ordered = table["smiles"].iloc[1:40].tolist()
    selection = pick_candidates(table, 24, latent_weight=0, exclude=ordered, exclude_similarity=0.4, alternates=2)
    similarity = tanimoto_matrix(morgan_bits(selection.table["smiles"].tolist()), morgan_bits(ordered))
    assert similarity.max() < 0.4


def test_molecules_are_matched_as_standardized_smiles_and_without_stereo_where_one_has_none() -> None:
    table = make([L_ALANINE, D_ALANINE, "C[NH3+]", "OCC"], [0.9, 0.8, 0.7, 0.6]).replace("OCC", "CCO")
    salt, flat = "C[C@@H]([NH3+])C(=O)O.[Cl-]", ALANINE

    def excluded(*smiles: str) -> list[str]:
        picks = pick_candidates(table, 4, latent_weight=0, exclude=smiles).picks
        return sorted(set(table["candidate_id"]) - set(picks["candidate_id"]))

    assert excluded(salt) == ["C000002"]
    assert excluded(flat) == ["C000001", "C000002"]
    assert excluded("CN") == ["C000003"]
    assert excluded("OCC", "C000003") == ["C000003", "C000004"]
    assert pick_candidates(table, 1, latent_weight=0, include=[flat]).picks["candidate_id"].tolist() == ["C000001"]
    assert pick_candidates(table, 1, latent_weight=0, include=[salt]).picks["candidate_id"].tolist() == ["C000002"]


def test_a_molecule_that_is_listed_twice_counts_once() -> None:
    table = make(["CCO", "CCN", "CCF"], [0.9, 0.8, 0.7])
    selection = pick_candidates(table, 3, latent_weight=0, include=["OCC", "C000001", "C(C)O", "CCF"], diversity=0)
    assert selection.picks["smiles"].tolist() == ["CCO", "CCF", "CCN"]
    assert selection.notes == []


def test_a_long_list_is_read_by_several_processes(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [*table["smiles"].iloc[1:30], "C1CC", "CCO"]
    alone = pick_candidates(table, 24, latent_weight=0, exclude=listed)
    monkeypatch.setattr(module, "_MIN_FOR_PROCESSES", 5)
    together = pick_candidates(table, 24, latent_weight=0, exclude=listed)
    pd.testing.assert_frame_equal(alone.table, together.table)
    assert alone.notes == together.notes


def test_start_molecules_among_the_picks_are_noted() -> None:
    table = make(["CCO", "CCN"], [0.9, 0.8]).assign(is_start=[True, False])
    notes = pick_candidates(table, 1, latent_weight=0).notes
    assert notes == ["picks that are start molecules of the search: C000001"]


def test_molecules_that_are_not_in_the_table_are_counted(table: pd.DataFrame) -> None:
    selection = pick_candidates(table, 5, latent_weight=0, include=["CCO", "C000002", "no SMILES"], exclude=["CCN"])
    included, excluded = selection.notes
    assert "1 found" in included
    assert "1 not in the candidate table: CCO" in included
    assert "1 neither an id nor a SMILES: no SMILES" in included
    assert "0 candidates" in excluded
    assert "CCN" in excluded


def test_alternates_have_the_same_scaffold_where_there_is_one(table: pd.DataFrame, latent: np.ndarray) -> None:
    selection = pick_candidates(table, 24, latent=latent, alternates=2)
    picks, alternates = selection.picks, selection.alternates
    assert len(alternates) == 48
    assert not set(picks["smiles"]) & set(alternates["smiles"])
    assert alternates["smiles"].is_unique
    assert alternates["passed"].all()
    free = table[table["passed"] & (table["score"] > 0) & ~table["smiles"].isin(picks["smiles"])]
    used: set[str] = set()
    for pick in picks.itertuples():
        own = alternates[alternates["position"] == pick.position]
        left = free[(free["scaffold"] == pick.scaffold) & ~free["smiles"].isin(used)]
        assert (own["scaffold"] == pick.scaffold).sum() == min(2, len(left))
        assert (own["nearest_pick"] == pick.candidate_id).all()
        used |= set(own["smiles"])


def test_an_alternate_is_the_nearest_molecule_of_its_series() -> None:
    series = ["Cc1ccccc1", "CCc1ccccc1", "CCCc1ccccc1", "c1ccncc1"]
    selection = pick_candidates(make(series, [0.9, 0.1, 0.2, 0.8]), 1, latent_weight=0, alternates=3)
    similarity = tanimoto_matrix(morgan_bits(series[:1]), morgan_bits(series))[0]
    assert selection.alternates["smiles"].tolist() == [*series[1:3], "c1ccncc1"]
    assert selection.alternates["nearest_pick_similarity"].tolist() == pytest.approx(
        [similarity[1], similarity[2], similarity[3]], abs=1e-6
    )


def test_an_alternate_never_breaks_the_limit_per_scaffold() -> None:
    table = make(["Cc1ccccc1", "CCO", "CCc1ccccc1", "c1ccncc1"], [0.9, 0.8, 0.7, 0.6])
    selection = pick_candidates(table, 2, diversity=0, latent_weight=0, per_scaffold=1, alternates=1)
    assert selection.picks["smiles"].tolist() == ["Cc1ccccc1", "CCO"]
    assert selection.alternates["smiles"].tolist() == ["CCc1ccccc1", "c1ccncc1"]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_input_gives_the_same_picks_and_ties_go_to_the_earlier_row(
    table: pd.DataFrame, latent: np.ndarray, method: Method
) -> None:
    first, second = (pick_candidates(table, 24, method=method, latent=latent, alternates=1) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, second.table)
    equal = make(["CCO", "CCN", "CCF", "CCCl"], [0.5] * 4)
    picks = pick_candidates(equal, 2, diversity=0, method=method, latent_weight=0).picks
    assert picks["smiles"].tolist() == ["CCO", "CCN"]


def test_only_eligible_rows_are_picked(table: pd.DataFrame) -> None:
    eligible = (table["score"] < 0.3)[::-1]  # in another order: the labels count
    picks = pick_candidates(table.set_index(table.index + 0), 24, latent_weight=0, eligible=eligible).picks
    assert picks["score"].max() < 0.3
    assert not picks["passed"].all()


def test_with_too_few_molecules_all_are_picked_with_a_note(table: pd.DataFrame) -> None:
    selection = pick_candidates(table, 24, latent_weight=0, eligible=table.index < 7, exclude=["C000003"])
    assert sorted(selection.picks["candidate_id"]) == [f"C{i:06d}" for i in (1, 2, 4, 5, 6, 7)]
    assert "6 picks instead of 24: of 300 candidates, 293 not eligible, 1 excluded" in selection.notes[-1]


def test_latent_vectors_change_the_similarity_and_their_lack_is_noted(table: pd.DataFrame) -> None:
    opposite = np.eye(300, dtype=np.float32)
    opposite[:, 0] = np.where(table["score"] > 0.5, 3, 0)  # alike if the score is high
    with_latent = pick_candidates(table, 24, diversity=1, latent=opposite, latent_weight=1).picks
    without = pick_candidates(table, 24, diversity=1)
    assert (with_latent["score"] > 0.5).sum() == 1
    assert (without.picks["score"] > 0.5).sum() > 1
    assert any("fingerprints only" in note for note in without.notes)


def test_latent_vectors_that_are_not_finite_are_not_used(table: pd.DataFrame, latent: np.ndarray) -> None:
    selection = pick_candidates(table, 5, latent=np.full_like(latent, np.nan))
    assert selection.picks["candidate_id"].tolist() == pick_candidates(table, 5).picks["candidate_id"].tolist()
    assert any("not finite" in note for note in selection.notes)


def test_a_large_table_is_cut_by_score_with_a_note(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POOL", 30)
    selection = pick_candidates(table, 10, diversity=1, latent_weight=0)
    best = table[table["passed"]].sort_values("score", ascending=False, kind="stable")["score"].iloc[29]
    assert selection.picks["score"].min() >= best
    assert any("30 best by score of 2" in note for note in selection.notes)


def test_scaffolds_are_computed_if_the_table_has_none(table: pd.DataFrame) -> None:
    settings: dict[str, Any] = {"per_scaffold": 1, "alternates": 1, "latent_weight": 0.0}
    with_column, without = (pick_candidates(one, 24, **settings) for one in (table, table.drop(columns="scaffold")))
    assert with_column.table["smiles"].tolist() == without.table["smiles"].tolist()
    assert with_column.table["scaffold_number"].tolist() == without.table["scaffold_number"].tolist()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"n": 0}, "n: "),
        ({"diversity": 1.5}, "diversity"),
        ({"diversity": float("nan")}, "diversity"),
        ({"method": "random"}, "maxmin, butina, sphere"),
        ({"latent_weight": -0.1}, "latent_weight"),
        ({"cutoff": 2}, "cutoff"),
        ({"per_scaffold": 0}, "per_scaffold"),
        ({"alternates": -1}, "alternates"),
        ({"exclude_similarity": 1.1}, "exclude_similarity"),
        ({"n": 1, "include": ["C000002", "C000003"]}, "more than the number of picks, 1"),
        ({"include": ["C000002"], "exclude": ["C000002"]}, "both"),
        ({"include": ["CCO"], "exclude": ["OCC"]}, "both"),
        ({"n": 265, "per_scaffold": 1}, "scaffolds"),
        ({"latent": np.zeros((3, 2))}, "latent"),
        ({"eligible": np.array([True])}, "eligible"),
    ],
)
def test_bad_settings_are_refused(table: pd.DataFrame, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        pick_candidates(table, **settings)


def test_included_molecules_may_not_break_the_limit_per_scaffold() -> None:
    table = make(["Cc1ccccc1", "CCc1ccccc1", "CCO"], [0.9, 0.8, 0.7])
    with pytest.raises(InputError, match="c1ccccc1"):
        pick_candidates(table, 3, per_scaffold=1, include=["C000001", "C000002"])


def test_tables_without_rows_or_columns_or_eligible_rows_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no rows"):
        pick_candidates(table.iloc[:0])
    with pytest.raises(InputError, match="no column score"):
        pick_candidates(table.drop(columns="score"))
    with pytest.raises(InputError, match="300 not eligible"):
        pick_candidates(table, eligible=table["score"] > 2)


def test_the_public_name_is_the_function() -> None:
    assert molvae.pick_candidates is pick_candidates


def test_a_notebook_shows_the_picks_with_structures_and_escaped_notes(table: pd.DataFrame) -> None:
    selection = pick_candidates(table, 3, latent_weight=0, alternates=1, exclude=["<b>"])
    html = selection._repr_html_()
    assert html.count("<svg") == 3
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
