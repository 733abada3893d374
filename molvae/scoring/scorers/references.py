"""Reference molecules of a term: SMILES in the settings, or a molecule file."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from molvae.chem.molecules import standardize
from molvae.datasets.molecule_file import open_molecules
from molvae.datasets.standardized import standardize_file
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.workers import LocalProcesses, Serial

_log = logging.getLogger("molvae.scoring")
_MIN_FOR_PROCESSES = 200_000  # bytes; smaller files are read in less time than worker processes need to start


def _check_type(value: Any) -> Any:
    """Refuse anything but a string or a list of strings, in one sentence."""
    is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    if value is not None and not isinstance(value, str) and not is_list:
        raise PydanticCustomError("smiles_type", "expected a SMILES or a list of SMILES")
    return value


ReferenceSmiles = Annotated[str | tuple[str, ...] | None, BeforeValidator(_check_type)]
"""Type of a key with one reference SMILES or several."""


class Reference(NamedTuple):
    """A reference molecule.

    Parameters
    ----------
    smiles : str
        Canonical SMILES of the standardized molecule.
    source : str
        Where it comes from, for messages: its SMILES, or its file and row.
    """

    smiles: str
    source: str


def as_tuple(smiles: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Make a tuple of one SMILES, several or none.

    Parameters
    ----------
    smiles : str, tuple of str or None
        The value of a key.

    Returns
    -------
    tuple of str
    """
    return () if smiles is None else (smiles,) if isinstance(smiles, str) else smiles


def check_one_source(key: str, smiles: object, file: Path | None) -> None:
    """Check that a term has either reference SMILES or a file of them.

    Parameters
    ----------
    key : str
        Name of the key with the SMILES; that of the file ends with ``_file``.
    smiles : object
        Value of the key; None if it is not given.
    file : Path or None
        The file, if it is given.

    Raises
    ------
    PydanticCustomError
        Both are given, or neither.
    """
    if (smiles is None) == (file is None):
        message = "expected one of {key} (SMILES) and {key}_file (a file of molecules), got {got}"
        raise PydanticCustomError("reference", message, {"key": key, "got": "both" if file else "neither"})


def read_references(smiles: str | tuple[str, ...] | None, file: Path | None) -> list[Reference]:
    """Read the reference molecules of a term.

    Rows of the file that cannot be read are left out; a warning in the log gives their number and the first reason.

    Parameters
    ----------
    smiles : str, tuple of str or None
        Valid SMILES.
    file : Path or None
        A molecule file, in any format that molvae reads, instead of `smiles`.

    Returns
    -------
    list of Reference
        Standardized; those of a file without duplicates.

    Raises
    ------
    InputError
        The file cannot be read, or has no molecule.
    """
    if file is None:
        return [Reference(standardize(raw).smiles or raw, raw) for raw in as_tuple(smiles)]
    molecules = open_molecules(file)
    mapper = Serial() if file.stat().st_size < _MIN_FOR_PROCESSES else LocalProcesses()
    found: list[Reference] = []
    failed: list[str] = []
    n_rows = 0
    for table in standardize_file(molecules, mapper=mapper):
        n_rows += len(table)
        for row, one, reason in zip(table["row"], table["smiles"], table["reason"], strict=True):
            if one is not None:
                found.append(Reference(one, f"{file} row {row}"))
            elif not reason.startswith("duplicate"):
                failed.append(f"row {row}: {reason}")
    if not found:
        raise InputError(f"{file}: no molecule can be read" + (f"; {failed[0]}" if failed else ""))
    if failed:
        _log.warning("%s: %s of %s rows cannot be read and are left out; %s", file, len(failed), n_rows, failed[0])
    return found


def file_identity(file: Path | None) -> Mapping[str, str]:
    """Describe a file of references for `Scorer.identity`.

    Parameters
    ----------
    file : Path or None
        The file, if there is one.

    Returns
    -------
    mapping of str to str
        Its SHA-256 by its path; empty without a file.
    """
    return {str(file): sha256_of(file)} if file else {}
