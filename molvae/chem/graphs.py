"""Molecules as atoms and bonds, named so that no name depends on the order in which the atoms are written."""

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
_STEREO_MARKS = frozenset("@/\\")
_CIP_ITERATIONS = 1_000_000  # of the labeller; a symmetric cage may ask for ever more


class MolecularGraph(NamedTuple):
    """Atoms by name, such as "C", "n H", "N + H3", "C H R"; bonds as first atom, second atom, index of BOND_NAMES."""

    atoms: list[str]
    bonds: list[tuple[int, int, int]]


def read_graph(smiles: str) -> MolecularGraph:
    """The atoms and bonds of a canonical SMILES.

    An atom's name holds its element (in lower case where it is aromatic), charge, hydrogens and CIP label, so a centre
    is told from its mirror image whatever the order of its neighbours.

    Raises:
        InputError: the SMILES does not parse.
        ValueError: its stereo centres cannot be labelled.

    Example:
        >>> read_graph("C[C@H](N)O").atoms
        ['C H3', 'C H R', 'N H2', 'O H']

    Source: labels by the algorithm of Hanson et al. 2018, doi:10.1021/acs.jcim.8b00324.
    """
    mol = molecules.parse(smiles)
    if not _STEREO_MARKS.isdisjoint(smiles):
        try:
            rdCIPLabeler.AssignCIPLabels(mol, maxRecursiveIterations=_CIP_ITERATIONS)
        except RuntimeError:
            raise ValueError("its stereo centres are too intricate to be labelled R or S") from None
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
