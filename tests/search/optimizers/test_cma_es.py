import sys

import numpy as np
import pytest

from molvae.errors import MissingPackageError
from molvae.search.optimizers import FIRST_START, NO_PARENT, Outcome, Proposals, Results
from molvae.search.optimizers.cma_es import CmaEs, CmaEsSettings


def make(space, **changes):
    return CmaEs(space, 0, CmaEsSettings(**changes))


def run(optimizer, report, rounds, score, n=10):
    """Rounds in which all proposals are scored; the largest score of each."""
    best = []
    for _ in range(rounds):
        proposals = optimizer.ask(n)
        optimizer.tell(report(proposals, Outcome.PREDICTED))
        optimizer.tell(report(proposals, Outcome.SCORED, score(proposals.z)))
        best.append(np.max(score(proposals.z)))
    return best


@pytest.mark.parametrize("subspace", ["best", "random"])
def test_samples_are_in_a_subspace_around_a_start(space, draw, starts, subspace):
    optimizer = make(space, n_dimensions=5, subspace=subspace)
    start = draw(1, 1)
    optimizer.tell(starts(start, [1.0]))
    proposals = optimizer.ask(400)
    steps = optimizer._scale.standardize(proposals.z) - optimizer._scale.standardize(start)
    length = np.linalg.svd(steps, compute_uv=False)
    assert (length > 1e-3).sum() == 5
    assert np.sqrt((steps**2).sum() / 400 / 5) == pytest.approx(1, rel=0.1)
    assert (proposals.parents[:, 0] == FIRST_START).all()


def test_half_of_the_axes_are_principal_components_of_the_best(space, draw, starts):
    z = draw(50, 1) * 0.01
    z[:, 3] *= 300
    z[:, 7] *= 200
    optimizer = make(space, n_dimensions=4)
    optimizer.tell(starts(z, np.arange(50.0)))
    axes = np.abs(optimizer.ask(1) and optimizer._strategy._axes)
    assert axes[0, 3] == pytest.approx(1, abs=0.05)
    assert axes[1, 7] == pytest.approx(1, abs=0.05)


def test_it_optimizes_a_function_of_a_few_dimensions_without_a_surrogate(space, report, starts):
    optimizer = make(space, n_dimensions=24, patience=30)
    optimizer.tell(starts(np.zeros((1, 24), np.float32), [-100.0]))
    weights = np.logspace(0, 1, 24)  # condition number 100
    best = run(optimizer, report, 100, lambda z: -((weights * (z - 1)) ** 2).sum(axis=1))
    assert np.max(best) > 0.2 * np.max(best[:5])  # both are negative


def test_ranks_count_and_not_values(space, report, starts):
    proposals = []
    for transform in (lambda x: x, lambda x: np.exp(5 * x)):
        optimizer = make(space, n_dimensions=5)
        optimizer.tell(starts(np.zeros((1, 24), np.float32), transform(np.array([-10.0]))))
        run(optimizer, report, 10, lambda z, transform=transform: transform(-np.abs(z[:, 0] - 1).astype(float)))
        proposals.append(optimizer.ask(10).z)
    np.testing.assert_array_equal(*proposals)


@pytest.mark.parametrize(("outcome", "factor"), [(Outcome.REPEAT, 1), (Outcome.INVALID, -1), (Outcome.PREDICTED, 0)])
def test_repeats_stretch_the_samples_and_invalid_ones_shrink_them(space, draw, report, starts, outcome, factor):
    optimizer = make(space)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    for _ in range(3):
        optimizer.tell(report(optimizer.ask(10), outcome))
    assert optimizer.state().arrays["stretch"] == pytest.approx(np.exp(0.9 * factor))


def test_a_subspace_without_new_molecules_is_left(space, draw, report, starts):
    optimizer = make(space)
    optimizer.tell(starts(draw(5, 1), np.arange(5.0)))
    first = optimizer.ask(100)
    for _ in range(2):
        optimizer.tell(report(first, Outcome.REPEAT))
    second = optimizer.ask(100)
    both = optimizer._scale.standardize(np.vstack([first.z - first.z[0], second.z - second.z[0]]))
    assert np.linalg.matrix_rank(both, tol=1e-3) > 16


def test_a_subspace_without_better_molecules_is_left(space, draw, report, starts):
    optimizer = make(space, patience=3, population=10)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    run(optimizer, report, 3, lambda z: np.zeros(len(z)))
    assert optimizer.state().arrays["n_subspaces"] == 0
    run(optimizer, report, 1, lambda z: np.zeros(len(z)))
    assert optimizer.state().arrays["n_subspaces"] == 1


def test_late_results_of_an_earlier_subspace_do_not_count(space, draw, report, starts):
    optimizer = make(space, patience=1, population=10)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    late = optimizer.ask(30)
    run(optimizer, report, 2, lambda z: np.zeros(len(z)))
    optimizer.ask(10)
    optimizer.tell(report(late, Outcome.SCORED, np.zeros(30)))
    assert optimizer._strategy.n_updates == 0


def test_a_restored_optimizer_repeats_its_updates_exactly(space, draw, report, starts):
    first, second = make(space, population=7), make(space, population=7)
    given = [starts(draw(4, 1), np.arange(4.0))]
    first.tell(given[0])
    for _ in range(30):
        proposals = first.ask(10)
        given.append(report(proposals, Outcome.SCORED, -(proposals.z**2).sum(axis=1)))
        first.tell(given[-1])
    proposals = Proposals(*map(np.concatenate, zip(*(one.proposals for one in given), strict=True)))
    columns = map(np.concatenate, zip(*(one[1:] for one in given), strict=True))
    second.restore(first.state(), Results(proposals, *columns))
    for name in ("mean", "sigma", "pc"):
        np.testing.assert_array_equal(getattr(first._strategy._cma, name), getattr(second._strategy._cma, name))
    np.testing.assert_array_equal(first._strategy._cma.sm.C, second._strategy._cma.sm.C)
    np.testing.assert_array_equal(first.ask(20).z, second.ask(20).z)


def test_it_begins_after_the_initial_draws_with_one_that_has_a_value(space, report):
    optimizer = make(space, n_initial=20)
    for values in (np.full(10, np.nan), np.append(np.full(9, np.nan), 1.0)):
        proposals = optimizer.ask(10)
        assert (proposals.parents == NO_PARENT).all()
        optimizer.tell(report(proposals, Outcome.SCORED, values))
    assert (optimizer.ask(10).parents[:, 0] == 19).all()


def test_the_global_generator_is_left_alone(space, draw, report, starts):
    np.random.seed(3)  # noqa: NPY002
    optimizer = make(space)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    run(optimizer, report, 3, lambda z: z[:, 0])
    after = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    assert after == np.random.rand()  # noqa: NPY002


def test_a_missing_package_names_its_extra(space, monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(MissingPackageError, match=r"molvae\[search\]"):
        CmaEs(space, 0)
