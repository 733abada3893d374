"""Description of features, shared by molvae.features and molvae.autoencoder."""

from dataclasses import dataclass
from typing import Literal

PAD, BEGIN, END, MASK = 0, 1, 2, 3
"""Ids of the special tokens, the same in every vocabulary."""

MASKED_ATOM = 1
"""Id of a masked atom in a graph."""
MAX_DEGREE = 6
"""Largest number of bonds of an atom in a graph."""
N_BONDS = 8
"""Number of bond ids in a graph; 0 is no bond."""

Kind = Literal["tokens", "bits", "counts", "array", "graph"]


@dataclass(frozen=True)
class FeatureSpec:
    """Kind and size of the features of one molecule.

    Parameters
    ----------
    kind : {"tokens", "bits", "counts", "array", "graph"}
        "tokens": x (n, length), token ids below `width`, padded with PAD after END. "bits" (0 or 1), "counts" (0, 1, 2,
        ...) and "array" (any number): x (n, width). "graph": x (n, length, 1 + 2 * MAX_DEGREE); for each atom its id
        below `width` (0: no atom, 1: masked), and for each of its bonds the index of the neighbor and the bond id
        below N_BONDS (0: no bond). A graph can be an encoder input, but not a decoder output.
    width : int
        Number of token or atom ids, or of columns.
    length : int, default=1
        Number of tokens or atoms.
    """

    kind: Kind
    width: int
    length: int = 1
