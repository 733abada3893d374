"""Every recipe, over every kind of decoder output."""

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
def test_terms_are_finite_and_one_per_molecule(recipe, kind):
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
    for step in range(200 if RECIPES[recipe].scores_hidden else 60):  # masked positions take longer to learn
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
def test_terms_are_reproducible(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    first, second = terms_of(model, batch), terms_of(model, batch)
    for name in first:
        assert torch.equal(first[name], second[name]), name


@over_all
def test_encode_and_decode_are_deterministic_in_either_mode(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    before = torch.random.get_rng_state()
    z = model.train().encode(batch.x)
    assert torch.equal(z, model.eval().encode(batch.x))
    x = model.decode(z)
    assert torch.equal(x, model.decode(z))
    assert torch.equal(before, torch.random.get_rng_state())
    assert z.shape == (len(batch.x), 6)
    assert z.dtype == torch.float32
    assert x.dtype == batch.x.dtype
    if kind != "tokens":
        assert x.shape == batch.x.shape


@over_all
def test_latent_vectors_do_not_depend_on_the_order_of_rows(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    order = torch.randperm(len(batch.x), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.encode(batch.x[order]), model.encode(batch.x)[order])


@over_all
def test_loaded_weights_give_the_same_latent_vectors(recipe, kind):
    model, batch = model_of(recipe, kind), batch_of(kind)
    other = build(settings_of(recipe, kind), SPECS[kind], 2)
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(other.encode(batch.x), model.encode(batch.x))


@over_all
def test_without_labels_there_is_no_property_head(recipe, kind):
    model = model_of(recipe, kind, n_properties=0)
    assert model.property_head is None
    assert "properties" not in terms_of(model, Batch(batch_of(kind).x))


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("bottleneck", BOTTLENECKS)
def test_any_bottleneck_can_be_combined_with_any_kind(bottleneck, kind):
    model = model_of("plain", kind, changes={"bottleneck": bottleneck})
    z = model.encode(batch_of(kind).x)
    assert torch.isfinite(z).all()
    assert "reconstruction" in terms_of(model, batch_of(kind))


@pytest.mark.parametrize("input_kind", SPECS)
@pytest.mark.parametrize("output_kind", SPECS)
def test_encoder_input_may_differ_from_decoder_output(input_kind, output_kind):
    encoder = {"encoder": GRU["encoder"]} if input_kind == "tokens" else {}
    decoder = {"decoder": GRU["decoder"]} if output_kind == "tokens" else {}
    settings = ModelSettings.from_dict({"recipe": "molecular", "n_latent": 6, **encoder, **decoder}, "test")
    model = build(settings, SPECS[output_kind], 0, SPECS[input_kind])
    batch = Batch(batch_of(output_kind).x, batch_of(input_kind).x)
    assert terms_of(model, batch)["reconstruction"].shape == (len(batch.x),)
    assert model.decode(model.encode(batch.view)).dtype == batch.x.dtype


def test_changes_modify_a_recipe():
    model = model_of("denoising", "tokens", changes={"bottleneck": "gaussian", "regularizers": ["kl"]}, free_nats=0.5)
    terms = terms_of(model, batch_of("tokens"))
    assert set(terms) == {"reconstruction", "kl"}
    assert (terms["kl"] >= 6 * 0.5).all()


@pytest.mark.parametrize(
    ("given", "kind", "fact"),
    [
        ({"recipe": "variationl"}, "array", "did you mean variational"),
        ({"recipe": "linear"}, "tokens", "got tokens"),
        ({"recipe": "linear", "encoder": {"kind": "mlp", "widths": [4]}}, "array", r"widths \[4\]"),
        ({"recipe": "plain", "encoder": {"kind": "gru"}}, "array", "'gru'.*array.*'mlp'"),
        ({"recipe": "plain", "decoder": {"kind": "mlp"}}, "tokens", "'mlp'.*tokens.*'gru'"),
        ({"recipe": "plain", "changes": {"bottleneck": "narrow"}}, "array", "bottleneck 'narrow'"),
        ({"recipe": "plain", "changes": {"regularizers": ["l3"]}}, "array", "regularizer 'l3'"),
        ({"recipe": "plain", "changes": {"regularizers": ["kl"]}}, "array", "'kl'.*gaussian"),
        ({"recipe": "plain", "changes": {"regularizers": ["kl_to_rate"]}}, "array", "'kl_to_rate'.*sigmoid"),
        ({"recipe": "sparse_topk", "k": 9, "n_latent": 8}, "array", "k 9.*8"),
        ({"recipe": "denoising", "corruption": "flip"}, "array", "'flip'.*'gaussian'"),
        ({"recipe": "denoising", "corruption": "mask"}, "bits", "'mask'.*'flip'"),
        ({"recipe": "denoising", "corruption_level": 1.5}, "bits", r"1\.5.*at most 1"),
        ({"recipe": "masked", "corruption": "gaussian"}, "array", "'gaussian'.*scores_hidden"),
    ],
)
def test_parts_that_cannot_be_combined_are_refused(given, kind, fact):
    with pytest.raises(InputError, match=fact):
        build(ModelSettings.from_dict(given, "test"), SPECS[kind])


def test_scores_hidden_needs_equal_input_and_output():
    with pytest.raises(InputError, match="scores_hidden"):
        build(settings_of("masked", "tokens"), SPECS["tokens"], 0, SPECS["bits"])


def test_the_error_for_an_unknown_setting_suggests_a_similar_one():
    with pytest.raises(InputError, match=r"n_latnt.*did you mean n_latent"):
        ModelSettings.from_dict({"n_latnt": 3}, "config.toml [model]")


def test_every_registered_part_is_used_by_a_recipe():
    used = {name for recipe in RECIPES.values() for name in recipe.regularizers}
    assert used == set(REGULARIZERS)
    assert {recipe.bottleneck for recipe in RECIPES.values()} == set(BOTTLENECKS)
