"""What every recipe must do, run over the whole table."""

import pytest
import torch
from safetensors.torch import load, save

from molvae.autoencoder import RECIPES, ModelSettings, build
from molvae.autoencoder.trace import Batch
from molvae.errors import InputError
from molvae.feature_spec import END, FeatureSpec

SPEC = FeatureSpec("tokens", 14, 8)
SMALL = {"n_latent": 6, "encoder": {"embedding": 8, "hidden": 12, "heads": 2}, "decoder": {"hidden": 24}}

pytestmark = pytest.mark.parametrize("recipe", RECIPES)


def model_of(recipe, n_properties=2):
    torch.manual_seed(0)
    return build(ModelSettings(recipe=recipe, **SMALL), SPEC, n_properties)


def batch_of(n=48):
    draws = torch.Generator().manual_seed(0)
    x = torch.randint(4, 14, (n, 7), generator=draws)
    x[:, -1] = END
    x[::3, 4:] = torch.tensor([END, 0, 0])
    y = torch.randn(n, 2, generator=draws)
    y[::4, 0] = torch.nan
    return Batch(x, None, y)


def terms_of(model, batch, seed=0):
    return model.terms(model(batch, torch.Generator().manual_seed(seed)))


def test_terms_are_finite_and_one_a_molecule(recipe):
    batch = batch_of()
    terms = terms_of(model_of(recipe), batch)
    assert "reconstruction" in terms
    for name, term in terms.items():
        assert term.shape == (len(batch.x),), name
        assert torch.isfinite(term).all(), name


def test_training_lowers_the_loss_and_rebuilds_the_molecules(recipe):
    model, batch = model_of(recipe), batch_of()
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    first = last = 0.0
    for step in range(120):
        terms = terms_of(model, batch, step)
        loss = sum(term.mean() * (0.01 if name == "kl" else 1) for name, term in terms.items())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or float(loss.detach()), float(loss.detach())
    assert last < 0.6 * first
    written = model.decode(model.encode(batch.x))
    width = min(written.shape[1], batch.x.shape[1])
    assert (written[:, :width] == batch.x[:, :width]).all(1).float().mean() > 0.5


def test_gradients_reach_every_parameter(recipe):
    model = model_of(recipe)
    sum(term.sum() for term in terms_of(model, batch_of()).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_equal_generators_give_equal_terms(recipe):
    model, batch = model_of(recipe), batch_of()
    for name, term in terms_of(model, batch).items():
        assert torch.equal(term, terms_of(model, batch)[name]), name


def test_encode_and_decode_draw_nothing_and_ask_no_mode(recipe):
    model, batch = model_of(recipe), batch_of()
    before = torch.random.get_rng_state()
    z = model.train().encode(batch.x)
    assert torch.equal(z, model.eval().encode(batch.x))
    assert torch.equal(model.decode(z), model.decode(z))
    assert torch.equal(before, torch.random.get_rng_state())
    assert z.shape == (len(batch.x), 6)
    assert z.dtype == torch.float32


def test_the_order_of_rows_changes_nothing_but_the_order(recipe):
    model, batch = model_of(recipe), batch_of()
    order = torch.randperm(len(batch.x), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.encode(batch.x[order]), model.encode(batch.x)[order])


def test_weights_saved_and_loaded_encode_alike(recipe):
    model, batch = model_of(recipe), batch_of()
    other = build(ModelSettings(recipe=recipe, **SMALL), SPEC, 2)
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(other.encode(batch.x), model.encode(batch.x))


def test_no_labels_mean_no_property_head(recipe):
    model = model_of(recipe, n_properties=0)
    assert model.property_head is None
    assert "properties" not in terms_of(model, Batch(batch_of().x))


def test_what_cannot_be_built_is_refused(recipe):
    with pytest.raises(InputError, match="rebuilds tokens"):
        build(ModelSettings(recipe=recipe), FeatureSpec("bits", 64))
    with pytest.raises(InputError, match="expected one of"):
        build(ModelSettings(recipe=recipe + "x"), SPEC)
    with pytest.raises(InputError, match=r"n_latnt: unknown key; did you mean n_latent"):
        ModelSettings.from_dict({"recipe": recipe, "n_latnt": 3}, "config.toml [model]")
