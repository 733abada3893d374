"""Molecules as graphs for an encoder: atom ids, and the bonds of each atom. A decoder cannot output graphs.

The layout is dense, so that message passing can look up neighbors by index: an array (n, atoms, 1 + 2 * MAX_DEGREE)
with the id of each atom, then for each of its bonds the index of the neighbor and the id of the bond.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from molvae.errors import CodecError, InputError
from molvae.feature_spec import MAX_DEGREE, FeatureSpec
from molvae.features.featurizer import Features, read_description, write_description

_FIRST_ATOM = 2  # 0: no atom, 1: a masked atom


@dataclass(frozen=True)
class GraphFeaturizer:
    """Converts canonical SMILES to atoms and bonds.

    Parameters
    ----------
    atoms : tuple of str
        Known atom types, with the names that `molvae.chem.graphs.read_graph` gives them.
    length : int
        Maximum number of heavy atoms.
    """

    atoms: tuple[str, ...]
    length: int

    @classmethod
    def from_corpus(cls, smiles: Iterable[str], length: int | None = None) -> Self:
        """A featurizer with the atom types of a corpus, the most frequent first.

        Parameters
        ----------
        smiles : iterable of str
            Canonical SMILES; molecules that cannot be read as graphs are skipped.
        length : int, optional
            Maximum number of heavy atoms; None takes that of the largest molecule.

        Returns
        -------
        GraphFeaturizer
            The featurizer.

        Raises
        ------
        InputError
            No molecule of the corpus can be read as a graph.
        """
        from molvae.chem.graphs import read_graph

        names: Counter[str] = Counter()
        largest = 0
        for one in smiles:
            try:
                atoms = read_graph(one).atoms
            except ValueError:  # `encode` reports the reason
                continue
            names.update(atoms)
            largest = max(largest, len(atoms))
        if not names:
            raise InputError("graph: expected at least one molecule to learn the atom types from, got none")
        return cls(tuple(sorted(names, key=lambda name: (-names[name], name))), length or largest)

    @property
    def spec(self) -> FeatureSpec:
        """Number of atom ids, and maximum number of atoms."""
        return FeatureSpec("graph", _FIRST_ATOM + len(self.atoms), self.length)

    @property
    def representation(self) -> str:
        """Always "graph"."""
        return "graph"

    def encode(self, smiles: Sequence[str]) -> Features:
        """Graphs of canonical SMILES, atoms in the order of the SMILES.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        Features
            `x` of shape (n, length, 1 + 2 * MAX_DEGREE), uint16, padded with 0. `ok` is False for a molecule with an
            unknown atom type, too many atoms, or an atom with too many bonds.
        """
        from molvae.chem.graphs import read_graph

        x = np.zeros((len(smiles), self.length, 1 + 2 * MAX_DEGREE), np.uint16)
        reason: list[str | None] = [None] * len(smiles)
        for row, one in enumerate(smiles):
            try:
                graph = read_graph(one)
                self._fill(graph.atoms, graph.bonds, x[row])
            except (InputError, ValueError) as error:
                reason[row] = str(error)
                x[row] = 0
        return Features(x, np.array([r is None for r in reason], bool), reason)

    def describe(self) -> str:
        """Short description of these features."""
        return f"graphs of {len(self.atoms)} atom types, at most {self.length} atoms per molecule"

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load` restores the featurizer."""
        write_description(path, "graph", {"length": self.length, "atoms": self.atoms})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a featurizer that `save` wrote.

        Parameters
        ----------
        path : Path
            The file that `save` wrote.

        Returns
        -------
        GraphFeaturizer
            An equal featurizer.

        Raises
        ------
        CodecError
            The file is missing, damaged or of another version.
        """
        content = read_description(path, "graph")
        try:
            return cls(tuple(map(str, content["atoms"])), int(content["length"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CodecError(f"{path}: not a readable graph featurizer ({error})") from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: _FIRST_ATOM + i for i, name in enumerate(self.atoms)}

    def _fill(self, atoms: list[str], bonds: list[tuple[int, int, int]], x: np.ndarray) -> None:
        """Fill the rows (length, 1 + 2 * MAX_DEGREE) of one molecule; ValueError if it does not fit."""
        unknown = [name for name in dict.fromkeys(atoms) if name not in self._ids]
        if unknown:
            raise ValueError("unknown atom types: " + ", ".join(unknown))
        if len(atoms) > self.length:
            raise ValueError(f"{len(atoms)} heavy atoms; the codec reads at most {self.length}")
        x[: len(atoms), 0] = [self._ids[name] for name in atoms]
        degree = [0] * len(atoms)
        for first, second, bond in bonds:
            for atom, neighbor in ((first, second), (second, first)):
                if degree[atom] == MAX_DEGREE:
                    raise ValueError(f"an atom ({atoms[atom]}) has more than {MAX_DEGREE} bonds")
                column = 1 + 2 * degree[atom]
                x[atom, column], x[atom, column + 1] = neighbor, 1 + bond
                degree[atom] += 1
