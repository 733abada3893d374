import numpy as np
import pytest

from molvae.codec import MoleculeSpace, ToyCodec

ACETAMIDE, PICOLINE = "CC(N)=O", "Cc1ccccn1"


@pytest.fixture(scope="module")
def codec() -> MoleculeSpace:
    return ToyCodec()


def test_molecules_with_a_unique_fingerprint_are_reconstructed() -> None:
    codec = ToyCodec()
    assert len(set(codec.molecules)) == len(codec.molecules) == 360
    encoding = codec.encode(codec.molecules)
    assert encoding.ok.all()
    np.testing.assert_array_equal(encoding.z, codec.z)
    decoded = [one.smiles for one in codec.decode(encoding.z)]
    _, row, count = np.unique(codec.z, axis=0, return_index=True, return_counts=True)
    unique = row[count == 1]
    assert len(unique) > 300
    assert [decoded[i] for i in unique] == [codec.molecules[i] for i in unique]


def test_unknown_and_invalid_molecules_have_a_reason(codec: MoleculeSpace) -> None:
    encoding = codec.encode(["NC(C)=O", PICOLINE, "nonsense", None])
    assert encoding.ok.tolist() == [True, False, False, False]
    assert encoding.smiles == [ACETAMIDE, PICOLINE, None, None]
    assert [reason is None for reason in encoding.reason] == [True, False, False, False]
    assert np.isnan(encoding.z).all(1).tolist() == [False, True, True, True]
    assert codec.encode([]).z.shape == (0, codec.n_latent)


def test_a_latent_vector_far_from_all_molecules_is_invalid(codec: MoleculeSpace) -> None:
    near, far = codec.decode(np.stack([codec.encode([ACETAMIDE]).z[0], np.full(codec.n_latent, 50.0)]))
    assert near.smiles == ACETAMIDE
    assert far.smiles is None
    assert far.reason is not None
    assert codec.decode(np.empty((0, codec.n_latent))) == []


def test_draws_and_noise_depend_only_on_the_seed(codec: MoleculeSpace) -> None:
    z = codec.draw(20, seed=3)
    assert z.shape == (20, codec.n_latent)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(codec.draw(20, seed=3, spread=0.0), z)
    assert not np.array_equal(codec.draw(20, seed=4), z)
    assert codec.decode(z, noise=0.3, seed=1) == codec.decode(z, noise=0.3, seed=1)
    assert codec.decode(z, noise=0.9, seed=1) != codec.decode(z, noise=0.9, seed=2)


def test_a_misread_molecule_decodes_to_another() -> None:
    codec = ToyCodec(misread={ACETAMIDE: "CCNC(C)=O"})
    assert codec.decode(codec.encode([ACETAMIDE]).z)[0].smiles == "CCNC(C)=O"
