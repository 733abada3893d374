"""Molecules set apart for training, validation and test."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal

import numpy as np

from molvae.chem.molecules import remove_stereo
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError
from molvae.seeds import generator
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_PIECE_ROWS = 500
_ALONE = 20_000  # so many scaffolds are found sooner without worker processes


def split(
    smiles: Sequence[str],
    method: Literal["random", "scaffold"] = "random",
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    mapper: Mapper | None = None,
) -> np.ndarray:
    """The name of each molecule's fold, (n,) of str; by default 0.8 train, 0.1 validation, 0.1 test.

    random: a random permutation, cut at the fractions. scaffold: molecules of one Bemis-Murcko scaffold (and all those
    without rings) stay together; groups go in turn, the largest first and equal ones in random order, to the fold
    that lacks most. So no scaffold of one fold stands in another; sizes are as near to the fractions as that allows.

    Raises:
        InputError: fractions are negative or do not add up to 1; or a SMILES does not parse.

    Example:
        >>> split(["C", "CC", "CCC", "CCCC"], fractions={"train": 0.75, "test": 0.25}).tolist().count("train")
        3
    """
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1} if fractions is None else dict(fractions)
    values = list(fractions.values())
    if not values or not all(value >= 0 for value in values) or abs(sum(values) - 1) > 1e-6:
        raise InputError(f"split: fractions of at least 0 that add up to 1 are expected, got {fractions}")
    names = list(fractions)
    n = len(smiles)
    folds = np.empty(n, dtype=object)
    order = generator(seed, "split").permutation(n)
    if method == "random":
        ends = np.rint(np.cumsum(values) * n).astype(int)
        for name, begin, end in zip(names, [0, *ends[:-1]], ends, strict=True):
            folds[order[begin:end]] = name
    elif method == "scaffold":
        groups: dict[str, list[int]] = {}
        scaffolds = _scaffolds(smiles, mapper or LocalProcesses())
        for row in order:
            groups.setdefault(scaffolds[row], []).append(int(row))
        lacking = np.array(values) * n
        for rows in sorted(groups.values(), key=len, reverse=True):  # sorted() keeps the random order of equals
            fold = int(lacking.argmax())
            folds[rows] = names[fold]
            lacking[fold] -= len(rows)
    else:
        raise InputError(f"split: method {method!r} is not known; known: random, scaffold")
    return folds.astype(str)


def is_held_out(smiles: str, one_in: int) -> bool:
    """Whether a molecule belongs to the share that no training sees, of about one molecule in so many.

    The SHA-256 of its canonical SMILES without stereo, as a number, is divisible by `one_in`: so the answer is the same
    for every set that the molecule is in, for all its stereo isomers, and for ever.

    Example:
        >>> is_held_out("CCO", 20), is_held_out("CCO", 1)
        (False, True)
    """
    flat = remove_stereo(smiles) if any(mark in smiles for mark in "@/\\") else smiles
    return int(hashlib.sha256(flat.encode()).hexdigest(), 16) % one_in == 0


def _scaffolds(smiles: Sequence[str], mapper: Mapper) -> list[str]:
    if len(smiles) < _ALONE:
        return [murcko(text) for text in smiles]
    pieces = (smiles[begin : begin + _PIECE_ROWS] for begin in range(0, len(smiles), _PIECE_ROWS))
    found = []
    for row, answer in enumerate(chain.from_iterable(mapper(murcko, pieces))):
        if isinstance(answer, WorkerFailure):
            raise InputError(f"split: {smiles[row]}: no scaffold could be found: {answer.reason}")
        found.append(answer)
    return found
