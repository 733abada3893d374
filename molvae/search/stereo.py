"""Stereoisomers in a search: whether a stereoisomer of a known molecule counts as a new molecule."""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from molvae.chem.molecules import without_stereo

StereoRule = Literal["auto", "distinct", "same"]

_MIN_PAIRS = 3


class Stereoisomers:
    """Decides whether stereoisomers of known molecules are scored, too.

    Many objectives do not depend on stereo; then all stereoisomers of a good molecule have the same score and would use
    up the budget.

    Parameters
    ----------
    rule : {"auto", "distinct", "same"}
        "distinct": yes. "same": no. "auto": no, once three pairs of stereoisomers had equal values and none had
        different ones.
    """

    def __init__(self, rule: StereoRule) -> None:
        self._rule = rule
        self._values: dict[str, np.ndarray] = {}  # of the first stereoisomer, by SMILES without stereo
        self._n_equal = 0
        self._n_different = 0

    @property
    def are_repeats(self) -> bool:
        """Whether stereoisomers of known molecules are repeats."""
        if self._rule == "auto":
            return self._n_equal >= _MIN_PAIRS and not self._n_different
        return self._rule == "same"

    def learn(self, smiles: Iterable[str], values: np.ndarray) -> None:
        """Learn the values of scored molecules.

        Parameters
        ----------
        smiles : iterable of str
            Canonical SMILES.
        values : ndarray of shape (n, k)
            Their values.
        """
        if self._rule == "distinct":
            return
        for one, row in zip(smiles, values, strict=True):
            key = without_stereo(one)
            if key not in self._values:
                self._values[key] = row
            elif np.array_equal(self._values[key], row, equal_nan=True):
                self._n_equal += 1
            else:
                self._n_different += 1

    def is_known(self, smiles: str) -> bool:
        """Check whether a stereoisomer of a molecule has been scored.

        Parameters
        ----------
        smiles : str
            Canonical SMILES.

        Returns
        -------
        bool
        """
        return without_stereo(smiles) in self._values
