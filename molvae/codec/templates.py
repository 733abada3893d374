"""Templates from fixed parts, and from molecules whose substituents are replaced by gaps."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from molvae.codec.gaps import ATOM, CLOSE, OPEN, RING, Gap, Template, kind_of
from molvae.features.tokens import split_symbols

if TYPE_CHECKING:
    from molvae.chem.fixed_parts import FixedAtoms, FixedWriting

_CHANGED_SHARE = 0.5  # of the substituents before kept atoms; the others keep their length there
MAX_ATOMS = 15
"""Default of the largest number of heavy atoms of a substituent or a linker."""

_SYMBOL = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.")
_SECOND_RINGS = 50  # added to the ring numbers of the second fragment, so that they differ from those of the first
_MORE_ATOMS = 6  # a gap may have so many more atoms than the substituent that it replaces


def template_of_writing(writing: "FixedWriting", n_before: int, least: int, most: int) -> Template:
    """The template of a writing of a fixed part: a gap at each attachment point.

    Parameters
    ----------
    writing : FixedWriting
        SMILES of the part.
    n_before : int
        Number of atoms of a linker before the second fragment, if there is one; more may follow.
    least, most : int
        Smallest and largest number of heavy atoms of a substituent.

    Returns
    -------
    Template
        Each substituent is a group of gaps; a linker is one group.
    """
    elements: list[str | Gap] = []
    n_groups = 0
    for symbol in _SYMBOL.findall(writing.first):
        if not symbol.startswith("[*"):
            elements.append(symbol)
        elif writing.second is None:
            n_groups += 1
            elements.append(Gap(least, most, n_groups, "atom"))
        else:
            elements.append(Gap(n_before, most, 1, "atom"))
            elements += [_renumber(one) for one in split_symbols(writing.second)]
            elements.append(Gap(0, max(0, most - n_before), 1, "close"))
    return Template(tuple(elements), is_renumbered=True)


def template_of_molecule(
    smiles: str, atoms: "FixedAtoms", rng: np.random.Generator, most: int = MAX_ATOMS
) -> Template | None:
    """The template of a molecule: its kept atoms as they are written, and gaps for its substituents.

    Parameters
    ----------
    smiles : str
        SMILES of the molecule.
    atoms : FixedAtoms
        The kept atoms, and the substituents of the others.
    rng : numpy.random.Generator
        Draws by how much substituents that are written before kept atoms become shorter or longer there.
    most : int, default=15
        Largest number of atoms of a substituent that is not larger in the molecule.

    Returns
    -------
    Template or None
        Each substituent is a group of gaps. None if a substituent forms a ring with kept atoms.
    """
    found = _read_atoms(split_symbols(smiles), atoms)
    if found is None:
        return None
    elements = _Writer(atoms, rng, most).write(found)
    return None if elements is None else Template(tuple(elements), is_renumbered=True)


@dataclass
class _Atom:
    """An atom of a SMILES, as it is written.

    Parameters
    ----------
    index : int
        Number of the atom.
    symbol : str
        Its symbol.
    bond : str
        Symbol of the bond to the atom before; may be empty.
    rings : list of str
        Its ring closures, with bonds.
    children : list of _Atom
        The atoms after it; each but the last one begins a branch.
    """

    index: int
    symbol: str
    bond: str
    rings: list[str]
    children: "list[_Atom]"

    def walk(self) -> "Iterator[_Atom]":
        """The atom and all atoms after it, in the order of the SMILES."""
        yield self
        for child in self.children:
            yield from child.walk()


class _Writer:
    """Writes templates from the atoms of a SMILES."""

    def __init__(self, atoms: "FixedAtoms", rng: np.random.Generator, most: int) -> None:
        self._kept, self._group, self._rng, self._most = atoms.kept, atoms.group, rng, most

    def write(self, atom: _Atom) -> list[str | Gap] | None:
        """The elements from an atom on; None if a double bond leads to a kept atom."""
        if any(self._is_bonded_twice(one) for one in atom.walk()):
            return None
        return self._write_kept(atom) if atom.index in self._kept else self._write_gap(atom, "any")

    def _is_bonded_twice(self, atom: _Atom) -> bool:
        is_kept = atom.index in self._kept
        return any(
            (one.index in self._kept) != is_kept and one.bond not in ("", "-", "/", "\\") for one in atom.children
        )

    def _write_kept(self, atom: _Atom) -> list[str | Gap]:
        found: list[str | Gap] = [atom.symbol, *atom.rings]
        for child in atom.children:
            if child.index in self._kept:
                branch = [*child.bond, *self._write_kept(child)]
            else:
                branch = [*child.bond.replace("-", ""), *self._write_gap(child, "atom")]
            found += branch if child is atom.children[-1] else ["(", *branch, ")"]
        return found

    def _write_gap(self, atom: _Atom, begins: Literal["any", "atom"]) -> list[str | Gap]:
        """A gap for a substituent, and the kept atoms to which it leads."""
        group = self._group[atom.index]
        kept = _first_kept(atom, self._kept)
        size = sum(self._group.get(one.index) == group for one in atom.walk())
        most = max(self._most, size + _MORE_ATOMS)
        if not kept:
            return [Gap(1, most, group, begins)]
        found: list[str | Gap] = []
        n_written = 0
        kind: Literal["any", "atom", "close"] = begins
        for one in kept:
            n_atoms = sum(self._group.get(other.index) == group and other.index < one.index for other in atom.walk())
            change = int(self._rng.integers(-2, 3)) if self._rng.random() < _CHANGED_SHARE else 0
            least = max(int(kind != "close"), n_atoms - n_written + change)
            found += [Gap(least, most, group, kind), *self._write_kept(one)]
            n_written, kind = n_atoms, "close"
        return [*found, Gap(0, most, group, "close")]


def _first_kept(atom: _Atom, kept: frozenset[int]) -> list[_Atom]:
    """The first kept atoms on every path from an atom on."""
    found = []
    for child in atom.children:
        found += [child] if child.index in kept else _first_kept(child, kept)
    return found


def _read_atoms(symbols: list[str], atoms: "FixedAtoms") -> _Atom | None:
    """The atoms of a SMILES; None if a ring bond connects a kept atom with another one."""
    root: _Atom | None = None
    current: _Atom | None = None
    branches: list[_Atom | None] = []
    opened: dict[str, int] = {}
    n_atoms, bond = 0, ""
    for symbol in symbols:
        kind = kind_of(symbol)
        if kind == ATOM:
            atom = _Atom(n_atoms, symbol, bond, [], [])
            n_atoms, bond = n_atoms + 1, ""
            if current is None:
                root = atom
            else:
                current.children.append(atom)
            current = atom
        elif kind == OPEN:
            branches.append(current)
        elif kind == CLOSE:
            current = branches.pop()
        elif kind == RING and current is not None:
            first = opened.pop(symbol, None)
            if first is None:
                opened[symbol] = current.index
            elif (first in atoms.kept) != (current.index in atoms.kept):
                return None
            current.rings += [*bond, symbol]
            bond = ""
        else:
            bond = symbol
    return root


def _renumber(symbol: str) -> str:
    return f"%{int(symbol.lstrip('%')) + _SECOND_RINGS}" if kind_of(symbol) == RING else symbol
