import numpy as np
import pytest
from scipy.spatial.distance import cdist

from molvae.search.optimizers import FIRST_START, NO_PARENT, Outcome
from molvae.search.optimizers.trust_region import TrustRegion, TrustRegionSettings, _GaussianProcess, _matern


def make(space, **changes):
    return TrustRegion(space, 0, TrustRegionSettings(**changes))


def width(optimizer):
    return float(optimizer.state().arrays["width"])


def test_proposals_are_in_a_box_around_the_best_molecule(space, draw, starts):
    optimizer = make(space, width=0.7)
    z = draw(5, 1)
    optimizer.tell(starts(z, [0.0, 1.0, 4.0, 2.0, 3.0]))
    proposals = optimizer.ask(150)
    steps = optimizer._scale.standardize(proposals.z) - optimizer._scale.standardize(z[2])
    assert (proposals.parents[:, 0] == FIRST_START - 2).all()
    assert np.abs(steps).max() <= 0.7 + 1e-4
    assert np.abs(steps).max() > 0.5
    assert (np.abs(steps) > 1e-4).any(axis=1).all()
    assert (np.abs(steps) < 1e-4).any(axis=1).mean() > 0.5  # most keep some of the 24 dimensions


def test_the_first_proposals_are_better_than_the_last(space, draw, report, starts):
    def score(z):
        return z[:, 0] + z[:, 1]

    optimizer = make(space)
    z = draw(60, 1)
    optimizer.tell(starts(z, score(z)))
    better = [score(optimizer.ask(100).z) for _ in range(5)]
    assert np.mean([one[:20].mean() for one in better]) > np.mean([one.mean() for one in better]) + 0.1
    assert np.mean([one[:20].mean() for one in better]) > score(z).max()


def test_it_optimizes_a_smooth_function(space, draw, report, starts):
    def score(z):
        return -np.linalg.norm(z - 0.5, axis=1)

    optimizer = make(space, n_failures=20)
    z = draw(30, 1)
    optimizer.tell(starts(z, score(z)))
    for _ in range(25):
        proposals = optimizer.ask(10)
        optimizer.tell(report(proposals, Outcome.SCORED, score(proposals.z)))
        best = score(proposals.z).max()
    assert best > 0.5 * score(z).max()  # both are negative


def test_the_box_grows_after_three_improvements_in_a_row(space, draw, report, starts):
    optimizer = make(space, width=1.0, max_width=3.0)
    optimizer.tell(starts(draw(1, 1), [0.0]))
    widths = []
    for value in (1, 2, 3, 3, 4, 5, 6):
        optimizer.tell(report(optimizer.ask(2), Outcome.SCORED, [value, 0.0]))
        widths.append(width(optimizer))
    assert widths == [1, 1, 2, 2, 2, 2, 3]


def test_the_box_shrinks_without_improvements_and_a_new_region_begins_with_the_prior(space, draw, report, starts):
    optimizer = make(space, width=1.0, n_failures=10, patience=20, n_initial=20)
    optimizer.tell(starts(draw(1, 1), [5.0]))
    widths = []
    for _ in range(4):
        proposals = optimizer.ask(5)
        assert (proposals.moves == "thompson").all()
        optimizer.tell(report(proposals, Outcome.SCORED, np.arange(5.0)))
        widths.append(width(optimizer))
    assert widths == [1.0, 0.5, 0.5, 1.0]
    for value in (1.0, 2.0):
        proposals = optimizer.ask(10)
        assert (proposals.parents == NO_PARENT).all()
        optimizer.tell(report(proposals, Outcome.SCORED, np.full(10, value)))
    assert (optimizer.ask(5).parents[:, 0] == proposals.ids[-1]).all()  # the start molecule is forgotten


@pytest.mark.parametrize(("outcome", "factor"), [(Outcome.REPEAT, 1), (Outcome.INVALID, -1), (Outcome.PREDICTED, 0)])
def test_repeats_widen_the_box_and_invalid_molecules_narrow_it(space, draw, report, starts, outcome, factor):
    optimizer = make(space, width=1.0)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    for _ in range(3):
        optimizer.tell(report(optimizer.ask(10), outcome))
    assert width(optimizer) == pytest.approx(np.exp(0.9 * factor))


def test_a_region_without_new_molecules_is_left(space, draw, report, starts):
    optimizer = make(space)
    optimizer.tell(starts(draw(1, 1), [5.0]))
    for _ in range(10):
        proposals = optimizer.ask(100)
        assert (proposals.moves == "thompson").all()
        optimizer.tell(report(proposals, Outcome.REPEAT))
    assert (optimizer.ask(10).moves == "prior").all()


def test_failed_molecules_count_as_the_worst(space, draw, report, starts):
    optimizer = make(space)
    z = draw(60, 1)
    optimizer.tell(starts(z, np.where(z[:, 0] > 0, np.nan, z[:, 1])))
    proposals = optimizer.ask(200)
    best = np.argmax(np.where(z[:, 0] > 0, -9, z[:, 1]))
    assert (proposals.parents[:, 0] == FIRST_START - best).all()
    assert proposals.z[:, 0].mean() < z[best, 0]
    assert proposals.z[:, 1].mean() > z[best, 1]


def test_the_molecules_of_the_process_are_the_best_and_the_newest(space, draw, report, starts):
    optimizer = make(space, max_train=20)
    optimizer.tell(starts(draw(50, 1), -np.arange(50.0)))
    rows = optimizer.state().arrays["rows"]
    assert set(rows.tolist()) == {*range(10), *range(40, 50)}


def test_the_process_interpolates_and_is_uncertain_far_away():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((80, 3))
    y = np.sin(z[:, 0])
    y -= y.mean()
    draws = _GaussianProcess(z, y).draw(np.vstack([z[:5], z[:5] + 30]), 400, rng)
    np.testing.assert_allclose(draws[:, :5].mean(axis=0), y[:5], atol=0.1)
    assert draws[:, :5].std(axis=0).max() < 0.3 * draws[:, 5:].std(axis=0).min()


def test_the_process_has_the_most_likely_length_scale_and_noise():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((150, 16))
    distance = cdist(z, z)
    for scale in (0.25, 1.0):
        root = np.linalg.cholesky(_matern(distance, 4 * scale) + 0.01 * np.eye(150))
        assert _GaussianProcess(z, root @ rng.standard_normal(150))._scale == pytest.approx(4 * scale)


def test_the_kernel_is_matern_five_halves():
    from sklearn.gaussian_process.kernels import Matern

    z = np.random.default_rng(0).standard_normal((20, 4))
    np.testing.assert_allclose(_matern(cdist(z, z), 1.7), Matern(1.7, nu=2.5)(z), rtol=1e-9)
