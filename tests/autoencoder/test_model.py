import pytest
import torch

from molvae.autoencoder import ModelSettings, build
from molvae.autoencoder.trace import Batch
from molvae.feature_spec import FeatureSpec


@pytest.mark.parametrize(("draws", "spread"), [(1, 0.2887), (2, 0.2041), (4, 0.1443)])
def test_noise_levels_are_means_of_uniform_draws(draws, spread):
    torch.manual_seed(0)
    settings = ModelSettings(recipe="molecular", n_latent=3, noise_draws=draws, encoder={"kind": "mlp", "widths": (4,)})
    model = build(settings, FeatureSpec("array", 5, 5))
    seen = []
    model.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    model(Batch(torch.randn(4000, 5)), torch.Generator().manual_seed(1))
    exact, level = seen[0].chunk(2)
    assert (exact == 0).all()
    assert level.mean().item() == pytest.approx(0.5, abs=0.02)
    assert level.std().item() == pytest.approx(spread, abs=0.01)
