"""Tests that every optimizer of the registry must pass."""

import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.optimizers import NO_PARENT, OPTIMIZERS
from molvae.settings import Settings

N_LATENT = 32
CONTROLS = {"random_directions", "prior"}
CENTER, SPREAD = np.linspace(-1, 1, N_LATENT), np.linspace(0.5, 2.0, N_LATENT)
TARGET = CENTER + SPREAD * np.random.default_rng(5).standard_normal(N_LATENT)


def draw(n, seed):
    return (CENTER + SPREAD * np.random.default_rng(seed).standard_normal((n, N_LATENT))).astype(np.float32)


def bowl(z):
    """Negative distance to the target, in standard deviations."""
    return -np.linalg.norm((z - TARGET) / SPREAD, axis=1) / np.sqrt(N_LATENT)


def run_rounds(optimizer, rounds, score=bowl, n=40, n_scored=20):
    """Rounds of `ask` and `tell` as in the search loop; by default, half of the proposals are scored."""
    asked, scored_z, scores = [], [], []
    for _ in range(rounds):
        z = optimizer.ask(n)
        rows = np.arange(0, n, n // n_scored)[:n_scored]
        optimizer.tell(z[rows], score(z[rows]), rows)
        asked.append(z)
        scored_z.append(z[rows])
        scores.append(score(z[rows]))
    return tuple(map(np.concatenate, (asked, scored_z, scores)))


def test_every_optimizer_has_settings_with_defaults(method):
    settings = OPTIMIZERS[method].Settings
    assert issubclass(settings, Settings)
    one, two = OPTIMIZERS[method](draw, 1), OPTIMIZERS[method](draw, 1, settings())
    np.testing.assert_array_equal(run_rounds(one, 3)[0], run_rounds(two, 3)[0])


def test_the_size_of_the_state_is_bounded(method):
    optimizer = OPTIMIZERS[method](draw, 0)
    sizes = []
    for _ in range(3):
        run_rounds(optimizer, 20)
        sizes.append(sum(array.nbytes for array in optimizer.state().arrays.values()))
    assert sizes[2] <= sizes[1]
    assert sizes[2] < 40 * 200


@pytest.fixture(params=sorted(OPTIMIZERS))
def method(request):
    return request.param


def test_proposals_have_the_requested_shape(method):
    optimizer = OPTIMIZERS[method](draw, 0)
    for n in (1, 7, 100):
        z = optimizer.ask(n)
        assert z.shape == (n, N_LATENT)
        assert z.dtype == np.float32
        assert np.isfinite(z).all()
        assert optimizer.parents.shape == (n,)
        optimizer.tell(z, bowl(z), np.arange(n))


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - CONTROLS))
@pytest.mark.parametrize("seed", range(3))
def test_every_optimizer_but_the_controls_beats_random_draws(name, seed):
    _, _, found = run_rounds(OPTIMIZERS[name](draw, seed), rounds=60)
    drawn = bowl(draw(len(found), seed + 100))
    best_found, best_drawn = np.sort(found)[-10:].mean(), np.sort(drawn)[-10:].mean()
    assert best_found > 0.7 * best_drawn  # both are negative: distances


def test_the_controls_ignore_the_scores():
    for name in CONTROLS:
        one, two = OPTIMIZERS[name](draw, 3), OPTIMIZERS[name](draw, 3)
        np.testing.assert_array_equal(run_rounds(one, 3)[0], run_rounds(two, 3, score=lambda z: np.zeros(len(z)))[0])


def test_equal_seeds_give_equal_proposals_and_different_seeds_do_not(method):
    one, two, other = (run_rounds(OPTIMIZERS[method](draw, seed), 5)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("after_ask", [False, True])
def test_a_restored_optimizer_continues_bit_for_bit(method, after_ask, tmp_path):
    first = OPTIMIZERS[method](draw, 4)
    starts, start_scores = draw(3, 9), np.array([0.1, 0.2, 0.3])
    first.tell(starts, start_scores)
    _, z, score = run_rounds(first, 6)
    if after_ask:
        first.ask(40)
    state = first.state()
    np.savez(tmp_path / "state.npz", allow_pickle=False, **state.arrays)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        arrays = dict(file)
    second = OPTIMIZERS[method](draw, 4)
    second.restore(
        state._replace(arrays=arrays, rng=json.loads(json.dumps(state.rng))),
        np.concatenate([starts, z]),
        np.concatenate([start_scores, score]),
    )
    if after_ask:
        for optimizer in (first, second):
            optimizer.tell(draw(5, 8), np.arange(5.0), np.array([0, 3, 5, 7, 11]))
    np.testing.assert_array_equal(first.parents, second.parents)
    np.testing.assert_array_equal(run_rounds(first, 6)[0], run_rounds(second, 6)[0])


def test_a_state_does_not_change_when_the_optimizer_continues(method):
    optimizer = OPTIMIZERS[method](draw, 4)
    run_rounds(optimizer, 4)
    state = optimizer.state()
    before = json.dumps(state.rng), {name: array.copy() for name, array in state.arrays.items()}
    run_rounds(optimizer, 4)
    assert json.dumps(state.rng) == before[0]
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(array, before[1][name])


@pytest.mark.parametrize("score", [0.0, -3.5, 1e300, -1e30])
def test_ties_keep_the_proposals_diverse(method, score):
    z, _, _ = run_rounds(OPTIMIZERS[method](draw, 0), 12, score=lambda z: np.full(len(z), score))
    assert np.isfinite(z).all()
    assert (z[-40:].std(axis=0) > 0.1 * SPREAD).all()


def test_rounds_without_new_molecules_are_accepted(method):
    optimizer = OPTIMIZERS[method](draw, 0)
    for _ in range(20):
        assert np.isfinite(optimizer.ask(10)).all()
        optimizer.tell(np.zeros((0, N_LATENT), np.float32), np.zeros(0), np.zeros(0, np.int64))


def test_one_start_molecule_is_enough(method):
    optimizer = OPTIMIZERS[method](draw, 0)
    optimizer.tell(TARGET[None].astype(np.float32), np.array([0.5]))
    z = optimizer.ask(200)
    assert np.isfinite(z).all()
    assert len(np.unique(z, axis=0)) == 200
    assert set(optimizer.parents) <= {0, NO_PARENT}


def test_parents_are_numbered_in_the_order_of_the_tell_calls(method):
    optimizer = OPTIMIZERS[method](draw, 0)
    optimizer.tell(draw(4, 1), np.zeros(4))
    run_rounds(optimizer, 5, n=20, n_scored=10)
    optimizer.ask(500)
    assert optimizer.parents.min() >= NO_PARENT
    assert optimizer.parents.max() < 4 + 5 * 10


def test_proposals_stay_near_the_prior(method):
    z, _, _ = run_rounds(OPTIMIZERS[method](draw, 0), 30)
    assert np.abs((z - CENTER) / SPREAD).max() < 20


def test_an_unused_latent_dimension_stays_constant(method):
    def draw_unused(n, seed):
        z = draw(n, seed)
        z[:, 3] = 0.25
        return z

    z, _, _ = run_rounds(OPTIMIZERS[method](draw_unused, 0), 10)
    np.testing.assert_allclose(z[:, 3], 0.25, atol=1e-3)


@pytest.mark.parametrize(
    ("z", "score"),
    [
        (np.zeros((2, N_LATENT)), np.array([0.0, np.nan])),
        (np.full((2, N_LATENT), np.nan), np.zeros(2)),
        (np.zeros((2, N_LATENT)), np.zeros(3)),
        (np.zeros((2, N_LATENT + 1)), np.zeros(2)),
        (np.zeros(N_LATENT), np.zeros(1)),
    ],
)
def test_invalid_scores_are_refused(method, z, score):
    optimizer = OPTIMIZERS[method](draw, 0)
    with pytest.raises(InputError, match="tell"):
        optimizer.tell(z, score)
