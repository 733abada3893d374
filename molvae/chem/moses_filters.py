"""Filters of the MOSES benchmark: elements, charges, ring sizes and functional groups."""

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
"""Medicinal chemistry filters (MCF) and PAINS as SMARTS, for molecules with explicit hydrogens."""

_ELEMENTS = frozenset(("C", "N", "S", "O", "F", "Cl", "Br", "H"))
_MAX_RING_SIZE = 7
_SCREEN_BITS = 2048


class _Rule(NamedTuple):
    name: str
    pattern: Chem.Mol
    screen: np.ndarray


def first_failed_filter(mol: Chem.Mol) -> str | None:
    """Find the first filter of MOSES [1]_ that a molecule fails.

    The filters are, in this order: rings of 8 or more atoms, charged atoms, elements other than C, N, S, O, F, Cl, Br
    and H, and the substructure rules.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    str or None
        Name of the filter, such as ``MCF: MCF4``, with its kind before the colon; None if the molecule passes.

    Raises
    ------
    InputError
        The bundled rules are missing.

    References
    ----------
    .. [1] Polykovskiy et al. 2020, doi:10.3389/fphar.2020.565644, and its code, molsets 0.3.1, mol_passes_filters.

    Examples
    --------
    >>> first_failed_filter(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1"))
    >>> first_failed_filter(Chem.MolFromSmiles("CCC=O"))
    'MCF: MCF7'
    """
    if any(len(ring) > _MAX_RING_SIZE for ring in mol.GetRingInfo().AtomRings()):
        return "ring of 8 or more atoms"
    if any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        return "charged atom"
    excluded = next((atom.GetSymbol() for atom in mol.GetAtoms() if atom.GetSymbol() not in _ELEMENTS), None)
    if excluded is not None:
        return f"element not allowed: {excluded}"
    with_hydrogens = Chem.AddHs(mol)
    rules, screens = _rules()
    # A rule can match only if its screen is a subset of the molecule's; 19 of 20 rules need no substructure search.
    missing = screens & ~_screen(with_hydrogens)
    possible = np.flatnonzero(~missing.any(axis=1))
    return next((rules[i].name for i in possible if with_hydrogens.HasSubstructMatch(rules[i].pattern)), None)


@cache
def _rules() -> tuple[list[_Rule], np.ndarray]:
    path = bundled(RULES_FILE)
    if not path.is_file():
        raise InputError(f"{path}: the bundled filter rules are missing; reinstall molvae")
    table = pd.read_csv(path)
    patterns = [molecules.parse_smarts(smarts) for smarts in table["smarts"]]
    rules = [
        _Rule(f"{kind}: {name}", pattern, _screen(pattern))
        for kind, name, pattern in zip(table["set"], table["name"], patterns, strict=True)
    ]
    return rules, np.stack([rule.screen for rule in rules])


def _screen(mol: Chem.Mol) -> np.ndarray:
    """RDKit's pattern fingerprint, (32,) uint64; the bits of a substructure are a subset of those of the molecule."""
    bits = rdmolops.PatternFingerprint(mol, _SCREEN_BITS)
    return np.frombuffer(DataStructs.BitVectToBinaryText(bits), np.uint64)
