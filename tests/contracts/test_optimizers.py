"""Tests that every optimizer of the registry must pass."""

import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.optimizers import FIRST_START, NO_PARENT, OPTIMIZERS, Outcome, Proposals, Results
from molvae.settings import Settings

N_LATENT = 32
CONTROLS = {"random_directions", "prior", "guided_prior"}
CENTRE, SPREAD = np.linspace(-1, 1, N_LATENT), np.linspace(0.5, 2.0, N_LATENT)
TARGET = CENTRE + SPREAD * np.random.default_rng(5).standard_normal(N_LATENT)
NO_RESULTS = np.zeros(0, np.int64)


def draw(n, seed):
    return (CENTRE + SPREAD * np.random.default_rng(seed).standard_normal((n, N_LATENT))).astype(np.float32)


class Space:
    """A latent space with a property head that predicts one property."""

    name, n_latent, property_names = "space", N_LATENT, ["closeness"]

    def draw(self, n, *, seed=0, spread=None, windows=None, guidance=1.0):
        return draw(n, seed)

    def properties(self, z):
        return {"closeness": (z - CENTRE) / SPREAD @ ((TARGET - CENTRE) / SPREAD)}


SPACE = Space()


def bowl(z):
    """Negative distance to the target, in standard deviations."""
    return -np.linalg.norm((z - TARGET) / SPREAD, axis=1) / np.sqrt(N_LATENT)


def report(proposals, outcome, values=None, acquisition=None):
    """Results of proposals that decode to themselves."""
    n = len(proposals.ids)
    values = np.full((n, 1), np.nan) if values is None else np.asarray(values, float).reshape(n, -1)
    acquisition = np.full(n, np.nan) if acquisition is None else acquisition
    return Results(proposals, proposals.z, np.full(n, int(outcome)), values, acquisition)


def starts(z, values):
    ids = FIRST_START - np.arange(len(z))
    return report(Proposals.greedy(ids, z, np.full(len(z), NO_PARENT), "start"), Outcome.SCORED, values)


def join(results):
    """Results of several calls, one after the other."""
    proposals = Proposals(*map(np.concatenate, zip(*(one.proposals for one in results), strict=True)))
    return Results(proposals, *map(np.concatenate, zip(*(one[1:] for one in results), strict=True)))


def play(optimizer, rounds, score=bowl, n=40, n_scored=20, generations=2):
    """Rounds of a search in which the surrogate is perfect: all proposals, and all scored results."""
    asked, scored = [], []
    for _ in range(rounds):
        pool = []
        for _ in range(generations):
            proposals = optimizer.ask(n)
            optimizer.tell(report(proposals, Outcome.PREDICTED, acquisition=np.asarray(bowl(proposals.z))))
            pool.append(proposals)
            asked.append(proposals.z)
        pool = Proposals(*map(np.concatenate, zip(*pool, strict=True)))
        chosen = pool.rows(np.arange(0, len(pool.ids), len(pool.ids) // n_scored)[:n_scored])
        scored.append(report(chosen, Outcome.SCORED, score(chosen.z)))
        optimizer.tell(scored[-1])
    return np.concatenate(asked), join(scored)


@pytest.fixture(params=sorted(OPTIMIZERS))
def method(request):
    return request.param


@pytest.fixture
def make(method):
    return lambda seed=0: OPTIMIZERS[method](SPACE, seed)


def test_every_optimizer_has_settings_with_defaults(method):
    settings = OPTIMIZERS[method].Settings
    assert issubclass(settings, Settings)
    one, two = OPTIMIZERS[method](SPACE, 1), OPTIMIZERS[method](SPACE, 1, settings())
    np.testing.assert_array_equal(play(one, 3)[0], play(two, 3)[0])


def test_proposals_are_complete_and_have_new_ids(make):
    optimizer = make()
    ids = []
    for n in (1, 7, 100):
        proposals = optimizer.ask(n)
        assert proposals.z.shape == (n, N_LATENT)
        assert proposals.z.dtype == np.float32
        assert np.isfinite(proposals.z).all()
        assert proposals.parents.shape == (n, 2)
        assert len(proposals.moves) == n
        assert all(proposals.moves)
        assert ((proposals.noise >= 0) & (proposals.noise <= 1)).all()
        assert ((proposals.temperature >= 0) & (proposals.temperature <= 10)).all()
        optimizer.tell(report(proposals, Outcome.SCORED, bowl(proposals.z)))
        ids += proposals.ids.tolist()
    assert len(set(ids)) == len(ids)
    assert min(ids) >= 0


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - CONTROLS))
@pytest.mark.parametrize("seed", range(3))
def test_every_optimizer_but_the_controls_beats_random_draws(name, seed):
    _, scored = play(OPTIMIZERS[name](SPACE, seed), rounds=60)
    found = scored.values[:, 0]
    drawn = bowl(draw(len(found), seed + 100))
    best_found, best_drawn = np.sort(found)[-10:].mean(), np.sort(drawn)[-10:].mean()
    assert best_found > 0.7 * best_drawn  # both are negative: distances


def test_the_controls_ignore_the_values():
    for name in CONTROLS:
        one, two = OPTIMIZERS[name](SPACE, 3), OPTIMIZERS[name](SPACE, 3)
        np.testing.assert_array_equal(play(one, 3)[0], play(two, 3, score=lambda z: np.zeros(len(z)))[0])


def test_equal_seeds_give_equal_proposals_and_others_do_not(make):
    one, two, other = (play(make(seed), 5)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_restored_optimizer_continues_bit_for_bit(make, is_open, tmp_path):
    first = make(4)
    given = starts(draw(3, 9), [0.1, 0.2, 0.3])
    first.tell(given)
    _, scored = play(first, 6)
    if is_open:  # between decoding and scoring
        proposals = first.ask(40)
        first.tell(report(proposals, Outcome.PREDICTED, acquisition=np.asarray(bowl(proposals.z))))
    state = first.state()
    np.savez(tmp_path / "state.npz", allow_pickle=False, **state.arrays)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        arrays = dict(file)
    second = make(4)
    second.restore(state._replace(arrays=arrays, rng=json.loads(json.dumps(state.rng))), join([given, scored]))
    if is_open:
        rows = np.array([0, 3, 5, 7, 11])
        for optimizer in (first, second):
            optimizer.tell(report(proposals.rows(rows), Outcome.SCORED, np.arange(5.0)))
    np.testing.assert_array_equal(play(first, 6)[0], play(second, 6)[0])


def test_an_optimizer_is_restored_before_anything_is_scored(make):
    first, second = make(4), make(4)
    nothing = report(Proposals.greedy(NO_RESULTS, draw(0, 0), NO_RESULTS, "x"), Outcome.SCORED)
    second.restore(first.state(), nothing)
    np.testing.assert_array_equal(play(first, 2)[0], play(second, 2)[0])


def test_a_state_does_not_change_when_the_optimizer_continues(make):
    optimizer = make(4)
    play(optimizer, 4)
    state = optimizer.state()
    before = json.dumps(state.rng), {name: array.copy() for name, array in state.arrays.items()}
    play(optimizer, 4)
    assert json.dumps(state.rng) == before[0]
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(array, before[1][name])


def test_the_state_does_not_grow_with_the_results(make):
    optimizer = make()
    sizes = []
    for _ in range(3):
        play(optimizer, 20)
        sizes.append(sum(array.nbytes for array in optimizer.state().arrays.values()))
    assert sizes[2] <= sizes[1]
    assert sizes[2] < 100 * 200


@pytest.mark.parametrize("score", [0.0, -3.5, 1e300, -1e30])
def test_ties_keep_the_proposals_diverse(make, score):
    optimizer = make()
    play(optimizer, 12, score=lambda z: np.full(len(z), score))
    z = optimizer.ask(40).z
    assert np.isfinite(z).all()
    assert (z.std(axis=0) > 0.1 * SPREAD).all()


def test_failed_molecules_are_accepted_and_never_preferred(make):
    optimizer = make()
    play(optimizer, 3, score=lambda z: np.full(len(z), np.nan))
    _, scored = play(optimizer, 40, score=lambda z: np.where(z[:, 0] > CENTRE[0], np.nan, bowl(z)))
    assert np.isnan(scored.values[-200:]).mean() < 0.9
    assert np.isfinite(optimizer.ask(50).z).all()


def test_several_objectives_are_accepted(make):
    def two(z):
        return np.column_stack([bowl(z), -np.abs(z[:, 0])])

    optimizer = make()
    z, _ = play(optimizer, 8, score=two)
    assert np.isfinite(z).all()


def test_rounds_without_new_molecules_are_accepted(make):
    optimizer = make()
    for _ in range(20):
        for outcome in (Outcome.REPEAT, Outcome.INVALID, Outcome.INFEASIBLE):
            proposals = optimizer.ask(10)
            assert np.isfinite(proposals.z).all()
            optimizer.tell(report(proposals, outcome))
        optimizer.tell(report(proposals.rows(NO_RESULTS), Outcome.SCORED))


def test_results_may_come_late_and_in_any_order(make):
    optimizer = make()
    asked = [optimizer.ask(20) for _ in range(4)]
    for proposals in asked:
        optimizer.tell(report(proposals, Outcome.PREDICTED))
    for proposals in reversed(asked):
        rows = np.random.default_rng(0).permutation(20)[:10]
        optimizer.tell(report(proposals.rows(rows), Outcome.SCORED, bowl(proposals.z[rows])))
    parents = set(optimizer.ask(300).parents.ravel().tolist()) - {NO_PARENT}
    assert parents <= {int(one) for proposals in asked for one in proposals.ids}


def test_one_start_molecule_is_enough(make):
    optimizer = make()
    optimizer.tell(starts(TARGET[None].astype(np.float32), [0.5]))
    proposals = optimizer.ask(200)
    assert np.isfinite(proposals.z).all()
    decoded_alike = np.column_stack([proposals.z, proposals.noise])
    assert len(np.unique(decoded_alike, axis=0)) > 100
    assert set(proposals.parents.ravel().tolist()) <= {FIRST_START, NO_PARENT}


def test_parents_are_scored_molecules(make):
    optimizer = make()
    optimizer.tell(starts(draw(4, 1), np.zeros(4)))
    _, scored = play(optimizer, 5)
    known = {NO_PARENT, *(FIRST_START - np.arange(4)).tolist(), *scored.proposals.ids.tolist()}
    proposals = optimizer.ask(200)
    optimizer.tell(report(proposals, Outcome.PREDICTED, acquisition=np.asarray(bowl(proposals.z))))
    for one in (proposals, optimizer.ask(300)):
        assert set(one.parents.ravel().tolist()) <= known


def test_proposals_stay_near_the_prior(make):
    z, _ = play(make(), 30)
    assert np.abs((z - CENTRE) / SPREAD).max() < 20


def test_an_unused_latent_dimension_stays_constant(method):
    class Unused(Space):
        def draw(self, n, *, seed=0, **options):
            z = draw(n, seed)
            z[:, 3] = 0.25
            return z

    z, _ = play(OPTIMIZERS[method](Unused(), 0), 10)
    np.testing.assert_allclose(z[:, 3], 0.25, atol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"z": np.full((2, N_LATENT), np.nan)},
        {"z": np.zeros((2, N_LATENT + 1))},
        {"z": np.zeros(N_LATENT)},
        {"values": np.zeros(2)},
        {"values": np.zeros((3, 1))},
        {"outcome": np.zeros(3, np.int64)},
    ],
)
def test_invalid_results_are_refused(make, changes):
    optimizer = make()
    results = report(optimizer.ask(2), Outcome.SCORED, [0.0, 1.0])
    with pytest.raises(InputError, match="tell"):
        optimizer.tell(results._replace(**changes))
