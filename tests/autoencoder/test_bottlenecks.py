import torch

from molvae.autoencoder.bottlenecks import GaussianBottleneck, LinearBottleneck


def test_linear_bottleneck_is_deterministic():
    latent = LinearBottleneck(5, 2)(torch.randn(3, 5), None)
    assert latent.logvar is None
    assert latent.sample is latent.z


def test_gaussian_samples_have_its_mean_and_variance():
    torch.manual_seed(0)
    part = GaussianBottleneck(5, 2)
    hidden = torch.randn(1, 5).expand(200_000, 5)
    latent = part(hidden, torch.Generator().manual_seed(0))
    torch.testing.assert_close(latent.sample.mean(0), latent.z[0], atol=2e-3, rtol=0)
    torch.testing.assert_close(latent.sample.var(0), latent.logvar[0].exp(), atol=0, rtol=0.02)


def test_gradients_flow_through_the_sample():
    part = GaussianBottleneck(5, 2)
    part(torch.randn(3, 5), torch.Generator().manual_seed(0)).sample.sum().backward()
    assert part.linear.weight.grad.abs().sum() > 0
    assert part.logvar.weight.grad.abs().sum() > 0


def test_samples_are_reproducible():
    part, hidden = GaussianBottleneck(5, 2), torch.randn(3, 5)
    draws = [part(hidden, torch.Generator().manual_seed(seed)).sample for seed in (7, 7, 8)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
