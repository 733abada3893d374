import base64
import io
import json
import re
import zlib
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import molvae
from molvae.bundled import bundled
from molvae.chem.drawing import draw_colored_svg
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
def test_neighbors_are_those_of_an_exhaustive_search(codec, library, metric):
    table = codec.neighbors(DRUGS, library, k=7, metric=metric)
    query = codec.encode(DRUGS).z.astype(float)
    for row, z in enumerate(query):
        others = library.z.astype(float)
        if metric == "cosine":
            distances = 1 - others @ z / np.linalg.norm(others, axis=1) / np.linalg.norm(z)
        else:
            distances = np.linalg.norm(others - z, axis=1)
        nearest = np.argsort(distances, kind="stable")[:7]
        found = table[table["query"] == row]
        assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7]
        assert found["row"].tolist() == nearest.tolist()
        assert found["smiles"].tolist() == [library.smiles[neighbor] for neighbor in nearest]
        np.testing.assert_allclose(found["distance"], distances[nearest], rtol=1e-4)
        np.testing.assert_allclose(found["tanimoto"], tanimoto(DRUGS[row], found["smiles"].tolist()))
    assert table["reason"].isna().all()


def test_a_molecule_of_the_library_is_its_own_first_neighbor(codec, library):
    table = codec.neighbors(library.smiles[5], library, k=1)
    assert table[["query", "rank", "row", "tanimoto"]].to_numpy().tolist() == [[0, 1, 5, 1]]
    assert table["distance"].iloc[0] == pytest.approx(0, abs=1e-6)


def test_molecules_and_their_encoding_have_the_same_neighbors(codec):
    smiles = [*DRUGS, *UNREADABLE, "CCO"]
    pd.testing.assert_frame_equal(codec.neighbors("OCC", smiles), codec.neighbors("CCO", codec.encode(smiles)))


def test_unreadable_molecules_are_never_neighbors(codec):
    table = codec.neighbors(["CCO", "no molecule", DRUGS[1]], [*UNREADABLE, *DRUGS], k=10)
    assert table.attrs["unreadable"] == 3
    assert table["query"].tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert set(table["row"].dropna()) == {3, 4, 5}
    assert table["row"].iloc[4] == 4  # the molecule itself
    unreadable = table.iloc[3]
    assert unreadable["reason"]
    assert unreadable[["query_smiles", "rank", "row", "smiles", "distance", "tanimoto"]].isna().all()


def test_an_empty_query_gives_an_empty_table(codec):
    table = codec.neighbors([], DRUGS)
    assert table.empty
    assert table.columns.tolist() == codec.neighbors("CCO", DRUGS).columns.tolist()
    only_unreadable = codec.neighbors(UNREADABLE, DRUGS)
    assert only_unreadable["reason"].notna().tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("library", "options", "message"),
    [
        ([], {}, "library: .* 0 of 0"),
        (UNREADABLE, {}, "library: .* 0 of 3; .*SMILES"),
        (DRUGS, {"k": 0}, "k: .* 0"),
        (DRUGS, {"k": 2.5}, "k: .* 2.5"),
        (DRUGS, {"metric": "jaccard"}, "metric: .*jaccard"),
    ],
)
def test_neighbors_arguments_are_checked(codec, library, options, message):
    with pytest.raises(InputError, match=message):
        codec.neighbors("CCO", library, **options)


def test_a_map_has_coordinates_for_each_encoded_molecule(codec, library):
    found = codec.project([*DRUGS, *UNREADABLE, *library.smiles[:40]])
    table = found.table
    assert table["row"].tolist() == list(range(46))
    assert table["x"].isna().tolist() == [False] * 3 + [True] * 3 + [False] * 40
    assert (
        table["reason"].notna().tolist() == table["y"].isna().tolist() == np.isnan(found.fingerprint_xy[:, 0]).tolist()
    )
    assert table["smiles"].tolist()[:3] == DRUGS
    z = codec.encode([*DRUGS, *library.smiles[:40]]).z.astype(float)
    expected = np.linalg.svd(z - z.mean(0), full_matrices=False)
    deviation = np.sort(table[["x", "y"]].dropna().std(ddof=0))[::-1]
    np.testing.assert_allclose(deviation, expected[1][:2] / np.sqrt(43), rtol=1e-3)


def test_a_map_has_quality_figures(codec, library):
    quality = codec.project(library, method="tsne").quality.set_index(["map", "neighbors_by"])
    assert quality.index.tolist() == [
        ("latent", "latent"),
        ("latent", "fingerprints"),
        ("fingerprints", "fingerprints"),
    ]
    assert quality["trustworthiness"].between(0.5, 1).all()
    assert quality["preservation"].between(10 / 59, 1).all()  # better than chance
    assert quality.loc[("latent", "latent"), "preservation"] > quality.loc[("latent", "fingerprints"), "preservation"]
    assert (quality["k"] == 10).all()
    assert quality["reason"].isna().all()


def test_a_map_is_reproducible(codec, library):
    smiles = library.smiles[:30]
    first, again = codec.project(smiles, method="tsne", seed=3), codec.project(smiles, method="tsne", seed=3)
    pd.testing.assert_frame_equal(first.table, again.table)
    pd.testing.assert_frame_equal(first.quality, again.quality)


def test_two_or_three_molecules_have_a_map(codec):
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
        ([], "pca", "at least 2 .* 0 of 0"),
        (["CCO", "no molecule"], "pca", "at least 2 .* 1 of 2; .*SMILES"),
        (DRUGS, "tsne", "tsne .* 5 .* 3 of 3"),
        (DRUGS, "globe", "method: .*globe"),
    ],
)
def test_project_arguments_are_checked(codec, smiles, method, message):
    with pytest.raises(InputError, match=message):
        codec.project(smiles, method=method)


def test_both_maps_are_plotted_side_by_side(codec, library):
    found = codec.project([*library.smiles[:20], "no molecule"])
    figure = found.plot(np.arange(21.0), label="logP")
    assert [axis.get_title().split(":")[0] for axis in figure.axes[:2]] == ["latent vectors", "fingerprints"]
    np.testing.assert_allclose(
        figure.axes[0].collections[0].get_offsets()[:20], found.table[["x", "y"]][:20], rtol=1e-6
    )
    assert figure.axes[2].get_ylabel() == "logP"
    assert figure.axes[0].get_xlabel().startswith("component 1 (")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert len(picture.getvalue()) > 5000
    import matplotlib.pyplot as plt

    assert plt.figure(figure.number) is figure  # open, so that plt.show() shows it
    plt.close(figure)
    assert len(repr(found)) < 200
    with pytest.raises(InputError, match=r"values: .* 21"):
        found.plot([1.0, 2.0])
    with pytest.raises(InputError, match="values"):
        found.plot(["a"] * 21)


def content_of(page):
    content = json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1])
    packed = re.search(r'id="drawings">(.*?)</script>', page, re.DOTALL)[1]
    return content, json.loads(zlib.decompress(base64.b64decode(packed), wbits=-15))


def test_an_interactive_map_holds_each_molecule_with_its_structure_value_and_name(codec, library):
    names = [f"m{i}" for i in range(22)]
    smiles = pd.Series([*library.smiles[:20], "no molecule", DRUGS[0]], index=names)
    values = pd.Series(np.arange(22.0), index=names)
    values["m3"] = np.nan
    found = codec.project(smiles)
    page = found.interactive(values[::-1], label="pKi").page
    content, drawings = content_of(page)
    assert content["names"] == [name for name in names if name != "m20"]
    assert content["smiles"] == found.table["smiles"].dropna().tolist()
    assert content["values"] == [0, 1, 2, None, *range(4, 20), 21]
    assert content["label"] == "pKi"
    assert content["colors"][0] == "#440154"
    assert content["colors"][20] == "#fde725"
    assert [panel["title"].split(":")[0] for panel in content["panels"]] == ["latent vectors", "fingerprints"]
    np.testing.assert_allclose(content["panels"][1]["xy"], found.fingerprint_xy[found.table["x"].notna()], rtol=1e-3)
    assert drawings == [draw_colored_svg(one, 180, 120) for one in content["smiles"]]
    assert not re.search(r"(src|href)=|url\(|https?://", page)


def test_an_interactive_map_is_saved_and_shown_in_a_frame(codec, tmp_path):
    found = codec.project(DRUGS).interactive(names=["</script>", "b", "c"], n_structures=2)
    assert repr(found).startswith("InteractiveMap(3 molecules, 2 structures")
    assert found.save(tmp_path / "map.html").read_text(encoding="utf-8") == found.page
    assert content_of(found.page)[0]["names"][0] == "</script>"
    assert len(content_of(found.page)[1]) == 2
    frame = ElementTree.fromstring(found._repr_html_())
    assert frame.attrib["srcdoc"] == found.page.replace("\n", " ")  # how XML reads line ends in attributes
    with pytest.raises(InputError, match=r"names: .*3"):
        codec.project(DRUGS).interactive(names=["a"])


def test_a_map_of_500_drugs_is_below_6_megabytes(codec):
    drawn = codec.project(pd.read_csv(bundled("d4_ki.csv"), nrows=60)["smiles"]).interactive()
    empty = codec.project(DRUGS).interactive(n_structures=0)
    assert drawn.n_drawn == drawn.n_molecules > 40
    assert (len(drawn.page) - len(empty.page)) / drawn.n_drawn * 500 < 1e6
