from types import SimpleNamespace

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.optimizers import FIRST_START, NO_PARENT, Outcome, Proposals, Results
from molvae.search.optimizers.evolution import Evolution, EvolutionSettings
from molvae.search.optimizers.moves import MOVES, Parents, add_difference, climb, cross, step_in_all, step_in_few, swap
from molvae.search.optimizers.prior_draws import PriorDraws
from molvae.search.optimizers.random_directions import RandomDirections, RandomDirectionsSettings

N_LATENT = 24
RNG = np.random.default_rng(0)


def draw(n, seed):
    return np.random.default_rng(seed).standard_normal((n, N_LATENT)).astype(np.float32)


SPACE = SimpleNamespace(n_latent=N_LATENT, draw=lambda n, *, seed, spread: draw(n, seed))


def report(proposals, outcome, values=None, acquisition=None):
    n = len(proposals.ids)
    values = np.full((n, 1), np.nan) if values is None else np.asarray(values, float).reshape(n, 1)
    acquisition = np.full(n, np.nan) if acquisition is None else np.asarray(acquisition, float)
    return Results(proposals, proposals.z, np.full(n, int(outcome)), values, acquisition)


def starts(z, values):
    ids = FIRST_START - np.arange(len(z))
    return report(Proposals.greedy(ids, z, np.full(len(z), NO_PARENT), "start"), Outcome.SCORED, values)


def only(move, **settings):
    return EvolutionSettings(shares={move: 1.0}, adaptation=0, noise_share=0, **settings)


# Evolution


def test_evolution_begins_with_draws_from_the_prior():
    evolution = Evolution(SPACE, 0, EvolutionSettings(n_initial=30))
    for _ in range(3):
        proposals = evolution.ask(10)
        assert set(proposals.moves) == {"prior"}
        assert (proposals.parents == NO_PARENT).all()
        evolution.tell(report(proposals, Outcome.SCORED, proposals.z[:, 0]))
    assert (evolution.ask(100).parents[:, 0] != NO_PARENT).mean() > 0.8


def test_start_molecules_are_parents_at_once():
    evolution = Evolution(SPACE, 0, EvolutionSettings(n_initial=1000))
    evolution.tell(starts(draw(2, 1), [0.0, 0.0]))
    assert (evolution.ask(100).parents[:, 0] != NO_PARENT).mean() > 0.8


def test_only_the_best_molecules_are_parents_and_better_ones_are_drawn_more_often():
    evolution = Evolution(SPACE, 0, EvolutionSettings(population=50))
    evolution.tell(starts(draw(200, 1), np.arange(200.0)))
    rows = FIRST_START - evolution.ask(20_000).parents[:, 0]
    rows = rows[rows != FIRST_START - NO_PARENT]
    assert rows.min() == 150
    assert (rows >= 190).mean() > 0.6
    assert len(np.unique(rows)) > 40


def test_the_newest_are_kept_among_ties():
    evolution = Evolution(SPACE, 0, EvolutionSettings(population=10))
    z = draw(50, 1)
    ids = FIRST_START - np.arange(50)
    told = report(Proposals.greedy(ids, z, np.full(50, NO_PARENT), "start"), Outcome.SCORED, np.ones(50))
    for begin in range(0, 50, 10):
        evolution.tell(told.rows(np.arange(begin, begin + 10)))
    assert set(evolution.ask(5000).parents[:, 0].tolist()) - {NO_PARENT} == set(ids[40:].tolist())


def test_molecules_with_a_good_prediction_are_parents_until_the_next_scores():
    evolution = Evolution(SPACE, 0, only("noise", n_predicted=1))
    evolution.tell(starts(draw(2, 1), [1.0, 0.0]))
    proposals = evolution.ask(40)
    acquisition = np.full(40, -5.0)
    acquisition[7] = 5.0
    predicted = report(proposals, Outcome.PREDICTED, acquisition=acquisition)
    evolution.tell(predicted._replace(z=proposals.z + 3))
    children = evolution.ask(200)
    is_child = np.isclose(children.z, proposals.z[7] + 3, atol=1e-5).all(axis=1)
    assert is_child.mean() > 0.4
    assert set(children.parents[is_child, 0]) == {proposals.parents[7, 0]}  # the scored ancestor
    evolution.tell(report(proposals.rows(np.array([0])), Outcome.SCORED, [0.5]))
    assert not np.isclose(evolution.ask(200).z, proposals.z[7] + 3, atol=1e-5).all(axis=1).any()


def test_repeats_lengthen_the_steps_and_invalid_ones_shorten_them():
    found = {}
    for failure in (Outcome.REPEAT, Outcome.INVALID):
        evolution = Evolution(SPACE, 0, EvolutionSettings(adaptation=1.0, shares={"step_in_all": 1.0}))
        evolution.tell(starts(draw(20, 1), np.arange(20.0)))
        for _ in range(10):
            proposals = evolution.ask(200)
            parents = dict(zip((FIRST_START - np.arange(20)).tolist(), draw(20, 1), strict=True))
            steps = [np.abs(z - parents[id]).mean() for z, id in zip(proposals.z, proposals.parents[:, 0], strict=True)]
            is_long = np.array(steps) > np.median(steps)
            is_failure = is_long == (failure == Outcome.INVALID)
            result = report(proposals, Outcome.PREDICTED, acquisition=np.where(is_failure, np.nan, 1.0))
            evolution.tell(result._replace(outcome=np.where(is_failure, int(failure), int(Outcome.PREDICTED))))
        tries, wins = (evolution.state().arrays[name].sum(axis=(0, 2)) for name in ("tries", "wins"))
        found[failure] = (tries @ np.arange(5)) / tries.sum()
        assert 0 < wins.sum() < tries.sum()
    assert found[Outcome.REPEAT] > found[Outcome.INVALID] + 1  # mean part of the range of step sizes


@pytest.mark.parametrize("is_predicted", [True, False])
def test_successful_moves_become_more_frequent(is_predicted):
    evolution = Evolution(SPACE, 0, EvolutionSettings(adaptation=1.0, success_share=0.2))
    evolution.tell(starts(draw(20, 1), np.zeros(20)))
    for _ in range(10):
        proposals = evolution.ask(100)
        is_good = (proposals.moves == "swap") * 1.0
        if is_predicted:
            evolution.tell(report(proposals, Outcome.PREDICTED, acquisition=is_good))
        evolution.tell(report(proposals, Outcome.SCORED, is_good + 1e-3 * evolution._n_told))
    assert (evolution.ask(2000).moves == "swap").mean() > 1.5 * MOVES["swap"].share


def test_a_share_of_all_proposals_is_decoded_with_noise():
    evolution = Evolution(SPACE, 0, EvolutionSettings(noise_share=0.4, shares={"step_in_all": 1.0}))
    evolution.tell(starts(draw(5, 1), np.zeros(5)))
    proposals = evolution.ask(4000)
    is_noisy = proposals.noise > 0
    assert is_noisy.mean() == pytest.approx(0.4, abs=0.04)
    assert 0.1 <= proposals.noise[is_noisy].min() <= proposals.noise.max() <= 0.6
    assert ((proposals.temperature > 0) == is_noisy).all()


def test_invalid_settings_are_refused():
    with pytest.raises(InputError, match=r"x\.toml populaton: .*population\?"):
        EvolutionSettings.from_dict({"populaton": 3}, "x.toml")
    with pytest.raises(InputError, match=r"x\.toml population"):
        EvolutionSettings.from_dict({"population": 0}, "x.toml")
    with pytest.raises(InputError, match=r"x\.toml shares: .*'swop'.*swap"):
        EvolutionSettings.from_dict({"shares": {"swop": 1.0}}, "x.toml")
    with pytest.raises(InputError, match=r"x\.toml shares: .*above 0"):
        EvolutionSettings.from_dict({"shares": {"swap": 0.0}}, "x.toml")


# Moves


def parents(first, second=None, third=None, population=None, quality=None):
    return Parents(first, second, third, population, quality)


def test_a_step_in_few_changes_10_to_20_dimensions():
    moved = step_in_few(parents(np.zeros((2000, 64))), np.full((2000, 1), 1.5), RNG)
    n_moved = (moved != 0).sum(axis=1)
    assert (n_moved.min(), n_moved.max()) == (10, 20)
    assert moved[moved != 0].std() == pytest.approx(1.5, rel=0.05)


def test_a_step_in_all_has_the_given_size_in_each_row():
    moved = step_in_all(parents(np.zeros((2, 8000))), np.array([[0.5], [2.0]]), RNG)
    assert moved.std(axis=1).tolist() == pytest.approx([0.5, 2.0], rel=0.05)


def test_a_swap_takes_each_dimension_from_one_of_two_parents():
    children = swap(parents(np.zeros((2000, 8)), np.ones((2000, 8))), np.full((2000, 1), 0.3), RNG)
    assert set(np.unique(children)) == {0.0, 1.0}
    assert children.mean() == pytest.approx(0.3, abs=0.02)


def test_a_cross_is_on_the_arc_between_its_parents():
    a, b = (np.repeat(draw(1, seed), 500, axis=0).astype(float) for seed in (1, 2))
    z = cross(parents(a, b), np.full((500, 1), 0.5), RNG)
    distance = np.linalg.norm(a[0] - b[0])
    assert (np.linalg.norm(z - a, axis=1) <= 0.75 * distance).all()
    norms = np.linalg.norm(z, axis=1)
    assert norms.min() > 0.99 * min(np.linalg.norm(a[0]), np.linalg.norm(b[0]))  # on a straight line: about 0.7


def test_a_cross_of_equal_opposite_or_zero_parents_is_finite():
    a = draw(4, 1).astype(float)
    b = np.stack([a[0], -a[1], 2 * a[2], np.zeros(N_LATENT)])
    assert np.isfinite(cross(parents(a, b), np.full((4, 1), 0.3), RNG)).all()
    assert np.isfinite(cross(parents(np.zeros((1, 3)), np.zeros((1, 3))), np.full((1, 1), 0.3), RNG)).all()


def test_a_difference_is_added_to_the_first_parent():
    a, b, c = (np.zeros((300, 3)) for _ in range(3))
    b[:, 0], c[:, 1] = 1.0, 1.0
    z = add_difference(parents(a, b, c), np.full((300, 1), 0.7), RNG)
    np.testing.assert_allclose(z, [[0.7, -0.7, 0.0]] * 300)


def test_a_climb_goes_towards_better_molecules():
    population = RNG.standard_normal((100, 12))
    first = np.zeros((300, 12))
    step = np.full((300, 1), 0.5)
    moved = climb(parents(first, population=population, quality=population[:, 0]), step, RNG)
    assert (moved[:, 0] > 0).mean() > 0.95
    assert moved[:, 0].mean() > 3 * np.abs(moved[:, 1:].mean(axis=0)).max()
    assert len(np.unique(moved[:, 0])) == 300  # each sees other molecules
    lengths = np.linalg.norm(moved, axis=1)
    np.testing.assert_allclose(lengths, lengths[0])


@pytest.mark.parametrize("population", [np.zeros((1, 4)), np.ones((5, 4)), np.eye(4)])
def test_a_climb_without_a_gradient_is_finite(population):
    flat = parents(np.zeros((3, 4)), population=population, quality=np.zeros(len(population)))
    assert np.isfinite(climb(flat, np.ones((3, 1)), RNG)).all()


# Controls


def test_random_directions_are_straight_lines_from_the_starts():
    control = RandomDirections(SPACE, 0, RandomDirectionsSettings(length=2.0, n_per_line=4))
    start = draw(1, 3)
    control.tell(starts(start, [0.0]))
    proposals = control.ask(40)
    assert (proposals.parents[:, 0] == FIRST_START).all()
    distance = np.linalg.norm(proposals.z - start, axis=1) / np.sqrt(N_LATENT)
    np.testing.assert_allclose(np.sort(distance), np.repeat([0.5, 1.0, 1.5, 2.0], 10), rtol=0.05)
    direction = (proposals.z - start) / np.linalg.norm(proposals.z - start, axis=1, keepdims=True)
    assert ((direction @ direction.T > 0.999).sum(axis=1) == 4).all()


def test_random_directions_without_starts_begin_at_prior_draws_and_ignore_scores():
    control = RandomDirections(SPACE, 0)
    for _ in range(2):
        proposals = control.ask(16)
        assert (proposals.parents == NO_PARENT).all()
        control.tell(report(proposals, Outcome.SCORED, np.arange(16.0)))


def test_the_prior_control_draws_from_the_prior():
    z = PriorDraws(SPACE, 0).ask(4000).z
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.1)
