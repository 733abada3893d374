"""The values of the functions of molecules, each computed once per molecule.

A few molecules are computed one by one. If a query needs many, all molecules of the column are computed in worker
processes, and the values are stored for later queries.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from molvae.chem.fingerprints import packed_bits, packed_similarities
from molvae.chem.molecules import canonicalize
from molvae.chem.properties import compute_row
from molvae.chem.scaffolds import generic_murcko, murcko
from molvae.chem.substructures import has_match, match_count
from molvae.errors import InputError
from molvae.query.cache import ValueCache, molecules_key
from molvae.query.functions import Function
from molvae.query.latent import LatentVectors
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

Value = float | int | bool | str | None

MIN_STORED = 5_000
"""Number of molecules of a column from which values are stored."""

_SERIAL_SECONDS = 0.5
_SERIAL_ROWS = 256
_CHUNK_ROWS = 500
_CODEC_ROWS = 500
_SECONDS_PER_ROW = 10.0
_EMPTY_BITS = bytes(256)


class _Form(NamedTuple):
    """How values are stored as arrays."""

    pack: Callable[[Sequence[Any]], dict[str, np.ndarray]]
    unpack: Callable[[dict[str, np.ndarray]], list[Any]]


class OutOfTime(Exception):
    """The time limit of the query is exceeded."""


class Chemistry:
    """Values of functions of molecules during one query.

    Parameters
    ----------
    columns : sequence of callable
        Each returns the SMILES of one column; called only if many molecules are needed.
    cache : ValueCache
        Stored values.
    latent : LatentVectors
        For functions that need a codec.
    deadline : float
        Value of `time.monotonic()` at which to stop.
    mapper : Mapper or None, default=None
        Computes the values of many molecules; None takes LocalProcesses().
    """

    def __init__(
        self,
        columns: Sequence[Callable[[], list[str | None]]],
        cache: ValueCache,
        latent: LatentVectors,
        deadline: float = math.inf,
        mapper: Mapper | None = None,
    ) -> None:
        self._columns = list(columns)
        self._read: list[tuple[list[str], set[str]]] = []
        self._cache, self._latent, self._mapper = cache, latent, mapper or LocalProcesses()
        self._deadline = deadline
        self._known: dict[tuple[str, str | None], dict[str, Value]] = {}
        self._seconds: dict[tuple[str, str | None], float] = {}
        self._lock = threading.RLock()
        self.failed: dict[str, dict[str, str]] = {}
        """Function -> SMILES -> why there is no value, although the SMILES may be valid."""

    def values(
        self, function: Function, pattern: str | None, smiles: Sequence[str | None], is_canonical: bool = True
    ) -> list[Value]:
        """The values of one function.

        Parameters
        ----------
        function : Function
            The function.
        pattern : str or None
            SMILES or SMARTS that it compares with.
        smiles : sequence of str or None
            The molecules.
        is_canonical : bool, default=True
            Whether RDKit wrote the SMILES, so that their aromaticity can be taken as written, which is faster.

        Returns
        -------
        list
            One value per molecule; None where the SMILES is missing or invalid.

        Raises
        ------
        OutOfTime
            The time limit is exceeded.
        """
        with self._lock:
            if not is_canonical and not function.needs_codec:
                written = {one: canonicalize(one).smiles for one in dict.fromkeys(smiles) if one is not None}
                smiles = [None if one is None else written[one] for one in smiles]
            known = self._known.setdefault((function.name, pattern), {})
            missing = list(dict.fromkeys(one for one in smiles if one is not None and one not in known))
            while missing:
                self._check_time()
                known.update(self._some(function, pattern, missing))
                missing = [one for one in missing if one not in known]
            return [None if one is None else known[one] for one in smiles]

    def _some(self, function: Function, pattern: str | None, missing: Sequence[str]) -> dict[str, Value]:
        """The values of the first molecules, or of all of their column."""
        key = function.name, pattern
        everything = self._column_of(missing[0]) if self._is_worth_all(key, len(missing)) else []
        if len(everything) >= MIN_STORED:
            return dict(zip(everything, self._all(function, pattern, everything), strict=True))
        begin = time.monotonic()
        rows = missing[: _CODEC_ROWS if function.needs_codec else _SERIAL_ROWS]
        values: Sequence[Value]
        if function.needs_codec:
            values = self._latent.values(function, pattern, rows)
        elif function.name == "similar_to":
            values = _similarities(pattern or "", [_bits(one) for one in rows])
        else:
            work = _work(function, pattern)
            values = [work(one) for one in rows]
        self._seconds[key] = self._seconds.get(key, 0.0) + time.monotonic() - begin
        return dict(zip(rows, values, strict=True))

    def _is_worth_all(self, key: tuple[str, str | None], n_missing: int) -> bool:
        """Whether enough was computed to compute the rest at once, or stored values may exist."""
        return n_missing > 1_000 or self._seconds.get(key, 0.0) > _SERIAL_SECONDS

    def _column_of(self, smiles: str) -> list[str]:
        """The unique SMILES of the first column that has this one."""
        for unique, members in self._read:
            if smiles in members:
                return unique
        while self._columns:
            unique = [one for one in dict.fromkeys(self._columns.pop(0)()) if one is not None]
            self._read.append((unique, set(unique)))
            if smiles in self._read[-1][1]:
                return unique
        return []

    def _all(self, function: Function, pattern: str | None, smiles: Sequence[str]) -> list[Value]:
        if function.name == "similar_to":
            stored = self._stored(("fingerprint", None), smiles, _bits, _Form(_pack_bits, _unpack_bits))
            return _similarities(pattern or "", stored)
        if function.is_plugin:
            return self._mapped(function.name, _work(function, pattern), smiles)
        form = _TEXTS if function.kind == "text" else _Form(_pack_numbers, _UNPACK[function.kind])
        if function.needs_codec:
            work: Callable[..., Any] = partial(self._latent.values, function, pattern)
            return self._stored((function.name, pattern, self._latent.key), smiles, work, form)
        return self._stored((function.name, pattern), smiles, _work(function, pattern), form)

    def _stored(
        self, depends_on: tuple[str | None, ...], smiles: Sequence[str], work: Callable[..., Any], form: "_Form"
    ) -> list[Any]:
        """Values from the cache, or computed and stored; a third entry of `depends_on` is the codec."""
        name = str(depends_on[0])
        path = self._cache.path(molecules_key(smiles), *depends_on)
        arrays = self._cache.load(path)
        if arrays is not None:
            try:
                values = form.unpack(arrays)
                if len(values) == len(smiles):
                    return values
            except (KeyError, ValueError, IndexError):
                pass  # a file that is not what it was written as
        n_failed = len(self.failed.get(name, {}))
        values = self._in_blocks(work, smiles) if len(depends_on) > 2 else self._mapped(name, work, smiles)
        if len(self.failed.get(name, {})) == n_failed:
            self._cache.save(path, form.pack(values))
        return values

    def _in_blocks(self, work: Callable[[Sequence[str]], list[Value]], smiles: Sequence[str]) -> list[Value]:
        values: list[Value] = []
        for begin in range(0, len(smiles), _CODEC_ROWS):
            self._check_time()
            values += work(smiles[begin : begin + _CODEC_ROWS])
        return values

    def _mapped(self, name: str, work: Callable[[str], Any], smiles: Sequence[str]) -> list[Any]:
        chunks = (smiles[begin : begin + _CHUNK_ROWS] for begin in range(0, len(smiles), _CHUNK_ROWS))
        values: list[Any] = []
        answers: Iterator[Any] = chain.from_iterable(
            self._checked(self._mapper(work, chunks, seconds_per_row=_SECONDS_PER_ROW))
        )
        for one, answer in zip(smiles, answers, strict=True):
            if isinstance(answer, WorkerFailure):
                self.failed.setdefault(name, {})[one] = answer.reason
            values.append(None if isinstance(answer, WorkerFailure) else answer)
        return values

    def _checked(self, chunks: Iterable[list[Any]]) -> Iterator[list[Any]]:
        for chunk in chunks:
            self._check_time()
            yield chunk

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise OutOfTime


def _work(function: Function, pattern: str | None) -> Callable[[str], Value]:
    """A function of one molecule, for this process or another."""
    if function.name == "has":
        return partial(_or_none, partial(has_match, pattern or ""))
    if function.name == "count_of":
        return partial(_or_none, partial(match_count, pattern or ""))
    if function.name == "scaffold":
        return partial(_or_none, murcko)
    if function.name == "generic_scaffold":
        return partial(_or_none, generic_murcko)
    return partial(_property, function.name)


def _or_none(function: Callable[[str], Value], smiles: str) -> Value:
    try:
        return function(smiles)
    except InputError:
        return None


def _property(name: str, smiles: str) -> float | None:
    value = compute_row(smiles, [name])[0]
    return None if math.isnan(value) else value


def _bits(smiles: str) -> bytes | None:
    try:
        return packed_bits(smiles)
    except InputError:
        return None


def _similarities(smiles: str, bits: Sequence[bytes | None]) -> list[Value]:
    """Tanimoto similarities to one molecule; None without a fingerprint."""
    packed = b"".join(_EMPTY_BITS if one is None else one for one in bits)
    similarities = packed_similarities(packed_bits(smiles), np.frombuffer(packed, np.uint8).reshape(len(bits), -1))
    return [None if one is None else value for one, value in zip(bits, similarities.tolist(), strict=True)]


def _pack_numbers(values: Sequence[Value]) -> dict[str, np.ndarray]:
    return {"values": np.array([np.nan if one is None else float(one) for one in values])}


def _unpack_numbers(arrays: dict[str, np.ndarray]) -> list[Value]:
    return [None if one != one else one for one in arrays["values"].tolist()]


def _unpack_integers(arrays: dict[str, np.ndarray]) -> list[Value]:
    return [None if one != one else int(one) for one in arrays["values"].tolist()]


def _unpack_flags(arrays: dict[str, np.ndarray]) -> list[Value]:
    return [None if one != one else one > 0 for one in arrays["values"].tolist()]


_UNPACK = {"number": _unpack_numbers, "integer": _unpack_integers, "flag": _unpack_flags}


def _pack_texts(values: Sequence[Value]) -> dict[str, np.ndarray]:
    """Texts without line breaks; a missing one is a single tab."""
    text = "\n".join("\t" if one is None else str(one) for one in values)
    return {"texts": np.frombuffer(text.encode(), dtype=np.uint8)}


def _unpack_texts(arrays: dict[str, np.ndarray]) -> list[Value]:
    return [None if one == "\t" else one for one in arrays["texts"].tobytes().decode().split("\n")]


_TEXTS = _Form(_pack_texts, _unpack_texts)


def _pack_bits(values: Sequence[bytes | None]) -> dict[str, np.ndarray]:
    packed = b"".join(_EMPTY_BITS if one is None else one for one in values)
    return {
        "is_valid": np.array([one is not None for one in values]),
        "bits": np.frombuffer(packed, np.uint8).reshape(len(values), len(_EMPTY_BITS)),
    }


def _unpack_bits(arrays: dict[str, np.ndarray]) -> list[bytes | None]:
    bits = arrays["bits"].tobytes()
    size = len(_EMPTY_BITS)
    return [
        bits[row * size : (row + 1) * size] if is_valid else None
        for row, is_valid in enumerate(arrays["is_valid"].tolist())
    ]
