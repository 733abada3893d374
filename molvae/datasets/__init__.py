"""Molecule files: read in any format, standardized, split into folds."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from molvae.datasets.folds import is_held_out, split
    from molvae.datasets.molecule_file import MoleculeFile, open_molecules
    from molvae.datasets.standardized import standardize_file, standardized_rows

_HOME = {
    "MoleculeFile": "molvae.datasets.molecule_file",
    "is_held_out": "molvae.datasets.folds",
    "open_molecules": "molvae.datasets.molecule_file",
    "split": "molvae.datasets.folds",
    "standardize_file": "molvae.datasets.standardized",
    "standardized_rows": "molvae.datasets.standardized",
}

__all__ = ["MoleculeFile", "is_held_out", "open_molecules", "split", "standardize_file", "standardized_rows"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: reading a file imports RDKit."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'molvae.datasets' has no attribute {name!r}")
