import torch

from molvae.autoencoder.encoders import GruEncoder, _reversed_places
from molvae.feature_spec import PAD, FeatureSpec

SPEC = FeatureSpec("tokens", 12, 9)


def encoder():
    torch.manual_seed(0)
    return GruEncoder(SPEC, n_embedding=6, n_hidden=7, n_heads=3)


def test_padding_changes_nothing():
    x = torch.tensor([[4, 5, 6, 2]])
    padded = torch.tensor([[4, 5, 6, 2, PAD, PAD, PAD], [7, 8, 9, 4, 5, 6, 2]])
    part = encoder()
    torch.testing.assert_close(part(x)[0], part(padded)[0])


def test_every_token_and_its_place_are_read():
    part = encoder()
    x = torch.tensor([[4, 5, 6, 2], [5, 4, 6, 2], [4, 6, 5, 2], [7, 5, 6, 2], [4, 5, 7, 2]])
    hidden = part(x)
    assert hidden.shape == (5, part.n_out) == (5, 3 * 2 * 7)
    distance = torch.cdist(hidden, hidden) + torch.eye(5)
    assert distance.min() > 1e-3


def test_places_are_reversed_within_the_row():
    present = torch.tensor([[True, True, True, False], [True, True, True, True]])
    assert _reversed_places(present).tolist() == [[2, 1, 0, 3], [3, 2, 1, 0]]


def test_turning_the_sequence_exchanges_the_two_directions():
    part = encoder()
    part.back.load_state_dict(part.forth.state_dict())
    half = part.input.weight.shape[0] // 2
    with torch.no_grad():
        part.input.weight[half:] = part.input.weight[:half]
        part.input.bias[half:] = part.input.bias[:half]
        part.heads.weight[:, 7:] = part.heads.weight[:, :7]
    there = part(torch.tensor([[4, 5, 6, 2]])).view(3, 2, 7)
    back = part(torch.tensor([[2, 6, 5, 4]])).view(3, 2, 7)
    torch.testing.assert_close(there, back.flip(1))
