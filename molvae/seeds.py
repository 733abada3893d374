"""One seed for a whole job, and a named, independent random generator for each of its parts."""

from zlib import crc32

import numpy as np


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on the seed and on the name alone, never on what was drawn elsewhere.

    Example:
        >>> generator(0, "search").random() == generator(0, "search").random()
        True
    """
    return np.random.default_rng([seed, crc32(name.encode())])


def integer_seed(seed: int, name: str) -> int:
    """A seed in [0, 2**31) for a library that takes integers (torch, RDKit)."""
    return int(generator(seed, name).integers(2**31))
