"""The contract of a surrogate: it learns the values of scored molecules and predicts those of others."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from molvae import settings as base


class Prediction(NamedTuple):
    """Predicted values of molecules, in normal quantiles of the ranks of all scored molecules; 0 is the median.

    Parameters
    ----------
    mean : ndarray of shape (n,)
        Means.
    std : ndarray of shape (n,)
        Standard deviations.
    covariance : ndarray of shape (n, n) or None, default=None
        Covariance, if requested.
    goals : ndarray of shape (n, k) or None, default=None
        With several goals, the mean of each, in normal quantiles of its own ranks; `mean` is then that of the ranks of
        `molvae.search.ranking.fitness`. None with one goal. Each goal has the same standard deviations and covariance.
    """

    mean: np.ndarray
    std: np.ndarray
    covariance: np.ndarray | None = None
    goals: np.ndarray | None = None


class Surrogate(Protocol):
    """A model of the values of molecules.

    Equal settings and molecules give equal predictions.

    Parameters
    ----------
    settings : Settings, optional
        An instance of the class attribute `Settings`; default: its defaults.

    Attributes
    ----------
    Settings : type of Settings
        Class of the settings, the section `[search.surrogate]` of a campaign.
    uses_latent : bool
        Whether `predict` needs the encodings of the molecules. If not, most of them are not encoded, which saves time.
    noise : float
        Variance of the noise of a value.
    """

    Settings: ClassVar[type[base.Settings]]
    uses_latent: ClassVar[bool]
    noise: float

    def __init__(self, settings: base.Settings | None = None) -> None: ...

    def fit(self, smiles: Sequence[str], z: np.ndarray, values: np.ndarray) -> bool:
        """Learn the values of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES of all scored molecules, in order; later calls only append to it.
        z : ndarray of shape (m, D)
            Their latent vectors.
        values : ndarray of shape (m, k)
            Their values, higher is better; NaN for molecules without one.

        Returns
        -------
        bool
            Whether it can predict. If not, for example because all values are equal, `predict` is not called.
        """
        ...

    def predict(self, smiles: Sequence[str], z: np.ndarray, *, with_covariance: bool = False) -> Prediction:
        """Predict the values of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        z : ndarray of shape (n, D)
            Their latent vectors; without `uses_latent`, NaN for those that are not encoded.
        with_covariance : bool, default=False
            Whether to compute the covariance.

        Returns
        -------
        Prediction
            One row per molecule.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what `fit` keeps from earlier calls; values that JSON can hold."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state of a surrogate with the same settings."""
        ...
