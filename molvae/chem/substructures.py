"""Substructure searches in many molecules: whether and how often a SMARTS pattern matches."""

import re
from functools import lru_cache
from typing import NamedTuple

from rdkit import Chem

from molvae.chem.fingerprints import parse_quickly
from molvae.chem.molecules import count_matches, is_substructure, parse, parse_smarts

_ELEMENT = re.compile(r"Br|Cr|Sr|Zr|Ar|Kr|Fr|Lr|Er|Pr|Ir|Rb|Ru|Rh|Rn|Re|Ra|Rf|Rg|Xe")
_NEEDS_FULL_PARSE = re.compile(r"\[[^\]]*@|[/\\^rx]|R\d")
"""Stereo, hybridization, ring size, ring bonds of an atom, or number of rings; not for a bond in a ring (`C@C`)."""


class _Pattern(NamedTuple):
    mol: Chem.Mol
    needs_full_parse: bool


def has_match(smarts: str, smiles: str) -> bool:
    """Check whether a SMARTS pattern matches a molecule.

    For patterns without stereo, hybridization, ring sizes and ring counts the molecule is not parsed in full, which is
    three times faster; aromaticity is then taken as written.

    Parameters
    ----------
    smarts : str
        SMARTS pattern; stereo specified in it must match.
    smiles : str
        Canonical SMILES.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        The pattern or the SMILES is invalid.

    Examples
    --------
    >>> has_match("c1ccncc1", "Cc1ccncc1"), has_match("[r5]", "C1CCCCC1")
    (True, False)
    """
    pattern = _pattern(smarts)
    return is_substructure(pattern.mol, _parse(smiles, pattern))


def match_count(smarts: str, smiles: str) -> int:
    """Count the matches of a SMARTS pattern in a molecule.

    Parameters
    ----------
    smarts : str
        SMARTS pattern; stereo specified in it must match.
    smiles : str
        Canonical SMILES.

    Returns
    -------
    int
        Number of matches that differ in their atoms, at most 1,000.

    Raises
    ------
    InputError
        The pattern or the SMILES is invalid.

    Examples
    --------
    >>> match_count("[F,Cl]", "FC(F)(F)CCl")
    4
    """
    pattern = _pattern(smarts)
    return count_matches(pattern.mol, _parse(smiles, pattern))


def _parse(smiles: str, pattern: _Pattern) -> Chem.Mol:
    return parse(smiles) if pattern.needs_full_parse else parse_quickly(smiles)


@lru_cache(maxsize=1_000)
def _pattern(smarts: str) -> _Pattern:
    return _Pattern(parse_smarts(smarts), bool(_NEEDS_FULL_PARSE.search(_ELEMENT.sub("", smarts))))
