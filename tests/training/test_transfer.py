import pytest
import torch

from molvae.autoencoder import ModelSettings, build
from molvae.feature_spec import FeatureSpec
from molvae.training.transfer import Copied, RowNames, copy_weights

SPECIALS = ("", "", "", "")
OLD = RowNames((*SPECIALS, "C", "O", "CC"), (*SPECIALS, "C", "O", "CC"), ("logp", "qed"))
NEW = RowNames((*SPECIALS, "C", "N", "O", "CCO"), (*SPECIALS, "C", "N", "O", "CCO"), ("logp", "qed"))


def model(names: RowNames, seed: int, n_latent: int = 6, hidden: int = 16):
    sizes = {"encoder": {"kind": "gru", "embedding": 8, "hidden": 8}, "decoder": {"kind": "gru", "hidden": hidden}}
    settings = ModelSettings.from_dict({"n_latent": n_latent, **sizes}, "test")
    torch.manual_seed(seed)
    return build(settings, FeatureSpec("tokens", len(names.decoder_tokens), 12), len(names.properties))


def test_a_model_of_the_same_shape_is_copied_completely():
    first, second = model(OLD, 0), model(OLD, 1)
    first.property_head.mean.fill_(3.0)
    copied = copy_weights(second, OLD, first, OLD)
    assert copied.is_all
    for name, array in second.state_dict().items():
        torch.testing.assert_close(array, first.state_dict()[name], rtol=0, atol=0)


def test_tokens_of_another_vocabulary_keep_their_weights():
    first, second = model(OLD, 0), model(NEW, 1)
    before = second.decoder.embedding.weight.clone()
    copied = copy_weights(second, NEW, first, OLD)
    sizes = 2 * 8 + 2 * 16 + 2  # two new tokens: rows of both embeddings, and biases
    assert copied == Copied(copied.n_weights - sizes, copied.n_weights, tokens=6, n_tokens=8)
    assert not copied.is_all
    for side in (lambda m: m.encoder.embedding.weight, lambda m: m.decoder.embedding.weight):
        torch.testing.assert_close(side(second)[[0, 1, 2, 3, 4, 6]], side(first)[[0, 1, 2, 3, 4, 5]])
    torch.testing.assert_close(second.decoder.embedding.weight[[5, 7]], before[[5, 7]])
    torch.testing.assert_close(second.decoder.recurrence.state_dict(), first.decoder.recurrence.state_dict())


@pytest.mark.parametrize("n_latent", [4, 9])
def test_arrays_of_another_size_stay_unchanged(n_latent):
    first, second = model(OLD, 0), model(OLD, 1, n_latent)
    before = {name: array.clone() for name, array in second.state_dict().items()}
    copied = copy_weights(second, OLD, first, OLD)
    changed = {n for n, array in first.state_dict().items() if array.shape != before[n].shape}
    assert changed
    assert copied.weights == copied.n_weights - sum(before[name].numel() for name in changed)
    for name, array in second.state_dict().items():
        torch.testing.assert_close(array, before[name] if name in changed else first.state_dict()[name])


def test_the_head_for_other_properties_is_not_copied():
    first, second = model(OLD, 0), model(OLD, 1)
    before = second.property_head.linear.weight.clone()
    copy_weights(second, RowNames(OLD.encoder_tokens, OLD.decoder_tokens, ("logp", "tpsa")), first, OLD)
    torch.testing.assert_close(second.property_head.linear.weight, before)
    assert not torch.equal(before, first.property_head.linear.weight)
