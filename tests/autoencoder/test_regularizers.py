import math

import pytest
import torch
from torch.distributions import Normal

from molvae.autoencoder.regularizers import PropertyHead, Similarity, kl_to_standard_normal, noised
from molvae.autoencoder.trace import Batch, Latent, Trace


def latent(n=4, d=3):
    torch.manual_seed(0)
    code, logvar = torch.randn(n, d), torch.randn(n, d)
    return Latent(code, code, logvar)


def test_kl_is_the_closed_form_of_torch():
    points = latent()
    there = Normal(points.z, (0.5 * points.logvar).exp())
    expected = torch.distributions.kl_divergence(there, Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(points), expected)


def test_kl_is_its_monte_carlo_estimate():
    points = latent(1, 2)
    there = Normal(points.z, (0.5 * points.logvar).exp())
    draws = there.sample((400_000,))
    estimate = (there.log_prob(draws) - Normal(0.0, 1.0).log_prob(draws)).mean(0)
    torch.testing.assert_close(kl_to_standard_normal(points), estimate, atol=0.01, rtol=0.01)


def test_kl_of_the_standard_normal_is_zero():
    assert kl_to_standard_normal(Latent(torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1, 3))).abs().max() == 0


def test_kl_without_a_variance_is_refused():
    with pytest.raises(ValueError, match="gaussian"):
        kl_to_standard_normal(Latent(torch.zeros(1, 3), torch.zeros(1, 3)))


def test_noise_keeps_the_variance_and_leaves_level_zero_alone():
    draws = torch.Generator().manual_seed(0)
    z = torch.randn(100_000, 2, generator=draws)
    assert torch.equal(noised(z, torch.zeros(100_000), draws), z)
    for level in (0.3, 0.6, 1.0):
        mixed = noised(z, torch.full((100_000,), level), draws)
        torch.testing.assert_close(mixed.var(0), torch.ones(2), atol=0.02, rtol=0)
        cosine = torch.nn.functional.cosine_similarity(mixed.flatten(), z.flatten(), dim=0)
        assert float(cosine) == pytest.approx(math.cos(math.pi * level / 2), abs=0.01)


def test_property_head_learns_a_line_and_ignores_missing_labels():
    torch.manual_seed(0)
    z = torch.randn(500, 3)
    y = torch.stack([100 + 20 * z[:, 0], 2 * z[:, 1]], dim=1)
    y[250:, 0] = torch.nan
    head = PropertyHead(3, 2)
    head.standardize_by(y)
    assert float(head.scale[0]) == pytest.approx(20, rel=0.15)
    optimizer = torch.optim.LBFGS(head.parameters())

    def loss():
        optimizer.zero_grad()
        value = head.nats(Latent(z, z), y).sum()
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(loss)
    predicted = head(z)
    assert (predicted[:250] - y[:250]).abs().max() < 0.1
    assert head.nats(Latent(z, z), None).abs().sum() == 0


def test_property_head_survives_constant_and_unlabelled_properties():
    head = PropertyHead(2, 2)
    head.standardize_by(torch.tensor([[3.0, torch.nan], [3.0, torch.nan]]))
    z = torch.zeros(2, 2)
    assert torch.isfinite(head.nats(Latent(z, z), torch.tensor([[3.0, torch.nan], [3.0, 1.0]]))).all()


def similarity_of(code, bits):
    batch = Batch(torch.zeros(len(code), 1), bits=bits)
    latent = Latent(code, code)
    return Similarity()(None, Trace(batch, None, latent, code))


def test_similarity_is_small_where_codes_lie_as_fingerprints_do():
    torch.manual_seed(0)
    families = torch.randint(0, 5, (60,))
    bits = (torch.rand(5, 64) < 0.3).float()[families]
    code = torch.randn(5, 8)[families] * 3
    near, strewn = similarity_of(code, bits), similarity_of(torch.randn(60, 8), bits)
    assert near.shape == (60,)
    assert (near >= 0).all()
    assert near.mean() < 0.5 * strewn.mean()


def test_similarity_is_the_divergence_of_two_distributions_over_the_others():
    torch.manual_seed(1)
    code, bits = torch.randn(4, 3), (torch.rand(4, 16) < 0.5).float()
    term = similarity_of(code, bits)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        union = [(bits[i] + bits[j] > 0).sum() for j in others]
        tanimoto = torch.stack([(bits[i] * bits[j]).sum() / u for j, u in zip(others, union, strict=True)])
        cosine = torch.cosine_similarity(code[i : i + 1], code[others])
        p, q = (20 * tanimoto).softmax(0), (10 * cosine).softmax(0)
        assert term[i].item() == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-4)


def test_similarity_neither_counts_nor_moves_molecules_without_fingerprints():
    torch.manual_seed(0)
    code, bits = torch.randn(9, 4, requires_grad=True), (torch.rand(9, 16) < 0.5).float()
    bits[5:] = 0
    term = similarity_of(code, bits)
    assert (term[5:] == 0).all()
    torch.testing.assert_close(term[:5], similarity_of(code[:5], bits[:5]))
    term.sum().backward()
    assert (code.grad[5:] == 0).all()
    assert similarity_of(code, None).abs().sum() == 0
    alone = torch.zeros(9, 16)
    assert torch.isfinite(similarity_of(code, alone)).all()
