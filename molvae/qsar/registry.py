"""The registry of models."""

from molvae.errors import InputError
from molvae.qsar.forest import Forest
from molvae.qsar.gaussian_process import GaussianProcess
from molvae.qsar.latent import Latent
from molvae.qsar.protocol import MoleculeRegressor
from molvae.qsar.ridge import Ridge


def make_model(name: str, settings: dict[str, object] | None = None) -> MoleculeRegressor:
    """Make a model by its name.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    settings : dict of str to object, optional
        Settings that differ from the defaults.

    Returns
    -------
    MoleculeRegressor
        Not fitted.

    Raises
    ------
    InputError
        The name or a setting is unknown, or a value is invalid.
    """
    if name not in MODELS:
        raise InputError(f"model {name}: unknown; known: {', '.join(MODELS)}")
    kind = MODELS[name]
    return kind(kind.Settings.from_dict(settings or {}, f"model {name}"))


MODELS: dict[str, type[MoleculeRegressor]] = {
    "gaussian_process": GaussianProcess,
    "ridge": Ridge,
    "forest": Forest,
    "latent": Latent,
}
"""Name -> class of each model."""
