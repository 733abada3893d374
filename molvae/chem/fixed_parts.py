"""Fixed parts of molecules: a scaffold to decorate, two fragments to link, or a pattern that must be kept.

A fixed part with attachment points `[*:1]`, `[*:2]`, ... is a SMILES. A molecule contains it if all its atoms and bonds
are there, every attachment point carries one substituent, and no other atom of the part is substituted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from molvae.chem.molecules import canonicalize, guard, parse_shared, parse_smarts
from molvae.errors import InputError

MAX_POINTS = 5
"""Largest number of attachment points of a fixed part."""

_POINT = re.compile(r"\[\*:(\d+)\]")
_RING = re.compile(r"\[[^\]]*\]|%\d\d|\d")
_MAX_MATCHES = 200
_MAX_TRIES = 20  # random SMILES per SMILES that is needed


class FixedAtoms(NamedTuple):
    """The atoms of a molecule that are kept, and the others by the substituent that they belong to.

    Parameters
    ----------
    kept : frozenset of int
        Indices of the kept atoms.
    group : dict of int to int
        Number of the substituent of each other atom; atoms of different substituents are not bonded.
    """

    kept: frozenset[int]
    group: dict[int, int]


class FixedWriting(NamedTuple):
    """A SMILES of a fixed part with its attachment points, ready to be filled.

    Parameters
    ----------
    first : str
        SMILES of the part, or of its first fragment, with attachment points as `[*:n]`.
    second : str or None
        SMILES of the second fragment, from its attachment point on and without it; None if there is one fragment.
    """

    first: str
    second: str | None


@dataclass(frozen=True)
class FixedPart:
    """A fixed part with attachment points; `read_fixed_part` checks and reads one.

    Parameters
    ----------
    smiles : str
        SMILES with attachment points `[*:n]`: one fragment with one to five points (decorate a scaffold), or two
        fragments with one point each (link them).

    Examples
    --------
    >>> phenol = read_fixed_part("[*:1]c1ccc(O)cc1")
    >>> phenol.is_in("CCc1ccc(O)cc1"), phenol.is_in("Oc1ccccc1"), phenol.is_in("CCc1ccc(OC)cc1")
    (True, False, False)
    """

    smiles: str

    @cached_property
    def fragments(self) -> tuple[Chem.Mol, ...]:
        """The one or two fragments, with wildcard atoms at the attachment points."""
        with rdBase.BlockLogs():
            return tuple(Chem.MolFromSmiles(one) for one in self.smiles.split("."))

    @property
    def is_linked(self) -> bool:
        """Whether there are two fragments, which a linker connects."""
        return len(self.fragments) == 2

    @cached_property
    def n_points(self) -> int:
        """Number of attachment points."""
        return len(_POINT.findall(self.smiles))

    def is_in(self, smiles: str) -> bool:
        """Check whether a molecule contains the part, with substituents only at its attachment points.

        Every atom of the part has the element, charge, aromaticity, number of hydrogens and number of bonds that it has
        in the part; stereo given in the part has to match. Every attachment point carries one substituent of at least
        one heavy atom, by a single bond that is not in a ring; the substituents are not bonded to each other. Two
        fragments are connected by one linker of at least one heavy atom, and have no other substituent.

        Parameters
        ----------
        smiles : str
            Canonical SMILES.

        Returns
        -------
        bool
        """
        return self.find(smiles) is not None

    def find(self, smiles: str) -> FixedAtoms | None:
        """Find the part in a molecule.

        Parameters
        ----------
        smiles : str
            Canonical SMILES.

        Returns
        -------
        FixedAtoms or None
            The atoms of the first match as `is_in` defines it, numbered as in the SMILES; None if there is none.
        """
        mol = parse_shared(smiles)
        n_groups = 1 if self.is_linked else self.n_points
        for query, n_kept in self._queries:
            for match in mol.GetSubstructMatches(query, uniquify=False, useChirality=True, maxMatches=_MAX_MATCHES):
                found = _group(mol, frozenset(match[:n_kept]))
                if len(set(found.group.values())) == n_groups:
                    return found
        return None

    def writings(self, n: int, seed: int) -> list[FixedWriting]:
        """Write the part in random atom orders; no writing starts with an attachment point.

        Parameters
        ----------
        n : int
            Largest number of writings.
        seed : int
            Seed of the atom orders.

        Returns
        -------
        list of FixedWriting
            Unique writings, at least one; of two fragments, either comes first.
        """
        rng = np.random.default_rng(seed)
        found: dict[FixedWriting, None] = {}
        for _ in range(n * _MAX_TRIES):
            if len(found) == n:
                break
            order = rng.permutation(len(self.fragments)).tolist()
            first, *others = [self.fragments[one] for one in order]
            heavy = [atom.GetIdx() for atom in first.GetAtoms() if atom.GetAtomicNum()]
            written = _write(first, int(rng.choice(heavy)), rng)
            second = None
            if others:
                (point,) = (atom.GetIdx() for atom in others[0].GetAtoms() if not atom.GetAtomicNum())
                second = _POINT.sub("", _write(others[0], point, rng), count=1)
            found[FixedWriting(written, second)] = None
        return list(found)

    @cached_property
    def _queries(self) -> list[tuple[Chem.Mol, int]]:
        """Patterns, their kept atoms first, and the numbers of these; a second one for linkers of one atom."""
        texts = [self.smiles]
        if self.is_linked:
            (writing,) = self.writings(1, 0)
            second = _RING.sub(
                lambda one: one[0] if one[0][0] == "[" else f"%{int(one[0].lstrip('%')) + 50}", writing.second or ""
            )
            texts.append(_POINT.sub(lambda one: one[0] + second, writing.first))
        with rdBase.BlockLogs():
            return [_to_query(Chem.MolFromSmiles(text)) for text in texts]


@dataclass(frozen=True)
class KeptPattern:
    """A SMARTS that must be kept; the matched atoms of a molecule may have any substituents.

    Parameters
    ----------
    smarts : str
        The SMARTS.

    Examples
    --------
    >>> KeptPattern("c1ccncc1").is_in("Cc1ccncc1")
    True
    """

    smarts: str

    @cached_property
    def _query(self) -> Chem.Mol:
        return parse_smarts(self.smarts)

    def is_in(self, smiles: str) -> bool:
        """Check whether a molecule matches.

        Parameters
        ----------
        smiles : str
            Canonical SMILES.

        Returns
        -------
        bool
        """
        return bool(parse_shared(smiles).HasSubstructMatch(self._query, useChirality=True))

    def find(self, smiles: str) -> FixedAtoms | None:
        """Find the pattern in a molecule.

        Parameters
        ----------
        smiles : str
            Canonical SMILES.

        Returns
        -------
        FixedAtoms or None
            The atoms of the first match, numbered as in the SMILES; None if there is none.
        """
        mol = parse_shared(smiles)
        match = mol.GetSubstructMatch(self._query, useChirality=True)
        return _group(mol, frozenset(match)) if match else None

    def scaffolds(self, n: int, seed: int) -> list[FixedPart]:
        """Fixed parts with attachment points at random atoms of the pattern, if the pattern is also a SMILES.

        Parameters
        ----------
        n : int
            Largest number of parts.
        seed : int
            Seed of the choice.

        Returns
        -------
        list of FixedPart
            Unique parts with one to three attachment points; empty if the pattern is not the SMILES of one molecule
            that it matches, or if no atom of it has a hydrogen.
        """
        smiles = canonicalize(self.smarts).smiles
        if smiles is None or "." in smiles or not self.is_in(smiles):
            return []
        mol = parse_shared(smiles)
        open_atoms = [atom.GetIdx() for atom in mol.GetAtoms() for _ in range(min(1, atom.GetTotalNumHs()))]
        if not open_atoms:
            return []
        rng = np.random.default_rng(seed)
        found: dict[str, None] = {}
        for _ in range(n * _MAX_TRIES):
            if len(found) == n:
                break
            chosen = rng.permutation(open_atoms)[: rng.integers(1, 4)].tolist()
            part = _with_points(mol, chosen)
            if self.is_in(_fill_with_carbon(part)):
                found[part] = None
        return [FixedPart(one) for one in found]


def read_fixed_part(text: str) -> FixedPart:
    """Read a fixed part with attachment points.

    Parameters
    ----------
    text : str
        SMILES with attachment points, as for `FixedPart`.

    Returns
    -------
    FixedPart

    Raises
    ------
    InputError
        The SMILES is invalid, an attachment point cannot be used, or there are too many fragments or points.
    """
    reason = guard(text)
    if reason is not None:
        raise InputError(f"fixed part {text!r}: {reason}")
    smiles = text.strip()
    mol = _read(smiles)
    _check_points(smiles, mol)
    fragments = Chem.GetMolFrags(mol)
    points = [[i for i in atoms if not mol.GetAtomWithIdx(i).GetAtomicNum()] for atoms in fragments]
    if len(fragments) > 2:
        raise InputError(f"fixed part {smiles!r}: {len(fragments)} fragments; expected one to decorate or two to link")
    if len(fragments) == 2 and [len(one) for one in points] != [1, 1]:
        counts = " and ".join(str(len(one)) for one in points)
        raise InputError(
            f"fixed part {smiles!r}: two fragments with {counts} attachment points; to link them, expected one in each"
        )
    if sum(map(len, points)) > MAX_POINTS:
        n = sum(map(len, points))
        raise InputError(f"fixed part {smiles!r}: {n} attachment points; at most {MAX_POINTS} are supported")
    return FixedPart(smiles)


def read_kept(text: str) -> FixedPart | KeptPattern:
    """Read what a search keeps: a fixed part, if the text has an attachment point `[*:n]`; else a SMARTS.

    Parameters
    ----------
    text : str
        SMILES with attachment points, or SMARTS.

    Returns
    -------
    FixedPart or KeptPattern

    Raises
    ------
    InputError
        It is neither.
    """
    if isinstance(text, str) and _POINT.search(text):
        return read_fixed_part(text)
    parse_smarts(text)
    return KeptPattern(text.strip())


def _to_query(mol: Chem.Mol) -> tuple[Chem.Mol, int]:
    """The pattern of a part with its atoms before its attachment points, and the number of these atoms."""
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum()]
    points = [atom.GetIdx() for atom in mol.GetAtoms() if not atom.GetAtomicNum()]
    mol = Chem.RenumberAtoms(mol, heavy + points)
    query = Chem.RWMol(mol)
    for atom in mol.GetAtoms():
        symbol = "[!#1]"
        if atom.GetAtomicNum():
            kind = "a" if atom.GetIsAromatic() else "A"
            n_hydrogens, charge = atom.GetTotalNumHs(), atom.GetFormalCharge()
            symbol = f"[#{atom.GetAtomicNum()};{kind};D{atom.GetDegree()};H{n_hydrogens};{charge:+d}]"
        query.ReplaceAtom(atom.GetIdx(), Chem.AtomFromSmarts(symbol))
        query.GetAtomWithIdx(atom.GetIdx()).SetChiralTag(atom.GetChiralTag())
    return query.GetMol(), len(heavy)


def _read(smiles: str) -> Chem.Mol:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is not None:
            return mol
        unsanitized = Chem.MolFromSmiles(smiles, sanitize=False)
    if unsanitized is not None:
        _check_points(smiles, unsanitized)
    reason = canonicalize(_POINT.sub("C", smiles)).reason or "invalid SMILES"
    raise InputError(f"fixed part {smiles!r}: {reason}")


def _check_points(smiles: str, mol: Chem.Mol) -> None:
    """Raise InputError unless every wildcard atom is an attachment point that can be filled."""
    where = f"fixed part {smiles!r}"
    labels: list[int] = []
    for atom in mol.GetAtoms():
        label = atom.GetAtomMapNum()
        if atom.GetAtomicNum():
            if label:
                raise InputError(f"{where}: atom map number {label} on {atom.GetSymbol()}; only [*:{label}] has one")
            continue
        if not label:
            raise InputError(f"{where}: a wildcard atom without a number; write attachment points as [*:1], [*:2]")
        if label in labels:
            raise InputError(f"{where}: the attachment point [*:{label}] occurs twice; give each its own number")
        labels.append(label)
        _check_point(f"{where}: attachment point [*:{label}]", atom)
    if not labels:
        raise InputError(f"{where}: no attachment point; mark each atom to substitute, as in [*:1]c1ccccc1")


def _check_point(name: str, atom: Chem.Atom) -> None:
    if atom.GetIsotope() or atom.GetFormalCharge() or atom.GetNumExplicitHs():
        raise InputError(f"{name}: expected no isotope, charge or hydrogen")
    if not any(one.GetAtomicNum() for one in atom.GetNeighbors()):
        raise InputError(f"{name} is on no atom; write it next to the atom that is substituted")
    if atom.GetDegree() > 1:
        raise InputError(f"{name} has {atom.GetDegree()} bonds, expected one; it is not an atom of a ring or chain")
    if atom.GetBonds()[0].GetBondType() != Chem.BondType.SINGLE:
        raise InputError(f"{name} has a bond that is not single; only single bonds are supported")


def _write(mol: Chem.Mol, root: int, rng: np.random.Generator) -> str:
    """A random SMILES from an atom on; `rng` shuffles the atoms, which determines the branches."""
    order = rng.permutation(mol.GetNumAtoms()).tolist()
    shuffled = Chem.RenumberAtoms(mol, order)
    return str(Chem.MolToSmiles(shuffled, canonical=False, rootedAtAtom=order.index(root)))


def _group(mol: Chem.Mol, kept: frozenset[int]) -> FixedAtoms:
    """The connected pieces of the atoms that are not kept."""
    group: dict[int, int] = {}
    n_groups = 0
    for start in range(mol.GetNumAtoms()):
        if start in kept or start in group:
            continue
        group[start], stack = n_groups, [start]
        while stack:
            for one in mol.GetAtomWithIdx(stack.pop()).GetNeighbors():
                index = one.GetIdx()
                if index not in kept and index not in group:
                    group[index] = n_groups
                    stack.append(index)
        n_groups += 1
    return FixedAtoms(kept, group)


def _with_points(mol: Chem.Mol, atoms: Sequence[int]) -> str:
    """SMILES of a molecule with attachment points at some atoms."""
    changed = Chem.RWMol(mol)
    Chem.Kekulize(changed, clearAromaticFlags=True)
    for number, index in enumerate(atoms, start=1):
        atom = changed.GetAtomWithIdx(index)
        if atom.GetNoImplicit() and atom.GetNumExplicitHs():
            atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
        point = Chem.Atom(0)
        point.SetAtomMapNum(number)
        changed.AddBond(index, changed.AddAtom(point), Chem.BondType.SINGLE)
    Chem.SanitizeMol(changed)
    return str(Chem.MolToSmiles(changed))


def _fill_with_carbon(part: str) -> str:
    return canonicalize(_POINT.sub("C", part)).smiles or "C"
