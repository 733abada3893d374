"""A compact set of molecules: most of its members take eight bytes each."""

import hashlib
from collections.abc import Iterable

import numpy as np

_MAX_RECENT = 50_000


class SeenMolecules:
    """The unique molecules that a search has decoded, as 64-bit hashes.

    The probability that any two of ten million molecules have equal hashes is about 1 in 370,000.
    """

    def __init__(self) -> None:
        self._sorted = np.zeros(0, np.uint64)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def add(self, smiles: Iterable[str]) -> np.ndarray:
        """Add molecules.

        Parameters
        ----------
        smiles : iterable of str
            Canonical SMILES.

        Returns
        -------
        ndarray of shape (n,)
            Hashes of those that were not in the set, uint64.
        """
        return self.add_hashes(np.array([_hash(one) for one in smiles], np.uint64))

    def add_hashes(self, hashes: np.ndarray) -> np.ndarray:
        """Add molecules by their hashes.

        Parameters
        ----------
        hashes : ndarray of shape (n,)
            Hashes, as `add` returns them.

        Returns
        -------
        ndarray of shape (m,)
            Those that were not in the set.
        """
        position = np.minimum(np.searchsorted(self._sorted, hashes), max(0, len(self._sorted) - 1))
        is_old = self._sorted[position] == hashes if len(self._sorted) else np.zeros(len(hashes), bool)
        new = [one for one in dict.fromkeys(hashes[~is_old].tolist()) if one not in self._recent]
        self._recent |= set(new)
        if len(self._recent) > _MAX_RECENT:
            self._sorted = np.sort(np.append(self._sorted, np.fromiter(self._recent, np.uint64)))
            self._recent = set()
        return np.array(new, np.uint64)


def _hash(smiles: str) -> int:
    return int.from_bytes(hashlib.blake2b(smiles.encode(), digest_size=8).digest())
