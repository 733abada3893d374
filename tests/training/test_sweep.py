"""Sweeps over latent sizes, on data with a known answer."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from molvae.errors import InputError
from molvae.feature_spec import END, PAD, FeatureSpec
from molvae.features import FeatureStore, FeatureWriter, TokenFeaturizer
from molvae.features.arrays import ArrayFeaturizer, ArrayRows
from molvae.training import TrainConfig
from molvae.training import sweep as sweeping
from molvae.training.sweep import read_sizes, read_table, small, sweep, write_table


def config(recipe="plain", n_molecules=6400, model=None, **training):
    training = {"batch_size": 64, "learning_rate": 1e-2, "weight_decay": 0.0, "precision": "float32", **training}
    return TrainConfig.from_dict(
        {"model": {"recipe": recipe, **(model or {})}, "training": {"n_molecules": n_molecules, **training}}, "test"
    )


def array_rows(table):
    featurizer = ArrayFeaturizer.from_corpus(table)
    return ArrayRows.of(featurizer.encode(table), featurizer.spec)


def plane(n=1000, n_columns=12):
    """Rows of twelve columns in a three-dimensional subspace, with decreasing variance."""
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=(n_columns, 3)))[0]
    return random.normal(size=(n, 3)) * (2.0, 1.4, 1.0) @ axes.T


def stored(folder, x, spec, view=None, view_spec=None):
    folder.mkdir(exist_ok=True)
    with FeatureWriter(folder, spec, view_spec=view_spec) as writer:
        writer.write(x, view=view)
    return FeatureStore.open(folder)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    random = np.random.default_rng(0)
    strings = ["".join(random.choice(["CC", "OC", "Cl", "C#N", "c1ccccc1"], random.integers(1, 4))) for _ in range(400)]
    featurizer = TokenFeaturizer.from_corpus(strings, 20)
    return stored(folder, featurizer.encode(strings).x, featurizer.spec)


GRU = {
    "encoder": {"kind": "gru", "embedding": 8, "hidden": 16, "heads": 2},
    "decoder": {"kind": "gru", "hidden": 32},
}


def test_a_linear_model_matches_pca_and_the_knee_is_the_true_dimension():
    result = sweep(config("linear", 20_000), array_rows(plane()), [6, 1, 2, 3])
    table = result.table.set_index("size")
    assert list(table.index) == [1, 2, 3, 6]
    np.testing.assert_allclose(table["reconstructed"], table["reconstructed_pca"], atol=0.03)
    assert table["reconstructed_pca"][3] == pytest.approx(1, abs=1e-5)
    assert table["reconstructed_pca"].is_monotonic_increasing
    assert table["reconstructed_pca"][2] < 0.9
    assert result.dimension == pytest.approx(3, abs=0.5)
    assert result.dimension_of == "the data"
    assert result.knee == 3
    assert table["exact"].isna().all()


def test_a_nonlinear_model_beats_pca_on_digits():
    result = sweep(config(n_molecules=25_000, learning_rate=3e-3), array_rows(load_digits().data), [2])
    row = result.table.iloc[0]
    assert row["reconstructed"] > row["reconstructed_pca"] + 0.05
    assert result.knee is None
    assert "knee: none" in result.text()
    assert result.n_test == 179


def test_the_share_of_variance_on_held_out_rows_equals_that_of_scikit_learn():
    x = load_digits().data[:400]
    rows = array_rows(x)
    result = sweep(config("linear", 64), rows, [5])
    order = sweeping.generator(0, "sweep").permutation(400)
    test, others = rows.x[order[:40]], rows.x[order[40:]]
    pca = PCA(5).fit(others)
    output = pca.inverse_transform(pca.transform(test))
    expected = 1 - ((test - output) ** 2).sum() / ((test - others.mean(0)) ** 2).sum()
    assert result.table["reconstructed_pca"][0] == pytest.approx(expected, abs=1e-5)


def test_test_rows_are_not_used_in_training(monkeypatch):
    seen = []
    train = sweeping.train_in_memory
    monkeypatch.setattr(
        sweeping, "train_in_memory", lambda config, rows, report: (seen.append(rows), train(config, rows, report))[1]
    )
    rows = array_rows(plane(300))
    sweep(config("linear", 64), rows, [2])
    shown = seen[0].rows(np.arange(len(seen[0])))
    assert len(shown) == 270
    assert len(np.unique(np.concatenate([shown, rows.x]), axis=0)) == 300


def test_bits_are_compared_as_probabilities(tmp_path):
    """Two groups of rows with a bit rate of 0.9 or 0.1: one number encodes the group, the rest is noise."""
    random = np.random.default_rng(0)
    group = random.integers(2, size=600)
    rate = np.where((np.arange(16) < 8) == group[:, None], 0.9, 0.1)
    rows = stored(tmp_path / "bits", (random.random((600, 16)) < rate).astype(np.uint8), FeatureSpec("bits", 16))
    result = sweep(config(n_molecules=12_800), rows, [1])
    row = result.table.iloc[0]
    limit = 1 - 0.9 * 0.1 / 0.25  # variance of the noise, relative to that of the bits
    assert row["reconstructed"] == pytest.approx(limit, abs=0.05)  # rounded bits would reach only 0.6
    assert row["reconstructed_pca"] == pytest.approx(limit, abs=0.05)
    assert 0 <= row["exact"] < 0.5
    assert result.dimension_of == "the data"


def test_counts_are_reconstructed_as_rates(tmp_path):
    random = np.random.default_rng(0)
    x = random.integers(0, 6, (400, 1)) * np.array([[1, 1, 0, 1]])
    rows = stored(tmp_path / "counts", x.astype(np.uint8), FeatureSpec("counts", 4))
    row = sweep(config(n_molecules=12_800), rows, [1]).table.iloc[0]
    assert row["reconstructed"] > 0.9
    assert row["reconstructed_pca"] == pytest.approx(1, abs=1e-5)


def test_tokens_are_decoded_greedily_and_the_dimension_is_that_of_the_latent_vectors(tokens):
    result = sweep(config(n_molecules=9_600, learning_rate=2e-2, model=GRU), tokens, [2, 16])
    table = result.table.set_index("size")
    assert result.unit == "tokens"
    assert table["reconstructed"][16] > table["reconstructed"][2]
    assert table["reconstructed"][16] > 0.5
    assert table["reconstructed_pca"][16] > table["reconstructed_pca"][2] > 0.2
    assert (table["exact"] <= table["reconstructed"]).all()
    assert result.dimension_of == "the latent vectors of size 16"
    assert "the latent vectors of size 16" in result.text()
    assert result.dimension == table["latent_dimension"][16]


def test_pca_of_tokens_is_exact_with_all_components_and_a_unigram_model_with_none(tokens):
    rows, everything = tokens, np.arange(400)
    pca = sweeping._Pca(rows, everything, 1024, 0)
    assert sweeping._share(rows, everything, pca.mean, pca.at(1024)) == (1.0, 1.0)
    x = rows.rows(everything)
    most_frequent = np.array([np.bincount(column).argmax() for column in x.T])
    expected = ((x == most_frequent) & (x != PAD)).sum() / (x != PAD).sum()
    share, _ = sweeping._share(rows, everything, pca.mean, pca.at(0))
    assert share == pytest.approx(expected)


def test_only_tokens_at_their_position_count(tokens):
    everything = np.arange(10)
    x = tokens.rows(everything)

    def longer(block):  # one more token before END
        output = np.concatenate([tokens.rows(block), np.full((len(block), 1), PAD)], axis=1)
        ends = np.argmax(output == END, axis=1)
        output[np.arange(len(block)), ends] = 5
        output[np.arange(len(block)), ends + 1] = END
        return output

    share, exact = sweeping._share(tokens, everything, np.zeros(1), longer)
    assert share == pytest.approx(1 - 10 / (x != PAD).sum())
    assert exact == 0
    assert sweeping._share(tokens, everything, np.zeros(1), lambda block: tokens.rows(block)[:, :1])[0] == (
        pytest.approx(10 / (x != PAD).sum())
    )


def test_pca_of_wide_rows_needs_no_covariance_matrix(tmp_path):
    random = np.random.default_rng(0)
    hidden = random.random((60, 3)) < 0.5
    x = np.repeat(hidden, 1000, axis=1).astype(np.uint8)
    rows = stored(tmp_path / "wide", x, FeatureSpec("bits", 3000))
    pca = sweeping._Pca(rows, np.arange(60), 8, 0)
    assert sweeping._share(rows, np.arange(60), pca.mean, pca.at(3))[0] == pytest.approx(1, abs=1e-4)
    assert sweeping._share(rows, np.arange(60), pca.mean, pca.at(1))[0] < 0.6


def test_the_model_may_read_another_view(tmp_path):
    random = np.random.default_rng(0)
    x = random.integers(0, 2, (300, 8)).astype(np.uint8)
    view = np.concatenate([1 - x, x], axis=1)
    rows = stored(tmp_path / "view", x, FeatureSpec("bits", 8), view, FeatureSpec("bits", 16))
    row = sweep(config(n_molecules=12_800), rows, [8]).table.iloc[0]
    assert row["reconstructed"] > 0.8


def test_a_sweep_is_reproducible_and_skips_finished_sizes(tmp_path):
    rows, settings = array_rows(plane(200)), config(n_molecules=640)
    kept, reported = [], []
    whole = sweep(settings, rows, [1, 2, 4], keep=lambda table: write_table(table, tmp_path / "sweep.csv"))
    finished = read_table(tmp_path / "sweep.csv")
    pd.testing.assert_frame_equal(finished, whole.table)
    part = finished[finished["size"] != 2]
    again = sweep(
        settings,
        rows,
        [1, 2, 4],
        finished=part,
        report=lambda size, entry: reported.append(size),
        keep=kept.append,
    )
    assert set(reported) == {2}
    assert len(reported) == 10
    assert len(kept) == 1
    measured = [name for name in whole.table if name != "seconds"]
    pd.testing.assert_frame_equal(again.table[measured], whole.table[measured])
    assert (again.knee, again.dimension) == (whole.knee, whole.dimension)
    fewer = sweep(settings, rows, [4], finished=finished)
    assert list(fewer.table["size"]) == [4]


def test_a_sweep_is_saved_as_table_json_and_plot(tmp_path):
    result = sweep(config("linear", 1280), array_rows(plane(200)), [1, 2, 3, 6])
    result.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.csv", "sweep.json", "sweep.png", "sweep.svg"}
    pd.testing.assert_frame_equal(read_table(tmp_path / "sweep.csv"), result.table)
    content = json.loads((tmp_path / "sweep.json").read_text())
    assert content["knee"] == result.knee
    assert content["intrinsic_dimension"] == result.dimension
    assert content["seed"] == 0
    assert content["settings"]["model"]["recipe"] == "linear"
    assert "n_latent" not in content["settings"]["model"]
    svg = (tmp_path / "sweep.svg").read_bytes()
    result.save(tmp_path)
    assert (tmp_path / "sweep.svg").read_bytes() == svg
    axes = result.figure().axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), result.table["reconstructed"])
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), result.table["reconstructed_pca"])


def test_a_missing_dimension_has_a_reason():
    table = np.repeat(plane(5), 30, axis=0)
    result = sweep(config("linear", 640), array_rows(table), [2])
    assert np.isnan(result.dimension)
    assert result.reason is not None
    assert result.reason in result.text()
    assert np.isnan(result.table["latent_dimension"][0])


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("2,four", "'four'"),
        ("", "sizes ''"),
        ("2,,4", "got ''"),
        ("2.5", "got '2.5'"),
        ("0,2", "size 0: .* 1024"),
        ("-2", "size -2: "),
        ("8,2048", "size 2048"),
        ("4,2,4", "size 4: "),
    ],
)
def test_invalid_sizes_are_refused(text, fact):
    with pytest.raises(InputError, match=fact) as error:
        read_sizes(text)
    assert "\n" not in str(error.value)


def test_sizes_are_sorted():
    assert read_sizes(" 16, 2,4 ") == (2, 4, 16)


@pytest.mark.parametrize(
    ("settings", "sizes", "fact"),
    [
        (config("linear"), [4, 13], "size 13: .* 12 columns"),
        (config("sparse_topk", model={"k": 4}), [2, 4, 8], r"size 2: k 4.*2"),
        (config("plan"), [2], "recipe 'plan'.*plain"),
        (config("plain", model=GRU), [2], "^encoder 'gru': cannot read array"),
        (config(), [], "sizes: "),
    ],
)
def test_models_that_cannot_be_built_are_refused_before_training(settings, sizes, fact):
    with pytest.raises(InputError, match=fact):
        sweep(settings, array_rows(plane(100)), sizes, report=lambda size, entry: pytest.fail("trained"))


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        (plane(19), "20 rows.* 19"),
        (np.full((50, 3), 0.1), "equal"),
    ],
)
def test_too_few_or_equal_rows_are_refused(table, fact):
    with pytest.raises(InputError, match=fact):
        sweep(config(n_molecules=64), array_rows(table), [1])


def test_small_changes_only_the_size_of_the_training():
    training = small(config(n_molecules=10_000, n_held_out=50, evaluate_every=400)).training
    assert (training.n_molecules, training.n_held_out, training.evaluate_every) == (10_000, 50, 400)
    training = small(config(), 2000).training
    assert (training.n_molecules, training.n_held_out, training.evaluate_every) == (2000, 1000, 200)
    with pytest.raises(InputError, match="at least 1 "):
        small(config(), 0)


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "sweep.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"sweep\.csv: .*size, reconstructed"):
        read_table(path)
    path.write_text("")
    with pytest.raises(InputError, match=r"sweep\.csv: "):
        read_table(path)
