"""Functions of molecules take RDKit molecules like SMILES, and keep the row labels of a Series."""

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

import molvae
from molvae.chem import fingerprints
from molvae.chem.properties import compute
from molvae.chem.scaffolds import murcko
from molvae.codec import ToyCodec

SMILES = [
    "CC(=O)Nc1ccc(O)cc1",
    "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
    "CC(C)NCC(O)COc1cccc2ccccc12",
    "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    "NC(=O)c1cccnc1",
]
LABELS = [f"m{i}" for i in range(len(SMILES))]


@pytest.fixture(scope="module")
def codec():
    return molvae.load_codec()


@pytest.fixture(scope="module")
def mols():
    return [Chem.AddHs(Chem.MolFromSmiles(one)) if i % 2 else Chem.MolFromSmiles(one) for i, one in enumerate(SMILES)]


CALLS = {
    "encode": lambda codec, given: pd.DataFrame(codec.encode(given).z, index=codec.encode(given).labels),
    "neighbors of": lambda codec, given: codec.neighbors(given, SMILES, k=2),
    "neighbors in": lambda codec, given: codec.neighbors(SMILES[:2], given, k=2),
    "project": lambda codec, given: codec.project(given).table,
    "explain_units": lambda codec, given: codec.explain_units(given, units=[0]),
    "applicability_domain": lambda codec, given: codec.applicability_domain(given, reference=given),
    "check_molecules": lambda codec, given: molvae.check_molecules(given, reference=given),
    "compute": lambda codec, given: compute(given, ["tpsa", "qed"]),
    "nearest_references": lambda codec, given: pd.DataFrame(fingerprints.nearest_references(given, given)),
    "morgan_bits": lambda codec, given: pd.DataFrame(fingerprints.morgan_bits(given)),
    "morgan_counts": lambda codec, given: pd.DataFrame(fingerprints.morgan_counts(given)),
    "CodecTransformer": lambda codec, given: pd.DataFrame(molvae.CodecTransformer(codec).fit_transform(given)),
    "FingerprintTransformer": lambda codec, given: pd.DataFrame(molvae.FingerprintTransformer().fit_transform(given)),
    "optimize": lambda codec, given: molvae.optimize(
        lambda smiles: [len(one) for one in smiles], budget=8, codec=ToyCodec(), start=given
    ).table.drop(columns="raw_smiles"),
    "build_candidates": lambda codec, given: molvae.build_candidates(
        molvae.optimize(lambda smiles: [len(one) for one in smiles], budget=9, codec=ToyCodec(), seed=1).table, given
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_molecules_and_smiles_give_the_same_table(codec, mols, name):
    call = CALLS[name]
    expected = call(codec, SMILES)
    pd.testing.assert_frame_equal(call(codec, mols), expected)
    labeled = call(codec, pd.Series(mols, index=LABELS))
    pd.testing.assert_frame_equal(labeled, call(codec, pd.Series(SMILES, index=LABELS)))
    if len(expected) == len(SMILES) and name in (
        "encode",
        "project",
        "applicability_domain",
        "check_molecules",
        "compute",
    ):
        assert labeled.index.tolist() == LABELS


@pytest.mark.filterwarnings("ignore")
def test_single_molecules_are_accepted(codec, mols):
    first, second = mols[1], mols[3]
    pd.testing.assert_frame_equal(codec.neighborhood(first, n=1), codec.neighborhood(SMILES[1], n=1))
    pd.testing.assert_frame_equal(codec.interpolate(first, second, n=2), codec.interpolate(SMILES[1], SMILES[3], n=2))
    direction = np.ones(codec.n_latent)
    pd.testing.assert_frame_equal(
        codec.move(first, direction, distances=[0, 2]), codec.move(SMILES[1], direction, distances=[0, 2])
    )
    assert fingerprints.tanimoto(first, mols).tolist() == fingerprints.tanimoto(SMILES[1], SMILES).tolist()
    assert murcko(first) == murcko(SMILES[1])


def test_a_fragment_can_be_a_molecule(codec):
    fragment = "[*:1]c1ccncc1"
    mol = Chem.MolFromSmiles(fragment)
    fragment = Chem.MolToSmiles(mol)  # the atoms of a fragment are kept in their order
    pd.testing.assert_frame_equal(codec.infill(mol, tries=4), codec.infill(fragment, tries=4))
    z = codec.draw(1)
    assert codec.decode_with(mol, z) == codec.decode_with(fragment, z)
