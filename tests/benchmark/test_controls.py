"""The comparison of a search with its controls: equal calls, held-out molecules, and a plain verdict."""

import numpy as np
import pandas as pd
import pytest

from molvae.benchmark.controls import Hidden, compare_methods, verdict
from molvae.errors import InputError

SERIES = ["Cc1ccc(C(=O)N2CCCCC2)cc1", "Clc1ccc(C(=O)N2CCCCC2)cc1"]
HIDDEN = Hidden([*SERIES, "C[C@H](N)C(=O)O"], SERIES, 0.6)


def scored(smiles: list[str], score: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"smiles": smiles, "score": score})


def test_all_methods_are_cut_to_equal_calls() -> None:
    long = scored([f"{'C' * i}O" for i in range(1, 21)], [i / 20 for i in range(20)])
    short = scored([f"{'C' * i}N" for i in range(1, 13)], [np.nan, *(i / 20 for i in range(11))])
    table = compare_methods({"evolution": long, "prior": short}).set_index("name")
    assert table["n"].tolist() == [12, 12]
    assert table["role"].tolist() == ["search", "control"]
    assert table.loc["evolution", "best"] == 11 / 20
    assert table.loc["evolution", "top10"] == pytest.approx(np.mean([i / 20 for i in range(2, 12)]))
    assert table.loc["prior", "top10"] == pytest.approx(np.mean([i / 20 for i in range(1, 11)]))


def test_held_out_molecules_are_found_whatever_their_stereo() -> None:
    search = scored([SERIES[0], "C[C@@H](N)C(=O)O", "Cc1ccc(C(=O)N2CCCCCC2)cc1", "CCO"], [0.9, 0.1, 0.5, 0.2])
    control = scored(["CCO", "CCN", "CCC", "CCF"], [0.1, 0.2, 0.3, 0.4])
    table = compare_methods({"evolution": search, "prior": control}, HIDDEN, {"training": ["CCOC"]}).set_index("name")
    assert table["n_found"].tolist() == [2, 0, 0]
    assert table["n_similar"].tolist() == [2, 0, 0]
    assert table["n_reached"].tolist() == [2, 0, 0]
    assert table.loc["evolution", "highest_similarity"] == 1
    assert table.loc["training", "highest_similarity"] < 0.6
    assert np.isnan(table.loc["training", "top10"])


def test_the_verdict_names_a_control_that_is_as_good() -> None:
    better, worse = scored([SERIES[0]], [0.9]), scored(["CCO"], [0.3])
    good = verdict(compare_methods({"evolution": better, "random_directions": worse}, HIDDEN), 3)
    assert len(good) == 2
    assert not any("not better" in one or "no more than" in one for one in good)
    bad = verdict(compare_methods({"evolution": worse, "random_directions": worse, "prior": better}, HIDDEN))
    assert "not better than the control prior" in bad[0]
    assert "no more than the control prior, which found 1 and 1" in bad[1]


def test_without_a_method_there_is_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="at least one method"):
        compare_methods({})
    assert verdict(compare_methods({"evolution": scored(["CCO"], [0.5])})) == []
    empty = compare_methods({"evolution": scored(["CCO"], [np.nan])})
    assert empty["top10"].isna().all()
