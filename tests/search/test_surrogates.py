import numpy as np
import pytest

from molvae.chem.fingerprints import tanimoto
from molvae.errors import InputError
from molvae.search.surrogates import Surrogate, SurrogateSettings

TARGET = "O=C(c1ccccc1)N1CCOCC1"


@pytest.fixture
def molecules(codec):
    order = np.random.default_rng(0).permutation(len(codec.molecules))
    return [codec.molecules[row] for row in order]


@pytest.fixture
def scores(molecules):
    return tanimoto(TARGET, molecules).astype(float)


def test_the_promising_are_chosen_far_better_than_by_chance(molecules, scores):
    chosen = Surrogate(SurrogateSettings(share=1.0)).choose(molecules[100:], 30, molecules[:100], scores[:100])
    assert len(set(chosen)) == 30
    assert scores[100:][chosen].mean() > scores[100:].mean() + 1.5 * scores.std()
    assert chosen[0] < len(molecules) - 100


def test_only_a_share_is_chosen_by_the_guess_and_the_rest_as_they_come(molecules, scores):
    best = Surrogate(SurrogateSettings(share=1.0)).choose(molecules[100:], 40, molecules[:100], scores[:100])
    mixed = Surrogate(SurrogateSettings(share=0.25)).choose(molecules[100:], 40, molecules[:100], scores[:100])
    assert mixed[:10].tolist() == best[:10].tolist()
    assert mixed[10:].tolist() == [row for row in range(50) if row not in best[:10]][:30]


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e200])
def test_the_scale_of_the_scores_does_not_matter(molecules, scores, factor):
    plain = Surrogate(SurrogateSettings()).choose(molecules[100:], 30, molecules[:100], scores[:100])
    scaled = Surrogate(SurrogateSettings()).choose(
        molecules[100:], 30, molecules[:100], scores[:100] * factor - 3 * factor
    )
    assert plain.tolist() == scaled.tolist()


def test_a_screen_that_begins_late_chooses_as_one_that_was_there_from_the_start(molecules, scores):
    early = Surrogate(SurrogateSettings())
    for n in (30, 50, 90):
        early.choose(molecules[200:], 10, molecules[:n], scores[:n])
    late = Surrogate(SurrogateSettings())
    arguments = molecules[200:], 20, molecules[:120], scores[:120]
    assert early.choose(*arguments).tolist() == late.choose(*arguments).tolist()


def test_of_many_scored_the_best_and_the_newest_are_known(molecules, scores):
    surrogate = Surrogate(SurrogateSettings(known=40))
    known = surrogate._choose_known(scores[:200])
    assert len(set(known)) == 40
    assert set(range(180, 200)) <= set(known)
    assert scores[known[:20]].min() >= np.sort(scores[:180])[-20]
    chosen = surrogate.choose(molecules[200:], 30, molecules[:200], scores[:200])
    assert scores[200:][chosen].mean() > scores[200:].mean() + 0.5 * scores.std()


def test_where_there_is_nothing_to_choose_or_to_know_all_come_as_they_are(molecules, scores):
    surrogate = Surrogate(SurrogateSettings())
    assert surrogate.choose(molecules[:5], 10, molecules[100:200], scores[100:200]).tolist() == [0, 1, 2, 3, 4]
    assert surrogate.choose([], 10, molecules[100:200], scores[100:200]).tolist() == []
    assert surrogate.choose(molecules[:50], 4, [], np.zeros(0)).tolist() == [0, 1, 2, 3]
    assert surrogate.choose(molecules[:50], 4, molecules[100:200], np.full(100, 0.5)).tolist() == [0, 1, 2, 3]
    off = Surrogate(SurrogateSettings(share=0.0))
    assert off.choose(molecules[:50], 4, molecules[100:200], scores[100:200]).tolist() == [0, 1, 2, 3]


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match="share: input should be less than or equal to 1"):
        SurrogateSettings.from_dict({"share": 2}, "campaign.toml [search.surrogate]")
