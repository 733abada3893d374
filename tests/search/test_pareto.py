"""Several goals: the Pareto front of a search."""

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.search.ledger import Candidate, Ledger
from molvae.search.loop import optimize
from molvae.search.oracle import Scores
from molvae.search.ranking import fronts
from molvae.search.settings import SearchSettings

SMALL = {"proposals": 64, "proposals_per_call": 2, "patience": 50}
PAIRS = {
    "two similarities": {
        "a": {"property": "similarity", "to": "O=C(c1ccccc1)N1CCOCC1"},
        "b": {"property": "similarity", "to": "CCNC(=O)c1ccc(F)cc1"},
    },
    "lipophilic and polar": {
        "a": {"property": "logp", "shape": "higher", "low": -2, "high": 4},
        "b": {"property": "tpsa", "shape": "higher", "low": 0, "high": 80},
    },
}


def objective(terms, combine="pareto"):
    return Objective(ObjectiveSettings.from_dict({"terms": terms, "combine": combine}, "campaign.toml"))


def two_goals(smiles):
    carbons = np.array([one.lower().count("c") for one in smiles], float)
    nitrogens = np.array([one.lower().count("n") for one in smiles], float)
    goals = {"score_c": carbons / 20, "score_n": np.where(carbons + nitrogens > 0, nitrogens / 10, 0)}
    return pd.DataFrame({**goals, "score": (goals["score_c"] + goals["score_n"]) / 2})


def search(oracle, codec, *, goals=("c", "n"), budget=60, **changes):
    settings = SMALL | {"goals": goals} | changes
    return optimize(oracle, codec=codec, budget=budget, settings=settings, notify=lambda note: None)


# A front that is known, because the toy codec decodes to 360 molecules only


@pytest.mark.parametrize("pair", PAIRS)
def test_a_search_finds_a_known_front(codec, pair):
    oracle = objective(PAIRS[pair])
    everything = oracle(codec.molecules)
    number = fronts(everything[["score_a", "score_b"]].to_numpy())
    front = {one for one, is_best in zip(codec.molecules, number == 1, strict=True) if is_best}
    assert 7 <= len(front) <= 10

    def share(seed, **changes):
        settings = SMALL | changes
        result = optimize(oracle, codec=codec, budget=140, seed=seed, settings=settings, notify=lambda note: None)
        return len(front & set(result.table["smiles"])) / len(front)

    found = [share(seed) for seed in range(2)]
    assert min(found) >= 0.8
    assert min(found) > max(share(seed, method="prior") for seed in range(2)) + 0.1


# The table


def test_the_front_of_several_goals_is_a_column(codec):
    table = search(two_goals, codec).table
    values = table[["score_c", "score_n"]].to_numpy()
    dominated = [((values >= row).all(axis=1) & (values > row).any(axis=1)).any() for row in values]
    assert (table["front"] == 1).tolist() == [not one for one in dominated]
    assert table["front"].min() == 1


def test_a_result_says_how_many_molecules_are_on_the_front(codec):
    result = search(two_goals, codec, budget=30)
    assert f"{(result.table['front'] == 1).sum()} on the Pareto front" in repr(result)


def test_an_objective_has_its_goals(codec):
    oracle = objective(PAIRS["two similarities"])
    given = search(oracle, codec, goals=("a", "b"))
    for settings in (SMALL, SearchSettings.from_dict(SMALL, "test")):
        result = optimize(oracle, codec=codec, budget=60, settings=settings, notify=lambda note: None)
        pd.testing.assert_frame_equal(result.table, given.table)
    assert "front" in optimize(oracle, codec=codec, budget=5).table
    mean = objective(PAIRS["two similarities"], "arithmetic_mean")
    assert "front" not in optimize(mean, codec=codec, budget=5).table


def test_a_search_with_goals_resumes_with_the_same_molecules(codec, tmp_path):
    calls = []

    def stops(smiles):
        calls.append(smiles)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return two_goals(smiles)

    settings = SMALL | {"goals": ["c", "n"]}
    whole = optimize(two_goals, codec=codec, budget=80, settings=settings)
    with pytest.raises(KeyboardInterrupt):
        optimize(stops, codec=codec, budget=80, settings=settings, checkpoint=tmp_path)
    resumed = optimize(two_goals, codec=codec, budget=80, settings=settings, checkpoint=tmp_path)
    pd.testing.assert_frame_equal(resumed.table, whole.table, check_exact=True)


# Values that cannot be ranked


def test_a_molecule_without_a_value_of_one_goal_is_on_no_front(codec):
    def oracle(smiles):
        table = two_goals(smiles)
        return table.assign(score_n=table["score_n"].where([not one.startswith("C") for one in smiles]))

    table = search(oracle, codec).table
    missing = table["smiles"].str.startswith("C")
    assert 0 < missing.sum() < 60
    assert (table.loc[missing, "front"] == 0).all()
    assert (table.loc[~missing, "front"] > 0).all()


def test_equal_goals_are_one_front(codec):
    table = search(lambda smiles: two_goals(smiles).assign(score_c=0.5, score_n=0.5, score=0.5), codec).table
    assert len(table) == 60
    assert (table["front"] == 1).all()


def test_goals_without_any_value_are_no_front(codec):
    table = search(lambda smiles: two_goals(smiles).assign(score=np.nan), codec).table
    assert len(table) == 60
    assert (table["front"] == 0).all()


def test_a_condition_puts_molecules_behind_all_others(codec):
    ring = {"property": "substructure", "smarts": "c1ccccc1"}
    table = search(objective(PAIRS["two similarities"] | {"ring": ring}), codec, goals=("a", "b")).table
    has_ring = table["value_ring"] == 1
    assert 0 < has_ring.sum() < 60
    assert table.loc[has_ring, "front"].max() < table.loc[~has_ring, "front"].min()
    assert table.loc[~has_ring, "front"].nunique() == 1


def test_a_violated_condition_is_never_better_than_the_goals():
    ledger = Ledger(3, goals=["a", "b"])
    scores = np.array([0.5, 0.0, np.nan, 0.0])
    terms = {"score_a": np.array([0.5, 1.0, 1.0, -2.0]), "score_b": np.array([0.5, 1.0, np.nan, 2.0])}
    candidates = [Candidate(one, one, -1, np.zeros(3), np.zeros(3)) for one in ("C", "CC", "CCC", "CCCC")]
    ledger.add(candidates, Scores(scores, terms, 0, [None, None, "x", None]))
    np.testing.assert_array_equal(ledger.objectives, [[0.5, 0.5], [0, 0], [np.nan, np.nan], [-2, 0]])


# Goals that are refused


def test_goals_must_be_columns_of_the_scores(codec):
    with pytest.raises(InputError, match=r"score_x; got score_c, score_n"):
        search(two_goals, codec, goals=["c", "x"])
    with pytest.raises(InputError, match=r"score_c, score_n; got only score"):
        search(lambda smiles: [1.0] * len(smiles), codec)


@pytest.mark.parametrize(("goals", "fact"), [(["c"], "two.* c"), (["c", "n", "c"], "c .*more than once")])
def test_one_goal_and_repeated_goals_are_refused(codec, goals, fact):
    with pytest.raises(InputError, match=f"goals: .*{fact}"):
        search(two_goals, codec, goals=goals)


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"b": {"weight": 0}}, "got a;"),
        ({"b": None}, "got a;"),
        ({"a": None, "b": None, "ring": {"property": "substructure", "smarts": "c"}}, "got none;"),
        ({"b": None, "ring": {"property": "substructure", "smarts": "c"}}, "got a;"),
    ],
)
def test_pareto_needs_two_goals_with_a_weight(changes, got):
    terms = PAIRS["two similarities"] | {
        name: PAIRS["two similarities"].get(name, {}) | change for name, change in changes.items() if change
    }
    terms = {name: term for name, term in terms.items() if name not in changes or changes[name]}
    with pytest.raises(InputError, match=rf"^campaign.toml .*combine: .*two terms.*{got}"):
        objective(terms)
