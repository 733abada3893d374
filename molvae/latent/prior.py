"""Where molecules lie among the points: distributions fitted to codes, to draw from and to judge by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, Self

import numpy as np
from pydantic import Field

from molvae.errors import InputError
from molvae.latent.flow import FlowSettings, Velocity, fit_velocity, to_points
from molvae.latent.guidance import Window, pull_to
from molvae.seeds import integer_seed
from molvae.settings import Settings

_STEPS = 8  # of the flow; 60 change the covariance of draws by less than 0.3 %
_GUIDED_STEPS = 24
_DENSITY_STEPS = 16
_PROBES = 8
_N_MIXED = 100_000  # codes of which a mixture is fitted


class PriorSettings(Settings):
    """Which prior is fitted to the codes.

    kind: a name of PRIORS. n_codes: how many molecules it is fitted to, at most, drawn at random.
    components: normal distributions in a mixture. flow: of a flow, its size and its training.
    """

    kind: Literal["gaussian", "mixture", "flow"] = "gaussian"
    n_codes: int = Field(200_000, ge=2)
    components: int = Field(32, ge=1, le=1024)
    flow: FlowSettings = FlowSettings()


class SamplingSettings(Settings):
    """How molecules are drawn: the noise level told to the decoder, and the temperature of its tokens.

    spread: how far about the prior's codes, in standard deviations of the codes; without it what is drawn is less
        diverse than the molecules are.
    """

    noise: float = Field(0.6, ge=0, le=1)
    temperature: float = Field(0.5, ge=0, le=10)
    spread: float = Field(0.0, ge=0, le=3)


class Prior(Protocol):
    """A distribution over points.

    mean: (D,); factor: (D, D), lower triangular, with the covariance factor @ factor.T.
    """

    @property
    def mean(self) -> np.ndarray: ...  # noqa: D102 (said above)
    @property
    def factor(self) -> np.ndarray: ...  # noqa: D102

    def sample(
        self, n: int, random: np.random.Generator, windows: Sequence[Window] = (), strength: float = 1.0
    ) -> np.ndarray:
        """Points (n, D) float32 drawn at random; where windows are given, drawn to them.

        strength: of the pull to the windows; 0 is none.

        Raises:
            InputError: windows are given, and this kind of prior knows no way to them.
        """
        ...

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density (n,) in nats of points (n, D)."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        ...


@dataclass(frozen=True)
class GaussianPrior:
    """A normal distribution with full covariance."""

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def fit(cls, z: np.ndarray, settings: PriorSettings | None = None, seed: int = 0) -> Self:
        """The maximum-likelihood distribution of codes (n, D).

        Raises:
            InputError: fewer than two codes.
        """
        if len(z) < 2:
            raise InputError(f"a prior needs the codes of at least 2 molecules, got {len(z)}")
        z = z.astype(np.float64)
        return cls(z.mean(0), _factor(np.atleast_2d(np.cov(z, rowvar=False, bias=True))))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The prior that was saved."""
        return cls(arrays["mean"].astype(np.float64), arrays["factor"].astype(np.float64))

    def sample(
        self, n: int, random: np.random.Generator, windows: Sequence[Window] = (), strength: float = 1.0
    ) -> np.ndarray:
        """Points (n, D) float32 drawn at random; see Prior."""
        if windows:
            return _draw(self, None, n, random, windows, strength)
        return (self.mean + random.standard_normal((n, len(self.mean))) @ self.factor.T).astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density (n,) in nats of points (n, D)."""
        return _log_normal(self.whiten(z)) - np.log(np.diag(self.factor)).sum()

    def whiten(self, z: np.ndarray) -> np.ndarray:
        """Points (n, D) in units of the distribution: of mean 0 and covariance 1."""
        white: np.ndarray = np.linalg.solve(self.factor, (z - self.mean).T).T
        return white

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {"mean": self.mean.astype(np.float32), "factor": self.factor.astype(np.float32)}


@dataclass(frozen=True)
class MixturePrior:
    """A weighted sum of normal distributions with full covariances, fitted by scikit-learn.

    weights: (K,); means: (K, D); factors: (K, D, D), lower triangular.
    """

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    @classmethod
    def fit(cls, z: np.ndarray, settings: PriorSettings | None = None, seed: int = 0) -> Self:
        """Expectation maximization from k-means on codes (n, D), of which at most 100,000 are used.

        Raises:
            InputError: fewer codes than two a component.
        """
        from sklearn.mixture import GaussianMixture

        n_components = (settings or PriorSettings(kind="mixture")).components
        if len(z) < 2 * n_components:
            raise InputError(
                f"[prior] components {n_components}: needs the codes of at least {2 * n_components} molecules, "
                f"got {len(z)}"
            )
        scale = float(z.std()) or 1.0
        mixture = GaussianMixture(
            n_components, tol=1e-3, max_iter=50, reg_covar=1e-4, random_state=integer_seed(seed, "mixture")
        ).fit(z[:_N_MIXED] / scale)
        return cls(
            mixture.weights_, mixture.means_ * scale, np.stack([_factor(c * scale**2) for c in mixture.covariances_])
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The prior that was saved."""
        return cls(*(arrays[name].astype(np.float64) for name in ("weights", "means", "factors")))

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean (D,) of the whole."""
        mean: np.ndarray = self.weights @ self.means
        return mean

    @cached_property
    def factor(self) -> np.ndarray:
        """The factor (D, D) of the whole's covariance."""
        apart = self.means - self.mean
        inner = np.einsum("k,kij,klj->il", self.weights, self.factors, self.factors)
        return _factor(inner + np.einsum("k,ki,kj->ij", self.weights, apart, apart))

    def sample(
        self, n: int, random: np.random.Generator, windows: Sequence[Window] = (), strength: float = 1.0
    ) -> np.ndarray:
        """Points (n, D) float32 drawn at random; see Prior."""
        if windows:
            raise InputError("windows: a mixture knows no way to them; fit a gaussian or a flow prior")
        of = random.choice(len(self.weights), n, p=self.weights / self.weights.sum())
        z = random.standard_normal((n, self.means.shape[1]))
        for component in np.unique(of):
            rows = of == component
            z[rows] = self.means[component] + z[rows] @ self.factors[component].T
        return z.astype(np.float32)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density (n,) in nats of points (n, D)."""
        parts = [
            np.log(weight) + GaussianPrior(mean, factor).log_density(z)
            for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True)
        ]
        total: np.ndarray = np.logaddexp.reduce(parts)
        return total

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name."""
        return {name: getattr(self, name).astype(np.float32) for name in ("weights", "means", "factors")}


@dataclass(frozen=True)
class FlowPrior:
    """A normal distribution bent by a flow: latent diffusion's small sister, which knows where molecules really lie.

    gaussian: of the codes' mean and covariance; the flow works in its units, and learns only where codes differ
    from it. velocity: see molvae.latent.flow.
    """

    gaussian: GaussianPrior
    velocity: Velocity

    @classmethod
    def fit(cls, z: np.ndarray, settings: PriorSettings | None = None, seed: int = 0) -> Self:
        """Flow matching on codes (n, D); see FlowSettings for how long.

        Raises:
            InputError: fewer than two codes.
        """
        gaussian = GaussianPrior.fit(z)
        white = gaussian.whiten(z).astype(np.float32)
        return cls(gaussian, fit_velocity(white, (settings or PriorSettings()).flow, seed))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The prior that was saved."""
        inner = {name.removeprefix("velocity."): array for name, array in arrays.items() if "." in name}
        return cls(GaussianPrior.from_arrays(arrays), Velocity.from_arrays(inner))

    @property
    def mean(self) -> np.ndarray:
        """The mean (D,) of the codes."""
        return self.gaussian.mean

    @property
    def factor(self) -> np.ndarray:
        """The factor (D, D) of the codes' covariance."""
        return self.gaussian.factor

    def sample(
        self, n: int, random: np.random.Generator, windows: Sequence[Window] = (), strength: float = 1.0
    ) -> np.ndarray:
        """Points (n, D) float32 drawn at random; see Prior."""
        return _draw(self.gaussian, self.velocity, n, random, windows, strength)

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density (n,) in nats of points (n, D); an estimate, by random directions that are always the same.

        Source: Chen et al. 2018, arXiv 1806.07366 (change of variables); Hutchinson 1990 (trace).
        """
        noise, shrinkage = self.velocity.to_noise(self.gaussian.whiten(z).astype(np.float32), _DENSITY_STEPS, _PROBES)
        return _log_normal(noise) + shrinkage - np.log(np.diag(self.factor)).sum()

    def arrays(self) -> dict[str, np.ndarray]:
        """What must be saved of it, by name; the flow in half precision."""
        return self.gaussian.arrays() | {f"velocity.{name}": a for name, a in self.velocity.arrays().items()}


def _draw(
    gaussian: GaussianPrior,
    velocity: Velocity | None,
    n: int,
    random: np.random.Generator,
    windows: Sequence[Window],
    strength: float,
) -> np.ndarray:
    """Points (n, D) float32 that a flow carries noise to."""
    noise = random.standard_normal((n, len(gaussian.mean))).astype(np.float32)
    pull = pull_to(windows, gaussian.mean, gaussian.factor, strength) if windows else None
    white = to_points(noise, _GUIDED_STEPS if windows else _STEPS, velocity, pull)
    return (gaussian.mean + white @ gaussian.factor.T).astype(np.float32)


def _log_normal(white: np.ndarray) -> np.ndarray:
    """Log density (n,) of points (n, D) under the standard normal distribution."""
    squares: np.ndarray = -0.5 * (white.astype(np.float64) ** 2).sum(1)
    return squares - 0.5 * white.shape[1] * np.log(2 * np.pi)


def _factor(covariance: np.ndarray) -> np.ndarray:
    """The lower triangular factor of a covariance, widened a little where few molecules span no volume."""
    ridge = 1e-6 * max(float(np.trace(covariance)) / len(covariance), 1e-6)
    return np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))


PRIORS: dict[str, type[GaussianPrior] | type[MixturePrior] | type[FlowPrior]] = {
    "gaussian": GaussianPrior,
    "mixture": MixturePrior,
    "flow": FlowPrior,
}


def fit_prior(z: np.ndarray, settings: PriorSettings, seed: int = 0) -> Prior:
    """The prior that the settings ask for, fitted to codes (n, D).

    Raises:
        InputError: too few codes.
    """
    return PRIORS[settings.kind].fit(z, settings, seed)


def settings_of(prior: Prior) -> PriorSettings:
    """Settings by which another prior of the same kind and size is fitted."""
    if isinstance(prior, MixturePrior):
        return PriorSettings(kind="mixture", components=len(prior.weights))
    if isinstance(prior, FlowPrior):
        size = {"hidden": prior.velocity.input.out_features, "blocks": len(prior.velocity.blocks)}
        return PriorSettings(kind="flow", flow=FlowSettings(**size))
    return PriorSettings()
