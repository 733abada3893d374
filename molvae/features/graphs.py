"""Molecules as graphs, which a model reads and does not write: atoms by id, each with its bonds.

The layout is dense, so that messages are passed by looking up neighbours: (n, atoms, 1 + 2 * MAX_DEGREE), of each atom
its id, then for each bond the neighbour's place and the bond's id.
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

_FIRST_ATOM = 2  # 0 is no atom, 1 a hidden one


@dataclass(frozen=True)
class GraphFeaturizer:
    """Canonical SMILES to atoms and bonds.

    atoms: names of the atoms that are known, as `chem.graphs.read_graph` gives them; length: the most atoms.
    """

    atoms: tuple[str, ...]
    length: int

    @classmethod
    def from_corpus(cls, smiles: Iterable[str], length: int | None = None) -> Self:
        """The atoms of canonical SMILES, the commonest first; length: None takes the largest molecule's.

        Raises:
            InputError: there is no molecule to learn from.
        """
        from molvae.chem.graphs import read_graph

        names: Counter[str] = Counter()
        most = 0
        for text in smiles:
            try:
                atoms = read_graph(text).atoms
            except ValueError:  # a row with a reason once it is encoded
                continue
            names.update(atoms)
            most = max(most, len(atoms))
        if not names:
            raise InputError("graph: expected at least one molecule to learn the atoms from, got none")
        return cls(tuple(sorted(names, key=lambda name: (-names[name], name))), length or most)

    @property
    def spec(self) -> FeatureSpec:
        """Atoms below so many ids, in rows of at most `length`."""
        return FeatureSpec("graph", _FIRST_ATOM + len(self.atoms), self.length)

    @property
    def representation(self) -> str:
        """ "graph"."""
        return "graph"

    def encode(self, smiles: Sequence[str]) -> Features:
        """Graphs (n, length, 1 + 2 * MAX_DEGREE) uint16, in the order of the SMILES's atoms, filled up with 0.

        A molecule with an atom not known here, or with too many atoms or bonds, is not ok, and its reason says so.
        """
        from molvae.chem.graphs import read_graph

        x = np.zeros((len(smiles), self.length, 1 + 2 * MAX_DEGREE), np.uint16)
        reason: list[str | None] = [None] * len(smiles)
        for row, text in enumerate(smiles):
            try:
                graph = read_graph(text)
                self._write(graph.atoms, graph.bonds, x[row])
            except (InputError, ValueError) as error:
                reason[row] = str(error)
                x[row] = 0
        return Features(x, np.array([why is None for why in reason], bool), reason)

    def describe(self) -> str:
        """What these features are, in words."""
        return f"graphs of {len(self.atoms)} kinds of atoms, at most {self.length} a molecule"

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load` makes the same featurizer again."""
        write_description(path, "graph", {"length": self.length, "atoms": self.atoms})

    @classmethod
    def load(cls, path: Path) -> Self:
        """The featurizer that was saved in a file.

        Raises:
            CodecError: the file is missing, damaged or of another version.
        """
        content = read_description(path, "graph")
        try:
            return cls(tuple(map(str, content["atoms"])), int(content["length"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CodecError(f"{path}: not a readable graph's description ({error})") from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: _FIRST_ATOM + place for place, name in enumerate(self.atoms)}

    def _write(self, atoms: list[str], bonds: list[tuple[int, int, int]], x: np.ndarray) -> None:
        """Fill one molecule's rows (length, 1 + 2 * MAX_DEGREE).

        Raises:
            ValueError: it cannot be written, and why.
        """
        missing = [name for name in dict.fromkeys(atoms) if name not in self._ids]
        if missing:
            raise ValueError("not among the codec's atoms: " + ", ".join(missing))
        if len(atoms) > self.length:
            raise ValueError(f"{len(atoms)} heavy atoms; the codec reads at most {self.length}")
        x[: len(atoms), 0] = [self._ids[name] for name in atoms]
        degree = [0] * len(atoms)
        for first, second, bond in bonds:
            for atom, neighbour in ((first, second), (second, first)):
                if degree[atom] == MAX_DEGREE:
                    raise ValueError(f"an atom ({atoms[atom]}) with more than {MAX_DEGREE} bonds")
                place = 1 + 2 * degree[atom]
                x[atom, place], x[atom, place + 1] = neighbour, 1 + bond
                degree[atom] += 1
