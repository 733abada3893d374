import numpy as np
import pytest

from molvae.search.optimizers import FIRST_START, NO_PARENT, Outcome
from molvae.search.optimizers.hill_climbing import HillClimbing, HillClimbingSettings


def make(space, **changes):
    return HillClimbing(space, 0, HillClimbingSettings(**changes))


def test_the_neighborhoods_of_the_best_molecules_are_searched(space, draw, starts):
    climber = make(space, n_centers=3)
    climber.tell(starts(draw(10, 1), np.arange(10.0)))
    proposals = climber.ask(300)
    assert set(proposals.parents[:, 0].tolist()) == {FIRST_START - row for row in (7, 8, 9)}
    assert set(proposals.moves.tolist()) == {"noise", "step"}


def test_a_proposal_is_noise_or_a_step_away_from_its_center(space, draw, starts):
    climber = make(space, n_centers=1)
    start = draw(1, 1)
    climber.tell(starts(start, [1.0]))
    proposals = climber.ask(1000)
    distance = np.linalg.norm(proposals.z - start, axis=1) / np.sqrt(start.shape[1])
    is_noisy = proposals.moves == "noise"
    assert (distance[is_noisy] == 0).all()
    assert (proposals.noise[is_noisy] > 0).all()
    assert (proposals.noise[~is_noisy] == 0).all()
    assert distance[~is_noisy].min() == pytest.approx(0.2, rel=0.1)
    assert distance[~is_noisy].max() == pytest.approx(0.8, rel=0.1)
    assert is_noisy.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("outcome", "factor"), [(Outcome.REPEAT, 1), (Outcome.INVALID, -1), (Outcome.PREDICTED, 0)])
def test_repeats_lengthen_the_steps_and_invalid_molecules_shorten_them(space, draw, report, starts, outcome, factor):
    climber = make(space, n_centers=1, patience=1000)
    climber.tell(starts(draw(1, 1), [1.0]))
    for _ in range(3):
        climber.tell(report(climber.ask(10), outcome))
    assert climber.state().arrays["step"] == pytest.approx(np.exp(0.9 * factor))


def test_children_inherit_the_step_size(space, draw, report, starts):
    climber = make(space, n_centers=1, patience=1000)
    climber.tell(starts(draw(1, 1), [1.0]))
    proposals = climber.ask(10)
    climber.tell(report(proposals, Outcome.REPEAT))
    climber.tell(report(proposals.rows(np.arange(2)), Outcome.SCORED, [0.0, 2.0]))
    np.testing.assert_allclose(climber.state().arrays["step"], np.exp(0.3))


@pytest.mark.parametrize("outcome", [Outcome.REPEAT, Outcome.INVALID, Outcome.INFEASIBLE])
def test_an_exhausted_neighborhood_is_left_for_the_next_best(space, draw, report, starts, outcome):
    climber = make(space, n_centers=1, patience=20)
    climber.tell(starts(draw(3, 1), [3.0, 2.0, 1.0]))
    for start in range(3):
        for _ in range(2):
            proposals = climber.ask(10)
            assert (proposals.parents[:, 0] == FIRST_START - start).all()
            climber.tell(report(proposals, outcome))
    assert (climber.ask(10).moves == "prior").all()  # all neighborhoods are exhausted
    assert (climber.ask(10).parents[:, 0] == FIRST_START).all()  # and open again


def test_a_new_molecule_keeps_a_neighborhood_open(space, draw, report, starts):
    climber = make(space, n_centers=1, patience=20)
    climber.tell(starts(draw(2, 1), [2.0, 1.0]))
    for _ in range(5):
        proposals = climber.ask(10)
        results = report(proposals, Outcome.REPEAT)
        results.outcome[3] = Outcome.PREDICTED
        climber.tell(results)
        assert (proposals.parents[:, 0] == FIRST_START).all()


def test_a_neighborhood_is_left_after_many_children(space, draw, report, starts):
    climber = make(space, n_centers=1, max_children=20)
    climber.tell(starts(draw(2, 1), [2.0, 1.0]))
    for _ in range(2):
        proposals = climber.ask(10)
        assert (proposals.parents[:, 0] == FIRST_START).all()
        climber.tell(report(proposals, Outcome.SCORED, np.zeros(10)))
    assert (climber.ask(10).parents[:, 0] == FIRST_START - 1).all()


def test_climbing_begins_after_the_initial_draws(space, report):
    climber = make(space, n_initial=30)
    for _ in range(3):
        proposals = climber.ask(10)
        assert (proposals.parents == NO_PARENT).all()
        climber.tell(report(proposals, Outcome.SCORED, np.arange(10.0)))
    assert (climber.ask(10).parents[:, 0] >= 0).all()


def test_failed_molecules_are_no_centers(space, draw, starts):
    climber = make(space)
    climber.tell(starts(draw(3, 1), [np.nan, 1.0, np.nan]))
    assert set(climber.ask(50).parents[:, 0].tolist()) == {FIRST_START - 1}


def test_the_memory_is_bounded(space, report):
    climber = make(space, n_initial=0, memory=30)
    for _ in range(1000):
        proposals = climber.ask(10)
        climber.tell(report(proposals, Outcome.PREDICTED))
        climber.tell(report(proposals, Outcome.SCORED, proposals.z[:, 0]))
    assert all(len(array) <= 30 for array in climber.state().arrays.values())
