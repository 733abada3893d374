"""Priors: distributions fitted to latent vectors, for sampling and densities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, Self

import numpy as np
from pydantic import Field

from molvae.errors import InputError
from molvae.latent.flow import FlowSettings, Velocity, fit_velocity, from_noise
from molvae.latent.guidance import Window, guidance_gradient
from molvae.seeds import integer_seed
from molvae.settings import Settings

_STEPS = 8  # of the flow; 60 steps change the covariance of draws by less than 0.3 %
_GUIDED_STEPS = 24
_DENSITY_STEPS = 16
_PROBES = 8
_N_MIXTURE = 100_000  # a mixture is fitted to at most this number of latent vectors


class PriorSettings(Settings):
    """The prior that is fitted to the latent vectors of the training set.

    Parameters
    ----------
    kind : {"gaussian", "mixture", "flow"}, default="gaussian"
        A name of `PRIORS`.
    n_molecules : int, default=200000
        Maximum number of molecules that the prior is fitted to, drawn at random.
    components : int, default=32
        Number of normal distributions in a mixture.
    flow : FlowSettings
        Size and training of a flow.
    """

    kind: Literal["gaussian", "mixture", "flow"] = "gaussian"
    n_molecules: int = Field(200_000, ge=2)
    components: int = Field(32, ge=1, le=1024)
    flow: FlowSettings = FlowSettings()


class SamplingSettings(Settings):
    """How molecules are sampled.

    Parameters
    ----------
    noise : float, default=0.6
        Noise level of the decoder, in [0, 1].
    temperature : float, default=0.5
        Sampling temperature of the tokens, in [0, 10].
    spread : float, default=0.0
        Standard deviation of the steps added to prior draws, in standard deviations of the latent vectors, in
        [0, 3]. Without it, samples are less diverse than the training set.
    """

    noise: float = Field(0.6, ge=0, le=1)
    temperature: float = Field(0.5, ge=0, le=10)
    spread: float = Field(0.0, ge=0, le=3)


class Prior(Protocol):
    """A distribution of latent vectors."""

    @property
    def mean(self) -> np.ndarray:
        """Mean (D,)."""
        ...

    @property
    def factor(self) -> np.ndarray:
        """Lower triangular factor (D, D) of the covariance, ``factor @ factor.T``."""
        ...

    def sample(
        self, n: int, random: np.random.Generator, *, windows: Sequence[Window] = (), guidance: float = 1.0
    ) -> np.ndarray:
        """Draw latent vectors.

        Parameters
        ----------
        n : int
            Number of latent vectors.
        random : numpy.random.Generator
            Source of the draws.
        windows : sequence of Window, default=()
            Property windows that the draws are guided to.
        guidance : float, default=1.0
            Strength of the guidance; 0 is none.

        Returns
        -------
        ndarray of shape (n, D)
            Latent vectors, float32.

        Raises
        ------
        InputError
            There are windows, and this kind of prior has no guidance.
        """
        ...

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log-density (n,), in nats, of latent vectors (n, D)."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        ...


@dataclass(frozen=True)
class GaussianPrior:
    """A normal distribution with full covariance.

    Parameters
    ----------
    mean : ndarray of shape (D,)
        Mean.
    factor : ndarray of shape (D, D)
        Lower triangular factor of the covariance, ``factor @ factor.T``.
    """

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def fit(cls, z: np.ndarray, settings: PriorSettings | None = None, *, seed: int = 0) -> Self:
        """Fit the distribution by maximum likelihood.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.
        settings : PriorSettings, optional
            Unused.
        seed : int, default=0
            Unused; the fit is deterministic.

        Returns
        -------
        GaussianPrior
            The fitted prior.

        Raises
        ------
        InputError
            There are fewer than two latent vectors.
        """
        if len(z) < 2:
            raise InputError(f"a prior needs at least 2 molecules, got {len(z)}")
        z = z.astype(np.float64)
        return cls(z.mean(0), _factor(np.atleast_2d(np.cov(z, rowvar=False, bias=True))))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored prior.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Self
            The prior.
        """
        return cls(arrays["mean"].astype(np.float64), arrays["factor"].astype(np.float64))

    def sample(
        self, n: int, random: np.random.Generator, *, windows: Sequence[Window] = (), guidance: float = 1.0
    ) -> np.ndarray:
        """Draw latent vectors; see `Prior.sample`."""
        if windows:
            return _draw(self, None, n, random, windows, guidance)
        return (self.mean + random.standard_normal((n, len(self.mean))) @ self.factor.T).astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log-density (n,), in nats, of latent vectors (n, D)."""
        return _log_normal(self.whiten(z)) - np.log(np.diag(self.factor)).sum()

    def whiten(self, z: np.ndarray) -> np.ndarray:
        """Whiten latent vectors to mean 0 and covariance 1.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.

        Returns
        -------
        ndarray of shape (n, D)
            Whitened latent vectors.
        """
        white: np.ndarray = np.linalg.solve(self.factor, (z - self.mean).T).T
        return white

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        return {"mean": self.mean.astype(np.float32), "factor": self.factor.astype(np.float32)}


@dataclass(frozen=True)
class MixturePrior:
    """A mixture of normal distributions with full covariances.

    Parameters
    ----------
    weights : ndarray of shape (K,)
        Weights of the components.
    means : ndarray of shape (K, D)
        Their means.
    factors : ndarray of shape (K, D, D)
        Lower triangular factors of their covariances.
    """

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    @classmethod
    def fit(cls, z: np.ndarray, settings: PriorSettings | None = None, *, seed: int = 0) -> Self:
        """Fit the mixture by expectation maximization, initialized by k-means.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors, of which the first 100,000 are used.
        settings : PriorSettings, optional
            Number of components.
        seed : int, default=0
            Seed of the initialization.

        Returns
        -------
        MixturePrior
            The fitted prior.

        Raises
        ------
        InputError
            There are fewer than two latent vectors per component.
        """
        from sklearn.mixture import GaussianMixture

        n_components = (settings or PriorSettings(kind="mixture")).components
        if len(z) < 2 * n_components:
            raise InputError(
                f"[prior] components {n_components}: needs at least {2 * n_components} molecules, got {len(z)}"
            )
        scale = float(z.std()) or 1.0
        mixture = GaussianMixture(
            n_components, tol=1e-3, max_iter=50, reg_covar=1e-4, random_state=integer_seed(seed, "mixture")
        ).fit(z[:_N_MIXTURE] / scale)
        return cls(
            mixture.weights_, mixture.means_ * scale, np.stack([_factor(c * scale**2) for c in mixture.covariances_])
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored prior.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Self
            The prior.
        """
        return cls(*(arrays[name].astype(np.float64) for name in ("weights", "means", "factors")))

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean (D,) of the mixture."""
        mean: np.ndarray = self.weights @ self.means
        return mean

    @cached_property
    def factor(self) -> np.ndarray:
        """Factor (D, D) of the covariance of the mixture."""
        deviation = self.means - self.mean
        inner = np.einsum("k,kij,klj->il", self.weights, self.factors, self.factors)
        return _factor(inner + np.einsum("k,ki,kj->ij", self.weights, deviation, deviation))

    def sample(
        self, n: int, random: np.random.Generator, *, windows: Sequence[Window] = (), guidance: float = 1.0
    ) -> np.ndarray:
        """Draw latent vectors; see `Prior.sample`."""
        if windows:
            raise InputError("windows: a mixture prior has no guidance; fit a gaussian or flow prior")
        component = random.choice(len(self.weights), n, p=self.weights / self.weights.sum())
        z = random.standard_normal((n, self.means.shape[1]))
        for k in np.unique(component):
            rows = component == k
            z[rows] = self.means[k] + z[rows] @ self.factors[k].T
        return z.astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log-density (n,), in nats, of latent vectors (n, D)."""
        parts = [
            np.log(weight) + GaussianPrior(mean, factor).log_density(z)
            for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True)
        ]
        total: np.ndarray = np.logaddexp.reduce(parts)
        return total

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name."""
        return {name: getattr(self, name).astype(np.float32) for name in ("weights", "means", "factors")}


@dataclass(frozen=True)
class FlowPrior:
    """A normal distribution transformed by a flow, fitted by flow matching.

    Parameters
    ----------
    gaussian : GaussianPrior
        Normal distribution with the mean and covariance of the latent vectors; the flow works on whitened ones.
    velocity : Velocity
        The velocity field; see `molvae.latent.flow`.
    """

    gaussian: GaussianPrior
    velocity: Velocity

    @classmethod
    def fit(cls, z: np.ndarray, settings: PriorSettings | None = None, *, seed: int = 0) -> Self:
        """Fit the flow by flow matching.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.
        settings : PriorSettings, optional
            Size and training of the flow.
        seed : int, default=0
            Seed of the weights and of the training.

        Returns
        -------
        FlowPrior
            The fitted prior.

        Raises
        ------
        InputError
            There are fewer than two latent vectors.
        """
        gaussian = GaussianPrior.fit(z)
        white = gaussian.whiten(z).astype(np.float32)
        return cls(gaussian, fit_velocity(white, (settings or PriorSettings()).flow, seed=seed))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Restore a stored prior.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What `arrays` returned, by name.

        Returns
        -------
        Self
            The prior.
        """
        inner = {name.removeprefix("velocity."): array for name, array in arrays.items() if "." in name}
        return cls(GaussianPrior.from_arrays(arrays), Velocity.from_arrays(inner))

    @property
    def mean(self) -> np.ndarray:
        """Mean (D,) of the latent vectors."""
        return self.gaussian.mean

    @property
    def factor(self) -> np.ndarray:
        """Factor (D, D) of the covariance of the latent vectors."""
        return self.gaussian.factor

    def sample(
        self, n: int, random: np.random.Generator, *, windows: Sequence[Window] = (), guidance: float = 1.0
    ) -> np.ndarray:
        """Draw latent vectors; see `Prior.sample`."""
        return _draw(self.gaussian, self.velocity, n, random, windows, guidance)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log-density of latent vectors, estimated with fixed random directions.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.

        Returns
        -------
        ndarray of shape (n,)
            Log-densities, in nats.

        References
        ----------
        .. [1] Chen et al. 2018, arXiv 1806.07366 (change of variables).
        .. [2] Hutchinson 1990, doi:10.1080/03610919008812866 (trace estimator).
        """
        noise, log_determinant = self.velocity.to_noise(
            self.gaussian.whiten(z).astype(np.float32), _DENSITY_STEPS, _PROBES
        )
        return _log_normal(noise) + log_determinant - np.log(np.diag(self.factor)).sum()

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to store, by name; the flow in half precision."""
        return self.gaussian.arrays() | {f"velocity.{name}": a for name, a in self.velocity.arrays().items()}


def _draw(
    gaussian: GaussianPrior,
    velocity: Velocity | None,
    n: int,
    random: np.random.Generator,
    windows: Sequence[Window],
    guidance: float,
) -> np.ndarray:
    """Latent vectors (n, D), float32: noise transformed by the flow, if any, and by the guidance, if any."""
    noise = random.standard_normal((n, len(gaussian.mean))).astype(np.float32)
    gradient = guidance_gradient(windows, gaussian.mean, gaussian.factor, guidance) if windows else None
    white = from_noise(noise, _GUIDED_STEPS if windows else _STEPS, velocity=velocity, gradient=gradient)
    return (gaussian.mean + white @ gaussian.factor.T).astype(np.float32)


def _log_normal(white: np.ndarray) -> np.ndarray:
    """Log-density (n,) of whitened latent vectors (n, D) under the standard normal distribution."""
    squares: np.ndarray = -0.5 * (white.astype(np.float64) ** 2).sum(1)
    return squares - 0.5 * white.shape[1] * np.log(2 * np.pi)


def _factor(covariance: np.ndarray) -> np.ndarray:
    """The lower triangular factor of a covariance, with a small ridge for a singular one."""
    ridge = 1e-6 * max(float(np.trace(covariance)) / len(covariance), 1e-6)
    return np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))


PRIORS: dict[str, type[GaussianPrior] | type[MixturePrior] | type[FlowPrior]] = {
    "gaussian": GaussianPrior,
    "mixture": MixturePrior,
    "flow": FlowPrior,
}


def fit_prior(z: np.ndarray, settings: PriorSettings, *, seed: int = 0) -> Prior:
    """Fit a prior to latent vectors.

    Parameters
    ----------
    z : ndarray of shape (n, D)
        Latent vectors.
    settings : PriorSettings
        Which prior, and its size.
    seed : int, default=0
        Seed of the fit.

    Returns
    -------
    Prior
        The fitted prior.

    Raises
    ------
    InputError
        There are too few latent vectors.
    """
    return PRIORS[settings.kind].fit(z, settings, seed=seed)


def settings_of(prior: Prior) -> PriorSettings:
    """Settings that fit another prior of the same kind and size.

    Parameters
    ----------
    prior : Prior
        A prior.

    Returns
    -------
    PriorSettings
        Its kind and size.
    """
    if isinstance(prior, MixturePrior):
        return PriorSettings(kind="mixture", components=len(prior.weights))
    if isinstance(prior, FlowPrior):
        size = {"hidden": prior.velocity.input.out_features, "blocks": len(prior.velocity.blocks)}
        return PriorSettings(kind="flow", flow=FlowSettings(**size))
    return PriorSettings()
