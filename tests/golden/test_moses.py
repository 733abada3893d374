"""Metrics compared with published values: those in the tests of molsets, and those of MOSES for its training set."""

import numpy as np
import pandas as pd
import pytest

from molvae.benchmark.comparison import evaluate_rows
from molvae.bundled import bundled

GENERATED = [
    "CNC",
    "Oc1ccccc1-c1cccc2cnccc12",
    "INVALID",
    "CCCP",
    "Cc1noc(C)c1CN(C)C(=O)Nc1cc(F)cc(F)c1",
    "Cc1nc(NCc2ccccc2)no1-c1ccccc1",
]
TEST = ["Oc1ccccc1-c1cccc2cnccc12", "COc1cccc(NC(=O)Cc2coc3ccc(OC)cc23)c1"]
MOLSETS = {
    "valid": 2 / 3,
    "unique@1000": 1.0,
    "FCD/reference": 52.58371754126664,
    "SNN/reference": 0.3152585653588176,
    "Frag/reference": 0.3,
    "Scaf/reference": 0.5,
    "IntDiv": 0.7189187309761661,
    "Filters": 0.75,
    "logP/reference": 1.63229,
    "QED/reference": 0.20370891752648637,
    "weight/reference": 106.87,
    "SA/reference": 0.62803622,
}
"""Values of tests/test_metrics.py in the PyPI package molsets 0.3.1, except for SA (0.524 there), which depends on the
version of RDKit: this value was computed with sascorer.py of molsets and RDKit 2026.09."""


def test_metrics_equal_those_of_molsets() -> None:
    metrics = evaluate_rows(((smiles, None) for smiles in GENERATED), TEST, TEST).moses()
    assert {name: metrics[name] for name in MOLSETS} == pytest.approx(MOLSETS, rel=1e-5)
    assert metrics["Novelty"] == 3 / 4


@pytest.mark.slow
def test_metrics_of_the_training_set_equal_the_published_values() -> None:
    """The baseline of MOSES: 30,000 molecules of the training set, compared with the test set.

    Measured with this code: FCD .0472, SNN .6421, IntDiv .8567, Filters 1, Frag .99992, Scaf .9484. Compared with
    TestSF: FCD .513, SNN .5859, Frag .9986, Scaf 0.
    """
    train = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].to_numpy()
    rows = np.random.default_rng(0).permutation(len(train))[:30_000]
    metrics = evaluate_rows((smiles, None) for smiles in train[rows]).moses()
    assert metrics["valid"] == 1
    assert metrics["FCD/Test"] == pytest.approx(0.049, abs=0.01)
    assert metrics["SNN/Test"] == pytest.approx(0.6435, abs=0.002)
    assert metrics["IntDiv"] == pytest.approx(0.8564, abs=0.001)
    assert metrics["Filters"] == pytest.approx(1, abs=1e-4)
    assert metrics["Frag/Test"] == pytest.approx(0.9999, abs=0.0002)
    assert metrics["Scaf/Test"] == pytest.approx(0.947, abs=0.01)
