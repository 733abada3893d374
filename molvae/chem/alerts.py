"""Structural alerts: named substructure rules for groups that react, interfere with assays, or are toxic."""

import re
from collections.abc import Collection, Sequence
from functools import cache

from rdkit import Chem
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogEntry, FilterCatalogParams

from molvae.errors import InputError

SOURCES = {
    "PAINS": "Baell and Holloway 2010, doi:10.1021/jm901137j: assay interference",
    "BRENK": "Brenk et al. 2008, doi:10.1002/cmdc.200700139: unstable, reactive or toxic groups",
    "NIH": "Jadhav et al. 2010, doi:10.1021/jm901070c; Doveston et al. 2015, doi:10.1039/c4ob02287d: reactive groups",
    "CHEMBL": "seven rule sets collected in ChEMBL 23: BMS, Dundee, Glaxo, Inpharmatica, LINT, MLSMR, SureChEMBL",
}
"""Name of a rule set -> the source of its rules."""

_HIT_COUNT = re.compile(r"\(\d+\)$")


def alerts(mol: Chem.Mol, catalogs: Sequence[str] = ("PAINS", "BRENK")) -> list[str]:
    """List the structural alerts of a molecule.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.
    catalogs : sequence of str, default=("PAINS", "BRENK")
        Keys of SOURCES; case is ignored.

    Returns
    -------
    list of str
        Matching rules as ``CATALOG: rule``, sorted, without duplicates.

    Raises
    ------
    InputError
        A catalog is unknown.

    References
    ----------
    .. [1] FilterCatalog of RDKit; `SOURCES` lists the publications.

    Examples
    --------
    >>> alerts(Chem.MolFromSmiles("CCC=O"), ("BRENK",))
    ['BRENK: aldehyde']
    """
    found: set[str] = set()
    for name in catalogs:
        rules = _catalog(name.upper() if isinstance(name, str) else str(name))
        found.update(f"{name.upper()}: {_rule_name(entry.GetDescription())}" for entry in rules.GetMatches(mol))
    return sorted(found)


def alert_atoms(mol: Chem.Mol, names: Collection[str]) -> list[int]:
    """Find the atoms that match structural alerts.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.
    names : collection of str
        Names as `alerts` returns them; a name that is not one of a rule is ignored.

    Returns
    -------
    list of int
        Positions of the atoms in the molecule, ascending, without duplicates.

    Examples
    --------
    >>> alert_atoms(Chem.MolFromSmiles("CCC=O"), ["BRENK: aldehyde"])
    [2, 3]
    """
    found: set[int] = set()
    for name in names:
        for entry in _entries(name.partition(": ")[0]).get(name, ()):
            found.update(pair.target for match in entry.GetFilterMatches(mol) for pair in match.atomPairs)
    return sorted(found)


def _rule_name(description: str) -> str:
    """The readable name of a rule; the number of library hits at the end of PAINS names is dropped."""
    return _HIT_COUNT.sub("", description).replace("_", " ").strip()


@cache
def _entries(catalog: str) -> dict[str, list[FilterCatalogEntry]]:
    """The rules of a catalog by their names; empty if there is no such catalog."""
    found: dict[str, list[FilterCatalogEntry]] = {}
    if catalog in SOURCES:
        rules = _catalog(catalog)
        for number in range(rules.GetNumEntries()):
            entry = rules.GetEntryWithIdx(number)
            found.setdefault(f"{catalog}: {_rule_name(entry.GetDescription())}", []).append(entry)
    return found


@cache
def _catalog(name: str) -> FilterCatalog:
    if name not in SOURCES:
        raise InputError(f"alerts: unknown catalog {name}; known: {', '.join(SOURCES)}")
    parameters = FilterCatalogParams()
    parameters.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name))
    return FilterCatalog(parameters)
