import numpy as np
import pytest
from scipy.stats import truncnorm

from molvae.errors import InputError
from molvae.latent.flow import FlowSettings
from molvae.latent.guidance import Window
from molvae.latent.prior import GaussianPrior, PriorSettings, fit_prior

MEAN, FACTOR = np.array([1.0, -2.0, 0.5]), np.array([[2.0, 0, 0], [0.5, 1.0, 0], [0.3, -0.4, 0.7]])
DIRECTION = np.array([0.4, -1.0, 2.0])
CENTER = float(DIRECTION @ MEAN) + 3.0
DEVIATION = float(np.linalg.norm(FACTOR.T @ DIRECTION))


def window(low: float, high: float, error: float = 1e-3) -> Window:
    """A window in standard deviations from the mean."""
    return Window(DIRECTION, 3.0, error, CENTER + low * DEVIATION, CENTER + high * DEVIATION)


def values(z: np.ndarray) -> np.ndarray:
    return (z @ DIRECTION + 3.0 - CENTER) / DEVIATION


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.5), (1.0, np.inf), (-np.inf, -1.0), (2.0, 2.5)])
def test_guided_draws_are_those_of_the_truncated_normal_distribution(low, high):
    z = GaussianPrior(MEAN, FACTOR).sample(4000, np.random.default_rng(0), windows=[window(low, high, 0.05)])
    expected = truncnorm(low, high)
    assert values(z).mean() == pytest.approx(expected.mean(), abs=0.06)
    assert values(z).std() == pytest.approx(expected.std(), abs=0.06)
    free = GaussianPrior(MEAN, FACTOR).sample(4000, np.random.default_rng(0))
    # the coordinates that the property does not depend on
    across = np.linalg.svd((FACTOR.T @ DIRECTION)[None])[2][1:] @ np.linalg.inv(FACTOR)
    np.testing.assert_allclose(((z - MEAN) @ across.T).std(0), ((free - MEAN) @ across.T).std(0), atol=0.05)


def test_more_draws_are_within_the_window_with_stronger_guidance():
    prior, target = GaussianPrior(MEAN, FACTOR), window(1.5, 2.0, 0.3)
    share = []
    for guidance in (0.0, 0.5, 1.0, 3.0):
        drawn = values(prior.sample(3000, np.random.default_rng(1), windows=[target], guidance=guidance))
        share.append(np.mean((drawn > 1.5) & (drawn < 2.0)))
    assert share == sorted(share)
    assert share[0] == pytest.approx(0.044, abs=0.02)
    assert share[-1] > 0.8


def test_draws_are_within_two_windows():
    other = Window(np.array([1.0, 0.0, 0.0]), 0.0, 0.01, 2.0, 3.0)
    windows = [window(-0.5, 0.5, 0.01), other]
    z = GaussianPrior(MEAN, FACTOR).sample(2000, np.random.default_rng(2), windows=windows, guidance=1.5)
    assert np.mean(np.abs(values(z)) < 0.6) > 0.9
    assert np.mean((z[:, 0] > 1.9) & (z[:, 0] < 3.1)) > 0.9


def test_distant_windows_and_exact_properties_give_finite_draws():
    z = GaussianPrior(MEAN, FACTOR).sample(50, np.random.default_rng(3), windows=[window(40, 41, 0.0)])
    assert np.isfinite(z).all()
    assert values(z).mean() > 10


def test_a_guided_flow_keeps_its_shape():
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 6000)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.08 * np.random.default_rng(1).normal(size=(6000, 2))
    flow = FlowSettings(hidden=48, n_samples=200_000, batch_size=512, learning_rate=5e-3)
    prior = fit_prior(ring.astype(np.float32), PriorSettings(kind="flow", flow=flow))
    z = prior.sample(1000, np.random.default_rng(2), windows=[Window(np.array([1.0, 0.0]), 0.0, 0.05, 0.6, 0.9)])
    assert np.mean((z[:, 0] > 0.5) & (z[:, 0] < 1.0)) > 0.85
    assert np.mean(np.abs(np.linalg.norm(z, axis=1) - 1) < 0.3) > 0.85
    assert abs(np.mean(z[:, 1] > 0) - 0.5) < 0.1  # both arcs


def test_a_mixture_has_no_guidance():
    z = np.random.default_rng(0).normal(size=(200, 3))
    prior = fit_prior(z, PriorSettings(kind="mixture", components=2))
    with pytest.raises(InputError, match=r"windows: .*mixture"):
        prior.sample(3, np.random.default_rng(0), windows=[window(0, 1)])
