"""What every recipe must do, over every kind of feature that it can rebuild."""

import pytest
import torch
from safetensors.torch import load, save

from molvae.autoencoder import RECIPES, ModelSettings, build
from molvae.autoencoder.recipes import BOTTLENECKS, REGULARIZERS
from molvae.autoencoder.trace import Batch
from molvae.errors import InputError
from molvae.feature_spec import END, FeatureSpec

SPECS = {
    "tokens": FeatureSpec("tokens", 14, 8),
    "bits": FeatureSpec("bits", 20),
    "counts": FeatureSpec("counts", 20),
    "array": FeatureSpec("array", 20),
}
GRU = {"encoder": {"kind": "gru", "embedding": 8, "hidden": 12, "heads": 2}, "decoder": {"kind": "gru", "hidden": 24}}
CASES = [(recipe, kind) for recipe in RECIPES for kind in SPECS if not (RECIPES[recipe].is_linear and kind == "tokens")]

over_all = pytest.mark.parametrize(("recipe", "kind"), CASES)


def settings_of(recipe, kind, **changes):
    sizes = GRU if kind == "tokens" else {}
    return ModelSettings.from_dict({"recipe": recipe, "n_latent": 6, "k": 3, **sizes, **changes}, "test")


def model_of(recipe, kind, n_properties=2, **changes):
    torch.manual_seed(0)
    return build(settings_of(recipe, kind, **changes), SPECS[kind], n_properties)


def batch_of(kind, n=48):
    draws = torch.Generator().manual_seed(0)
    y = torch.randn(n, 2, generator=draws)
    y[::4, 0] = torch.nan
    if kind == "tokens":
        x = torch.randint(4, 14, (n, 7), generator=draws)
        x[:, -1] = END
        x[::3, 4:] = torch.tensor([END, 0, 0])
        return Batch(x, None, y)
    x = torch.randn(n, 3, generator=draws) @ torch.randn(3, 20, generator=draws)
    x = {"array": x, "bits": (x > 0).float(), "counts": x.abs().round()}[kind]
    return Batch(x, None, y)


def terms_of(model, batch, seed=0):
    return model.terms(model(batch, torch.Generator().manual_seed(seed)))


@over_all
def test_terms_are_finite_and_one_a_molecule(recipe, kind):
    batch = batch_of(kind)
    terms = terms_of(model_of(recipe, kind), batch)
    assert "reconstruction" in terms
    for name, term in terms.items():
        assert term.shape == (len(batch.x),), name
        assert torch.isfinite(term).all(), name


@over_all
def test_training_lowers_the_loss(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for step in range(200 if RECIPES[recipe].scores_hidden else 60):  # a hidden molecule must be remembered
        terms = terms_of(model, batch, step)
        loss = sum(term.mean() * (1 if name == "reconstruction" else 0.01) for name, term in terms.items())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@over_all
def test_gradients_reach_every_parameter(recipe, kind):
    model = model_of(recipe, kind)
    sum(term.sum() for term in terms_of(model, batch_of(kind)).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@over_all
def test_equal_generators_give_equal_terms(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    first, second = terms_of(model, batch), terms_of(model, batch)
    for name in first:
        assert torch.equal(first[name], second[name]), name


@over_all
def test_encode_and_decode_draw_nothing_and_ask_no_mode(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    before = torch.random.get_rng_state()
    z = model.train().encode(batch.x)
    assert torch.equal(z, model.eval().encode(batch.x))
    written = model.decode(z)
    assert torch.equal(written, model.decode(z))
    assert torch.equal(before, torch.random.get_rng_state())
    assert z.shape == (len(batch.x), 6)
    assert z.dtype == torch.float32
    assert written.dtype == batch.x.dtype
    if kind != "tokens":
        assert written.shape == batch.x.shape


@over_all
def test_the_order_of_rows_changes_nothing_but_the_order(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    order = torch.randperm(len(batch.x), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.encode(batch.x[order]), model.encode(batch.x)[order])


@over_all
def test_weights_saved_and_loaded_encode_alike(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    other = build(settings_of(recipe, kind), SPECS[kind], 2)
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(other.encode(batch.x), model.encode(batch.x))


@over_all
def test_no_labels_mean_no_property_head(recipe, kind):
    model = model_of(recipe, kind, n_properties=0)
    assert model.property_head is None
    assert "properties" not in terms_of(model, Batch(batch_of(kind).x))


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_any_bottleneck_goes_with_any_view(bottleneck, kind):
    model = model_of("plain", kind, changes={"bottleneck": bottleneck})
    z = model.encode(batch_of(kind).x)
    assert torch.isfinite(z).all()
    assert "reconstruction" in terms_of(model, batch_of(kind))


@pytest.mark.parametrize("seen", SPECS)
@pytest.mark.parametrize("rebuilt", SPECS)
def test_what_is_read_may_differ_from_what_is_rebuilt(seen, rebuilt):
    encoder = {"encoder": GRU["encoder"]} if seen == "tokens" else {}
    decoder = {"decoder": GRU["decoder"]} if rebuilt == "tokens" else {}
    settings = ModelSettings.from_dict({"recipe": "molecular", "n_latent": 6, **encoder, **decoder}, "test")
    model = build(settings, SPECS[rebuilt], 0, SPECS[seen])
    batch = Batch(batch_of(rebuilt).x, batch_of(seen).x)
    assert terms_of(model, batch)["reconstruction"].shape == (len(batch.x),)
    assert model.decode(model.encode(batch.view)).dtype == batch.x.dtype


def test_a_mixture_is_a_recipe_with_changes():
    model = model_of("denoising", "tokens", changes={"bottleneck": "gaussian", "regularizers": ["kl"]}, free_nats=0.5)
    terms = terms_of(model, batch_of("tokens"))
    assert set(terms) == {"reconstruction", "kl"}
    assert (terms["kl"] >= 6 * 0.5).all()


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"recipe": "variationl"}, "array", "expected one of linear, plain"),
        ({"recipe": "linear"}, "tokens", "not tokens"),
        ({"recipe": "linear", "encoder": {"kind": "mlp", "widths": [4]}}, "array", "no layers"),
        ({"recipe": "plain", "encoder": {"kind": "gru"}}, "array", "cannot read array; 'mlp' can"),
        ({"recipe": "plain", "decoder": {"kind": "mlp"}}, "tokens", "cannot write tokens; 'gru' can"),
        ({"recipe": "plain", "changes": {"bottleneck": "narrow"}}, "array", "bottleneck 'narrow'"),
        ({"recipe": "plain", "changes": {"regularizers": ["l3"]}}, "array", "regularizer 'l3'"),
        ({"recipe": "plain", "changes": {"regularizers": ["kl"]}}, "array", "needs the gaussian bottleneck"),
        ({"recipe": "plain", "changes": {"regularizers": ["kl_to_rate"]}}, "array", "needs the sigmoid bottleneck"),
        ({"recipe": "sparse_topk", "k": 9, "n_latent": 8}, "array", "more than the 8 units"),
        ({"recipe": "denoising", "corruption": "flip"}, "array", "'gaussian' is"),
        ({"recipe": "denoising", "corruption": "mask"}, "bits", "'flip' is"),
        ({"recipe": "denoising", "corruption_level": 1.5}, "bits", "at most 1"),
        ({"recipe": "masked", "corruption": "gaussian"}, "array", "hides nothing"),
    ],
)
def test_what_cannot_be_put_together_is_told_why(given, kind, words):
    with pytest.raises(InputError, match=words):
        build(ModelSettings.from_dict(given, "test"), SPECS[kind])


def test_hidden_places_are_not_scored_across_views():
    with pytest.raises(InputError, match="hidden places"):
        build(settings_of("masked", "tokens"), SPECS["tokens"], 0, SPECS["bits"])


def test_an_unknown_setting_is_answered_with_the_near_one():
    with pytest.raises(InputError, match="n_latnt: unknown key; did you mean n_latent"):
        ModelSettings.from_dict({"n_latnt": 3}, "config.toml [model]")


def test_every_registered_part_stands_in_a_recipe_or_can_be_chosen():
    used = {name for recipe in RECIPES.values() for name in recipe.regularizers}
    assert used == set(REGULARIZERS)
    assert {recipe.bottleneck for recipe in RECIPES.values()} == set(BOTTLENECKS)
