"""Small assays from molecules of the MOSES test set; the values follow from logP and TPSA."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.bundled import bundled
from molvae.chem.properties import compute


@pytest.fixture(scope="session")
def molecules() -> pd.DataFrame:
    """150 molecules: smiles, and a learnable pIC50 with little noise, from about 4 to 9."""
    smiles = pd.read_csv(bundled("moses_test.csv.gz"), nrows=150).iloc[:, 0].tolist()
    values = compute(smiles, ["logp", "tpsa"])
    y = 6 + 0.9 * (values["logp"] - 2.5) - 0.02 * (values["tpsa"] - 60)
    noise = np.random.default_rng(0).normal(0, 0.1, len(smiles))
    return pd.DataFrame({"smiles": smiles, "pIC50": (y + noise).round(3)})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a table as CSV: `write(table, name="assay.csv")`."""

    def write(table: pd.DataFrame, name: str = "assay.csv") -> Path:
        path = tmp_path / name
        table.to_csv(path, index=False)
        return path

    return write
