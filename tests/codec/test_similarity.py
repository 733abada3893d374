import io

import numpy as np
import pandas as pd
import pytest

import molvae
from molvae.bundled import bundled
from molvae.chem.fingerprints import tanimoto
from molvae.errors import InputError

DRUGS = ["CC(=O)Nc1ccc(O)cc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"]
UNREADABLE = ["no molecule", "C[Si](C)(C)C", None]


@pytest.fixture(scope="module")
def codec():
    return molvae.load_codec("moses")


@pytest.fixture(scope="module")
def library(codec):
    return codec.encode(pd.read_csv(bundled("moses_test.csv.gz"), nrows=60)["SMILES"])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbors_are_those_of_comparing_all(codec, library, metric):
    table = codec.neighbors(DRUGS, library, k=7, metric=metric)
    query = codec.encode(DRUGS).z.astype(float)
    for place, z in enumerate(query):
        others = library.z.astype(float)
        if metric == "cosine":
            distances = 1 - others @ z / np.linalg.norm(others, axis=1) / np.linalg.norm(z)
        else:
            distances = np.linalg.norm(others - z, axis=1)
        nearest = np.argsort(distances, kind="stable")[:7]
        found = table[table["query"] == place]
        assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7]
        assert found["row"].tolist() == nearest.tolist()
        assert found["smiles"].tolist() == [library.smiles[row] for row in nearest]
        np.testing.assert_allclose(found["distance"], distances[nearest], rtol=1e-4)
        np.testing.assert_allclose(found["tanimoto"], tanimoto(DRUGS[place], found["smiles"].tolist()))
    assert table["reason"].isna().all()


def test_a_molecule_of_the_library_is_its_own_first_neighbor(codec, library):
    table = codec.neighbors(library.smiles[5], library, k=1)
    assert table[["query", "rank", "row", "tanimoto"]].to_numpy().tolist() == [[0, 1, 5, 1]]
    assert table["distance"].iloc[0] == pytest.approx(0, abs=1e-6)


def test_a_library_may_be_a_list_or_encoded_once(codec):
    smiles = [*DRUGS, *UNREADABLE, "CCO"]
    pd.testing.assert_frame_equal(codec.neighbors("OCC", smiles), codec.neighbors("CCO", codec.encode(smiles)))


def test_what_cannot_be_read_is_never_a_neighbor(codec):
    table = codec.neighbors(["CCO", "no molecule", DRUGS[1]], [*UNREADABLE, *DRUGS], k=10)
    assert table.attrs["unreadable"] == 3
    assert table["query"].tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert set(table["row"].dropna()) == {3, 4, 5}
    assert table["row"].iloc[4] == 4  # the molecule itself, in the library's own count
    unread = table.iloc[3]
    assert unread["reason"]
    assert unread[["query_smiles", "rank", "row", "smiles", "distance", "tanimoto"]].isna().all()


def test_no_query_gives_no_rows_but_all_columns(codec):
    table = codec.neighbors([], DRUGS)
    assert table.empty
    assert table.columns.tolist() == codec.neighbors("CCO", DRUGS).columns.tolist()
    only_unreadable = codec.neighbors(UNREADABLE, DRUGS)
    assert only_unreadable["reason"].notna().tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("library", "options", "message"),
    [
        ([], {}, "library: expected at least one molecule that can be read, got none of 0"),
        (UNREADABLE, {}, "library: expected at least one .* none of 3; the first: "),
        (DRUGS, {"k": 0}, "k: expected a whole number of at least 1"),
        (DRUGS, {"k": 2.5}, "k: expected a whole number"),
        (DRUGS, {"metric": "jaccard"}, "metric: expected 'cosine' or 'euclidean', got 'jaccard'"),
    ],
)
def test_neighbors_that_cannot_be_found_say_why(codec, library, options, message):
    with pytest.raises(InputError, match=message):
        codec.neighbors("CCO", library, **options)


def test_a_map_places_each_molecule_that_can_be_read(codec, library):
    drawn = codec.project([*DRUGS, *UNREADABLE, *library.smiles[:40]])
    table = drawn.table
    assert table["row"].tolist() == list(range(46))
    assert table["x"].isna().tolist() == [False] * 3 + [True] * 3 + [False] * 40
    assert (
        table["reason"].notna().tolist() == table["y"].isna().tolist() == np.isnan(drawn.fingerprint_xy[:, 0]).tolist()
    )
    assert table["smiles"].tolist()[:3] == DRUGS
    points = codec.encode([*DRUGS, *library.smiles[:40]]).z.astype(float)
    expected = np.linalg.svd(points - points.mean(0), full_matrices=False)
    spread = np.sort(table[["x", "y"]].dropna().std(ddof=0))[::-1]
    np.testing.assert_allclose(spread, expected[1][:2] / np.sqrt(43), rtol=1e-3)


def test_a_map_says_how_far_to_trust_it(codec, library):
    quality = codec.project(library, method="tsne").quality.set_index(["map", "neighbors_by"])
    assert quality.index.tolist() == [("codes", "codes"), ("codes", "fingerprints"), ("fingerprints", "fingerprints")]
    assert quality["trustworthiness"].between(0.5, 1).all()
    assert quality["preservation"].between(10 / 59, 1).all()  # better than chance
    assert quality.loc[("codes", "codes"), "preservation"] > quality.loc[("codes", "fingerprints"), "preservation"]
    assert (quality["k"] == 10).all()
    assert quality["reason"].isna().all()


def test_the_same_seed_the_same_map(codec, library):
    smiles = library.smiles[:30]
    first, again = codec.project(smiles, method="tsne", seed=3), codec.project(smiles, method="tsne", seed=3)
    pd.testing.assert_frame_equal(first.table, again.table)
    pd.testing.assert_frame_equal(first.quality, again.quality)


def test_a_map_of_three_and_of_two_molecules_is_made(codec):
    three = codec.project(DRUGS)
    assert three.table[["x", "y"]].notna().all(axis=None)
    assert (three.quality["k"] == 1).all()
    two = codec.project([*DRUGS[:2], "no molecule"])
    assert two.table["x"].notna().tolist() == [True, True, False]
    assert two.quality["trustworthiness"].isna().all()
    assert two.quality["reason"].str.contains("too few").all()
    assert len(two.plot().axes) == 2


@pytest.mark.parametrize(
    ("smiles", "method", "message"),
    [
        ([], "pca", "a map needs at least 2 molecules that can be read, got 0 of 0"),
        (["CCO", "no molecule"], "pca", "at least 2 molecules that can be read, got 1 of 2; the first that cannot: "),
        (DRUGS, "tsne", "a map by tsne needs at least 5 finite points, got 3 of 3"),
        (DRUGS, "globe", "method: expected 'pca' or 'tsne', got 'globe'"),
    ],
)
def test_a_map_that_cannot_be_drawn_says_why(codec, smiles, method, message):
    with pytest.raises(InputError, match=message):
        codec.project(smiles, method=method)


def test_a_map_is_drawn_beside_that_of_fingerprints(codec, library):
    drawn = codec.project([*library.smiles[:20], "no molecule"])
    figure = drawn.plot(np.arange(21.0), "logP")
    assert [axis.get_title().split(":")[0] for axis in figure.axes[:2]] == ["codes", "fingerprints"]
    np.testing.assert_allclose(
        figure.axes[0].collections[0].get_offsets()[:20], drawn.table[["x", "y"]][:20], rtol=1e-6
    )
    assert figure.axes[2].get_ylabel() == "logP"
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert len(picture.getvalue()) > 5000
    import matplotlib.pyplot as plt

    assert not plt.get_fignums()
    with pytest.raises(InputError, match="values: expected 21 numbers"):
        drawn.plot([1.0, 2.0])
    with pytest.raises(InputError, match="values: expected one number"):
        drawn.plot(["a"] * 21)
