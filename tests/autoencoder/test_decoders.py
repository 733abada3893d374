import pytest
import torch

from molvae.autoencoder.decoders import GruDecoder
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


def test_logits_depend_on_the_noise_level(decoder):
    z, x = torch.randn(1, 3), torch.tensor([[4, 5, 2]])
    outputs = [decoder(z, torch.tensor([level]), x) for level in (0.0, 0.5, 1.0)]
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[1], outputs[2])


TEMPLATE = torch.tensor([[4, MASK, 6, MASK, END], [MASK, MASK, END, PAD, PAD], [4, 5, 6, 7, END]])


def test_completion_keeps_given_tokens_and_replaces_masked_ones(decoder):
    with torch.no_grad():
        decoder.output_bias[[PAD, BEGIN, MASK, END]] = 9.0  # makes special tokens the most probable
    rows = TEMPLATE.repeat(100, 1)
    draws = torch.Generator().manual_seed(0)
    tokens, _ = decoder.complete(torch.randn(300, 3), torch.zeros(300), rows, 1.0, draws)
    assert torch.equal(tokens[rows != MASK], rows[rows != MASK])
    chosen = tokens[rows == MASK]
    assert not torch.isin(chosen, torch.tensor([PAD, BEGIN, MASK, END])).any()
    assert len(chosen.unique()) > 3


def test_the_log_probability_is_that_of_the_whole_row(decoder):
    z, exact = torch.randn(3, 3), torch.zeros(3)
    for temperature in (0.0, 2.0):
        tokens, log_probability = decoder.complete(z, exact, TEMPLATE, temperature, torch.Generator().manual_seed(0))
        logits = decoder(z, exact, tokens).log_softmax(2)
        each = logits.gather(2, tokens[:, :, None])[:, :, 0]
        torch.testing.assert_close(log_probability, torch.where(tokens == PAD, 0.0, each).sum(1).detach())


def test_masked_tokens_are_sampled_by_their_probabilities(decoder):
    z, n = torch.randn(1, 3), 20_000
    rows = torch.tensor([[4, MASK, END]]).expand(n, 3)
    tokens, _ = decoder.complete(z.expand(n, 3), torch.zeros(n), rows, 1.0, torch.Generator().manual_seed(1))
    second = decoder(z, torch.zeros(1), torch.tensor([[4, 5]]))[0, 1].detach()
    second[[PAD, BEGIN, END, MASK]] = -torch.inf
    frequency = torch.bincount(tokens[:, 1], minlength=12) / n
    torch.testing.assert_close(frequency, second.softmax(0), atol=0.015, rtol=0)
