import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.optimizers import (
    NO_PARENT,
    Evolution,
    EvolutionSettings,
    PriorDraws,
    RandomDirections,
    RandomDirectionsSettings,
    _between,
)

N_LATENT = 24


def draw(n, seed):
    return np.random.default_rng(seed).standard_normal((n, N_LATENT)).astype(np.float32)


def only(**shares):
    return EvolutionSettings(**({"crossover": 0, "step": 0, "analogy": 0, "prior": 1e-9, "trust": 0} | shares))


def test_the_evolution_opens_with_draws_from_the_prior_and_then_breeds():
    evolution = Evolution(draw, 0, EvolutionSettings(opening=30))
    for _ in range(3):
        z = evolution.ask(10)
        assert (evolution.parents == NO_PARENT).all()
        evolution.tell(z, z[:, 0], np.arange(10))
    evolution.ask(100)
    assert (evolution.parents != NO_PARENT).mean() > 0.8


def test_starts_are_bred_from_at_once():
    evolution = Evolution(draw, 0, EvolutionSettings(opening=1000))
    evolution.tell(draw(2, 1), np.zeros(2))
    evolution.ask(100)
    assert (evolution.parents != NO_PARENT).mean() > 0.8


def test_only_the_best_are_kept_and_the_best_are_parents_most_often():
    evolution = Evolution(draw, 0, EvolutionSettings(population=50))
    evolution.tell(draw(200, 1), np.arange(200.0))
    evolution.ask(5000)
    parents = evolution.parents[evolution.parents != NO_PARENT]
    assert parents.min() == 150
    assert (parents >= 190).mean() > 0.6
    assert len(np.unique(parents)) == 50


def test_among_equals_the_newest_are_kept():
    evolution = Evolution(draw, 0, EvolutionSettings(population=10))
    for _ in range(5):
        evolution.tell(draw(10, 1), np.ones(10))
    evolution.ask(500)
    assert set(evolution.parents) - {NO_PARENT} == set(range(40, 50))


def test_a_step_moves_a_handful_of_dimensions_by_the_size_asked_for():
    home = draw(1, 5)
    evolution = Evolution(draw, 0, only(step=1, step_low=0.5, step_high=0.5, moved_low=4, moved_high=6))
    evolution.tell(home, np.zeros(1))
    moved = evolution.ask(2000) - home
    n_moved = (np.abs(moved) > 1e-4).sum(axis=1)
    assert (n_moved.min(), n_moved.max()) == (4, 6)
    assert moved[np.abs(moved) > 1e-4].std() == pytest.approx(0.5, rel=0.05)


def test_a_crossover_lies_between_its_parents():
    a, b = draw(1, 1), draw(1, 2)
    evolution = Evolution(draw, 0, only(crossover=1))
    evolution.tell(np.vstack([a, b]), np.array([1.0, 0.0]))
    z = evolution.ask(500)
    apart = np.linalg.norm(a - b)
    assert (np.linalg.norm(z - a, axis=1) <= apart * 1.01).all()
    assert (np.linalg.norm(z - b, axis=1) <= apart * 1.01).all()
    shells = np.linalg.norm(z, axis=1)
    assert shells.min() > 0.9 * min(np.linalg.norm(a), np.linalg.norm(b))  # a chord would dip to about 0.7


def test_the_arc_begins_and_ends_at_the_parents_also_where_they_coincide_or_oppose():
    a = draw(4, 1).astype(float)
    b = np.stack([a[0], -a[1], 2 * a[2], draw(1, 2)[0]])
    np.testing.assert_allclose(_between(a, b, np.zeros((4, 1))), a, atol=1e-6)
    np.testing.assert_allclose(_between(a, b, np.ones((4, 1))), b, atol=1e-6)
    assert np.isfinite(_between(a, b, np.full((4, 1), 0.5))).all()
    assert np.isfinite(_between(np.zeros((1, 3)), np.zeros((1, 3)), np.full((1, 1), 0.5))).all()


def test_an_analogy_moves_by_the_difference_of_two_others():
    evolution = Evolution(draw, 0, only(analogy=1, selection_pressure=0))
    corners = np.zeros((3, N_LATENT), np.float32)
    corners[1, 0], corners[2, 1] = 3, 3
    evolution.tell(corners, np.zeros(3))
    z = evolution.ask(300)
    np.testing.assert_allclose(z[:, 2:], 0, atol=1e-4)  # never out of the plane of the three
    assert (z[:, :2] < -0.5).any()  # but beyond the triangle between them


def test_moves_that_succeed_are_made_more_often():
    settings = EvolutionSettings(trust=1.0, step_bins=4, step_low=0.01, step_high=10, crossover=0, analogy=0)
    evolution = Evolution(draw, 0, settings)
    target = np.full(N_LATENT, 0.8, np.float32)
    evolution.tell(np.zeros((1, N_LATENT), np.float32), np.array([-1.0]))
    for _ in range(15):
        z = evolution.ask(200)
        evolution.tell(z, -np.abs(z - target).mean(axis=1), np.arange(200))
    chances = evolution._chances()[Evolution.STEP :]
    assert chances[:3].min() > 3 * chances[3]  # steps of 2 to 10 standard deviations lead nowhere


def test_random_directions_are_straight_lines_through_the_starts():
    control = RandomDirections(draw, 0, RandomDirectionsSettings(reach=2.0, points=4))
    start = draw(1, 3)
    control.tell(start, np.zeros(1))
    z = control.ask(40)
    assert (control.parents == 0).all()
    distance = np.linalg.norm(z - start, axis=1) / np.sqrt(N_LATENT)
    np.testing.assert_allclose(np.sort(distance), np.repeat([0.5, 1.0, 1.5, 2.0], 10), rtol=0.05)
    direction = (z - start) / np.linalg.norm(z - start, axis=1, keepdims=True)
    assert ((direction @ direction.T > 0.999).sum(axis=1) == 4).all()


def test_random_directions_without_starts_begin_at_the_prior_and_stay_blind():
    control = RandomDirections(draw, 0)
    z = control.ask(16)
    assert (control.parents == NO_PARENT).all()
    control.tell(z, np.arange(16.0), np.arange(16))
    control.ask(16)
    assert (control.parents == NO_PARENT).all()


def test_the_prior_control_draws_from_the_prior():
    z = PriorDraws(draw, 0).ask(4000)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.1)


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"x.toml populaton: unknown key; did you mean population\?"):
        EvolutionSettings.from_dict({"populaton": 3}, "x.toml")
    with pytest.raises(InputError, match=r"x\.toml population"):
        EvolutionSettings.from_dict({"population": 0}, "x.toml")
