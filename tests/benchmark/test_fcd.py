import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.benchmark.distribution import load_test_smiles
from molvae.benchmark.fcd import FCD_FLOORS, FcdStatistics, fcd, fcd_floor
from molvae.bundled import bundled
from molvae.chem.molecules import canonicalize
from molvae.errors import InputError


def test_the_fcd_is_the_same_as_with_fcd_torch() -> None:
    from fcd_torch import FCD

    test = load_test_smiles()
    a = [canonicalize(smiles).smiles or "" for smiles in test[:60]]
    b = [canonicalize(smiles).smiles or "" for smiles in test[60:130]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = FCD(n_jobs=1)(b, a)
    assert fcd(a, FcdStatistics.of(b))[0] == pytest.approx(expected, rel=1e-3)
    assert fcd(a, FcdStatistics.of(a))[0] == pytest.approx(0, abs=1e-5)
    assert fcd(a[:1], FcdStatistics.of(b)) == [None]


@pytest.mark.parametrize(("name", "n"), [("moses_test", 176_074), ("moses_test_scaffolds", 176_225)])
def test_bundled_statistics_match_the_bundled_test_sets(name: str, n: int) -> None:
    bundle = FcdStatistics.load(bundled(f"{name}_fcd.npz"))
    test = pd.read_csv(bundled(f"{name}.csv.gz"))["SMILES"].tolist()
    assert bundle.n == len(test) == n
    sample = FcdStatistics.of([canonicalize(s).smiles or "" for s in test[::1500]])
    error = np.sqrt(np.diag(bundle.covariance) / sample.n)
    used = error > 1e-6
    assert used.sum() > 300
    assert (np.abs(sample.mean - bundle.mean)[used] < 6 * error[used]).all()
    assert np.allclose(bundle.covariance, bundle.covariance.T)


def test_statistics_round_trip(tmp_path: Path) -> None:
    statistics = FcdStatistics.of(["CCO", "CCN", "c1ccccc1", "CCCC"])
    statistics.save(tmp_path / "a.npz")
    statistics.save(tmp_path / "b.npz")
    back = FcdStatistics.load(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert back.n == 4
    np.testing.assert_array_equal(back.mean, statistics.mean)
    np.testing.assert_allclose(back.covariance, statistics.covariance, rtol=1e-6, atol=1e-12)


def test_unreadable_statistics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        FcdStatistics.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"\.npz"):
        FcdStatistics.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", mean=np.zeros(3))
    with pytest.raises(InputError, match=r"\.npz"):
        FcdStatistics.load(tmp_path / "b.npz")
    with pytest.raises(InputError, match="got 1"):
        FcdStatistics.of(["C"])


@pytest.mark.parametrize(("n", "near"), [(1, 1_000), (1_000, 1_000), (3_000, 2_000), (4_000, 5_000), (10**6, 30_000)])
def test_the_floor_has_the_nearest_size(n: int, near: int) -> None:
    assert fcd_floor(n) == (near, FCD_FLOORS[near])
