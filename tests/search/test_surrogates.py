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


def test_chosen_molecules_are_better_than_random_ones(molecules, scores):
    chosen = Surrogate(SurrogateSettings(share=1.0)).choose(molecules[100:], 30, molecules[:100], scores[:100])
    assert len(set(chosen)) == 30
    assert scores[100:][chosen].mean() > scores[100:].mean() + 1.5 * scores.std()
    assert chosen[0] < len(molecules) - 100


def test_a_share_is_chosen_by_prediction_and_the_rest_in_order(molecules, scores):
    best = Surrogate(SurrogateSettings(share=1.0)).choose(molecules[100:], 40, molecules[:100], scores[:100])
    mixed = Surrogate(SurrogateSettings(share=0.25)).choose(molecules[100:], 40, molecules[:100], scores[:100])
    assert mixed[:10].tolist() == best[:10].tolist()
    assert mixed[10:].tolist() == [row for row in range(50) if row not in best[:10]][:30]


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e200])
def test_the_scale_of_the_scores_has_no_effect(molecules, scores, factor):
    plain = Surrogate(SurrogateSettings()).choose(molecules[100:], 30, molecules[:100], scores[:100])
    scaled = Surrogate(SurrogateSettings()).choose(
        molecules[100:], 30, molecules[:100], scores[:100] * factor - 3 * factor
    )
    assert plain.tolist() == scaled.tolist()


def test_a_new_surrogate_chooses_the_same_as_one_that_was_called_before(molecules, scores):
    early = Surrogate(SurrogateSettings())
    for n in (30, 50, 90):
        early.choose(molecules[200:], 10, molecules[:n], scores[:n])
    late = Surrogate(SurrogateSettings())
    arguments = molecules[200:], 20, molecules[:120], scores[:120]
    assert early.choose(*arguments).tolist() == late.choose(*arguments).tolist()


def test_the_training_set_is_the_best_and_the_newest(molecules, scores):
    surrogate = Surrogate(SurrogateSettings(max_train=40))
    training = surrogate._choose_training(scores[:200])
    assert len(set(training)) == 40
    assert set(range(180, 200)) <= set(training)
    assert scores[training[:20]].min() >= np.sort(scores[:180])[-20]
    chosen = surrogate.choose(molecules[200:], 30, molecules[:200], scores[:200])
    assert scores[200:][chosen].mean() > scores[200:].mean() + 0.5 * scores.std()


def test_without_a_choice_or_scores_molecules_are_taken_in_order(molecules, scores):
    surrogate = Surrogate(SurrogateSettings())
    assert surrogate.choose(molecules[:5], 10, molecules[100:200], scores[100:200]).tolist() == [0, 1, 2, 3, 4]
    assert surrogate.choose([], 10, molecules[100:200], scores[100:200]).tolist() == []
    assert surrogate.choose(molecules[:50], 4, [], np.zeros(0)).tolist() == [0, 1, 2, 3]
    assert surrogate.choose(molecules[:50], 4, molecules[100:200], np.full(100, 0.5)).tolist() == [0, 1, 2, 3]
    off = Surrogate(SurrogateSettings(share=0.0))
    assert off.choose(molecules[:50], 4, molecules[100:200], scores[100:200]).tolist() == [0, 1, 2, 3]


def test_invalid_settings_are_refused():
    with pytest.raises(InputError, match=r"\[search\.surrogate\] share"):
        SurrogateSettings.from_dict({"share": 2}, "campaign.toml [search.surrogate]")
