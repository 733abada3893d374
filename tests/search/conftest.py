"""The toy codec with a property head, and an oracle that records what it was called with."""

import numpy as np
import pytest

from molvae.codec import ToyCodec


class HeadedCodec(ToyCodec):
    """The toy codec with a property head that predicts the first latent dimension; guidance shifts it."""

    property_names = ("first",)

    def properties(self, z):
        return {"first": z[:, 0]}

    def draw(self, n, *, seed=0, spread=None, windows=None, guidance=1.0):
        z = super().draw(n, seed=seed)
        z[:, 0] += guidance * sum(low or 0.0 for low, _ in (windows or {}).values())
        return z


@pytest.fixture(scope="session")
def codec():
    return HeadedCodec()


class Recorder:
    """An oracle that records its calls; the score is the negative distance to a target in the toy codec."""

    def __init__(self, codec, target="O=C(c1ccccc1)N1CCOCC1", answer=None, raise_at=None):
        self.codec, self.target, self.answer, self.raise_at = codec, codec.encode(target).z[0], answer, raise_at
        self.calls: list[list[str]] = []

    def __call__(self, smiles):
        if self.raise_at is not None and len(self.calls) == self.raise_at:
            raise KeyboardInterrupt
        self.calls.append(list(smiles))
        z = self.codec.encode(smiles).z
        score = [-float(np.linalg.norm(one - self.target)) for one in z]
        return score if self.answer is None else self.answer(smiles, score)

    @property
    def seen(self):
        return [smiles for call in self.calls for smiles in call]


@pytest.fixture
def recorder(codec):
    return lambda **changes: Recorder(codec, **changes)
