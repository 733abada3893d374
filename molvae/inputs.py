"""Molecules and numbers that a caller passes: a list, an array, a Series or a table, with or without row labels."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from molvae.errors import InputError

SMILES_NAMES = (
    "smiles", "canonicalsmiles", "isomericsmiles", "isosmiles", "standardizedsmiles", "standardsmiles", "rdkitsmiles",
    "smilesstring", "structuresmiles", "moleculesmiles", "molsmiles", "compoundsmiles", "smi", "cxsmiles",
)  # fmt: skip
"""Names of the column with the SMILES of a molecule, in order of preference; see `plain_name`."""


class Molecules(NamedTuple):
    """Molecules as a caller passed them.

    Parameters
    ----------
    items : list of object
        One per molecule, in order.
    row_labels : Index or None
        The row labels of a Series or of a table; None if there are none.
    """

    items: list[Any]
    row_labels: pd.Index | None

    @property
    def labels(self) -> pd.Index:
        """The row labels; positions from 0 if there are none."""
        return pd.RangeIndex(len(self.items)) if self.row_labels is None else self.row_labels


def plain_name(name: str) -> str:
    """Normalize a column name for comparison.

    Parameters
    ----------
    name : str
        Column name.

    Returns
    -------
    str
        Its letters, in lowercase, and its digits.
    """
    return "".join(letter for letter in name.lower() if letter.isalnum())


def read_molecules(molecules: object, what: str = "molecules") -> Molecules:
    """List the molecules that a caller passed, with their row labels.

    Parameters
    ----------
    molecules : object
        A list or another iterable of molecules, an array, a Series, a table with one column or one known SMILES column;
        or a single molecule (str, rdkit.Chem.Mol, `Decoded` or `Standardized`).
    what : str, default="molecules"
        Name of the argument, for error messages.

    Returns
    -------
    Molecules
        The molecules, not yet parsed.

    Raises
    ------
    InputError
        It is a mapping, a set, None, a number, or a table from which no column can be chosen.

    Examples
    --------
    >>> read_molecules(pd.Series(["CCO", "CCN"], index=[7, 3])).labels.tolist()
    [7, 3]
    """
    if _is_one_molecule(molecules):
        return Molecules([_written(molecules)], None)
    if isinstance(molecules, pd.DataFrame):
        return read_molecules(_molecule_column(molecules, what), what)
    if isinstance(molecules, pd.Series):
        return Molecules(molecules.tolist(), molecules.index)
    if isinstance(molecules, np.ndarray):
        if molecules.ndim == 2 and molecules.shape[1] == 1:
            molecules = molecules[:, 0]
        if molecules.ndim != 1:
            raise InputError(f"{what}: expected one column of molecules, got an array of shape {molecules.shape}")
        return Molecules(molecules.tolist(), None)
    if isinstance(molecules, Mapping):
        raise InputError(f"{what}: expected a list, got a {type(molecules).__name__}; pass list(d) or list(d.values())")
    if isinstance(molecules, AbstractSet) and not hasattr(molecules, "mapping"):  # a view of a dict keeps its order
        raise InputError(f"{what}: expected a list, got a {type(molecules).__name__}, which has no order; pass list(s)")
    if not isinstance(molecules, Iterable) or isinstance(molecules, bytes | PurePath) or hasattr(molecules, "columns"):
        hint = "; pass one of its columns" if hasattr(molecules, "columns") else ""
        hint = "; molvae.datasets.open_molecules reads a file" if isinstance(molecules, PurePath) else hint
        name = "None" if molecules is None else f"a {type(molecules).__name__}"
        raise InputError(f"{what}: expected a SMILES, an RDKit molecule, a list or a Series of them, got {name}{hint}")
    to_list = getattr(molecules, "to_pylist", None)  # an array of pyarrow
    return Molecules([_written(one) for one in (to_list() if callable(to_list) else molecules)], None)


def read_library(reference: object, what: str = "reference") -> "Mapping[str, str | None] | list[str]":
    """List the molecules of a library, or pass a mapping of molecules to ids through.

    Parameters
    ----------
    reference : object
        A mapping of SMILES to ids, a set, or what `read_molecules` takes.
    what : str, default="reference"
        Name of the argument, for error messages.

    Returns
    -------
    mapping or list of str
        The mapping itself, or the molecules.

    Raises
    ------
    InputError
        It is none of these.
    """
    if isinstance(reference, Mapping):
        return reference
    return list(reference) if isinstance(reference, AbstractSet) else read_molecules(reference, what).items


def index_of(values: object) -> pd.Index | None:
    """The row labels of a Series or of a table.

    Parameters
    ----------
    values : object
        Any value.

    Returns
    -------
    Index or None
        None if the value is neither.
    """
    return values.index if isinstance(values, pd.Series | pd.DataFrame) else None


def read_columns(z: Any, n_latent: int) -> Any:
    """The latent dimensions of a table, in order.

    Parameters
    ----------
    z : object
        A table, or any other value, which is returned as it is.
    n_latent : int
        Number of latent dimensions.

    Returns
    -------
    object
        Of a table with columns z_000, z_001, ..., these columns; of any other table, all columns.

    Raises
    ------
    InputError
        The columns z_000, z_001, ... are not those of `n_latent` latent dimensions.
    """
    if not isinstance(z, pd.DataFrame):
        return z
    expected = latent_columns(n_latent)
    named = [str(name) for name in z if re.fullmatch(r"z_\d+", str(name))]
    if not named:
        return z
    if sorted(named) != expected:
        raise InputError(
            f"z: expected the columns {expected[0]} to {expected[-1]}, each once; got {len(named)} of z_..."
        )
    return z[expected]


def latent_columns(n: int) -> list[str]:
    """The column names of n latent dimensions.

    Parameters
    ----------
    n : int
        Number of latent dimensions.

    Returns
    -------
    list of str
        The names, in order.

    Examples
    --------
    >>> latent_columns(3)
    ['z_000', 'z_001', 'z_002']
    """
    return [f"z_{i:03d}" for i in range(n)]


def align(values: Any, labels: pd.Index | None, n: int, what: str, others: Sequence[pd.Index] = ()) -> Any:
    """Bring the rows of a Series or of a table into the order of the molecules that they belong to, by their labels.

    Parameters
    ----------
    values : object
        One row per molecule. A value without labels is returned as it is.
    labels : Index or None
        Row labels of the molecules; None numbers them from 0.
    n : int
        Number of molecules.
    what : str
        Name of the values, for error messages.
    others : sequence of Index, default=()
        Other labels of the same molecules, in order, such as their SMILES.

    Returns
    -------
    object
        The same rows, in the order of the molecules.

    Raises
    ------
    InputError
        The labels are not those of the molecules, so that it is not known which value belongs to which molecule.

    Examples
    --------
    >>> align(pd.Series([2.0, 1.0], index=[1, 0]), None, 2, "values").tolist()
    [1.0, 2.0]
    """
    own = index_of(values)
    known = [pd.RangeIndex(n) if labels is None else labels, *others]
    if own is None or len(own) != n or any(own.equals(one) for one in known):
        return values
    for one in known:
        if own.is_unique and one.is_unique and one.isin(own).all():
            return values.loc[one]
    shown = ", ".join(map(repr, own[:3].tolist()))
    raise InputError(
        f"{what}: its row labels ({shown}{', ...' if n > 3 else ''}) are not those of the molecules; reset or set its "
        "index, or pass an array (.to_numpy()) if its rows are in the order of the molecules"
    )


def _is_one_molecule(molecules: object) -> bool:
    if isinstance(molecules, str):
        return True
    if isinstance(molecules, tuple) and getattr(molecules, "_fields", ())[:2] == ("smiles", "reason"):
        return True  # Standardized
    if _is_decoded(molecules):
        return True
    return any(base.__module__.startswith("rdkit.") and base.__name__ == "Mol" for base in type(molecules).__mro__)


def _is_decoded(molecule: object) -> bool:
    return tuple(getattr(molecule, "__dataclass_fields__", ())) == ("raw_smiles", "smiles", "reason")


def _written(molecule: Any) -> Any:
    """The SMILES of a `Decoded`, the raw one if it is invalid; any other value unchanged."""
    return (molecule.smiles or molecule.raw_smiles) if _is_decoded(molecule) else molecule


def _molecule_column(table: pd.DataFrame, what: str) -> pd.Series:
    """The only column of a table, or its only column with a known name."""
    known = [i for i, name in enumerate(table.columns) if plain_name(str(name)) in SMILES_NAMES]
    chosen = [0] if table.shape[1] == 1 else known
    if len(chosen) == 1:
        return table.iloc[:, chosen[0]]
    names = ", ".join(str(table.columns[i]) for i in (known or range(min(8, table.shape[1])))) or "no column"
    problem = "several SMILES columns" if known else "no SMILES column"
    raise InputError(f'{what}: the table has {problem} ({names}); pass one column, such as table["smiles"]')
