"""What a model must know of its input; the one thing that features/ and autoencoder/ both know."""

from dataclasses import dataclass
from typing import Literal

PAD, BEGIN, END, MASK = 0, 1, 2, 3
"""Ids of the four special tokens, the same in every vocabulary."""

HIDDEN_ATOM = 1
"""Id of an atom in a graph that is not to be seen."""
MAX_DEGREE = 6
"""The most bonds of an atom in a graph."""
N_BONDS = 8
"""Ids of bonds in a graph: 0 is none."""

Kind = Literal["tokens", "bits", "counts", "array", "graph"]


@dataclass(frozen=True)
class FeatureSpec:
    """The kind and the size of one molecule's features.

    kind: "tokens": x (n, length) of token ids below width, filled up with PAD behind END;
    "bits" (0 or 1), "counts" (0, 1, 2, ...) or "array" (any number): x (n, width);
    "graph": x (n, length, 1 + 2 * MAX_DEGREE), of each atom its id below width (0: none, 1: hidden), then for each bond
    the neighbour's place and the bond's id below N_BONDS (0: none). A graph is read, not rebuilt.
    """

    kind: Kind
    width: int
    length: int = 1
