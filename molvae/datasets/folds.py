"""Splits molecules into training, validation and test sets."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal

import numpy as np

from molvae.chem.molecules import has_stereo, remove_stereo
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError
from molvae.inputs import read_molecules
from molvae.seeds import generator
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_CHUNK_ROWS = 500
_MIN_FOR_MAPPER = 20_000  # fewer scaffolds are computed in less time than worker processes need to start


def split(
    smiles: Sequence[str],
    method: Literal["random", "scaffold"] = "random",
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    mapper: Mapper | None = None,
) -> np.ndarray:
    """Assign molecules to folds.

    Parameters
    ----------
    smiles : sequence of str
        Canonical SMILES.
    method : {"random", "scaffold"}, default="random"
        "random" splits a random permutation by the fractions. "scaffold" puts all molecules with the same Bemis-Murcko
        scaffold in the same fold; molecules without rings are one group. The groups, in order of decreasing size and
        equal sizes in random order, are assigned to the fold with the most molecules missing.
    fractions : mapping of str to float, optional
        Name of a fold -> its share; 0.8 train, 0.1 validation and 0.1 test by default.
    seed : int, default=0
        Seed of the permutation.
    mapper : Mapper or None, default=None
        Computes the scaffolds of a large set; None takes LocalProcesses().

    Returns
    -------
    ndarray of shape (n,)
        Name of the fold of each molecule, str.

    Raises
    ------
    InputError
        The fractions are negative or do not add up to 1, the method is unknown, or a SMILES is invalid.

    Examples
    --------
    >>> split(["C", "CC", "CCC", "CCCC"], fractions={"train": 0.75, "test": 0.25}).tolist().count("train")
    3
    """
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1} if fractions is None else dict(fractions)
    values = list(fractions.values())
    if not values or not all(value >= 0 for value in values) or abs(sum(values) - 1) > 1e-6:
        raise InputError(f"split: expected fractions of at least 0 that add up to 1, got {fractions}")
    names = list(fractions)
    smiles = read_molecules(smiles, "smiles").items
    n = len(smiles)
    folds = np.empty(n, dtype=object)
    order = generator(seed, "split").permutation(n)
    if method == "random":
        ends = np.rint(np.cumsum(values) * n).astype(int)
        for name, begin, end in zip(names, [0, *ends[:-1]], ends, strict=True):
            folds[order[begin:end]] = name
    elif method == "scaffold":
        groups: dict[str, list[int]] = {}
        scaffolds = _scaffolds(smiles, mapper)
        for row in order:
            groups.setdefault(scaffolds[row], []).append(int(row))
        lacking = np.array(values) * n
        for rows in sorted(groups.values(), key=len, reverse=True):  # sorted() keeps the random order of equals
            fold = int(lacking.argmax())
            folds[rows] = names[fold]
            lacking[fold] -= len(rows)
    else:
        raise InputError(f"split: unknown method {method!r}; known: random, scaffold")
    return folds.astype(str)


def is_held_out(smiles: str, one_in: int) -> bool:
    """Check whether a molecule is held out; this depends only on its structure.

    A molecule is held out if the SHA-256 of its canonical SMILES without stereo, as a number, is divisible by `one_in`.
    The result is therefore the same in every data set and for all stereoisomers.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    one_in : int
        One molecule in this many is held out.

    Returns
    -------
    bool

    Raises
    ------
    InputError
        The SMILES has stereo and is invalid.

    Examples
    --------
    >>> is_held_out("CCO", 20), is_held_out("CCO", 1)
    (False, True)
    """
    without_stereo = remove_stereo(smiles) if has_stereo(smiles) else smiles
    return int(hashlib.sha256(without_stereo.encode()).hexdigest(), 16) % one_in == 0


def _scaffolds(smiles: Sequence[str], mapper: Mapper | None) -> list[str]:
    if len(smiles) < _MIN_FOR_MAPPER:
        return [murcko(one) for one in smiles]
    chunks = (smiles[begin : begin + _CHUNK_ROWS] for begin in range(0, len(smiles), _CHUNK_ROWS))
    found = []
    for row, answer in enumerate(chain.from_iterable((mapper or LocalProcesses())(murcko, chunks))):
        if isinstance(answer, WorkerFailure):
            raise InputError(f"split: {smiles[row]}: the scaffold cannot be computed: {answer.reason}")
        found.append(answer)
    return found
