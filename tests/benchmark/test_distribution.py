from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from molvae.benchmark.distribution import (
    MOSES_REFERENCES,
    Distribution,
    MoleculeSet,
    Reference,
    read_canonical,
    read_moses_training_smiles,
    read_set,
)
from molvae.bundled import bundled
from molvae.chem.metrics import PROPERTY_NAMES, describe
from molvae.chem.properties import compute
from molvae.errors import InputError

ROWS = [
    ("OCC", None),
    ("CCO", None),
    ("C1CC", None),
    (None, "too long: a line of more than 10 characters"),
    ("c1ccc2ccccc2c1Cl", None),
    ("CCP", None),
    ("CCCCl", None),
]


@pytest.fixture(scope="module")
def molecules() -> MoleculeSet:
    return read_set(ROWS)


def test_every_row_is_counted(molecules: MoleculeSet) -> None:
    assert molecules.n == 7
    assert molecules.smiles == ["CCO", "CCO", "Clc1cccc2ccccc12", "CCP", "CCCCl"]  # duplicates are kept
    assert molecules.invalid_reasons == {"invalid SMILES": 1, "too long": 1}
    assert molecules.failed_filters == {"MCF": 1, "element not allowed": 1}
    assert len(molecules.bits) == molecules.distribution.n == 5


def test_duplicates_count_in_the_distribution(molecules: MoleculeSet) -> None:
    distribution = molecules.distribution
    assert distribution.fragments["CCO"] == 2
    assert distribution.scaffolds == {"c1ccc2ccccc2c1": 1}
    weights = sorted(compute(molecules.smiles, ["mol_weight"])["mol_weight"])
    assert distribution.properties["mol_weight"].tolist() == weights


def test_distribution_round_trip(molecules: MoleculeSet, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        molecules.distribution.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = Distribution.load(tmp_path / "a.npz")
    assert back.n == 5
    assert back.fragments == molecules.distribution.fragments
    assert back.scaffolds == molecules.distribution.scaffolds
    for name in PROPERTY_NAMES:
        np.testing.assert_allclose(back.properties[name], molecules.distribution.properties[name], atol=5.01e-5)


def test_empty_distribution_round_trip(tmp_path: Path) -> None:
    Distribution({}, {}, {name: np.empty(0) for name in PROPERTY_NAMES}, 0).save(tmp_path / "a.npz")
    assert Distribution.load(tmp_path / "a.npz").fragments == {}


def test_unreadable_distributions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Distribution.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"\.npz"):
        Distribution.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", n=3)
    with pytest.raises(InputError, match=r"\.npz"):
        Distribution.load(tmp_path / "b.npz")


def test_smiles_are_canonicalized_row_by_row() -> None:
    def rows() -> Iterator[tuple[str | None, str | None]]:
        yield from ROWS[:4]

    assert list(read_canonical(rows())) == ["CCO", "CCO", None, None]


def test_a_reference_without_molecules_is_refused() -> None:
    with pytest.raises(InputError, match=r"x\.smi"):
        Reference.of(["invalid"], "reference", "x.smi")
    one = Reference.of(["CCO"], "reference", "x.smi")
    assert one.statistics is None
    assert one.distribution.n == 1


def test_the_training_set_is_iterated() -> None:
    assert next(read_moses_training_smiles()) == "CCCS(=O)c1ccc2[nH]c(=NC(=O)OC)[nH]c2c1"


@pytest.mark.parametrize("name", MOSES_REFERENCES)
def test_bundled_distributions_match_the_bundled_sets(name: str) -> None:
    import pandas as pd

    stem, _ = MOSES_REFERENCES[name]
    smiles = pd.read_csv(bundled(f"{stem}.csv.gz"))["SMILES"]
    bundle = Distribution.load(bundled(f"{stem}_distribution.npz"))
    assert bundle.n == len(smiles)
    assert all(len(values) == bundle.n for values in bundle.properties.values())
    assert all((np.diff(values) >= 0).all() for values in bundle.properties.values())
    assert sum(bundle.scaffolds.values()) <= bundle.n < sum(bundle.fragments.values())
    for text in smiles[::3000]:
        found = describe(text, with_filters=False)
        assert all(fragment in bundle.fragments for fragment in found.fragments)
        assert found.scaffold is None or found.scaffold in bundle.scaffolds
        for property_name, value in zip(PROPERTY_NAMES, found.properties, strict=True):
            values = bundle.properties[property_name]
            assert np.abs(values - value).min() < 5.01e-5
    sample = compute(smiles[::600].tolist(), PROPERTY_NAMES)
    for property_name in PROPERTY_NAMES:
        values = bundle.properties[property_name]
        assert abs(sample[property_name].mean() - values.mean()) < 5 * values.std() / len(sample) ** 0.5
