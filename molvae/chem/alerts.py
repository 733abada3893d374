"""Named substructure rules: groups that react, interfere with assays, or are known to be toxic."""

import re
from collections.abc import Sequence
from functools import cache

from rdkit import Chem
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from molvae.errors import InputError

SOURCES = {
    "PAINS": "Baell and Holloway 2010, doi:10.1021/jm901137j: interfere with many assays",
    "BRENK": "Brenk et al. 2008, doi:10.1002/cmdc.200700139: unstable, reactive or toxic groups",
    "NIH": "Jadhav et al. 2010, doi:10.1021/jm901070c; Doveston et al. 2015, doi:10.1039/c4ob02287d: reactive groups",
    "CHEMBL": "seven sets collected in ChEMBL 23: BMS, Dundee, Glaxo, Inpharmatica, LINT, MLSMR, SureChEMBL",
}
"""Catalog name -> where its rules come from."""

_HITS = re.compile(r"\(\d+\)$")


def alerts(mol: Chem.Mol, catalogs: Sequence[str] = ("PAINS", "BRENK")) -> list[str]:
    """The rules that a molecule hits, as `CATALOG: rule`, sorted; empty where it hits none.

    Raises:
        InputError: a catalog is not known.

    Example:
        >>> alerts(Chem.MolFromSmiles("CCC=O"), ("BRENK",))
        ['BRENK: aldehyde']

    Source: RDKit's FilterCatalog; SOURCES names the papers.
    """
    found: set[str] = set()
    for name in catalogs:
        rules = _catalog(name.upper() if isinstance(name, str) else str(name))
        found.update(f"{name.upper()}: {_title(entry.GetDescription())}" for entry in rules.GetMatches(mol))
    return sorted(found)


def _title(text: str) -> str:
    """A rule's name in words; PAINS names end with how many molecules of a library hit the rule."""
    return _HITS.sub("", text).replace("_", " ").strip()


@cache
def _catalog(name: str) -> FilterCatalog:
    if name not in SOURCES:
        raise InputError(f"alerts: unknown catalog {name}; known: {', '.join(SOURCES)}")
    parameters = FilterCatalogParams()
    parameters.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name))
    return FilterCatalog(parameters)
