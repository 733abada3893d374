import sys

import numpy as np
import pandas as pd
import pytest

from molvae.bundled import bundled
from molvae.features import TokenFeaturizer
from molvae.features.graphs import GraphFeaturizer
from molvae.features.parallel import encode_chunks, label
from molvae.workers import LocalProcesses

SMILES = pd.read_csv(bundled("moses_test.csv.gz"), nrows=2_300)["SMILES"].tolist()


CRASHING = """
import os, signal
import numpy as np
from molvae.features import Features

class Crashing:
    def encode(self, smiles):
        if "crash" in smiles: os.kill(os.getpid(), signal.SIGSEGV)
        ok = np.array([one != "not ok" for one in smiles], bool)
        x = np.array([[len(one)] for one in smiles], np.uint16).reshape(-1, 1)
        return Features(x, ok, [None if good else "reason" for good in ok])
"""


@pytest.fixture
def crashing(tmp_path, monkeypatch):
    """A featurizer that crashes its worker at one molecule and rejects another."""
    (tmp_path / "crashing_featurizer.py").write_text(CRASHING)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("crashing_featurizer", None)
    import crashing_featurizer

    return crashing_featurizer.Crashing()


def test_worker_processes_do_not_change_the_features():
    featurizer = TokenFeaturizer.from_corpus(SMILES[:500], vocabulary_size=80)
    view = GraphFeaturizer.from_corpus(SMILES)
    chunks = [SMILES[:2_100], SMILES[2_100:2_101], [], SMILES[2_101:]]
    answers = encode_chunks(chunks, featurizer, view, LocalProcesses(2))
    for chunk, (output, read) in zip(chunks, answers, strict=True):
        for found, expected in ((output, featurizer.encode(chunk)), (read, view.encode(chunk))):
            np.testing.assert_array_equal(found.x, expected.x)
            np.testing.assert_array_equal(found.ok, expected.ok)
            assert found.reason == expected.reason


@pytest.mark.parametrize("with_view", [False, True])
def test_a_molecule_that_crashes_its_worker_is_the_only_one_lost(crashing, with_view):
    ((output, view),) = encode_chunks([["CC", "crash", "not ok", "CCC"]], crashing, crashing if with_view else None)
    assert output.x[:, 0].tolist() == [2, 0, 6, 3]
    assert output.ok.tolist() == [True, False, False, True]
    assert output.reason[1].startswith("crash: ")
    assert output.reason[2] == "reason"
    assert (view is not None) == with_view
    if view is not None:
        assert view.ok.tolist() == output.ok.tolist()


def test_labels_are_properties_in_order_and_packed_bits():
    labels = label("CCO", ("mol_weight", "logp"), 64)
    assert labels.properties[0] == pytest.approx(46.07, abs=0.01)
    assert labels.properties[1] == pytest.approx(-0.0014, abs=1e-4)
    assert np.unpackbits(labels.bits).sum() == 6
    assert not len(label("CCO", ("logp",), 0).bits)
