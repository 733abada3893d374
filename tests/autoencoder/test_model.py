import pytest
import torch

from molvae.autoencoder import ModelSettings, build
from molvae.autoencoder.trace import Batch
from molvae.feature_spec import MASK, PAD, FeatureSpec


@pytest.mark.parametrize(("draws", "spread"), [(1, 0.2887), (2, 0.2041), (4, 0.1443)])
def test_noise_levels_are_means_of_uniform_draws(draws, spread):
    torch.manual_seed(0)
    settings = ModelSettings(recipe="molecular", n_latent=3, noise_draws=draws, encoder={"kind": "mlp", "widths": (4,)})
    model = build(settings, FeatureSpec("array", 5, 5))
    levels = []
    model.decoder.register_forward_pre_hook(lambda module, args: levels.append(args[1]))
    model(Batch(torch.randn(4000, 5)), torch.Generator().manual_seed(1))
    exact, level = levels[0].chunk(2)
    assert (exact == 0).all()
    assert level.mean().item() == pytest.approx(0.5, abs=0.02)
    assert level.std().item() == pytest.approx(spread, abs=0.01)


def test_token_dropout_masks_previous_tokens_of_decoding_without_noise_only():
    torch.manual_seed(0)
    settings = ModelSettings(recipe="molecular", n_latent=3, token_dropout=0.25)
    model = build(settings, FeatureSpec("tokens", 30, 9))
    x = torch.randint(4, 30, (2000, 9))
    x[:, 6:] = PAD
    previous = []
    model.decoder.register_forward_pre_hook(lambda module, args: previous.append(args[2]))
    trace = model(Batch(x), torch.Generator().manual_seed(1))
    exact, noised = previous[0].chunk(2)
    assert (noised == x).all()
    masked = exact == MASK
    assert (exact[~masked] == x[~masked]).all()
    assert not masked[:, 6:].any()
    assert masked[:, :6].float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert trace.corrupted.scored.equal(x != PAD)
    again = model(Batch(x), torch.Generator().manual_seed(1))
    torch.testing.assert_close(again.output, trace.output)


def test_a_fraction_of_the_batch_is_decoded_with_noise_and_its_mean_is_unbiased():
    torch.manual_seed(0)
    given = {"recipe": "molecular", "n_latent": 3, "encoder": {"kind": "mlp", "widths": (4,)}}
    spec, batch = FeatureSpec("array", 5, 5), Batch(torch.randn(4000, 5))
    whole = build(ModelSettings(**given), spec)
    half = build(ModelSettings(**given, noised_share=0.5), spec)
    half.load_state_dict(whole.state_dict())
    levels = []
    half.decoder.register_forward_pre_hook(lambda module, args: levels.append(args[1]))
    trace = half(batch, torch.Generator().manual_seed(1))
    assert len(levels[0]) == 6000
    assert (levels[0][:4000] == 0).all()
    assert len(trace.noised_rows.unique()) == 2000
    assert trace.noised_rows.float().mean() == pytest.approx(2000, abs=60)  # drawn from the whole batch
    terms = half.terms(trace)
    assert terms["noised_reconstruction"].shape == (4000,)
    assert (terms["noised_reconstruction"] > 0).sum() == 2000
    expected = whole.terms(whole(batch, torch.Generator().manual_seed(2)))["noised_reconstruction"].mean()
    assert terms["noised_reconstruction"].mean().item() == pytest.approx(expected.item(), rel=0.05)
