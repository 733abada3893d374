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
        part.embedding.weight *= 8  # sharp enough that rows differ
    return part


def test_logits_of_a_place_know_only_what_stands_before(decoder):
    z, exact = torch.randn(1, 3), torch.zeros(1)
    one = decoder(z, exact, torch.tensor([[4, 5, 6, 2]]))
    two = decoder(z, exact, torch.tensor([[4, 5, 9, 2]]))
    assert one.shape == (1, 4, 12)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    assert not torch.allclose(one[:, 3], two[:, 3])


def test_greedy_text_is_what_the_logits_say(decoder):
    z, exact = torch.randn(20, 3), torch.zeros(20)
    written = decoder.generate(z, exact, 0.0, None)
    logits = decoder(z, exact, written)
    logits[:, :, [PAD, BEGIN, MASK]] = -torch.inf
    present = written != PAD
    assert torch.equal(logits.argmax(2)[present], written[present])


def test_rows_are_closed_once_and_filled_up(decoder):
    with torch.no_grad():
        decoder.output_bias[END] = 1.0
    written = decoder.generate(torch.randn(200, 3), torch.zeros(200), 1.0, torch.Generator().manual_seed(0))
    assert written.shape[1] <= SPEC.length
    assert not torch.isin(written, torch.tensor([BEGIN, MASK])).any()
    for row in written.tolist():
        text = row[: row.index(PAD)] if PAD in row else row
        assert END not in text[:-1]
        assert PAD not in text
    assert len({int((row != PAD).sum()) for row in written}) > 2  # rows of several lengths were in one batch


def test_a_row_does_not_depend_on_its_neighbours(decoder):
    z = torch.randn(30, 3)
    together = decoder.generate(z, torch.zeros(30), 0.0, None)
    for i in range(30):
        alone = decoder.generate(z[i : i + 1], torch.zeros(1), 0.0, None)[0]
        assert torch.equal(alone, together[i, : len(alone)])


def test_one_beam_is_the_greedy_text(decoder):
    z = torch.randn(30, 3)
    greedy = decoder.generate(z, torch.zeros(30), 0.0, None)
    assert torch.equal(decoder.beam_search(z, torch.zeros(30), 1)[:, 0], greedy)


def test_wide_beams_find_the_most_probable_texts_of_all(decoder):
    decoder.length = 3
    with torch.no_grad():
        decoder.output_bias[END] = 1.0
    z, letters = torch.randn(5, 3), range(4, 12)
    texts = [
        [END, 0, 0],
        *([a, END, 0] for a in letters),
        *([a, b, c] for a in letters for b in letters for c in (END, *letters)),
    ]
    x = torch.tensor(texts)
    for point in z:
        logits = decoder(point.expand(len(x), 3), torch.zeros(len(x)), x).detach()
        logits[:, :, [PAD, BEGIN, MASK]] = -torch.inf
        steps = logits.log_softmax(2).gather(2, x[:, :, None])[:, :, 0]
        nats = torch.where(x == PAD, 0.0, steps).sum(1)
        found = decoder.beam_search(point[None], torch.zeros(1), 100)[0, :10]
        assert torch.equal(found, x[nats.topk(10).indices])


def test_beams_do_not_depend_on_their_neighbours(decoder):
    with torch.no_grad():
        decoder.output_bias[END] = 1.0
    z = torch.randn(30, 3)
    together = decoder.beam_search(z, torch.zeros(30), 4)
    for i in range(30):
        alone = decoder.beam_search(z[i : i + 1], torch.zeros(1), 4)[0]
        assert torch.equal(alone, together[i, :, : alone.shape[1]])
        assert not together[i, :, alone.shape[1] :].any()


def test_draws_follow_the_probabilities_and_the_temperature(decoder):
    z, n = torch.randn(1, 3), 20_000
    first = decoder(z, torch.zeros(1), torch.tensor([[4]]))[0, 0].double()
    first[[PAD, BEGIN, MASK]] = -torch.inf
    for temperature in (1.0, 0.5):
        written = decoder.generate(z.expand(n, 3), torch.zeros(n), temperature, torch.Generator().manual_seed(1))
        seen = torch.bincount(written[:, 0], minlength=12) / n
        torch.testing.assert_close(seen.double(), (first / temperature).softmax(0), atol=0.015, rtol=0)


def test_the_noise_level_is_told(decoder):
    z, x = torch.randn(1, 3), torch.tensor([[4, 5, 2]])
    outputs = [decoder(z, torch.tensor([level]), x) for level in (0.0, 0.5, 1.0)]
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[1], outputs[2])


TEMPLATE = torch.tensor([[4, MASK, 6, MASK, END], [MASK, MASK, END, PAD, PAD], [4, 5, 6, 7, END]])


def test_given_tokens_stay_and_only_hidden_ones_are_chosen(decoder):
    with torch.no_grad():
        decoder.output_bias[[PAD, BEGIN, MASK, END]] = 9.0  # what the decoder would rather write
    rows = TEMPLATE.repeat(100, 1)
    draws = torch.Generator().manual_seed(0)
    written, _ = decoder.complete(torch.randn(300, 3), torch.zeros(300), rows, 1.0, draws)
    assert torch.equal(written[rows != MASK], rows[rows != MASK])
    chosen = written[rows == MASK]
    assert not torch.isin(chosen, torch.tensor([PAD, BEGIN, MASK, END])).any()
    assert len(chosen.unique()) > 3


def test_the_log_probability_is_that_of_the_whole_row_by_the_logits(decoder):
    z, exact = torch.randn(3, 3), torch.zeros(3)
    for temperature in (0.0, 2.0):
        written, said = decoder.complete(z, exact, TEMPLATE, temperature, torch.Generator().manual_seed(0))
        logits = decoder(z, exact, written).log_softmax(2)
        each = logits.gather(2, written[:, :, None])[:, :, 0]
        torch.testing.assert_close(said, torch.where(written == PAD, 0.0, each).sum(1).detach())


def test_hidden_tokens_are_drawn_by_their_probabilities(decoder):
    z, n = torch.randn(1, 3), 20_000
    rows = torch.tensor([[4, MASK, END]]).expand(n, 3)
    written, _ = decoder.complete(z.expand(n, 3), torch.zeros(n), rows, 1.0, torch.Generator().manual_seed(1))
    second = decoder(z, torch.zeros(1), torch.tensor([[4, 5]]))[0, 1].detach()
    second[[PAD, BEGIN, END, MASK]] = -torch.inf
    seen = torch.bincount(written[:, 1], minlength=12) / n
    torch.testing.assert_close(seen, second.softmax(0), atol=0.015, rtol=0)
