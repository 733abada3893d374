"""The contract of a model: it learns values of molecules and predicts those of others."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

import numpy as np

from molvae import settings as base
from molvae.errors import InputError
from molvae.inputs import align, index_of


class MoleculeRegressor(Protocol):
    """A model with the interface of a scikit-learn regressor, for SMILES.

    Equal settings, molecules and values give equal predictions on one machine.

    Parameters
    ----------
    settings : Settings, optional
        An instance of the class attribute `Settings`; default: its defaults.

    Attributes
    ----------
    Settings : type of Settings
        Class of the settings.
    """

    Settings: ClassVar[type[base.Settings]]

    def __init__(self, settings: base.Settings | None = None) -> None: ...

    @property
    def settings(self) -> base.Settings:
        """The settings."""
        ...

    @property
    def hyperparameters(self) -> dict[str, float]:
        """The fitted hyperparameters, which `restore` needs."""
        ...

    def fit(self, smiles: Sequence[str], y: np.ndarray) -> Self:
        """Learn the values of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        y : ndarray of shape (n,)
            Their values.

        Returns
        -------
        MoleculeRegressor
            Itself.
        """
        ...

    def restore(self, smiles: Sequence[str], y: np.ndarray, hyperparameters: dict[str, float]) -> Self:
        """Learn the values of molecules with known hyperparameters; gives the same predictions as `fit`.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        y : ndarray of shape (n,)
            Their values.
        hyperparameters : dict of str to float
            Those that an earlier `fit` to the same molecules has found.

        Returns
        -------
        MoleculeRegressor
            Itself.
        """
        ...

    def predict(self, smiles: Sequence[str], return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the values of molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        return_std : bool, default=False
            Whether to return the standard deviations, too.

        Returns
        -------
        mean : ndarray of shape (n,)
            Predicted values.
        std : ndarray of shape (n,)
            Standard deviations; preferably those of a measurement, noise included. Only with `return_std`.
        """
        ...


def check_values(smiles: Sequence[str], y: np.ndarray) -> np.ndarray:
    """Check the arguments of `fit`.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.
    y : ndarray of shape (n,)
        Their values. A Series is matched by its row labels.

    Returns
    -------
    ndarray of shape (n,)
        The values, float64.

    Raises
    ------
    InputError
        There are fewer than two molecules, the numbers of molecules and values differ, or a value is not finite.
    """
    y = np.asarray(align(y, index_of(smiles), len(smiles), "fit: y"), dtype=np.float64)
    if y.shape != (len(smiles),) or len(smiles) < 2:
        raise InputError(f"fit: expected at least 2 molecules and one value each, got {len(smiles)} and {y.shape}")
    if not np.isfinite(y).all():
        raise InputError(
            f"fit: expected finite values, got {y[~np.isfinite(y)][0]} for {list(smiles)[np.isfinite(y).argmin()]}"
        )
    return y
