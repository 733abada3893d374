"""A search by ask and tell, with constraints and stereoisomers."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.chem.fingerprints import tanimoto
from molvae.chem.molecules import Standardized
from molvae.codec import ToyCodec, load_codec
from molvae.errors import InputError
from molvae.search.constraints import Constraints, ConstraintSettings
from molvae.search.loop import optimize
from molvae.search.ranking import from_quantiles
from molvae.search.search import Search
from molvae.search.seen import SeenMolecules
from molvae.search.stereo import Stereoisomers

SMALL = {"proposals": 32, "proposals_per_call": 2, "patience": 6, "evolution": {"n_initial": 16, "population": 30}}
LEAD = "CC(=O)N1CCOCC1"


def size(smiles):
    return [float(-abs(len(one) - 20)) for one in smiles]


def start(codec, **changes):
    return Search(codec, **({"budget": 60, "settings": SMALL, "notify": lambda note: None} | changes))


# Ask and tell


def test_ask_and_tell_find_what_optimize_finds(codec):
    search = start(codec, start=[LEAD])
    while smiles := search.ask():
        search.tell(smiles, size(smiles))
    whole = optimize(size, codec=codec, budget=60, settings=SMALL, start=[LEAD], notify=lambda note: None)
    pd.testing.assert_frame_equal(search.result().table, whole.table)
    assert search.stop_reason == "budget"


@pytest.mark.parametrize("n", [1, 7, 24, 96])
def test_batches_of_any_size_give_distinct_molecules_up_to_the_budget(codec, n):
    search = start(codec)
    seen = []
    while smiles := search.ask(n):
        assert len(smiles) <= n
        seen += smiles
        search.tell(smiles, size(smiles))
    assert len(seen) == len(set(seen)) == 60


def test_scores_may_come_late_in_parts_and_in_any_order(codec):
    search = start(codec, budget=100)
    waiting, seen = [], []
    rng = np.random.default_rng(0)
    while True:
        smiles = search.ask(8)
        seen += smiles
        waiting += smiles
        if not waiting:
            break
        done = [waiting.pop(int(rng.integers(len(waiting)))) for _ in range(min(6, len(waiting)))]
        search.tell(done, size(done))
        assert search.pending == [one for one in seen if one in waiting]
    assert len(seen) == len(set(seen)) == 100
    table = search.result().table.set_index("smiles")
    assert table.loc[seen, "score"].tolist() == size(seen)
    assert search.result().history["calls"].iloc[-1] == 100


def test_pending_molecules_count_towards_the_budget(codec):
    search = start(codec, budget=20)
    first = search.ask(15)
    assert len(search.ask(15)) == 5
    assert search.ask(15) == []
    assert search.stop_reason is None
    search.tell(first, size(first))
    assert search.ask(15) == []
    search.tell(search.pending, size(search.pending))
    assert search.stop_reason == "budget"


def test_a_search_closed_between_ask_and_tell_continues_with_the_same_molecules(codec, tmp_path):
    whole = start(codec)
    rounds = []
    while smiles := whole.ask(9):
        rounds.append(smiles)
        whole.tell(smiles, size(smiles))
    for expected in rounds:
        asked = start(codec, checkpoint=tmp_path / "plate").ask(9)
        reopened = start(codec, checkpoint=tmp_path / "plate")
        assert reopened.pending == asked == expected
        reopened.tell(asked, size(asked))
    end = start(codec, checkpoint=tmp_path / "plate")
    assert end.stop_reason == "budget"
    assert end.ask() == []
    pd.testing.assert_frame_equal(end.result().table, whole.result().table, check_exact=True)
    pd.testing.assert_frame_equal(end.result().history, whole.result().history, check_exact=True)
    assert end.result().funnel == whole.result().funnel


@pytest.mark.parametrize(
    ("smiles", "scores", "fact"),
    [
        (["CCO"], [1.0], "CCO.*not pending"),
        (None, [1.0], "expected 4 numbers.*1"),
        (None, ["a"] * 4, "'a'"),
    ],
)
def test_wrong_scores_are_refused_and_change_nothing(codec, smiles, scores, fact):
    search = start(codec)
    pending = search.ask(4)
    with pytest.raises(InputError, match=fact):
        search.tell(pending if smiles is None else smiles, scores)
    with pytest.raises(InputError, match=rf"{re.escape(pending[0])}.*more than once"):
        search.tell(pending[:1] * 2, [1.0, 1.0])
    assert search.pending == pending
    search.tell(pending, size(pending))
    with pytest.raises(InputError, match="has a score"):
        search.tell(pending[:1], [0.0])


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_a_wrong_number_of_molecules_is_refused(codec, n):
    with pytest.raises(InputError, match=f"n: .*{n}"):
        start(codec).ask(n)


# What one sees


def test_the_table_holds_moves_parents_and_predictions(codec):
    table = optimize(
        lambda smiles: tanimoto("O=C(c1ccccc1)N1CCOCC1", smiles).tolist(), codec=codec, budget=120, settings=SMALL
    ).table
    assert set(table["move"]) > {"prior", "noise", "swap"}
    ids = set(table["candidate_id"])
    assert set(table["parent_id"].dropna()) <= ids
    assert set(table["mate_id"].dropna()) <= ids
    assert table["mate_id"].notna().equals(table["move"].isin(["swap", "cross", "difference"]))
    predicted = table[table["predicted_score"].notna()]
    assert 80 <= len(predicted) <= 100
    assert predicted["predicted_std"].min() > 0
    late = predicted[predicted["round"] > 4]
    assert late[["predicted_score", "score"]].corr("spearman").iloc[0, 1] > 0.5


def test_the_history_has_the_share_of_new_molecules(codec):
    history = start(codec, budget=40)
    while smiles := history.ask():
        history.tell(smiles, size(smiles))
    share = history.result().history["new_share"]
    assert ((share > 0) & (share <= 1)).all()


def test_a_search_that_stands_still_is_noted_once(codec):
    result = optimize(
        lambda smiles: [1.0] * len(smiles), codec=codec, budget=300, settings=SMALL | {"patience": 50}, notify=print
    )
    still = [note for note in result.notes if "ten best are the same" in note]
    assert len(still) == 1
    assert "10" in still[0]


def test_a_collapse_is_noted_once(codec):
    result = optimize(size, codec=codec, budget=355, settings=SMALL | {"patience": 50}, notify=lambda note: None)
    assert len([note for note in result.notes if "new molecules" in note]) == 1


# Constraints


def test_infeasible_molecules_are_not_scored_and_are_counted(codec):
    seen = []

    def oracle(smiles):
        seen.extend(smiles)
        return size(smiles)

    settings = SMALL | {"constraints": {"required": ["c1ccccc1"], "forbidden": ["F"], "properties": {"logp": [0, 3]}}}
    result = optimize(oracle, codec=codec, budget=30, settings=settings, notify=lambda note: None)
    assert (
        Constraints(ConstraintSettings.from_dict(settings["constraints"], "x"), codec).violations(seen) == [None] * 30
    )
    assert all("c" in one and "F" not in one for one in seen), seen
    assert result.funnel["n_infeasible"] > 0


def test_generations_grow_up_to_fourfold_if_most_molecules_are_infeasible(codec):
    decoded = []

    class Counting(type(codec)):
        def decode(self, z, **options):
            decoded.append(len(z))
            return super().decode(z, **options)

    def sizes(settings):
        decoded.clear()
        search = Search(Counting(), budget=24, settings=SMALL | {"patience": 3} | settings)
        while smiles := search.ask():
            search.tell(smiles, [len(one) for one in smiles])
        return list(decoded)

    assert set(sizes({})) == {SMALL["proposals"]}
    some = sizes({"constraints": {"forbidden": ["N"]}})
    assert some[0] == SMALL["proposals"] < max(some) <= 4 * SMALL["proposals"]
    none = sizes({"constraints": {"required": ["[Si]"]}})
    assert none == [SMALL["proposals"], *[4 * SMALL["proposals"]] * (len(none) - 1)]


def test_a_start_molecule_that_violates_a_constraint_is_noted_and_scored(codec):
    settings = SMALL | {"constraints": {"required": ["c1ccccc1"]}}
    result = optimize(size, codec=codec, budget=20, settings=settings, start=[LEAD], notify=lambda note: None)
    assert LEAD in result.table["smiles"].tolist()
    assert any(f"start {LEAD}" in note and "c1ccccc1 is missing" in note for note in result.notes)


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({"required": ["[OX2H]"]}, [None, "[OX2H]", "[OX2H]"]),
        ({"forbidden": ["c1ccccc1"]}, [None, "c1ccccc1", None]),
        ({"properties": {"heavy_atoms": [3, 6]}}, [None, None, "heavy_atoms 2 "]),
        ({"similar_to": ["CCCO"], "similarity": [0.3, 0.9]}, [None, "0.", "0."]),
        ({"similar_to": ["CCO"], "similarity": [0.0, 0.9]}, ["1.00", None, None]),
    ],
)
def test_the_first_violated_constraint_is_the_reason(codec, settings, reasons):
    constraints = Constraints(ConstraintSettings.from_dict(settings, "x"), codec)
    for found, expected in zip(constraints.violations(["CCO", "c1ccccc1", "CC"]), reasons, strict=True):
        assert (found is None) == (expected is None)
        assert expected is None or expected in found


@pytest.mark.parametrize(
    ("settings", "fact"), [({"domain_percentile": 99}, "domain_percentile"), ({"similarity": [0.3, 1]}, "similar_to")]
)
def test_constraints_that_cannot_be_checked_are_refused(codec, settings, fact):
    with pytest.raises(InputError, match=fact):
        start(codec, settings=SMALL | {"constraints": settings})


# Stereoisomers


def test_stereoisomers_with_equal_scores_become_repeats():
    isomers = Stereoisomers("auto")
    pairs = [("C[C@H](F)Cl", "C[C@@H](F)Cl"), ("C[C@H](F)Br", "C[C@@H](F)Br"), ("C[C@H](O)F", "C[C@@H](O)F")]
    for one, two in pairs:
        assert not isomers.are_repeats
        isomers.learn([one, two], np.array([[0.5], [0.5]]))
    assert isomers.are_repeats
    assert isomers.is_known("CC(F)Cl")
    assert not isomers.is_known("CC(Cl)Cl")
    isomers.learn(["C/C=C/F", "C/C=C\\F"], np.array([[0.5], [0.6]]))
    assert not isomers.are_repeats


@pytest.mark.parametrize(("rule", "expected"), [("same", True), ("distinct", False)])
def test_the_rule_may_be_set(rule, expected):
    isomers = Stereoisomers(rule)
    isomers.learn(["C[C@H](F)Cl"], np.array([[0.5]]))
    assert isomers.are_repeats == expected


class Enantiomers(ToyCodec):
    """The toy codec, whose decoder writes one of two enantiomers of a sulfoxide next to each molecule."""

    def encode(self, molecules, **options):
        given = [one.smiles if isinstance(one, Standardized) else one for one in molecules]
        return super().encode([one.split(".")[0] for one in given], **options)

    def decode(self, z, **options):
        decoded = super().decode(z, **options)
        return [
            replace(one, smiles=f"{one.smiles}.{'C[S@](=O)CC' if row % 2 else 'C[S@@](=O)CC'}") if one.smiles else one
            for row, one in enumerate(decoded)
        ]


@pytest.mark.parametrize(("rule", "n_least"), [("auto", 20), ("same", 30), ("distinct", 15)])
def test_a_search_spends_few_scores_on_stereoisomers(rule, n_least):
    result = optimize(size, codec=Enantiomers(), budget=30, settings=SMALL | {"stereo": rule}, notify=lambda note: None)
    flat = {one.replace("@", "") for one in result.table["smiles"]}
    assert len(flat) >= n_least
    assert (len(flat) == 30) == (rule == "same")


# Hashes of decoded molecules


def test_seen_molecules_are_counted_once(monkeypatch):
    monkeypatch.setattr("molvae.search.seen._MAX_RECENT", 10)
    seen = SeenMolecules()
    assert len(seen.add(["C", "CC", "C"])) == 2
    assert len(seen.add([f"C{n}" for n in range(50)])) == 50
    assert len(seen.add(["CC", "C7", "N"])) == 1
    assert len(seen) == 53
    copy = SeenMolecules()
    copy.add_hashes(seen.add(["O"]))
    assert len(copy.add(["O"])) == 0


def test_the_rounds_of_the_history_are_whole_numbers(codec):
    search = start(codec, start=[LEAD], budget=30)
    while smiles := search.ask():
        search.tell(smiles, size(smiles))
    assert {type(one["round"]) for one in search.history} == {int}
    assert search.result().history["round"].dtype.kind == "i"


def test_the_applicability_domain_is_a_constraint():
    constraints = Constraints(ConstraintSettings(domain_percentile=99), load_codec("moses"))
    inside, outside = constraints.violations(["O=C(Cc1ccc(F)c(F)c1)Nc1ccc2c(c1)OCCO2", "OCCOCCOCCOCCOCCOCCOCCO"])
    assert inside is None
    assert "domain percentile" in outside


def test_a_predicted_quantile_is_converted_by_the_known_scores():
    known = np.linspace(0.0, 1.0, 101)
    score = from_quantiles(np.array([-9.0, 0.0, 1.0, 4.0]), known)
    assert score[:3].tolist() == pytest.approx([0.0, 0.5, 0.845], abs=0.005)
    assert score[3] > 1.0  # better than all known


def count_f(smiles: list[str]) -> list[float]:
    return [one.count("F") + len(one) / 100 for one in smiles]


def test_a_search_continues_with_a_larger_budget_and_scores_nothing_twice(tmp_path: Path) -> None:
    settings = {"batch_size": 10, "proposals": 20}
    scored: list[str] = []

    def oracle(smiles: list[str]) -> list[float]:
        scored.extend(smiles)
        return count_f(smiles)

    for budget in (30, 60):
        result = optimize(oracle, codec=ToyCodec(), budget=budget, settings=settings, checkpoint=tmp_path / "search")
        assert (len(result.table), result.stop_reason) == (budget, "budget")
    assert len(set(scored)) == len(scored) == 60
    whole = optimize(count_f, codec=ToyCodec(), budget=60, settings=settings)
    pd.testing.assert_frame_equal(result.table, whole.table)
    again = optimize(oracle, codec=ToyCodec(), budget=60, settings=settings, checkpoint=tmp_path / "search")
    pd.testing.assert_frame_equal(again.table, whole.table)
    assert len(scored) == 60


def test_a_continued_search_resumes_and_its_budget_does_not_shrink(tmp_path: Path) -> None:
    path, settings = tmp_path / "search", {"batch_size": 10, "proposals": 20}
    optimize(count_f, codec=ToyCodec(), budget=30, settings=settings, checkpoint=path)
    search = Search(ToyCodec(), budget=60, settings=settings, checkpoint=path)
    search.tell(asked := search.ask(), count_f(asked))
    del search  # as a killed process does
    search = Search(ToyCodec(), budget=60, settings=settings, checkpoint=path)
    assert search.n_scored == 40
    while asked := search.ask():
        search.tell(asked, count_f(asked))
    whole = optimize(count_f, codec=ToyCodec(), budget=60, settings=settings)
    pd.testing.assert_frame_equal(search.result().table, whole.table)
    with pytest.raises(InputError, match="budget 60"):
        Search(ToyCodec(), budget=50, settings=settings, checkpoint=path)
