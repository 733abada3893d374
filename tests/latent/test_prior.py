import numpy as np
import pytest
from scipy.stats import multivariate_normal

from molvae.errors import InputError
from molvae.latent.prior import GaussianPrior

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(4, 4))
CODES = RANDOM.normal(size=(5000, 4)) @ MIXING.T + [1.0, 2.0, 3.0, 4.0]


def test_draws_have_the_mean_and_the_covariance_of_the_codes():
    drawn = GaussianPrior.fit(CODES).sample(100_000, np.random.default_rng(1))
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), CODES.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(CODES.T), atol=0.15)


def test_density_is_that_of_scipy():
    expected = multivariate_normal(CODES.mean(0), np.cov(CODES.T, bias=True)).logpdf(CODES[:50])
    np.testing.assert_allclose(GaussianPrior.fit(CODES).log_density(CODES[:50]), expected, atol=1e-3)


def test_few_or_equal_codes_make_a_narrow_prior_and_one_makes_none():
    narrow = GaussianPrior.fit(CODES[:3])
    assert np.isfinite(narrow.log_density(CODES[:5])).all()
    equal = GaussianPrior.fit(np.ones((10, 4))).sample(5, np.random.default_rng(0))
    np.testing.assert_allclose(equal, 1, atol=0.01)
    with pytest.raises(InputError, match="at least 2"):
        GaussianPrior.fit(CODES[:1])


def test_it_is_made_again_from_its_arrays():
    prior = GaussianPrior.fit(CODES)
    again = GaussianPrior(**prior.arrays())
    np.testing.assert_array_equal(again.sample(3, np.random.default_rng(2)), prior.sample(3, np.random.default_rng(2)))
