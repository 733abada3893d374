"""Independent random generators for the parts of a job, each from the seed of the job and the name of the part."""

from zlib import crc32

import numpy as np


def generator(seed: int, name: str) -> np.random.Generator:
    """Make a random generator that depends only on a seed and a name.

    Parameters
    ----------
    seed : int
        Seed of the job.
    name : str
        Name of the part of the job.

    Returns
    -------
    numpy.random.Generator

    Examples
    --------
    >>> generator(0, "search").random() == generator(0, "search").random()
    True
    """
    return np.random.default_rng([seed, crc32(name.encode())])


def integer_seed(seed: int, name: str) -> int:
    """Derive a seed for a library that takes integers, such as torch or RDKit.

    Parameters
    ----------
    seed : int
        Seed of the job.
    name : str
        Name of the part of the job.

    Returns
    -------
    int
        In [0, 2**31).
    """
    return int(generator(seed, name).integers(2**31))
