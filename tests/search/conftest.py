"""A small codec that is real in everything but its model: a few hundred molecules, each at a place of its own."""

from dataclasses import dataclass

import numpy as np
import pytest

from molvae.chem.fingerprints import morgan_bits
from molvae.chem.molecules import canonicalize
from molvae.chem.molecules import remove_stereo as without_stereo

ACIDS = (
    "CC(=O){}", "CCC(=O){}", "CC(C)C(=O){}", "CC(C)(C)C(=O){}", "C1CC1C(=O){}", "C1CCC1C(=O){}", "C1CCCCC1C(=O){}",
    "c1ccccc1C(=O){}", "Cc1ccccc1C(=O){}", "COc1ccccc1C(=O){}", "Fc1ccc(C(=O){})cc1", "Clc1ccc(C(=O){})cc1",
    "c1ccncc1C(=O){}", "c1ccoc1C(=O){}", "c1ccsc1C(=O){}", "c1ccc(cc1)CC(=O){}", "CS(=O)(=O){}", "c1ccccc1S(=O)(=O){}",
)  # fmt: skip
AMINES = (
    "N", "NC", "N(C)C", "NCC", "NC(C)C", "NC1CC1", "NC1CCCCC1", "N1CCCC1", "N1CCCCC1", "N1CCOCC1", "N1CCN(C)CC1",
    "Nc1ccccc1", "Nc1ccc(F)cc1", "Nc1ccncc1", "NCc1ccccc1", "NCCc1ccccc1", "NCCO", "NCCOC", "NCC#N", "NCC(C)O",
)  # fmt: skip
N_LATENT = 6


@dataclass(frozen=True)
class ToyDecoded:
    raw_smiles: str
    smiles: str | None
    reason: str | None = None


@dataclass(frozen=True)
class ToyEncoding:
    z: np.ndarray
    ok: np.ndarray
    reason: list[str | None]
    smiles: list[str | None]


class ToyCodec:
    """Points decode to the nearest of the molecules; where none is near, to a text that does not parse."""

    n_latent = N_LATENT
    name = "toy"
    sha256 = "toy"

    def __init__(self, reach: float = 1.4, strangers: dict[str, str] | None = None) -> None:
        self.molecules = [canonicalize(acid.format(amine)).smiles for acid in ACIDS for amine in AMINES]
        bits = morgan_bits(self.molecules).astype(float)
        axes = np.random.default_rng(7).standard_normal((bits.shape[1], N_LATENT))
        z = (bits - bits.mean(axis=0)) @ axes
        self.z = (z / z.std(axis=0)).astype(np.float32)
        self.place = {smiles: row for row, smiles in enumerate(self.molecules)}
        self.reach = reach
        self.strangers = strangers or {}  # molecules that come back as another one
        self.n_decoded = 0

    def encode(self, smiles, remove_stereo=False):
        texts = [without_stereo(text) if remove_stereo else text for text in smiles]
        rows = [self.place.get(text, -1) for text in texts]
        z = np.array([self.z[row] if row >= 0 else np.full(N_LATENT, np.nan) for row in rows], np.float32)
        ok = np.array([row >= 0 for row in rows], bool)
        reason = [None if row >= 0 else "not among the toy's molecules" for row in rows]
        return ToyEncoding(
            z.reshape(-1, N_LATENT), ok, reason, [t if o else None for t, o in zip(texts, ok, strict=True)]
        )

    def decode(self, z, noise=0.0, temperature=0.0, seed=0):
        self.n_decoded += len(z)
        z = np.asarray(z) + noise * np.random.default_rng(seed).standard_normal(np.shape(z))
        squared = (z**2).sum(axis=1)[:, None] + (self.z**2).sum(axis=1) - 2 * z @ self.z.T
        distance = np.sqrt(np.maximum(squared, 0.0))  # (n, molecules)
        answers = []
        for nearest, far in zip(distance.argmin(axis=1), distance.min(axis=1), strict=True):
            smiles = self.strangers.get(self.molecules[nearest], self.molecules[nearest])
            answers.append(
                ToyDecoded("C(", None, "not a SMILES: C(") if far > self.reach else ToyDecoded(smiles, smiles)
            )
        return answers

    def draw(self, n, seed, spread=None):
        return np.random.default_rng([seed, 1]).standard_normal((n, N_LATENT)).astype(np.float32)


@pytest.fixture(scope="session")
def codec():
    return ToyCodec()


class Recorder:
    """An oracle that remembers what reached it: how like one molecule the others are, in the toy's own space."""

    def __init__(self, codec, target="O=C(c1ccccc1)N1CCOCC1", answer=None, raise_at=None):
        self.codec, self.target, self.answer, self.raise_at = codec, codec.z[codec.place[target]], answer, raise_at
        self.calls: list[list[str]] = []

    def __call__(self, smiles):
        if self.raise_at is not None and len(self.calls) == self.raise_at:
            raise KeyboardInterrupt
        self.calls.append(list(smiles))
        score = [-float(np.linalg.norm(self.codec.z[self.codec.place[s]] - self.target)) for s in smiles]
        return score if self.answer is None else self.answer(smiles, score)

    @property
    def seen(self):
        return [smiles for call in self.calls for smiles in call]


@pytest.fixture
def recorder(codec):
    return lambda **changes: Recorder(codec, **changes)
