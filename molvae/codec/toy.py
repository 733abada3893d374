"""A latent space of 360 molecules without a trained model: the smallest implementation of `MoleculeSpace`."""

from collections.abc import Iterable, Mapping

import numpy as np

from molvae.chem.fingerprints import morgan_bits
from molvae.chem.molecules import Standardized, canonicalize
from molvae.chem.molecules import remove_stereo as without_stereo
from molvae.codec.results import Decoded, Encoding
from molvae.inputs import read_molecules

_ACYL_GROUPS = (
    "CC(=O){}", "CCC(=O){}", "CC(C)C(=O){}", "CC(C)(C)C(=O){}", "C1CC1C(=O){}", "C1CCC1C(=O){}", "C1CCCCC1C(=O){}",
    "c1ccccc1C(=O){}", "Cc1ccccc1C(=O){}", "COc1ccccc1C(=O){}", "Fc1ccc(C(=O){})cc1", "Clc1ccc(C(=O){})cc1",
    "c1ccncc1C(=O){}", "c1ccoc1C(=O){}", "c1ccsc1C(=O){}", "c1ccc(cc1)CC(=O){}", "CS(=O)(=O){}", "c1ccccc1S(=O)(=O){}",
)  # fmt: skip
_AMINES = (
    "N", "NC", "N(C)C", "NCC", "NC(C)C", "NC1CC1", "NC1CCCCC1", "N1CCCC1", "N1CCCCC1", "N1CCOCC1", "N1CCN(C)CC1",
    "Nc1ccccc1", "Nc1ccc(F)cc1", "Nc1ccncc1", "NCc1ccccc1", "NCCc1ccccc1", "NCCO", "NCCOC", "NCC#N", "NCC(C)O",
)  # fmt: skip
_N_LATENT = 6


class ToyCodec:
    """A latent space of 360 amides and sulfonamides, for examples, and for tests of searches.

    The latent vectors are random projections of Morgan fingerprints, so similar molecules are close. A latent vector
    decodes to the nearest molecule, or to an invalid SMILES if none is within `reach`.

    Parameters
    ----------
    reach : float, default=1.4
        Largest Euclidean distance from a latent vector to the molecule that it decodes to.
    misread : mapping of str to str, optional
        Canonical SMILES that decode to another SMILES, like molecules that a trained codec does not reconstruct.

    Attributes
    ----------
    molecules : list of str
        Canonical SMILES of the molecules.
    z : ndarray of shape (360, 6)
        Their latent vectors, float32.

    Examples
    --------
    >>> codec = ToyCodec()
    >>> encoding = codec.encode(["CC(=O)NCC", "CCO"])
    >>> encoding.ok.tolist(), encoding.reason[1]
    ([True, False], 'not in the toy codec')
    >>> codec.decode(encoding.z[:1])[0].smiles
    'CCNC(C)=O'
    """

    name = "toy"
    n_latent = _N_LATENT
    sha256 = "toy"

    def __init__(self, *, reach: float = 1.4, misread: Mapping[str, str] | None = None) -> None:
        self.reach = reach
        self.misread = dict(misread or {})
        amides = (acyl.format(amine) for acyl in _ACYL_GROUPS for amine in _AMINES)
        self.molecules = [canonicalize(smiles).smiles or smiles for smiles in amides]
        self._row = {smiles: row for row, smiles in enumerate(self.molecules)}
        bits = morgan_bits(self.molecules).astype(float)
        projection = np.random.default_rng(7).standard_normal((bits.shape[1], _N_LATENT))
        z = (bits - bits.mean(axis=0)) @ projection
        self.z = (z / z.std(axis=0)).astype(np.float32)

    def encode(self, molecules: Iterable[object] | str, *, remove_stereo: bool = False) -> Encoding:
        """See `MoleculeSpace.encode`; molecules are not standardized, and only those in `molecules` can be encoded."""
        listed = read_molecules(molecules)
        given = [one if isinstance(one, Standardized) else canonicalize(one) for one in listed.items]
        smiles = [without_stereo(one.smiles) if remove_stereo and one.smiles else one.smiles for one in given]
        rows = [-1 if one is None else self._row.get(one, -1) for one in smiles]
        ok = np.array([row >= 0 for row in rows], bool)
        z = np.full((len(rows), _N_LATENT), np.nan, np.float32)
        z[ok] = self.z[[row for row in rows if row >= 0]]
        reason = [
            None if row >= 0 else one.reason or "not in the toy codec" for row, one in zip(rows, given, strict=True)
        ]
        return Encoding(z, ok, reason, smiles, [None] * len(rows), listed.row_labels)

    def decode(
        self,
        z: np.ndarray,
        *,
        noise: float | np.ndarray = 0.0,
        temperature: float | np.ndarray = 0.0,
        seed: int = 0,
    ) -> list[Decoded]:
        """See `MoleculeSpace.decode`; `noise` is the standard deviation of the added noise."""
        z = np.asarray(z) + np.reshape(noise, (-1, 1)) * np.random.default_rng(seed).standard_normal(np.shape(z))
        squared = (z**2).sum(axis=1)[:, None] + (self.z**2).sum(axis=1) - 2 * z @ self.z.T
        distance = np.sqrt(np.maximum(squared, 0.0))  # (n, molecules)
        decoded = []
        for row, nearest in enumerate(distance.argmin(axis=1)):
            smiles = self.misread.get(self.molecules[nearest], self.molecules[nearest])
            is_near = distance[row, nearest] <= self.reach
            decoded.append(Decoded(smiles, smiles, None) if is_near else Decoded("C(", None, "invalid SMILES: C("))
        return decoded

    def draw(self, n: int, *, seed: int = 0, spread: float | None = None) -> np.ndarray:
        """See `MoleculeSpace.draw`; the prior is a standard normal distribution, and `spread` is ignored."""
        return np.random.default_rng([seed, 1]).standard_normal((n, _N_LATENT)).astype(np.float32)
