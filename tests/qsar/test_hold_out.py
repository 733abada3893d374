"""Series that are held out of an assay: which ones, and that nothing similar is left."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError
from molvae.qsar.assay import Assay, read_assay
from molvae.qsar.hold_out import HeldOut, hold_out_series, leave_out
from molvae.workers import Serial

TAILS = ["C", "CC", "CCC", "CCCC", "F", "Cl", "OC", "FC(F)(F)"]
CORES = {"c1ccc(cc1)-c1ccccc1": 8.0, "c1ccc2[nH]ccc2c1": 6.0, "c1ccncc1": 7.0, "C1CCNCC1": 9.0}
"""Scaffold -> mean value; the last one has only four molecules."""


@pytest.fixture
def assay(tmp_path: Path) -> Assay:
    rows = []
    for core, mean in CORES.items():
        for i, tail in enumerate(TAILS[: 4 if mean == 9 else 8]):
            rows.append((f"{tail}{core}" if core != "C1CCNCC1" else f"{tail}N1CCCCC1", mean + 0.1 * i))
    rows += [(f"{'C' * i}O", 5.0 + i / 10) for i in range(2, 8)] + [("CCCCN", 5.5), ("Cc1ccc(-c2ccccc2)cc1O", 3.0)]
    pd.DataFrame(rows, columns=["smiles", "pKi"]).to_csv(tmp_path / "assay.csv", index=False)
    return read_assay(tmp_path / "assay.csv", mapper=Serial())


def best(assay: Assay, **options: float) -> HeldOut:
    return hold_out_series(assay, lambda values: values, **({"min_molecules": 6} | options))


def test_the_best_series_of_sufficient_size_is_held_out(assay: Assay) -> None:
    held_out = best(assay)
    assert set(held_out.series["scaffold"]) == {"c1ccc(-c2ccccc2)cc1"}
    assert len(held_out.series) == 9
    assert {murcko(one) for one in held_out.series["smiles"]} == {"c1ccc(-c2ccccc2)cc1"}
    measured = assay.table.set_index("smiles")["value"]
    assert (measured[held_out.table["smiles"]].to_numpy() == held_out.table["value"].to_numpy()).all()


def test_the_direction_and_the_size_decide(assay: Assay) -> None:
    lowest = hold_out_series(assay, lambda values: -values, min_molecules=6)
    assert set(lowest.series["scaffold"]) == {"c1ccc2[nH]ccc2c1"}
    assert set(best(assay, min_molecules=4).series["scaffold"]) == {"C1CCNCC1"}


def test_nothing_similar_is_left(assay: Assay) -> None:
    held_out = best(assay, similarity=0.3)
    rest = leave_out(assay, held_out)
    matrix = tanimoto_matrix(*(morgan_bits(one["smiles"].tolist()) for one in (rest.table, held_out.series)))
    assert matrix.max() < 0.3
    similar = held_out.table[held_out.table["scaffold"].isna()]
    assert len(similar) > 0
    assert len(rest.table) + len(held_out.table) == len(assay.table)
    assert len(leave_out(assay, best(assay, similarity=1)).table) == len(assay.table) - 9
    assert "held out" in rest.notes[-1]


def test_several_series_are_in_order(assay: Assay) -> None:
    held_out = best(assay, n_series=2, similarity=1)
    assert list(dict.fromkeys(held_out.series["scaffold"])) == ["c1ccc(-c2ccccc2)cc1", "c1ccncc1"]


def test_the_table_is_read_back(assay: Assay, tmp_path: Path) -> None:
    held_out = best(assay, similarity=0.3)
    held_out.write(tmp_path / "held_out.csv")
    again = HeldOut.read(tmp_path / "held_out.csv", 0.3)
    pd.testing.assert_frame_equal(again.table, held_out.table)
    smiles = assay.table["smiles"].tolist()
    np.testing.assert_array_equal(again.covers(smiles), held_out.covers(smiles))
    assert again.covers([]).shape == (0,)


@pytest.mark.parametrize(
    ("options", "fact"), [({"min_molecules": 30}, "30"), ({"n_series": 4}, "expected 4 scaffolds")]
)
def test_too_few_series_are_refused(assay: Assay, options: dict[str, int], fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        best(assay, **options)


def test_too_few_molecules_left_are_refused(assay: Assay) -> None:
    with pytest.raises(InputError, match="left"):
        leave_out(assay, best(assay, n_series=3, similarity=0.1))
