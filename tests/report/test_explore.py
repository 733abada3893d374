"""The data of the plots of the report."""

import numpy as np
import pandas as pd
import pytest

from molvae.report.explore import (
    explore_data,
    map_search,
    marked_atoms,
    scaffold_table,
    scaffolds_of,
    surrogate_quality,
)


class Encoding:
    """What `Codec.encode` returns, as far as the map needs it."""

    def __init__(self, smiles: list[str]) -> None:
        self.ok = np.array([one != "bad" for one in smiles])
        self.z = np.array([[len(one), 0.0, 1.0] if one != "bad" else [np.nan] * 3 for one in smiles], np.float32)


class FakeCodec:
    """A codec whose latent vectors depend on the length of the SMILES."""

    def encode(self, smiles: list[str]) -> Encoding:
        return Encoding(smiles)


def test_known_molecules_are_on_the_same_map() -> None:
    z = np.array([[1, 0, 1], [2, 0, 1], [3, 0, 1], [9, 4, 1], [np.inf, 0, 0]], np.float32)
    known = pd.DataFrame({"kind": "assay", "smiles": ["CC", "bad", "CCC"], "label": ["a", "b", "c"]})
    drawn = map_search(z, known, FakeCodec())
    assert drawn is not None
    assert drawn.known["label"].tolist() == ["a", "c"]  # the other cannot be encoded
    np.testing.assert_allclose(drawn.known[["x", "y"]].to_numpy(), drawn.xy[[1, 2]], atol=1e-5)
    assert np.isnan(drawn.xy[4]).all()
    assert map_search(z[:1]) is None


def test_the_points_of_the_map_follow_the_latent_rows(candidates: pd.DataFrame) -> None:
    drawn = map_search(np.array([[4, 0], [3, 0], [2, 0], [1, 0]], np.float32))
    ordered = candidates.iloc[[2, 0, 1, 3]].reset_index(drop=True)
    found = explore_data(ordered, pd.DataFrame({"logp": [1.0, np.nan]}), drawn)
    assert drawn is not None
    assert found["map"]["x"] == pytest.approx(drawn.xy[[2, 0, 1, 3], 0], rel=1e-3)
    assert found["map"]["path"] == [1]  # the first scored molecule is the best of all
    assert found["reference"] == {"logp": [1.0]}


def test_the_surrogate_is_measured_in_windows_of_calls() -> None:
    n = 60
    score = np.arange(n) / n
    predicted = np.where(np.arange(n) < 40, score, -score)
    table = pd.DataFrame({"latent_row": np.arange(n)[::-1], "score": score[::-1], "predicted_score": predicted[::-1]})
    quality = surrogate_quality(table.assign(latent_row=range(n), score=score, predicted_score=predicted))
    assert quality["calls"].tolist() == [20, 40, 60]
    assert quality["spearman"].tolist() == pytest.approx([1, 1, -1])
    assert surrogate_quality(table).equals(surrogate_quality(table.iloc[::-1]))
    assert surrogate_quality(table.iloc[:10]).empty
    assert surrogate_quality(table.drop(columns="predicted_score")).empty


def test_a_constant_score_has_no_rank_correlation() -> None:
    table = pd.DataFrame({"latent_row": range(20), "score": 0.5, "predicted_score": np.arange(20)})
    assert surrogate_quality(table)["spearman"].isna().all()


def test_scaffolds_are_sorted_by_their_best_molecule(candidates: pd.DataFrame) -> None:
    table = scaffold_table(candidates)
    assert table["scaffold"].tolist() == ["c1ccccc1", "C1CCCCC1", "c1ccncc1"]
    assert table["n"].tolist() == [2, 1, 1]
    assert table["n_passed"].tolist() == [1, 1, 0]
    assert table["best_id"].tolist() == ["C000001", "C000002", ""]
    assert scaffolds_of(candidates.drop(columns="scaffold")) == candidates["scaffold"].tolist()


def test_atoms_of_the_named_alerts_are_marked(candidates: pd.DataFrame) -> None:
    assert marked_atoms(candidates) == {2: [0, 1]}
    assert marked_atoms(candidates.drop(columns="check_alerts")) == {2: [0, 1]}
