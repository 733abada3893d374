"""QSAR models of assay data: read an assay table, fit and evaluate a model, predict molecules."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molvae.qsar.assay import Assay, read_assay
    from molvae.qsar.fitting import fit_assay
    from molvae.qsar.model import AssayModel, load_model
    from molvae.qsar.registry import MODELS

_HOME = {
    "MODELS": "molvae.qsar.registry",
    "Assay": "molvae.qsar.assay",
    "AssayModel": "molvae.qsar.model",
    "fit_assay": "molvae.qsar.fitting",
    "load_model": "molvae.qsar.model",
    "read_assay": "molvae.qsar.assay",
}

__all__ = ["MODELS", "Assay", "AssayModel", "fit_assay", "load_model", "read_assay"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the models import RDKit and scikit-learn."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molvae.qsar' has no attribute {name!r}")
