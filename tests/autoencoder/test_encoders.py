import numpy as np
import pytest
import torch

from molvae.autoencoder.encoders import GraphEncoder, GruEncoder, _reversed_positions
from molvae.chem.molecules import shuffle_atoms
from molvae.feature_spec import MAX_DEGREE, PAD, FeatureSpec
from molvae.features.graphs import GraphFeaturizer

SPEC = FeatureSpec("tokens", 12, 9)


def encoder():
    torch.manual_seed(0)
    return GruEncoder(SPEC, n_embedding=6, n_hidden=7, n_heads=3)


def test_padding_does_not_change_the_result():
    x = torch.tensor([[4, 5, 6, 2]])
    padded = torch.tensor([[4, 5, 6, 2, PAD, PAD, PAD], [7, 8, 9, 4, 5, 6, 2]])
    part = encoder()
    torch.testing.assert_close(part(x)[0], part(padded)[0])


def test_the_result_depends_on_every_token_and_its_position():
    part = encoder()
    x = torch.tensor([[4, 5, 6, 2], [5, 4, 6, 2], [4, 6, 5, 2], [7, 5, 6, 2], [4, 5, 7, 2]])
    hidden = part(x)
    assert hidden.shape == (5, part.n_out) == (5, 3 * 2 * 7)
    distance = torch.cdist(hidden, hidden) + torch.eye(5)
    assert distance.min() > 1e-3


def test_positions_are_reversed_within_the_row():
    present = torch.tensor([[True, True, True, False], [True, True, True, True]])
    assert _reversed_positions(present).tolist() == [[2, 1, 0, 3], [3, 2, 1, 0]]


def test_reversing_the_sequence_swaps_the_two_directions():
    part = encoder()
    part.back.load_state_dict(part.forth.state_dict())
    half = part.input.weight.shape[0] // 2
    with torch.no_grad():
        part.input.weight[half:] = part.input.weight[:half]
        part.input.bias[half:] = part.input.bias[:half]
        part.heads.weight[:, 7:] = part.heads.weight[:, :7]
    forward = part(torch.tensor([[4, 5, 6, 2]])).view(3, 2, 7)
    backward = part(torch.tensor([[2, 6, 5, 4]])).view(3, 2, 7)
    torch.testing.assert_close(forward, backward.flip(1))


MOLECULES = [
    "CC(=O)Nc1ccc(O)cc1",
    "C[C@H](N)C(=O)NC1CCCCC1",
    "O=C(O)[C@@H](O)[C@H](O)C(=O)O",
    "C/C=C/CNC(=O)c1ccsc1",
    "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "C[n+]1ccccc1",
    "C",
]


def graph_encoder(featurizer):
    torch.manual_seed(0)
    return GraphEncoder(featurizer.spec, 16, 3, 2)


def read(encoder, featurizer, smiles):
    encoded = featurizer.encode(smiles)
    assert encoded.ok.all(), encoded.reason
    return encoder(torch.from_numpy(encoded.x.astype(np.int64)))


def test_the_result_does_not_depend_on_the_atom_order():
    featurizer = GraphFeaturizer.from_corpus(MOLECULES)
    encoder = graph_encoder(featurizer)
    expected = read(encoder, featurizer, MOLECULES)
    for seed in range(10):
        shuffled = [shuffle_atoms(smiles, seed) for smiles in MOLECULES]
        assert seed == 0 or shuffled != MOLECULES
        torch.testing.assert_close(read(encoder, featurizer, shuffled), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
        ("C/C=C/CO", "C/C=C\\CO"),
        ("CCCO", "CCOC"),
        ("C1CCCCC1C1CCCCC1", "C1CCCCC1C1CCCC1"),
    ],
)
def test_isomers_have_different_hidden_vectors(one, other):
    featurizer = GraphFeaturizer.from_corpus([one, other])
    both = read(graph_encoder(featurizer), featurizer, [one, other])
    assert (both[0] - both[1]).abs().max() > 1e-3


def test_messages_cross_several_bonds():
    isomers = ["OCC(F)CCN", "OCCC(F)CN"]  # the same atoms with the same number of bonds
    featurizer = GraphFeaturizer.from_corpus(isomers)
    near, far = read(graph_encoder(featurizer), featurizer, isomers)
    assert (near - far).abs().max() > 1e-3


def test_the_result_depends_on_bond_types():
    x = torch.zeros(2, 2, 1 + 2 * MAX_DEGREE, dtype=torch.int64)
    x[:, :, 0] = 2
    x[:, 0, 1], x[:, 1, 1] = 1, 0
    x[0, :, 2], x[1, :, 2] = 1, 2
    torch.manual_seed(0)
    single, double = GraphEncoder(FeatureSpec("graph", 3, 2), 8, 1, 1)(x)
    assert (single - double).abs().max() > 1e-4
