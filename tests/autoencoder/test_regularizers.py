import math

import pytest
import torch
from torch.distributions import Normal

from molvae.autoencoder.regularizers import PropertyHead, Similarity, kl_to_standard_normal, noised
from molvae.autoencoder.trace import Batch, Latent, Trace


def latent(n=4, d=3):
    torch.manual_seed(0)
    z, logvar = torch.randn(n, d), torch.randn(n, d)
    return Latent(z, z, logvar)


def test_kl_equals_that_of_torch():
    posterior = latent()
    normal = Normal(posterior.z, (0.5 * posterior.logvar).exp())
    expected = torch.distributions.kl_divergence(normal, Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(posterior), expected)


def test_kl_equals_its_monte_carlo_estimate():
    posterior = latent(1, 2)
    normal = Normal(posterior.z, (0.5 * posterior.logvar).exp())
    draws = normal.sample((400_000,))
    estimate = (normal.log_prob(draws) - Normal(0.0, 1.0).log_prob(draws)).mean(0)
    torch.testing.assert_close(kl_to_standard_normal(posterior), estimate, atol=0.01, rtol=0.01)


def test_kl_of_the_standard_normal_is_zero():
    assert kl_to_standard_normal(Latent(torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1, 3))).abs().max() == 0


def test_kl_without_a_variance_raises():
    with pytest.raises(ValueError, match="gaussian"):
        kl_to_standard_normal(Latent(torch.zeros(1, 3), torch.zeros(1, 3)))


def test_noise_keeps_the_variance_and_level_zero_is_the_identity():
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


def test_property_head_is_finite_for_constant_and_unlabelled_properties():
    head = PropertyHead(2, 2)
    head.standardize_by(torch.tensor([[3.0, torch.nan], [3.0, torch.nan]]))
    z = torch.zeros(2, 2)
    assert torch.isfinite(head.nats(Latent(z, z), torch.tensor([[3.0, torch.nan], [3.0, 1.0]]))).all()


def similarity_of(z, bits):
    batch = Batch(torch.zeros(len(z), 1), bits=bits)
    latent = Latent(z, z)
    return Similarity()(None, Trace(batch, None, latent, z))


def test_similarity_is_small_if_latent_neighbors_are_fingerprint_neighbors():
    torch.manual_seed(0)
    families = torch.randint(0, 5, (60,))
    bits = (torch.rand(5, 64) < 0.3).float()[families]
    z = torch.randn(5, 8)[families] * 3
    near, random = similarity_of(z, bits), similarity_of(torch.randn(60, 8), bits)
    assert near.shape == (60,)
    assert (near >= 0).all()
    assert near.mean() < 0.5 * random.mean()


def test_similarity_equals_the_divergence_of_two_softmax_distributions():
    torch.manual_seed(1)
    z, bits = torch.randn(4, 3), (torch.rand(4, 16) < 0.5).float()
    term = similarity_of(z, bits)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        union = [(bits[i] + bits[j] > 0).sum() for j in others]
        tanimoto = torch.stack([(bits[i] * bits[j]).sum() / u for j, u in zip(others, union, strict=True)])
        cosine = torch.cosine_similarity(z[i : i + 1], z[others])
        p, q = (20 * tanimoto).softmax(0), (10 * cosine).softmax(0)
        assert term[i].item() == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-4)


def test_similarity_ignores_molecules_without_fingerprints():
    torch.manual_seed(0)
    z, bits = torch.randn(9, 4, requires_grad=True), (torch.rand(9, 16) < 0.5).float()
    bits[5:] = 0
    term = similarity_of(z, bits)
    assert (term[5:] == 0).all()
    torch.testing.assert_close(term[:5], similarity_of(z[:5], bits[:5]))
    term.sum().backward()
    assert (z.grad[5:] == 0).all()
    assert similarity_of(z, None).abs().sum() == 0
    assert torch.isfinite(similarity_of(z, torch.zeros(9, 16))).all()
