import sys

import numpy as np
import pandas as pd
import pytest

from molvae.bundled import bundled
from molvae.features import TokenFeaturizer
from molvae.features.graphs import GraphFeaturizer
from molvae.features.pooled import encode_chunks, label
from molvae.workers import LocalProcesses

SMILES = pd.read_csv(bundled("moses_test.csv.gz"), nrows=2_300)["SMILES"].tolist()


DEADLY = """
import os, signal
import numpy as np
from molvae.features import Features

class Deadly:
    def encode(self, smiles):
        if "dies" in smiles: os.kill(os.getpid(), signal.SIGSEGV)
        ok = np.array([text != "unwritten" for text in smiles], bool)
        x = np.array([[len(text)] for text in smiles], np.uint16).reshape(-1, 1)
        return Features(x, ok, [None if good else "why" for good in ok])
"""


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """A featurizer whose worker dies at one molecule, and which cannot write another."""
    (tmp_path / "deadly_featurizer.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("deadly_featurizer", None)
    import deadly_featurizer

    return deadly_featurizer.Deadly()


def test_chunks_are_encoded_as_one_process_encodes_them():
    featurizer = TokenFeaturizer.from_corpus(SMILES[:500], vocabulary_size=80)
    view = GraphFeaturizer.from_corpus(SMILES)
    chunks = [SMILES[:2_100], SMILES[2_100:2_101], [], SMILES[2_101:]]
    answers = encode_chunks(chunks, featurizer, view, LocalProcesses(2))
    for chunk, (rebuilt, seen) in zip(chunks, answers, strict=True):
        for found, expected in ((rebuilt, featurizer.encode(chunk)), (seen, view.encode(chunk))):
            np.testing.assert_array_equal(found.x, expected.x)
            np.testing.assert_array_equal(found.ok, expected.ok)
            assert found.reason == expected.reason


@pytest.mark.parametrize("with_view", [False, True])
def test_a_molecule_that_ends_its_worker_costs_itself_only(deadly, with_view):
    ((rebuilt, view),) = encode_chunks([["CC", "dies", "unwritten", "CCC"]], deadly, deadly if with_view else None)
    assert rebuilt.x[:, 0].tolist() == [2, 0, 9, 3]
    assert rebuilt.ok.tolist() == [True, False, False, True]
    assert rebuilt.reason[1].startswith("crash: ")
    assert rebuilt.reason[2] == "why"
    assert (view is not None) == with_view
    if view is not None:
        assert view.ok.tolist() == rebuilt.ok.tolist()


def test_labels_are_properties_in_order_and_packed_bits():
    labels = label("CCO", ("mol_weight", "logp"), 64)
    assert labels.properties[0] == pytest.approx(46.07, abs=0.01)
    assert labels.properties[1] == pytest.approx(-0.0014, abs=1e-4)
    assert np.unpackbits(labels.bits).sum() == 6
    assert not len(label("CCO", ("logp",), 0).bits)
