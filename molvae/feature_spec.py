"""What a model must know of its input; the one thing that features/ and autoencoder/ both know."""

from dataclasses import dataclass
from typing import Literal

PAD, BEGIN, END, MASK = 0, 1, 2, 3
"""Ids of the four special tokens, the same in every vocabulary."""


Kind = Literal["tokens", "bits", "counts", "array"]


@dataclass(frozen=True)
class FeatureSpec:
    """The kind and the size of one molecule's features.

    kind: "tokens": x (n, length) of token ids below width, filled up with PAD behind END;
    "bits" (0 or 1), "counts" (0, 1, 2, ...) or "array" (any number): x (n, width).
    """

    kind: Kind
    width: int
    length: int = 1
