"""A prior, and results as a search reports them, without a codec."""

from types import SimpleNamespace

import numpy as np
import pytest

from molvae.search.optimizers import FIRST_START, NO_PARENT, Outcome, Proposals, Results

N_LATENT = 24


@pytest.fixture
def draw():
    return lambda n, seed: np.random.default_rng(seed).standard_normal((n, N_LATENT)).astype(np.float32)


@pytest.fixture
def space(draw):
    return SimpleNamespace(n_latent=N_LATENT, draw=lambda n, *, seed, spread: draw(n, seed))


@pytest.fixture
def report():
    def report(proposals, outcome, values=None):
        n = len(proposals.ids)
        values = np.full((n, 1), np.nan) if values is None else np.asarray(values, float).reshape(n, -1)
        return Results(proposals, proposals.z, np.full(n, int(outcome)), values, np.full(n, np.nan))

    return report


@pytest.fixture
def starts(report):
    def starts(z, values):
        ids = FIRST_START - np.arange(len(z))
        return report(Proposals.greedy(ids, z, np.full(len(z), NO_PARENT), "start"), Outcome.SCORED, values)

    return starts
