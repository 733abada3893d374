"""The filters of the MOSES benchmark: elements, charges, rings and groups that its molecules do without."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from rdkit import Chem, DataStructs
from rdkit.Chem import rdmolops

from molvae.bundled import bundled
from molvae.chem import molecules
from molvae.errors import InputError

RULES_FILE = "moses_filters.csv"
"""Medicinal chemistry filters (MCF) and PAINS as SMARTS, for molecules with their hydrogens."""

_ELEMENTS = frozenset(("C", "N", "S", "O", "F", "Cl", "Br", "H"))
_LARGEST_RING = 7
_SCREEN_BITS = 2048


class _Rule(NamedTuple):
    name: str
    pattern: Chem.Mol
    screen: np.ndarray


def first_objection(mol: Chem.Mol) -> str | None:
    """What a molecule is filtered out for, the first that is found; None where it passes.

    In this order: a ring of 8 atoms or more, a charged atom, an element other than C, N, S, O, F, Cl, Br and H, and the
    groups of the rules, as `MCF: MCF4`. What stands before the colon is the kind.

    Raises:
        InputError: the bundled rules are not there.

    Example:
        >>> first_objection(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1")), first_objection(Chem.MolFromSmiles("CCC=O"))
        (None, 'MCF: MCF7')

    Source: Polykovskiy et al. 2020, doi:10.3389/fphar.2020.565644, and its code, molsets 0.3.1, mol_passes_filters.
    """
    if any(len(ring) > _LARGEST_RING for ring in mol.GetRingInfo().AtomRings()):
        return "a ring of 8 atoms or more"
    if any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        return "a charged atom"
    strange = next((atom.GetSymbol() for atom in mol.GetAtoms() if atom.GetSymbol() not in _ELEMENTS), None)
    if strange is not None:
        return f"an element that is not allowed: {strange}"
    whole = Chem.AddHs(mol)
    rules, screens = _rules()
    # A rule can only be hit where its screen lies within that of the molecule: nineteen of twenty need no search.
    lacking = screens & ~_screen(whole)
    possible = np.flatnonzero(~lacking.any(axis=1))
    return next((rules[place].name for place in possible if whole.HasSubstructMatch(rules[place].pattern)), None)


@cache
def _rules() -> tuple[list[_Rule], np.ndarray]:
    path = bundled(RULES_FILE)
    if not path.is_file():
        raise InputError(f"{path}: the bundled filter rules are not there; install molvae again")
    table = pd.read_csv(path)
    patterns = [molecules.parse_smarts(smarts) for smarts in table["smarts"]]
    rules = [
        _Rule(f"{kind}: {name}", pattern, _screen(pattern))
        for kind, name, pattern in zip(table["set"], table["name"], patterns, strict=True)
    ]
    return rules, np.stack([rule.screen for rule in rules])


def _screen(mol: Chem.Mol) -> np.ndarray:
    """RDKit's pattern fingerprint, (32,) uint64: that of a substructure lies within that of the molecule."""
    bits = rdmolops.PatternFingerprint(mol, _SCREEN_BITS)
    return np.frombuffer(DataStructs.BitVectToBinaryText(bits), np.uint64)
