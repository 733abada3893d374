import itertools

import pytest
import torch

from molvae.autoencoder.corruption import AddNoise, FlipBits, HideAtoms, HideNumbers, MaskTokens, keep
from molvae.autoencoder.trace import Batch
from molvae.feature_spec import END, HIDDEN_ATOM, MASK, MAX_DEGREE, PAD

N, L, F = 64, 9, 30


def features(kind):
    draws = torch.Generator().manual_seed(0)
    if kind == "tokens":
        x = torch.randint(4, 9, (N, L), generator=draws)
        x[:, -2], x[:, -1] = END, PAD
        return x
    if kind == "graph":
        x = torch.randint(2, 9, (N, L + 2, 1 + 2 * MAX_DEGREE), generator=draws)
        x[:, -1] = 0
        return x
    x = torch.rand(N, F if kind == "array" else F + 1, generator=draws)
    return x if kind == "array" else (x > 0.5).float()


CORRUPTIONS = {
    "tokens": [keep, MaskTokens(0.4)],
    "graph": [keep, HideAtoms(0.4)],
    "bits": [keep, FlipBits(0.4), HideNumbers(0.4, 0.5)],
    "counts": [keep, HideNumbers(0.4)],
    "array": [keep, HideNumbers(0.4), AddNoise(0.4)],
}


@pytest.mark.parametrize(("seen", "rebuilt"), itertools.product(CORRUPTIONS, ["tokens", "bits", "array"]))
def test_only_the_view_is_damaged_and_all_that_is_rebuilt_counts(seen, rebuilt):
    x, view = features(rebuilt), features(seen)
    for corruption in CORRUPTIONS[seen]:
        before = view.clone()
        corrupted = corruption(Batch(x, view), torch.Generator().manual_seed(1))
        assert corrupted.scored.shape == x.shape
        assert torch.equal(corrupted.scored, x != PAD if rebuilt == "tokens" else torch.ones_like(x, dtype=torch.bool))
        assert corrupted.view.shape == view.shape
        assert torch.equal(view, before)
        assert torch.equal(corrupted.view, view) == (corruption is keep)


def test_hidden_atoms_keep_their_bonds():
    graph = features("graph")
    view = HideAtoms(0.3)(Batch(features("bits"), graph), torch.Generator().manual_seed(0)).view
    hidden = view[:, :, 0] == HIDDEN_ATOM
    assert 0.2 < hidden[:, :-1].float().mean() < 0.4
    assert not hidden[:, -1].any()
    assert torch.equal(view[:, :, 1:], graph[:, :, 1:])
    assert torch.equal(view[~hidden], graph[~hidden])


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_as_many_tokens_are_hidden_as_asked(rate):
    x = features("tokens")
    corrupted = MaskTokens(rate, is_hidden_scored=True)(Batch(x), torch.Generator().manual_seed(0))
    inner = (x != PAD) & (x != END)
    assert corrupted.scored[inner].float().mean() == pytest.approx(rate, abs=0.05)
    assert not corrupted.scored[~inner].any()
    assert torch.equal(corrupted.view == MASK, corrupted.scored)


def test_hidden_numbers_alone_are_scored_where_asked():
    x = features("array")
    corrupted = HideNumbers(0.5, -1.0, is_hidden_scored=True)(Batch(x), torch.Generator().manual_seed(0))
    assert torch.equal(corrupted.view == -1.0, corrupted.scored)
    assert torch.equal(corrupted.view[~corrupted.scored], x[~corrupted.scored])


def test_equal_generators_damage_alike():
    x = features("array")
    first, second = (AddNoise(0.5)(Batch(x), torch.Generator().manual_seed(3)).view for _ in range(2))
    assert torch.equal(first, second)
    assert (first - x).std() == pytest.approx(0.5, abs=0.05)
