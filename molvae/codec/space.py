"""The protocol of a latent space of molecules: what a search needs from a codec."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from molvae.codec.results import Decoded, Encoding


class MoleculeSpace(Protocol):
    """A latent space of molecules with an encoder, a decoder and a prior.

    `Codec` implements it with a trained autoencoder, `ToyCodec` with a table of molecules. Searches, moves in latent
    space and evaluations of a codec need only this protocol.

    Implementations are deterministic: the same arguments, including the seed, give the same results.
    """

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        ...

    @property
    def sha256(self) -> str:
        """Digest that identifies the space; a search resumes only in the space of its checkpoint."""
        ...

    def encode(self, molecules: Iterable[object] | str, *, remove_stereo: bool = False) -> Encoding:
        """Encode molecules to latent vectors.

        Parameters
        ----------
        molecules : iterable of str or rdkit.Chem.Mol, or str
            SMILES or RDKit molecules. A molecule that cannot be encoded gives a row of NaN with a reason. A
            `Standardized` is encoded as it is.
        remove_stereo : bool, default=False
            Remove stereo before encoding.

        Returns
        -------
        Encoding
            One row per molecule, in order.
        """
        ...

    def decode(
        self,
        z: np.ndarray,
        *,
        noise: float | np.ndarray = 0.0,
        temperature: float | np.ndarray = 0.0,
        seed: int = 0,
    ) -> list[Decoded]:
        """Decode latent vectors to molecules.

        Parameters
        ----------
        z : ndarray of shape (n, D)
            Latent vectors.
        noise : float or ndarray of shape (n,), default=0.0
            Noise level in [0, 1], one for all rows or one per row; 0 decodes the latent vector itself.
        temperature : float or ndarray of shape (n,), default=0.0
            Sampling temperature of the decoder; 0 is greedy.
        seed : int, default=0
            Seed of the random numbers; unused if `noise` and `temperature` are 0.

        Returns
        -------
        list of Decoded
            One per row of `z`, in order.
        """
        ...

    def draw(self, n: int, *, seed: int = 0, spread: float | None = None) -> np.ndarray:
        """Draw latent vectors from the prior.

        Parameters
        ----------
        n : int
            Number of latent vectors.
        seed : int, default=0
            Seed of the random numbers.
        spread : float or None, default=None
            Standard deviation of the steps added to the draws, in standard deviations of the latent vectors; 0 adds
            none, None takes the default of the space.

        Returns
        -------
        ndarray of shape (n, D)
            Latent vectors, float32.
        """
        ...
