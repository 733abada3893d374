"""Molecules as named atoms and bonds; the names do not depend on the order of the atoms."""

from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem import rdCIPLabeler

from molvae.chem import molecules

_BONDS = {
    Chem.BondType.SINGLE: "single",
    Chem.BondType.DOUBLE: "double",
    Chem.BondType.TRIPLE: "triple",
    Chem.BondType.AROMATIC: "aromatic",
}
BOND_NAMES = ("single", "double", "triple", "aromatic", "E double", "Z double", "other")
_CIP_ITERATIONS = 1_000_000  # without a limit, a symmetric cage may never finish


class MolecularGraph(NamedTuple):
    """Atoms and bonds of a molecule.

    Parameters
    ----------
    atoms : list of str
        Name of each atom, such as "C", "n H", "N + H3" or "C H R".
    bonds : list of tuple of int
        First atom, second atom, and index of BOND_NAMES.
    """

    atoms: list[str]
    bonds: list[tuple[int, int, int]]


def read_graph(smiles: str) -> MolecularGraph:
    """Read the atoms and bonds of a molecule.

    The name of an atom consists of its isotope, element (lowercase if aromatic), charge, hydrogens, radical and CIP
    label [1]_. The CIP label distinguishes enantiomers independently of the order of the atoms.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    MolecularGraph

    Raises
    ------
    InputError
        The SMILES is invalid.
    ValueError
        The stereocenters cannot be labelled.

    References
    ----------
    .. [1] Hanson et al. 2018, doi:10.1021/acs.jcim.8b00324.

    Examples
    --------
    >>> read_graph("C[C@H](N)O").atoms
    ['C H3', 'C H R', 'N H2', 'O H']
    """
    mol = molecules.parse(smiles)
    if molecules.has_stereo(smiles):
        try:
            rdCIPLabeler.AssignCIPLabels(mol, maxRecursiveIterations=_CIP_ITERATIONS)
        except RuntimeError:
            raise ValueError("stereocenters too complex for CIP labels") from None
    bonds = [
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), BOND_NAMES.index(_bond_name(bond))) for bond in mol.GetBonds()
    ]
    return MolecularGraph([_atom_name(atom) for atom in mol.GetAtoms()], bonds)


def _atom_name(atom: Chem.Atom) -> str:
    symbol, charge, n_hydrogens = atom.GetSymbol(), atom.GetFormalCharge(), atom.GetTotalNumHs()
    name = symbol.lower() if atom.GetIsAromatic() else symbol
    if charge:
        name += f" {'+' if charge > 0 else '-'}{abs(charge) if abs(charge) > 1 else ''}"
    if n_hydrogens:
        name += f" H{n_hydrogens if n_hydrogens > 1 else ''}"
    if atom.GetNumRadicalElectrons():
        name += " radical"
    if atom.GetIsotope():
        name = f"{atom.GetIsotope()}{name}"
    return f"{name} {atom.GetProp('_CIPCode')}" if atom.HasProp("_CIPCode") else name


def _bond_name(bond: Chem.Bond) -> str:
    name = _BONDS.get(bond.GetBondType(), "other")
    if name == "double" and bond.HasProp("_CIPCode") and bond.GetProp("_CIPCode") in ("E", "Z"):
        return f"{bond.GetProp('_CIPCode')} double"
    return name
