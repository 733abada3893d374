"""The registry of surrogates."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from molvae import settings as base
from molvae.search.surrogates.gaussian_process import GaussianProcess
from molvae.search.surrogates.protocol import Prediction, Surrogate


class NoSurrogateSettings(base.Settings):
    """Settings of `NoSurrogate`.

    Parameters
    ----------
    name : {"none"}
        Name of the surrogate.
    """

    name: Literal["none"] = "none"


class NoSurrogate:
    """A surrogate that never predicts: molecules are scored in the order of proposal.

    Parameters
    ----------
    settings : NoSurrogateSettings, optional
        Not used.
    """

    Settings: ClassVar[type[base.Settings]] = NoSurrogateSettings
    uses_latent: ClassVar[bool] = False
    noise = 0.0

    def __init__(self, settings: NoSurrogateSettings | None = None) -> None: ...

    def fit(self, smiles: Sequence[str], z: np.ndarray, values: np.ndarray) -> bool:
        """Learn nothing; see `Surrogate.fit`."""
        return False

    def predict(self, smiles: Sequence[str], z: np.ndarray, *, with_covariance: bool = False) -> Prediction:
        """Predict the median, with a standard deviation of 1, for every molecule; see `Surrogate.predict`."""
        n = len(smiles)
        return Prediction(np.zeros(n), np.ones(n), np.eye(n) if with_covariance else None)

    def state(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from a state."""


SURROGATES: dict[str, type[Surrogate]] = {"gaussian_process": GaussianProcess, "none": NoSurrogate}
