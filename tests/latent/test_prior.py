import numpy as np
import pytest
from scipy.stats import multivariate_normal

from molvae.errors import InputError
from molvae.latent.flow import FlowSettings
from molvae.latent.prior import PRIORS, FlowPrior, GaussianPrior, MixturePrior, PriorSettings, fit_prior, settings_of

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(4, 4))
Z = RANDOM.normal(size=(5000, 4)) @ MIXING.T + [1.0, 2.0, 3.0, 4.0]
RING = RANDOM.uniform(0, 2 * np.pi, 8000)
RING = 3 + 2 * np.stack([np.cos(RING), np.sin(RING)], 1) + 0.2 * RANDOM.normal(size=(8000, 2))
"""A ring: no latent vector is near the mean."""

SETTINGS = {
    "gaussian": PriorSettings(),
    "mixture": PriorSettings(kind="mixture", components=12),
    "flow": PriorSettings(
        kind="flow", flow=FlowSettings(hidden=48, blocks=2, n_samples=300_000, batch_size=512, learning_rate=5e-3)
    ),
}


@pytest.fixture(scope="module")
def fitted():
    return {kind: fit_prior(RING.astype(np.float32), settings) for kind, settings in SETTINGS.items()}


def test_draws_have_the_mean_and_covariance_of_the_latent_vectors():
    drawn = GaussianPrior.fit(Z).sample(100_000, np.random.default_rng(1))
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), Z.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(Z.T), atol=0.15)


def test_the_density_is_that_of_scipy():
    expected = multivariate_normal(Z.mean(0), np.cov(Z.T, bias=True)).logpdf(Z[:50])
    np.testing.assert_allclose(GaussianPrior.fit(Z).log_density(Z[:50]), expected, atol=1e-3)


@pytest.mark.parametrize("kind", PRIORS)
def test_every_prior_has_mean_and_covariance(kind, fitted):
    prior = fitted[kind]
    assert settings_of(prior).kind == kind
    np.testing.assert_allclose(prior.mean, RING.mean(0), atol=0.05)
    np.testing.assert_allclose(prior.factor @ prior.factor.T, np.cov(RING.T), atol=0.1)
    drawn = prior.sample(4000, np.random.default_rng(1))
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), RING.mean(0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(RING.T), atol=0.3)
    np.testing.assert_array_equal(drawn, prior.sample(4000, np.random.default_rng(1)))


def test_mixture_and_flow_fit_a_ring_that_a_gaussian_does_not(fitted):
    """The middle of the circle is empty, but a third of the draws of a normal distribution are there."""
    inside = {
        kind: np.mean(np.linalg.norm(prior.sample(4000, np.random.default_rng(2)) - 3, axis=1) < 1.2)
        for kind, prior in fitted.items()
    }
    assert inside["gaussian"] > 0.2
    assert inside["mixture"] < 0.03
    assert inside["flow"] < 0.06


def test_densities_are_normalized_and_rank_the_priors(fitted):
    """Mean log-densities of held-out latent vectors, and the integral of each density over a grid."""
    angle = np.random.default_rng(5).uniform(0, 2 * np.pi, 2000)
    held_out = 3 + 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    held_out = (held_out + 0.2 * np.random.default_rng(6).normal(size=held_out.shape)).astype(np.float32)
    means = {kind: prior.log_density(held_out).mean() for kind, prior in fitted.items()}
    assert means["mixture"] > means["gaussian"] + 0.4
    assert means["flow"] > means["gaussian"] + 0.4
    side = np.linspace(-1.5, 7.5, 91)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    for kind, prior in fitted.items():
        total = np.exp(prior.log_density(grid)).sum() * (side[1] - side[0]) ** 2
        assert total == pytest.approx(1.0, abs=0.1 if kind == "flow" else 0.01), kind


def test_a_prior_needs_two_molecules():
    narrow = GaussianPrior.fit(Z[:3])
    assert np.isfinite(narrow.log_density(Z[:5])).all()
    equal = GaussianPrior.fit(np.ones((10, 4))).sample(5, np.random.default_rng(0))
    np.testing.assert_allclose(equal, 1, atol=0.01)
    with pytest.raises(InputError, match="at least 2"):
        GaussianPrior.fit(Z[:1])
    with pytest.raises(InputError, match="at least 2"):
        FlowPrior.fit(Z[:1])
    with pytest.raises(InputError, match=r"components 8: .* 16 .* 15"):
        MixturePrior.fit(Z[:15], PriorSettings(kind="mixture", components=8))


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_is_restored_from_its_arrays(kind, fitted):
    prior = fitted[kind]
    again = type(prior).from_arrays(prior.arrays())
    drawn = [p.sample(200, np.random.default_rng(2)) for p in (again, prior)]
    np.testing.assert_allclose(drawn[0], drawn[1], atol=0.05, err_msg="half precision")
    np.testing.assert_allclose(again.log_density(RING[:9]), prior.log_density(RING[:9]), atol=0.2)


def test_a_flow_depends_on_the_seed(fitted):
    settings = PriorSettings(kind="flow", flow=FlowSettings(hidden=16, n_samples=4000, batch_size=256))
    first, again, other = (fit_prior(RING[:500].astype(np.float32), settings, seed=seed) for seed in (1, 1, 2))
    draws = [prior.sample(5, np.random.default_rng(0)) for prior in (first, again, other)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
