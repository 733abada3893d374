"""Sweeps over the size of a code: what is measured, on data whose answer is known."""

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
    """Rows that fill three dimensions of twelve, each spread wider than the next."""
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
    texts = ["".join(random.choice(["CC", "OC", "Cl", "C#N", "c1ccccc1"], random.integers(1, 4))) for _ in range(400)]
    featurizer = TokenFeaturizer.from_corpus(texts, 20)
    return stored(folder, featurizer.encode(texts).x, featurizer.spec)


GRU = {
    "encoder": {"kind": "gru", "embedding": 8, "hidden": 16, "heads": 2},
    "decoder": {"kind": "gru", "hidden": 32},
}


def test_a_linear_model_follows_pca_and_the_curve_ends_at_the_true_dimension():
    result = sweep(config("linear", 20_000), array_rows(plane()), [6, 1, 2, 3])
    table = result.table.set_index("size")
    assert list(table.index) == [1, 2, 3, 6]
    np.testing.assert_allclose(table["rebuilt"], table["rebuilt_pca"], atol=0.03)
    assert table["rebuilt_pca"][3] == pytest.approx(1, abs=1e-5)
    assert table["rebuilt_pca"].is_monotonic_increasing
    assert table["rebuilt_pca"][2] < 0.9
    assert result.dimension == pytest.approx(3, abs=0.5)
    assert result.dimension_of == "the data"
    assert result.knee == 3
    assert table["exact"].isna().all()


def test_a_bent_model_beats_pca_on_digits():
    result = sweep(config(n_molecules=25_000, learning_rate=3e-3), array_rows(load_digits().data), [2])
    row = result.table.iloc[0]
    assert row["rebuilt"] > row["rebuilt_pca"] + 0.05
    assert result.knee is None
    assert "none among these sizes" in result.text()
    assert result.n_judged == 179


def test_the_share_of_variance_is_that_of_scikit_learn_on_rows_not_seen():
    x = load_digits().data[:400]
    rows = array_rows(x)
    result = sweep(config("linear", 64), rows, [5])
    order = sweeping.generator(0, "sweep").permutation(400)
    judged, others = rows.x[order[:40]], rows.x[order[40:]]
    pca = PCA(5).fit(others)
    back = pca.inverse_transform(pca.transform(judged))
    expected = 1 - ((judged - back) ** 2).sum() / ((judged - others.mean(0)) ** 2).sum()
    assert result.table["rebuilt_pca"][0] == pytest.approx(expected, abs=1e-5)


def test_rows_that_judge_are_not_seen_in_training(monkeypatch):
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


def test_bits_are_judged_by_probabilities(tmp_path):
    """Two groups of rows, whose bits are set in nine rows of ten: one number tells the group, the rest is chance."""
    random = np.random.default_rng(0)
    group = random.integers(2, size=600)
    rate = np.where((np.arange(16) < 8) == group[:, None], 0.9, 0.1)
    rows = stored(tmp_path / "bits", (random.random((600, 16)) < rate).astype(np.uint8), FeatureSpec("bits", 16))
    result = sweep(config(n_molecules=12_800), rows, [1])
    row = result.table.iloc[0]
    limit = 1 - 0.9 * 0.1 / 0.25  # noise about the group's rate, beside the variance of the bits
    assert row["rebuilt"] == pytest.approx(limit, abs=0.05)  # rounded bits would reach 0.6 only
    assert row["rebuilt_pca"] == pytest.approx(limit, abs=0.05)
    assert 0 <= row["exact"] < 0.5
    assert result.dimension_of == "the data"


def test_counts_come_back_as_rates(tmp_path):
    random = np.random.default_rng(0)
    x = random.integers(0, 6, (400, 1)) * np.array([[1, 1, 0, 1]])
    rows = stored(tmp_path / "counts", x.astype(np.uint8), FeatureSpec("counts", 4))
    row = sweep(config(n_molecules=12_800), rows, [1]).table.iloc[0]
    assert row["rebuilt"] > 0.9
    assert row["rebuilt_pca"] == pytest.approx(1, abs=1e-5)


def test_tokens_come_back_freely_and_their_dimension_is_that_of_the_codes(tokens):
    result = sweep(config(n_molecules=9_600, learning_rate=2e-2, model=GRU), tokens, [2, 16])
    table = result.table.set_index("size")
    assert result.unit == "tokens"
    assert table["rebuilt"][16] > table["rebuilt"][2]
    assert table["rebuilt"][16] > 0.5
    assert table["rebuilt_pca"][16] > table["rebuilt_pca"][2] > 0.2
    assert (table["exact"] <= table["rebuilt"]).all()
    assert result.dimension_of == "the codes of size 16"
    assert "the codes of size 16" in result.text()
    assert result.dimension == table["codes_dimension"][16]


def test_pca_of_tokens_is_whole_with_all_components_and_a_unigram_with_few(tokens):
    rows, everything = tokens, np.arange(400)
    pca = sweeping._Pca(rows, everything, 1024, 0)
    assert sweeping._share(rows, everything, pca.mean, pca.at(1024)) == (1.0, 1.0)
    x = rows.rows(everything)
    usual = np.array([np.bincount(column).argmax() for column in x.T])
    expected = ((x == usual) & (x != PAD)).sum() / (x != PAD).sum()
    share, _ = sweeping._share(rows, everything, pca.mean, pca.at(0))
    assert share == pytest.approx(expected)


def test_a_token_out_of_place_is_not_right(tokens):
    everything = np.arange(10)
    x = tokens.rows(everything)

    def longer(block):  # END is missed and one token more is written
        written = np.concatenate([tokens.rows(block), np.full((len(block), 1), PAD)], axis=1)
        places = np.argmax(written == END, axis=1)
        written[np.arange(len(block)), places] = 5
        written[np.arange(len(block)), places + 1] = END
        return written

    share, exact = sweeping._share(tokens, everything, np.zeros(1), longer)
    assert share == pytest.approx(1 - 10 / (x != PAD).sum())
    assert exact == 0
    assert sweeping._share(tokens, everything, np.zeros(1), lambda block: tokens.rows(block)[:, :1])[0] == (
        pytest.approx(10 / (x != PAD).sum())
    )


def test_a_wide_table_is_reduced_without_its_covariance(tmp_path):
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
    assert row["rebuilt"] > 0.8


def test_the_same_seed_gives_the_same_table_and_finished_sizes_are_not_trained_again(tmp_path):
    rows, settings = array_rows(plane(200)), config(n_molecules=640)
    kept, reported = [], []
    whole = sweep(settings, rows, [1, 2, 4], keep=lambda table: write_table(table, tmp_path / "sweep.csv"))
    finished = read_table(tmp_path / "sweep.csv")
    pd.testing.assert_frame_equal(finished, whole.table)
    part = finished[finished["size"] != 2]
    again = sweep(settings, rows, [1, 2, 4], None, part, lambda size, entry: reported.append(size), kept.append)
    assert set(reported) == {2}
    assert len(reported) == 10
    assert len(kept) == 1
    measured = [name for name in whole.table if name != "seconds"]
    pd.testing.assert_frame_equal(again.table[measured], whole.table[measured])
    assert (again.knee, again.dimension) == (whole.knee, whole.dimension)
    fewer = sweep(settings, rows, [4], None, finished)
    assert list(fewer.table["size"]) == [4]


def test_a_sweep_is_saved_as_table_plot_and_facts(tmp_path):
    result = sweep(config("linear", 1280), array_rows(plane(200)), [1, 2, 3, 6])
    result.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.csv", "sweep.json", "sweep.png", "sweep.svg"}
    pd.testing.assert_frame_equal(read_table(tmp_path / "sweep.csv"), result.table)
    facts = json.loads((tmp_path / "sweep.json").read_text())
    assert facts["knee"] == result.knee
    assert facts["intrinsic_dimension"] == result.dimension
    assert facts["seed"] == 0
    assert facts["settings"]["model"]["recipe"] == "linear"
    assert "n_latent" not in facts["settings"]["model"]
    svg = (tmp_path / "sweep.svg").read_bytes()
    result.save(tmp_path)
    assert (tmp_path / "sweep.svg").read_bytes() == svg
    axes = result.figure().axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), result.table["rebuilt"])
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), result.table["rebuilt_pca"])


def test_rows_without_a_dimension_say_why():
    table = np.repeat(plane(5), 30, axis=0)
    result = sweep(config("linear", 640), array_rows(table), [2])
    assert np.isnan(result.dimension)
    assert "at least 10 distinct rows" in result.text()
    assert np.isnan(result.table["codes_dimension"][0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2,four", "got 'four'"),
        ("", "expected whole numbers"),
        ("2,,4", "got ''"),
        ("2.5", "got '2.5'"),
        ("0,2", "size 0: expected a size of the code between 1 and 1024"),
        ("-2", "size -2: expected"),
        ("8,2048", "size 2048"),
        ("4,2,4", "size 4: stands twice"),
    ],
)
def test_sizes_that_are_none_are_refused(text, message):
    with pytest.raises(InputError, match=message) as error:
        read_sizes(text)
    assert "\n" not in str(error.value)


def test_sizes_are_read_in_any_order():
    assert read_sizes(" 16, 2,4 ") == (2, 4, 16)


@pytest.mark.parametrize(
    ("settings", "sizes", "message"),
    [
        (config("linear"), [4, 13], "size 13: larger than the 12 columns"),
        (config("sparse_topk", model={"k": 4}), [2, 4, 8], r"size 2: k 4.*2"),
        (config("plan"), [2], "recipe 'plan'.*plain"),
        (config("plain", model=GRU), [2], "^encoder 'gru': cannot read array"),
        (config(), [], "at least one size"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(settings, sizes, message):
    with pytest.raises(InputError, match=message):
        sweep(settings, array_rows(plane(100)), sizes, report=lambda size, entry: pytest.fail("trained"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (plane(19), "at least 20, got 19"),
        (np.full((50, 3), 0.1), "all alike"),
    ],
)
def test_rows_that_tell_nothing_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        sweep(config(n_molecules=64), array_rows(table), [1])


def test_small_keeps_what_it_is_not_asked_to_change():
    training = small(config(n_molecules=10_000, n_held_out=50, evaluate_every=400)).training
    assert (training.n_molecules, training.n_held_out, training.evaluate_every) == (10_000, 50, 400)
    training = small(config(), 2000).training
    assert (training.n_molecules, training.n_held_out, training.evaluate_every) == (2000, 1000, 200)
    with pytest.raises(InputError, match="at least 1"):
        small(config(), 0)


def test_a_table_that_is_none_of_a_sweep_is_refused(tmp_path):
    path = tmp_path / "sweep.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not the table of a sweep"):
        read_table(path)
    path.write_text("")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(path)
