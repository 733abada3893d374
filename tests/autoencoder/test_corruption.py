import itertools

import pytest
import torch

from molvae.autoencoder.corruption import AddNoise, FlipBits, HideAtoms, HideNumbers, MaskTokens, keep
from molvae.autoencoder.trace import Batch
from molvae.feature_spec import END, MASK, MASKED_ATOM, MAX_DEGREE, PAD

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


@pytest.mark.parametrize(("input_kind", "output_kind"), itertools.product(CORRUPTIONS, ["tokens", "bits", "array"]))
def test_corruption_changes_the_encoder_input_and_the_loss_counts_all_of_the_output(input_kind, output_kind):
    x, view = features(output_kind), features(input_kind)
    for corruption in CORRUPTIONS[input_kind]:
        before = view.clone()
        corrupted = corruption(Batch(x, view), torch.Generator().manual_seed(1))
        assert corrupted.scored.shape == x.shape
        expected = x != PAD if output_kind == "tokens" else torch.ones_like(x, dtype=torch.bool)
        assert torch.equal(corrupted.scored, expected)
        assert corrupted.view.shape == view.shape
        assert torch.equal(view, before)
        assert torch.equal(corrupted.view, view) == (corruption is keep)


def test_masked_atoms_keep_their_bonds():
    graph = features("graph")
    view = HideAtoms(0.3)(Batch(features("bits"), graph), torch.Generator().manual_seed(0)).view
    masked = view[:, :, 0] == MASKED_ATOM
    assert 0.2 < masked[:, :-1].float().mean() < 0.4
    assert not masked[:, -1].any()
    assert torch.equal(view[:, :, 1:], graph[:, :, 1:])
    assert torch.equal(view[~masked], graph[~masked])


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_the_requested_fraction_of_tokens_is_masked(rate):
    x = features("tokens")
    corrupted = MaskTokens(rate, is_hidden_scored=True)(Batch(x), torch.Generator().manual_seed(0))
    inner = (x != PAD) & (x != END)
    assert corrupted.scored[inner].float().mean() == pytest.approx(rate, abs=0.05)
    assert not corrupted.scored[~inner].any()
    assert torch.equal(corrupted.view == MASK, corrupted.scored)


def test_the_loss_can_count_masked_numbers_only():
    x = features("array")
    corrupted = HideNumbers(0.5, -1.0, is_hidden_scored=True)(Batch(x), torch.Generator().manual_seed(0))
    assert torch.equal(corrupted.view == -1.0, corrupted.scored)
    assert torch.equal(corrupted.view[~corrupted.scored], x[~corrupted.scored])


def test_corruption_is_reproducible():
    x = features("array")
    first, second = (AddNoise(0.5)(Batch(x), torch.Generator().manual_seed(3)).view for _ in range(2))
    assert torch.equal(first, second)
    assert (first - x).std() == pytest.approx(0.5, abs=0.05)
