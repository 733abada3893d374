import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.optimizers import NO_PARENT
from molvae.search.optimizers.evolution import Evolution, EvolutionSettings, _cross
from molvae.search.optimizers.prior_draws import PriorDraws
from molvae.search.optimizers.random_directions import RandomDirections, RandomDirectionsSettings

N_LATENT = 24


def draw(n, seed):
    return np.random.default_rng(seed).standard_normal((n, N_LATENT)).astype(np.float32)


def only(**shares):
    return EvolutionSettings(
        **({"crossover": 0, "mutation": 0, "differential": 0, "prior": 1e-9, "adaptation": 0} | shares)
    )


def test_evolution_begins_with_draws_from_the_prior():
    evolution = Evolution(draw, 0, EvolutionSettings(n_initial=30))
    for _ in range(3):
        z = evolution.ask(10)
        assert (evolution.parents == NO_PARENT).all()
        evolution.tell(z, z[:, 0], np.arange(10))
    evolution.ask(100)
    assert (evolution.parents != NO_PARENT).mean() > 0.8


def test_start_molecules_are_parents_at_once():
    evolution = Evolution(draw, 0, EvolutionSettings(n_initial=1000))
    evolution.tell(draw(2, 1), np.zeros(2))
    evolution.ask(100)
    assert (evolution.parents != NO_PARENT).mean() > 0.8


def test_only_the_best_molecules_are_parents_and_better_ones_are_drawn_more_often():
    evolution = Evolution(draw, 0, EvolutionSettings(population=50))
    evolution.tell(draw(200, 1), np.arange(200.0))
    evolution.ask(5000)
    parents = evolution.parents[evolution.parents != NO_PARENT]
    assert parents.min() == 150
    assert (parents >= 190).mean() > 0.6
    assert len(np.unique(parents)) == 50


def test_the_newest_are_kept_among_ties():
    evolution = Evolution(draw, 0, EvolutionSettings(population=10))
    for _ in range(5):
        evolution.tell(draw(10, 1), np.ones(10))
    evolution.ask(500)
    assert set(evolution.parents) - {NO_PARENT} == set(range(40, 50))


def test_a_mutation_changes_a_few_dimensions_by_the_step_size():
    parent = draw(1, 5)
    evolution = Evolution(draw, 0, only(mutation=1, min_step=0.5, max_step=0.5, min_mutated=4, max_mutated=6))
    evolution.tell(parent, np.zeros(1))
    steps = evolution.ask(2000) - parent
    n_mutated = (np.abs(steps) > 1e-4).sum(axis=1)
    assert (n_mutated.min(), n_mutated.max()) == (4, 6)
    assert steps[np.abs(steps) > 1e-4].std() == pytest.approx(0.5, rel=0.05)


def test_a_crossover_is_between_its_parents():
    a, b = draw(1, 1), draw(1, 2)
    evolution = Evolution(draw, 0, only(crossover=1))
    evolution.tell(np.vstack([a, b]), np.array([1.0, 0.0]))
    z = evolution.ask(500)
    distance = np.linalg.norm(a - b)
    assert (np.linalg.norm(z - a, axis=1) <= distance * 1.01).all()
    assert (np.linalg.norm(z - b, axis=1) <= distance * 1.01).all()
    norms = np.linalg.norm(z, axis=1)
    assert norms.min() > 0.9 * min(np.linalg.norm(a), np.linalg.norm(b))  # on a straight line: about 0.7


def test_crossovers_of_equal_or_opposite_parents_are_finite():
    a = draw(4, 1).astype(float)
    b = np.stack([a[0], -a[1], 2 * a[2], draw(1, 2)[0]])
    np.testing.assert_allclose(_cross(a, b, np.zeros((4, 1))), a, atol=1e-6)
    np.testing.assert_allclose(_cross(a, b, np.ones((4, 1))), b, atol=1e-6)
    assert np.isfinite(_cross(a, b, np.full((4, 1), 0.5))).all()
    assert np.isfinite(_cross(np.zeros((1, 3)), np.zeros((1, 3)), np.full((1, 1), 0.5))).all()


def test_differential_mutation_adds_the_difference_of_two_others():
    evolution = Evolution(draw, 0, only(differential=1, selection_pressure=0))
    corners = np.zeros((3, N_LATENT), np.float32)
    corners[1, 0], corners[2, 1] = 3, 3
    evolution.tell(corners, np.zeros(3))
    z = evolution.ask(300)
    np.testing.assert_allclose(z[:, 2:], 0, atol=1e-4)  # in the plane of the three parents
    assert (z[:, :2] < -0.5).any()  # and outside the triangle between them


def test_successful_moves_become_more_frequent():
    settings = EvolutionSettings(
        adaptation=1.0, n_step_sizes=4, min_step=0.01, max_step=10, crossover=0, differential=0
    )
    evolution = Evolution(draw, 0, settings)
    target = np.full(N_LATENT, 0.8, np.float32)
    evolution.tell(np.zeros((1, N_LATENT), np.float32), np.array([-1.0]))
    for _ in range(15):
        z = evolution.ask(200)
        evolution.tell(z, -np.abs(z - target).mean(axis=1), np.arange(200))
    probabilities = evolution._probabilities()[Evolution.MUTATION :]
    assert probabilities[:3].min() > 3 * probabilities[3]  # steps of 2 to 10 standard deviations fail


def test_random_directions_are_straight_lines_from_the_starts():
    control = RandomDirections(draw, 0, RandomDirectionsSettings(length=2.0, n_per_line=4))
    start = draw(1, 3)
    control.tell(start, np.zeros(1))
    z = control.ask(40)
    assert (control.parents == 0).all()
    distance = np.linalg.norm(z - start, axis=1) / np.sqrt(N_LATENT)
    np.testing.assert_allclose(np.sort(distance), np.repeat([0.5, 1.0, 1.5, 2.0], 10), rtol=0.05)
    direction = (z - start) / np.linalg.norm(z - start, axis=1, keepdims=True)
    assert ((direction @ direction.T > 0.999).sum(axis=1) == 4).all()


def test_random_directions_without_starts_begin_at_prior_draws_and_ignore_scores():
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


def test_invalid_settings_are_refused():
    with pytest.raises(InputError, match=r"x\.toml populaton: .*population\?"):
        EvolutionSettings.from_dict({"populaton": 3}, "x.toml")
    with pytest.raises(InputError, match=r"x\.toml population"):
        EvolutionSettings.from_dict({"population": 0}, "x.toml")
