"""Ring systems of molecules, and the numbers of molecules of a reference library that contain them."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType

from rdkit import Chem, rdBase

from molvae.bundled import bundled
from molvae.chem import molecules
from molvae.errors import InputError

TABLE = "ring_systems.csv.gz"
"""The bundled table: each ring system with its number of molecules in the MOSES training set and in ChEMBL."""

_MAX_CACHED = 100_000
_MAX_MATCHES = 1000
_SUBSTITUENT = Chem.MolFromSmarts("[R;+0]-!@*")


def ring_systems(smiles: str) -> list[str]:
    """List the ring systems of a molecule: rings that share an atom or a bond, without substituents.

    Fused, bridged and spiro rings are one ring system; rings with a bond between them are two. An atom with a double
    bond to the ring is part of it, so that pyridone and hydroxypyridine differ, and so is the oxygen of an N-oxide or a
    sulfoxide.
    Stereo, isotopes and the charges of protonated or alkylated atoms are removed: piperidine and its N-methyl and
    N,N-dimethyl compounds have the same ring system. Tautomers can have different ring systems. A macrocycle is one
    ring system, together with the rings that it passes through.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    list of str
        Canonical SMILES, sorted; a ring system that occurs twice is listed twice. Empty for a molecule without rings.

    Raises
    ------
    InputError
        The SMILES is invalid.

    References
    ----------
    .. [1] Ertl et al. 2006, doi:10.1021/jm060217p: ring systems of bioactive molecules.

    Examples
    --------
    >>> ring_systems("CN1CCC[C@H]1c1cccnc1"), ring_systems("CCO")
    (['C1CCNC1', 'c1ccncc1'], [])
    >>> ring_systems("Cn1ccccc1=O"), ring_systems("Oc1ccccn1")
    (['O=c1cccc[nH]1'], ['c1ccncc1'])
    """
    mol = molecules.parse_shared(smiles)
    if not mol.GetRingInfo().NumRings():
        return []
    return sorted(_canonical(part) for part in _cut_out(mol).split("."))


def distinct_ring_systems(smiles: str) -> list[str]:
    """List the different ring systems of a molecule, at half of the cost of `ring_systems`; for many molecules.

    Aromaticity is taken as written. The molecule is cut into parts with one ring system each, and the ring systems of
    the parts are remembered.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    list of str
        Canonical SMILES, sorted.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> distinct_ring_systems("c1ccc(CCc2ccccc2)cc1")
    ['c1ccccc1']
    """
    mol = None
    if molecules.guard(smiles) is None:
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(smiles, molecules.UNSANITIZED)
    if mol is None:
        return sorted(set(ring_systems(smiles)))
    mol.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(mol)
    matches = mol.GetSubstructMatches(_SUBSTITUENT, uniquify=False, maxMatches=_MAX_MATCHES)
    bonds = {mol.GetBondBetweenAtoms(*ends).GetIdx() for ends in matches}
    if bonds:
        mol = Chem.FragmentOnBonds(mol, sorted(bonds), addDummies=False)
    parts = Chem.MolToSmiles(mol, isomericSmiles=False).split(".")
    return sorted({system for part in parts if "1" in part for system in _of_part(part)})


def count_ring_systems(smiles: Iterable[str]) -> Counter[str]:
    """Count the molecules that contain each ring system.

    Parameters
    ----------
    smiles : iterable of str
        Canonical SMILES, each molecule once.

    Returns
    -------
    Counter of str
        Ring system -> number of molecules.

    Raises
    ------
    InputError
        A SMILES is invalid.

    Examples
    --------
    >>> count_ring_systems(["c1ccc(Cc2ccccc2)cc1", "Cc1ccccc1"])
    Counter({'c1ccccc1': 2})
    """
    return Counter(system for one in smiles for system in distinct_ring_systems(one))


@cache
def bundled_ring_systems() -> Mapping[str, int]:
    """Read the bundled table of ring systems: those of the MOSES training set and of a sample of ChEMBL.

    Returns
    -------
    mapping of str to int
        Ring system -> number of molecules of both sets that contain it, at least 2.

    Raises
    ------
    InputError
        The file is missing.
    """
    path = bundled(TABLE)
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            return MappingProxyType({row["ring_system"]: int(row["moses"]) + int(row["chembl"]) for row in rows})
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the installation of molvae is incomplete, reinstall it") from None


class _Cuts:
    """What to keep and what to cut of a molecule, as atom indices.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.
    """

    def __init__(self, mol: Chem.Mol) -> None:
        info = mol.GetRingInfo()
        self._in_ring: set[int] = set().union(*info.AtomRings())
        in_ring_bond: set[int] = set().union(*info.BondRings())
        self.kept = set(self._in_ring)
        self.cut: list[tuple[int, int]] = []  # bonds
        self.oxides: list[tuple[int, int]] = []  # bonds
        self.caps: list[tuple[int, int]] = []  # ring atoms, and the element that replaces a doubly bonded ring atom
        outer = []
        for bond in mol.GetBonds():
            if bond.GetIdx() in in_ring_bond:
                continue
            ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            n_in_ring = sum(index in self._in_ring for index in ends)
            if n_in_ring:
                self._add(bond, ends, n_in_ring == 2)
            else:
                outer.append(ends)
        self.cut += [ends for ends in outer if self.kept.issuperset(ends)]

    def _add(self, bond: Chem.Bond, ends: tuple[int, int], is_between_rings: bool) -> None:
        """Add a bond of a ring atom that is not in a ring."""
        is_double = bond.GetBondType() == Chem.BondType.DOUBLE
        if not is_between_rings and (is_double or _is_oxide(bond)):
            self.kept.update(ends)
            if not is_double:
                self.oxides.append(ends)
            return
        self.cut.append(ends)
        if is_double:  # between two ring systems: each gets an atom of its own
            begin, end = bond.GetBeginAtom(), bond.GetEndAtom()
            self.caps += [(ends[0], end.GetAtomicNum()), (ends[1], begin.GetAtomicNum())]


def _cut_out(mol: Chem.Mol) -> str:
    """The ring systems of a molecule as one SMILES with dots, not yet canonical."""
    cuts = _Cuts(mol)
    kept = cuts.kept
    rings = Chem.RWMol(mol)
    Chem.RemoveStereochemistry(rings)
    for begin, end in cuts.cut:
        rings.RemoveBond(begin, end)
    for index, element in cuts.caps:
        kept.add(cap := rings.AddAtom(Chem.Atom(element)))
        rings.AddBond(index, cap, Chem.BondType.DOUBLE)
    for begin, end in cuts.oxides:
        _write_double(rings.GetBondBetweenAtoms(begin, end))
    substituted, oxidized = ({index for ends in pairs for index in ends} for pairs in (cuts.cut, cuts.oxides))
    for index in kept:
        _neutralize(rings.GetAtomWithIdx(index), index in substituted, index in oxidized, kept)
    rings.BeginBatchEdit()
    for index in range(mol.GetNumAtoms()):
        if index not in kept:
            rings.RemoveAtom(index)
    rings.CommitBatchEdit()
    rings.UpdatePropertyCache(strict=False)
    return str(Chem.MolToSmiles(rings))


def _is_oxide(bond: Chem.Bond) -> bool:
    """Whether a single bond is that of an oxide such as [n+][O-]."""
    cation, anion = sorted((bond.GetBeginAtom(), bond.GetEndAtom()), key=lambda atom: -atom.GetFormalCharge())
    return (cation.GetFormalCharge(), anion.GetFormalCharge(), anion.GetDegree()) == (1, -1, 1)


def _write_double(bond: Chem.Bond) -> None:
    """Write an oxide as a double bond, except an N-oxide: S(=O) and [S+][O-] are the same."""
    atoms = (bond.GetBeginAtom(), bond.GetEndAtom())
    if all(atom.GetAtomicNum() != 7 for atom in atoms):
        bond.SetBondType(Chem.BondType.DOUBLE)
        for atom in atoms:
            atom.SetFormalCharge(0)


def _neutralize(atom: Chem.Atom, is_substituted: bool, is_oxide: bool, kept: set[int]) -> None:
    """Give an atom the charge and the hydrogens that it has in the ring system alone."""
    atom.SetIsotope(0)
    charge = atom.GetFormalCharge()
    if atom.GetIsAromatic() and atom.GetAtomicNum() != 6:
        if charge == 1 and not is_oxide and (is_substituted or atom.GetTotalNumHs()):  # pyridinium
            atom.SetFormalCharge(0)
            atom.SetNumExplicitHs(0)
        elif charge == -1 or (not charge and is_substituted):  # the anion or a substituted atom of an azole
            atom.SetFormalCharge(0)
            atom.SetNumExplicitHs(1)
        return
    if charge and not is_oxide:
        bonds = [bond for bond in atom.GetBonds() if bond.GetOtherAtomIdx(atom.GetIdx()) in kept]
        n_bonds = sum(bond.GetBondTypeAsDouble() for bond in bonds)
        if charge < 0 or n_bonds < 4:  # a spiro ammonium keeps its charge
            atom.SetFormalCharge(0)
    if atom.GetNoImplicit():
        atom.SetNumRadicalElectrons(0)
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(False)


@lru_cache(maxsize=_MAX_CACHED)
def _of_part(smiles: str) -> list[str]:
    return ring_systems(smiles)


@lru_cache(maxsize=_MAX_CACHED)
def _canonical(smiles: str) -> str:
    """The canonical SMILES; the string as it is for a rare ring system that RDKit cannot read again."""
    return molecules.canonicalize(smiles).smiles or smiles
