import copy

import pytest
import torch

from molvae.autoencoder.decoders import GruDecoder, _choose
from molvae.feature_spec import BEGIN, END, MASK, PAD, FeatureSpec

SPEC = FeatureSpec("tokens", 12, 9)


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    part = GruDecoder(SPEC, n_latent=3, n_hidden=16)
    with torch.no_grad():
        part.embedding.weight *= 8  # peaked enough that rows differ
    return part


def test_logits_depend_on_previous_tokens_only(decoder):
    z, exact = torch.randn(1, 3), torch.zeros(1)
    one = decoder(z, exact, torch.tensor([[4, 5, 6, 2]]))
    two = decoder(z, exact, torch.tensor([[4, 5, 9, 2]]))
    assert one.shape == (1, 4, 12)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    assert not torch.allclose(one[:, 3], two[:, 3])


def test_greedy_tokens_have_the_largest_logits(decoder):
    z, exact = torch.randn(20, 3), torch.zeros(20)
    tokens = decoder.generate(z, exact, torch.zeros(len(z)), None)
    logits = decoder(z, exact, tokens)
    logits[:, :, [PAD, BEGIN, MASK]] = -torch.inf
    present = tokens != PAD
    assert torch.equal(logits.argmax(2)[present], tokens[present])


def test_rows_have_at_most_one_end_and_are_padded(decoder):
    with torch.no_grad():
        decoder.output_bias[END] = 1.0
    tokens = decoder.generate(torch.randn(200, 3), torch.zeros(200), torch.ones(200), torch.Generator().manual_seed(0))
    assert tokens.shape[1] <= SPEC.length
    assert not torch.isin(tokens, torch.tensor([BEGIN, MASK])).any()
    for row in tokens.tolist():
        present = row[: row.index(PAD)] if PAD in row else row
        assert END not in present[:-1]
        assert not any(row[len(present) :])
    assert len({int((row != PAD).sum()) for row in tokens}) > 2  # the batch has rows of several lengths


def test_a_row_does_not_depend_on_the_rest_of_the_batch(decoder):
    z = torch.randn(30, 3)
    together = decoder.generate(z, torch.zeros(30), torch.zeros(30), None)
    for i in range(30):
        alone = decoder.generate(z[i : i + 1], torch.zeros(1), torch.zeros(1), None)[0]
        assert torch.equal(alone, together[i, : len(alone)])


def test_one_beam_is_greedy_decoding(decoder):
    z = torch.randn(30, 3)
    greedy = decoder.generate(z, torch.zeros(30), torch.zeros(30), None)
    assert torch.equal(decoder.beam_search(z, torch.zeros(30), 1)[:, 0], greedy)


def test_wide_beams_find_the_most_probable_rows(decoder):
    decoder.length = 3
    with torch.no_grad():
        decoder.output_bias[END] = 1.0
    z, symbols = torch.randn(5, 3), range(4, 12)
    rows = [
        [END, 0, 0],
        *([a, END, 0] for a in symbols),
        *([a, b, c] for a in symbols for b in symbols for c in (END, *symbols)),
    ]
    x = torch.tensor(rows)
    for one in z:
        logits = decoder(one.expand(len(x), 3), torch.zeros(len(x)), x).detach()
        logits[:, :, [PAD, BEGIN, MASK]] = -torch.inf
        steps = logits.log_softmax(2).gather(2, x[:, :, None])[:, :, 0]
        nats = torch.where(x == PAD, 0.0, steps).sum(1)
        found = decoder.beam_search(one[None], torch.zeros(1), 100)[0, :10]
        assert torch.equal(found, x[nats.topk(10).indices])


def test_beams_do_not_depend_on_the_rest_of_the_batch(decoder):
    with torch.no_grad():
        decoder.output_bias[END] = 1.0
    z = torch.randn(30, 3)
    together = decoder.beam_search(z, torch.zeros(30), 4)
    for i in range(30):
        alone = decoder.beam_search(z[i : i + 1], torch.zeros(1), 4)[0]
        assert torch.equal(alone, together[i, :, : alone.shape[1]])
        assert not together[i, :, alone.shape[1] :].any()


def test_sampled_tokens_follow_the_probabilities_at_each_temperature(decoder):
    z, n = torch.randn(1, 3), 20_000
    first = decoder(z, torch.zeros(1), torch.tensor([[4]]))[0, 0].double()
    first[[PAD, BEGIN, MASK]] = -torch.inf
    for temperature in (1.0, 0.5):
        tokens = decoder.generate(
            z.expand(n, 3), torch.zeros(n), torch.full((n,), temperature), torch.Generator().manual_seed(1)
        )
        frequency = torch.bincount(tokens[:, 0], minlength=12) / n
        torch.testing.assert_close(frequency.double(), (first / temperature).softmax(0), atol=0.015, rtol=0)


def test_a_drawn_row_does_not_depend_on_the_latent_vectors_of_the_others(decoder):
    z, heat = torch.randn(30, 3), torch.full((30,), 0.8)
    first = decoder.generate(z, torch.zeros(30), heat, torch.Generator().manual_seed(3))
    other = torch.cat([z[:10], torch.randn(20, 3)])
    second = decoder.generate(other, torch.zeros(30), heat, torch.Generator().manual_seed(3))
    n = min(first.shape[1], second.shape[1])
    assert torch.equal(first[:10, :n], second[:10, :n])
    assert not torch.equal(first[10:, :n], second[10:, :n])


def test_greedy_rows_are_the_same_beside_drawn_ones(decoder):
    z, heat = torch.randn(30, 3), torch.tensor([0.0, 1.5]).repeat(15)
    mixed = decoder.generate(z, torch.zeros(30), heat, torch.Generator().manual_seed(3))
    greedy = decoder.generate(z, torch.zeros(30), torch.zeros(30), None)
    n = min(mixed.shape[1], greedy.shape[1])
    assert torch.equal(mixed[::2, :n], greedy[::2, :n])
    assert not torch.equal(mixed[1::2, :n], greedy[1::2, :n])


@pytest.mark.parametrize("uniform", [2.0**-24, 0.5, 1.0])
def test_no_draw_gives_an_impossible_token(uniform):
    logits = torch.randn(50, 12)
    logits[:, [0, 1, 5, 11]] = -torch.inf
    token = _choose(logits, torch.linspace(0, 2, 50), torch.full((50,), uniform))
    assert not torch.isin(token, torch.tensor([0, 1, 5, 11])).any()
    bounds = {2.0**-24: 2, 1.0: 10}
    if uniform in bounds:  # the first and the last token of positive probability
        assert (token[25:] == bounds[uniform]).all()


def test_undefined_logits_give_a_token():
    for heat in (0.0, 1.0):
        token = _choose(torch.full((2, 12), torch.nan), torch.full((2,), heat), torch.full((2,), 0.5))
        assert ((token >= 0) & (token < 12)).all()


def test_weights_of_a_frozen_decoder_are_prepared_again_after_a_change(decoder):
    z = torch.randn(40, 3)

    def tokens(part):
        return part.generate(z, torch.zeros(40), torch.zeros(40), None)

    decoder.requires_grad_(False)
    first = tokens(decoder)
    prepared = decoder._kept
    assert torch.equal(tokens(decoder), first)
    assert decoder._kept is prepared
    other = copy.deepcopy(decoder).requires_grad_(True)
    for weight in (other.output_bias, other.input.weight, other.recurrence.weight):
        with torch.no_grad():
            weight += torch.randn(weight.shape)
    changed = tokens(other)
    assert not torch.equal(changed, first)
    decoder.load_state_dict(other.state_dict())
    assert torch.equal(tokens(decoder), changed)
    decoder.load_state_dict(copy.deepcopy(other.state_dict()), assign=True)
    assert torch.equal(tokens(decoder.requires_grad_(False)), changed)
    with torch.no_grad():
        decoder.output_bias[7] = 99.0
    assert (tokens(decoder)[:, 0] == 7).all()


def test_logits_depend_on_the_noise_level(decoder):
    z, x = torch.randn(1, 3), torch.tensor([[4, 5, 2]])
    outputs = [decoder(z, torch.tensor([level]), x) for level in (0.0, 0.5, 1.0)]
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[1], outputs[2])


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
def test_token_by_token_the_logits_are_those_of_the_whole_row(decoder, noise):
    z, x = torch.randn(3, 3), torch.tensor([[4, 5, 6, 7, END], [7, 7, END, PAD, PAD], [6, 4, 4, END, PAD]])
    levels = torch.full((3,), noise)
    expected = decoder(z, levels, x).detach()
    state = decoder.begin(z, levels)
    for position in range(x.shape[1]):
        logits, hidden = decoder.advance(state)
        torch.testing.assert_close(logits, expected[:, position], atol=1e-5, rtol=1e-4)
        state = state._replace(hidden=hidden, token=x[:, position])
