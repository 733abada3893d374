"""The models: better than the mean, uncertain far away, the same after a restore."""

import numpy as np
import pandas as pd
import pytest

from molvae.chem.count_features import thermometer
from molvae.chem.fingerprints import morgan_bits, morgan_counts
from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.qsar import fingerprints
from molvae.qsar.evaluation import classification_metrics, regression_metrics
from molvae.qsar.registry import MODELS, make_model

FAR = "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O"
FAST: dict[str, dict[str, object]] = {"forest": {"n_trees": 20}, "latent": {"codec": "moses"}}


@pytest.fixture(scope="module")
def data(molecules: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    return [str(standardize(raw).smiles) for raw in molecules["smiles"]], molecules["pIC50"].to_numpy()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_beats_the_mean(name: str, data: tuple[list[str], np.ndarray]) -> None:
    smiles, y = data
    model = make_model(name, FAST.get(name)).fit(smiles[:120], y[:120])
    mean, std = model.predict(smiles[120:], return_std=True)
    rmse = np.sqrt(((y[120:] - mean) ** 2).mean())
    assert rmse < 0.9 * np.sqrt(((y[120:] - y[:120].mean()) ** 2).mean())
    assert std.shape == mean.shape == (30,)
    assert (std > 0).all()
    np.testing.assert_array_equal(model.predict(smiles[120:]), mean)
    assert model.predict([]).shape == (0,)


@pytest.mark.parametrize("name", MODELS)
def test_restore_gives_the_same_predictions(name: str, data: tuple[list[str], np.ndarray]) -> None:
    smiles, y = data
    model = make_model(name, FAST.get(name)).fit(smiles[:100], y[:100])
    again = make_model(name, FAST.get(name)).restore(smiles[:100], y[:100], model.hyperparameters)
    for before, after in zip(
        model.predict(smiles[100:], return_std=True), again.predict(smiles[100:], return_std=True), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_gaussian_process_is_less_certain_far_away(data: tuple[list[str], np.ndarray]) -> None:
    smiles, y = data
    model = make_model("gaussian_process").fit(smiles, y)
    mean, std = model.predict([smiles[0], FAR], return_std=True)
    assert std[1] > 1.5 * std[0]
    assert abs(mean[0] - y[0]) < 2 * std[0]


def test_gaussian_process_finds_the_noise(data: tuple[list[str], np.ndarray]) -> None:
    smiles, y = data
    twice = np.concatenate([y, y])
    quiet = make_model("gaussian_process").fit([*smiles, *smiles], twice).hyperparameters["noise_std"]
    noise = np.random.default_rng(1).normal(0, 1.0, len(twice))
    noisy = twice + noise
    loud = make_model("gaussian_process").fit([*smiles, *smiles], noisy).hyperparameters["noise_std"]
    assert quiet < 0.1
    within = np.std((noise[: len(y)] - noise[len(y) :]) / np.sqrt(2))
    assert loud == pytest.approx(within, rel=0.05)


def test_gaussian_process_shifts_and_scales_with_the_values(data: tuple[list[str], np.ndarray]) -> None:
    smiles, y = data
    one = make_model("gaussian_process").fit(smiles[:80], y[:80]).predict(smiles[80:], return_std=True)
    two = make_model("gaussian_process").fit(smiles[:80], 10 * y[:80] - 3).predict(smiles[80:], return_std=True)
    np.testing.assert_allclose(two[0], 10 * one[0] - 3, rtol=1e-6)
    np.testing.assert_allclose(two[1], 10 * one[1], rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_wrong_arguments_give_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match="call fit first"):
        make_model(name).predict(["CCO"])
    with pytest.raises(InputError, match="finite values, got nan for CCO"):
        make_model(name).fit(["C", "CCO"], np.array([1.0, np.nan]))
    with pytest.raises(InputError, match="one value each"):
        make_model(name).fit(["C", "CCO"], np.array([1.0]))
    with pytest.raises(InputError, match="unknown key"):
        make_model(name, {"no_such": 1})


def test_unknown_and_too_large_models_are_refused() -> None:
    with pytest.raises(InputError, match="known: gaussian_process, ridge, forest, latent"):
        make_model("svm")
    with pytest.raises(InputError, match="use the model forest"):
        make_model("gaussian_process", {"max_molecules": 2}).fit(["C", "CC", "CCC"], np.arange(3.0))


def test_folded_fingerprints_are_those_of_the_chemistry(data: tuple[list[str], np.ndarray]) -> None:
    smiles = [*data[0], FAR]
    np.testing.assert_array_equal(fingerprints.morgan_bits(smiles), morgan_bits(smiles))
    counts = morgan_counts(smiles, n_bits=fingerprints.N_BITS)
    np.testing.assert_array_equal(fingerprints.count_fingerprints(smiles), counts)
    bits = fingerprints.count_bits(smiles)
    np.testing.assert_array_equal(bits, [thermometer(row) for row in counts])
    fingerprints.forget_fingerprints()
    np.testing.assert_array_equal(fingerprints.count_bits(smiles), bits)


def test_metrics_of_known_predictions() -> None:
    y, mean, std = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 5.0]), np.full(4, 1.5)
    found = regression_metrics(y, mean, std, np.full(4, 1.5))
    assert found == {
        "n": 4, "rmse": 1.0, "mae": 0.5, "r2": pytest.approx(0.2), "spearman": pytest.approx(1.0),
        "within_1_std": 0.75, "within_2_std": 1.0, "baseline_rmse": pytest.approx(1.25**0.5), "baseline_mae": 1.0,
    }  # fmt: skip
    classes = classification_metrics(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]), std, np.full(4, 0.5))
    assert classes["roc_auc"] == 0.75
    assert classes["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert classes["baseline_brier"] == 0.25


def test_standard_deviations_of_a_forest_include_the_noise() -> None:
    rng = np.random.default_rng(0)
    smiles = ["C" * a + "O" * b + "N" * c for a in range(1, 9) for b in range(1, 6) for c in range(5)]
    y = np.array([one.count("C") for one in smiles]) + rng.normal(0, 1, len(smiles))
    train, test = [np.flatnonzero(np.arange(len(smiles)) % 2 == part) for part in (0, 1)]
    forest = make_model("forest", {"n_trees": 50, "feature_share": 0.5}).fit([smiles[row] for row in train], y[train])
    mean, std = forest.predict([smiles[row] for row in test], return_std=True)
    assert 0.55 < (np.abs(y[test] - mean) <= std).mean() < 0.85
    assert (np.abs(y[test] - mean) <= 2 * std).mean() > 0.88
    assert std.min() > 0.5  # the noise is 1


def test_latent_leaves_out_molecules_that_the_codec_cannot_encode(data: tuple[list[str], np.ndarray]) -> None:
    smiles, y = [*data[0][:40], "C[Si](C)(C)C"], np.append(data[1][:40], 100.0)
    model = make_model("latent", {"codec": "moses"}).fit(smiles, y)
    assert np.isnan(model.predict(smiles[-2:])).tolist() == [False, True]
    assert model.predict(data[0][:40]).max() < 20
    stored = model.settings.model_dump(mode="json")
    with pytest.raises(InputError, match="has changed"):
        make_model("latent", stored | {"codec_sha256": "0" * 64}).fit(smiles, y)
