"""The part that every molecule of a search keeps: proposals that decode without it are decoded again with it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from molvae.chem.fixed_parts import KeptPattern, read_kept
from molvae.errors import InputError
from molvae.search.optimizers import Proposals

if TYPE_CHECKING:
    from molvae.codec import Decoded, MoleculeSpace

REPAIRED = "+infill"
"""Ends the name of the move of a proposal that was decoded again."""

_LEAST_NOISE, _LEAST_TEMPERATURE = 0.2, 0.5  # without, the decoder insists on what it cannot write next to the part


@runtime_checkable
class _FillsGaps(Protocol):
    """A codec that can decode latent vectors to molecules that contain a part."""

    @property
    def fills_gaps(self) -> bool: ...

    def decode_with(
        self,
        part: str,
        z: np.ndarray,
        *,
        parents: Sequence[str | None] | None = None,
        noise: float | np.ndarray = 0.0,
        temperature: float | np.ndarray = 0.0,
        seed: int = 0,
    ) -> "list[Decoded]": ...


class KeptPart:
    """Decodes proposals so that their molecules contain a part.

    Parameters
    ----------
    keep : str
        SMILES with attachment points, or SMARTS; as for `ConstraintSettings`.
    codec : MoleculeSpace
        Codec of the search. If it cannot fill gaps, proposals are not decoded again.

    Attributes
    ----------
    counts : dict of str to int
        Number of proposals whose SMILES was invalid or without the part (`n_lost`), and of those that contained it when
        they were decoded again (`n_repaired`).

    Raises
    ------
    InputError
        The codec cannot read the part.
    """

    def __init__(self, keep: str, codec: "MoleculeSpace") -> None:
        self._keep, self._part = keep, read_kept(keep)
        self._codec = codec if isinstance(codec, _FillsGaps) and codec.fills_gaps else None
        self.counts = {"n_lost": 0, "n_repaired": 0}
        if self._codec is not None:
            try:
                self._codec.decode_with(keep, np.zeros((0, codec.n_latent), np.float32))
            except InputError as error:
                raise InputError(f"constraints: keep: {error}") from None

    def repair(
        self, proposals: Proposals, decoded: "list[Decoded]", parents: Sequence[str | None], seed: int
    ) -> tuple[Proposals, "list[Decoded]"]:
        """Decode the proposals again whose molecules lack the part.

        Parameters
        ----------
        proposals : Proposals
            The proposals, n.
        decoded : list of Decoded
            What they decoded to.
        parents : sequence of str or None
            The molecule that each was made from, if there is one.
        seed : int
            Seed of the random numbers.

        Returns
        -------
        proposals : Proposals
            The same, with `REPAIRED` after the moves of those that were decoded again.
        decoded : list of Decoded
            The same, where the part was there or could not be added.
        """
        lost = [row for row, one in enumerate(decoded) if one.smiles is None or not self._part.is_in(one.smiles)]
        self.counts["n_lost"] += len(lost)
        if self._codec is None or not lost:
            return proposals, decoded
        again = self._codec.decode_with(
            self._keep,
            proposals.z[lost],
            parents=[parents[row] for row in lost],
            noise=np.maximum(proposals.noise[lost], _LEAST_NOISE),
            temperature=np.maximum(proposals.temperature[lost], _LEAST_TEMPERATURE),
            seed=seed,
        )
        repaired, moves = list(decoded), proposals.moves.astype(object)
        for row, one in zip(lost, again, strict=True):
            if one.smiles is not None:
                repaired[row] = one
                moves[row] = f"{moves[row]}{REPAIRED}"
                self.counts["n_repaired"] += 1
        return proposals._replace(moves=moves.astype(np.str_)), repaired

    def explain_nothing(self, n_proposed: int) -> str:
        """Why a search that scored no molecule ended.

        Parameters
        ----------
        n_proposed : int
            Number of proposals.

        Returns
        -------
        str
            One sentence.
        """
        needs_start = self._codec is None or (isinstance(self._part, KeptPattern) and not self._part.scaffolds(1, 0))
        advice = "give start molecules that contain it" if needs_start else "loosen the other constraints"
        return f"none of {n_proposed:,} proposals gave a new molecule that keeps {self._keep}; {advice}"
