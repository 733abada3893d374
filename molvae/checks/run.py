"""Run the checks over molecules: one row per molecule, one column per check."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any

import pandas as pd

from molvae.checks.check import PASS, Check, CheckContext, Library, MissingData, Molecule, TrainedCodec
from molvae.checks.checks import list_checks
from molvae.checks.settings import ChecksSettings
from molvae.chem.molecule_table import MoleculeTable, with_structures
from molvae.chem.molecules import canonicalize, parse
from molvae.errors import InputError
from molvae.inputs import read_library, read_molecules
from molvae.workers import Mapper, WorkerFailure

NOT_CHECKED = "not checked: invalid SMILES"
MIN_FOR_MAPPER = 1_000
"""Fewer molecules are checked in less time than worker processes need to start."""
CHUNK_ROWS = 200
"""Molecules per chunk of a mapper; each takes a few milliseconds."""
_SECONDS = 20.0


def check_molecules(
    smiles: Iterable[object],
    settings: ChecksSettings | None = None,
    *,
    reference: Library | None = None,
    codec: TrainedCodec | None = None,
) -> MoleculeTable:
    """The results of all checks, for SMILES, canonical or not, or RDKit molecules.

    Parameters
    ----------
    smiles : iterable of str or rdkit.Chem.Mol
        Molecules to check.
    settings : ChecksSettings, optional
        Limits; by default those of an oral drug.
    reference : mapping or iterable of str, optional
        Known molecules as SMILES, or a mapping of SMILES to ids. They are canonicalized, about 0.1 ms each. Without a
        reference the check `in_reference` is skipped.
    codec : Codec, optional
        Codec with the training set for the check `in_training` and the applicability domain for `in_domain`.

    Returns
    -------
    MoleculeTable
        One row per molecule, in order and with the row labels of a Series, with the columns `smiles` (canonical, None
        if invalid) and those of `run_checks`.

    Raises
    ------
    InputError
        A molecule of the reference is invalid.

    Examples
    --------
    >>> table = check_molecules(["O=CCCCCCCC", "C1CC"], ChecksSettings(mol_weight=False))
    >>> table["reason"].tolist()[0]
    'BRENK: Aliphatic long chain; BRENK: aldehyde'
    >>> table["passed"].tolist()
    [False, False]
    """
    raw_smiles, index = read_molecules(smiles, "smiles")
    canonical = [canonicalize(one).smiles for one in raw_smiles]
    library = None if reference is None else _canonical_library(read_library(reference))
    table = run_checks(
        [one or raw for one, raw in zip(canonical, raw_smiles, strict=True)], settings, CheckContext(library, codec)
    )
    table.insert(0, "smiles", pd.Series(canonical, dtype=object))
    return with_structures(table if index is None else table.set_axis(index))


def run_checks(
    smiles: Sequence[str],
    settings: ChecksSettings | None = None,
    context: CheckContext | None = None,
    mapper: Mapper | None = None,
) -> pd.DataFrame:
    """The results of all checks, for molecules given as canonical SMILES.

    A check is skipped if the context lacks its data. It then has no column, and ``attrs["skipped"]`` of the table maps
    its name to the reason.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES. An invalid SMILES fails with that reason; it raises no exception.
    settings : ChecksSettings, optional
        Limits; by default those of an oral drug.
    context : CheckContext, optional
        Reference library and codec.
    mapper : Mapper, optional
        Runs the checks that need only the molecule, if there are many molecules; None runs them in this process.

    Returns
    -------
    DataFrame
        One row per molecule, in order, with the row labels of a Series: ``check_<name>`` ("pass" or the reason) for
        each check, `passed`, `failed_checks` (the names of the failed checks, joined by ", ", or None) and `reason`
        (their reasons, joined by "; ", or None).

    Raises
    ------
    InputError
        A check of a plug-in returns the wrong number of results.
    """
    invalid: dict[int, str] = {}
    molecules: dict[int, Molecule] = {}
    raw_smiles, index = read_molecules(smiles, "smiles")
    for row, raw in enumerate(raw_smiles):
        try:
            molecules[row] = Molecule(raw, parse(raw))
        except InputError as error:
            invalid[row] = f"invalid SMILES: {canonicalize(raw).reason or error}"
    table = pd.DataFrame(index=range(len(raw_smiles)))
    failed = {row: {"invalid": reason} for row, reason in invalid.items()}
    checks, skipped = _make_checks(settings, context or CheckContext())
    mapped = _map_checks(molecules, checks, settings, mapper) if mapper and len(molecules) > MIN_FOR_MAPPER else {}
    for name, check in checks.items():
        results = mapped[name] if name in mapped else check(list(molecules.values()))
        if len(results) != len(molecules):
            raise InputError(f"check {name}: expected {len(molecules)} results, one per molecule, got {len(results)}")
        reasons = dict(zip(molecules, results, strict=True))
        table[f"check_{name}"] = [NOT_CHECKED if row in invalid else reasons[row] or PASS for row in table.index]
        for row, reason in reasons.items():
            if reason:
                failed.setdefault(row, {})[name] = reason
    table["passed"] = [row not in failed for row in table.index]
    for column, joined in (
        ("failed_checks", {row: ", ".join(reasons) for row, reasons in failed.items()}),
        ("reason", {row: "; ".join(reasons.values()) for row, reasons in failed.items()}),
    ):
        table[column] = pd.Series([joined.get(row) for row in table.index], dtype=object)
    if index is not None:
        table.index = index
    table.attrs["skipped"] = skipped
    return table


def _map_checks(
    molecules: Mapping[int, Molecule], checks: Mapping[str, Check], settings: ChecksSettings | None, mapper: Mapper
) -> dict[str, list[str | None]]:
    """The results of the checks that need only the molecule, by name."""
    entries = list_checks()
    limits = (settings or ChecksSettings()).limits()
    chosen = tuple((name, limits[name]) for name in checks if entries[name].needs_only_molecule)
    smiles = [one.smiles for one in molecules.values()]
    chunks = (smiles[begin : begin + CHUNK_ROWS] for begin in range(0, len(smiles), CHUNK_ROWS))
    answers = list(chain.from_iterable(mapper(partial(_check_one, limits=chosen), chunks, seconds_per_row=_SECONDS)))
    return {
        name: [f"not checked: {one.reason}" if isinstance(one, WorkerFailure) else one.get(name) for one in answers]
        for name, _ in chosen
    }


def _check_one(smiles: str, limits: tuple[tuple[str, Any], ...]) -> dict[str, str]:
    """The reasons for which a molecule fails, by the name of the check."""
    molecule = [Molecule(smiles, parse(smiles))]
    results = ((name, check(molecule)[0]) for name, check in _checks_of(limits).items())
    return {name: reason for name, reason in results if reason}


@lru_cache(maxsize=4)
def _checks_of(limits: tuple[tuple[str, Any], ...]) -> dict[str, Check]:
    entries = list_checks()
    return {name: entries[name].make(limit, CheckContext()) for name, limit in limits}


def _make_checks(settings: ChecksSettings | None, context: CheckContext) -> tuple[dict[str, Check], dict[str, str]]:
    """The checks that are on and have their data, and the reason for each skipped check."""
    entries = list_checks()
    checks: dict[str, Check] = {}
    skipped: dict[str, str] = {}
    for name, limit in (settings or ChecksSettings()).limits().items():
        try:
            checks[name] = entries[name].make(limit, context)
        except MissingData as error:
            skipped[name] = str(error)
    return checks, skipped


def _canonical_library(library: Library) -> Library:
    """The same library with canonical SMILES."""
    if isinstance(library, Mapping):
        return {_canonical(smiles, row): label for row, (smiles, label) in enumerate(library.items(), start=1)}
    return [_canonical(smiles, row) for row, smiles in enumerate(library, start=1)]


def _canonical(smiles: str, row: int) -> str:
    canonical, reason, *_ = canonicalize(smiles)
    if canonical is None:
        raise InputError(f"reference, row {row}: {smiles!r}: {reason}")
    return canonical
