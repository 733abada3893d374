"""Each member of the family on real data: it has the property that it is named for."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from molvae import AutoencoderTransformer
from molvae.autoencoder import ModelSettings, build
from molvae.autoencoder.regularizers import Contraction
from molvae.autoencoder.trace import Batch
from molvae.bundled import bundled
from molvae.chem.fingerprints import morgan_bits
from molvae.feature_spec import FeatureSpec
from molvae.features.arrays import ArrayRows
from molvae.training.config import TrainConfig
from molvae.training.trainer import train_in_memory

DIGITS, LABELS = load_digits(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(DIGITS))
TRAIN, TEST = DIGITS[ORDER[:1400]], DIGITS[ORDER[1400:]]


@pytest.fixture(scope="module")
def prints():
    return morgan_bits(list(pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"]), 2, 1024).astype(float)


def degrees_from_pca(table, n):
    """Largest angle between the subspace of PCA and that of the default linear estimator."""
    model = AutoencoderTransformer("linear", n, random_state=0).fit(table)
    spanned = model.inverse_transform(np.eye(n)) - model.inverse_transform(np.zeros((1, n)))
    return np.degrees(subspace_angles(spanned.T, PCA(n, svd_solver="full").fit(table).components_.T)).max()


def pca_error(n, train, test):
    pca = PCA(n).fit(train)
    return ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()


def fitted(recipe, n=8, **given):
    return AutoencoderTransformer(recipe, n, **{"random_state": 0, "n_steps": 800, "learning_rate": 3e-3, **given}).fit(
        TRAIN
    )


def test_linear_spans_the_pca_subspace_of_fingerprints(prints):
    assert degrees_from_pca(prints[:600], 6) < 1


@pytest.mark.slow
def test_plain_has_a_lower_error_than_pca_on_held_out_fingerprints(prints):
    plain = AutoencoderTransformer("plain", 16, widths=(512,), random_state=0).fit(prints[:4000])
    assert -plain.score_samples(prints[4000:]).mean() < 0.98 * pca_error(16, prints[:4000], prints[4000:])


def corrupted(table, kind, level, mean, scale):
    random = np.random.default_rng(1)
    if kind == "gaussian":
        return table + level * scale * random.normal(size=table.shape)
    return np.where(random.random(table.shape) < level, mean, table)


@pytest.mark.parametrize(("kind", "levels"), [("gaussian", (0.3, 0.6, 1.0)), ("zero", (0.1, 0.3, 0.5))])
def test_denoising_reconstructs_corrupted_digits_better_than_plain(kind, levels):
    plain = fitted("plain", 32, n_steps=700)
    for level in levels:
        denoising = fitted("denoising", 32, corruption=kind, corruption_level=level, n_steps=700)
        read = corrupted(TEST, kind, level, plain.featurizer_.mean, plain.featurizer_.scale)
        errors = [((m.inverse_transform(m.transform(read)) - TEST) ** 2).mean() for m in (denoising, plain)]
        assert errors[0] < 0.95 * errors[1], level


def trained(toml, x, kind="array", labels=None, tmp_path=None):
    path = tmp_path / "config.toml"
    path.write_text(toml)
    spec = FeatureSpec(kind, x.shape[1])
    rows = ArrayRows.of(x, spec)
    if labels is not None:
        rows = ArrayRows(rows.x, spec, labels.astype(np.float32), tuple(f"y{i}" for i in range(labels.shape[1])))
    return train_in_memory(TrainConfig.from_toml(path), rows)


TRAINING = """
[training]
n_molecules = 65000
batch_size = 128
learning_rate = 2e-3
precision = "float32"
n_processes = 1
n_held_out = 140
evaluate_every = 13000
weight_decay = 0.0
"""


def test_denoising_corrects_flipped_bits_better_than_plain(tmp_path):
    bits = (DIGITS > 7).astype(np.float32)[ORDER]
    test = torch.from_numpy(bits[1400:])
    plain = trained('[model]\nrecipe = "plain"\nn_latent = 16\n' + TRAINING, bits[:1400], "bits", None, tmp_path).model
    for level in (0.05, 0.1, 0.2):
        toml = f'[model]\nrecipe = "denoising"\nn_latent = 16\ncorruption_level = {level}\n' + TRAINING
        denoising = trained(toml, bits[:1400], "bits", None, tmp_path).model
        flips = torch.rand(test.shape, generator=torch.Generator().manual_seed(1)) < level
        read = torch.where(flips, 1 - test, test)
        wrong = [(m.decode(m.encode(read)) != test).float().mean() for m in (denoising, plain)]
        assert wrong[0] < wrong[1], level


def test_a_config_combines_denoising_free_bits_and_properties(tmp_path):
    x = ((DIGITS - DIGITS.mean()) / DIGITS.std()).astype(np.float32)
    toml = """
[model]
recipe = "denoising"
n_latent = 8
free_nats = 0.25
corruption_level = 0.3
[model.changes]
bottleneck = "gaussian"
regularizers = ["kl"]
predicts_properties = true
"""
    warmed = TRAINING + "[training.weights]\nkl = 0.5\n[training.weight_warmup]\nkl = 0.3\n"
    labels = np.column_stack([DIGITS.sum(1), DIGITS[:, :32].sum(1)])
    end = trained(toml + warmed, x, "array", labels, tmp_path)
    assert end.validation["kl"] >= 8 * 0.25  # free bits: the least cost of a dimension
    assert end.validation["active_units"] >= 6
    bound = -(end.validation["reconstruction"] + end.validation["kl_nats"])
    assert end.validation["elbo"] == pytest.approx(bound, rel=1e-5)
    assert end.validation["properties"] < 0.5  # half the variance of two labels is 1


def test_a_config_combines_l1_and_contraction(tmp_path):
    x = ((DIGITS - DIGITS.mean()) / DIGITS.std()).astype(np.float32)
    toml = '[model]\nrecipe = "sparse"\nn_latent = 16\n[model.changes]\nregularizers = ["l1", "contraction"]\n'
    end = trained(toml + TRAINING + "[training.weights]\nl1 = 0.5\ncontraction = 0.1\n", x, "array", None, tmp_path)
    z = end.model.encode(torch.from_numpy(x))
    assert 0.1 < float((z == 0).float().mean()) < 0.95
    assert end.validation["reconstruction"] < 0.5 * 0.5 * x.var(0).sum()


def test_zeros_increase_with_the_weight_of_l1_and_units_stay_active():
    shares = []
    for weight in (0.0, 0.1, 0.3, 1.0):
        model = fitted("sparse", 16, weight=weight, n_steps=500)
        z = model.transform(TEST)
        shares.append((z == 0).mean())
        assert (z.max(0) > 0).sum() >= 4
        assert -model.score_samples(TEST).mean() < 0.6 * TEST.var(0).mean()
    assert np.all(np.diff(shares) > 0), shares


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_sparse_rate_reaches_its_target_activity(rate):
    model = fitted("sparse_rate", 16, weight=30.0, active_rate=rate)
    z = model.transform(TEST)
    assert z.mean() == pytest.approx(rate, rel=0.2)
    assert (z.std(0) > 0.01).sum() >= 12
    assert -model.score_samples(TEST).mean() < 0.6 * TEST.var(0).mean()


def test_topk_has_exactly_k_active_units_and_uses_most_units():
    z = fitted("sparse_topk", 16, k=3).transform(TEST)
    assert ((z != 0).sum(1) == 3).all()
    assert (z != 0).any(0).sum() >= 8


def test_contraction_equals_the_exact_jacobian_norm_within_two_percent():
    torch.manual_seed(0)
    model = build(ModelSettings(recipe="contractive", n_latent=4), FeatureSpec("array", 12)).double()
    x = torch.randn(3, 12, dtype=torch.float64)

    def encode(row):
        return model.bottleneck.linear(model.encoder.layers(row))

    size = x.square().mean().sqrt()
    jacobians = torch.stack([torch.func.jacrev(encode)(row) for row in x])
    exact = (size * jacobians).square().sum((1, 2))
    # latent vectors are float32, so the forward difference is computed in float32
    trace = model.float()(Batch(x.float()), torch.Generator().manual_seed(0))
    estimate = Contraction(1e-2, 20_000)(model, trace).double()
    torch.testing.assert_close(estimate, exact, rtol=0.02, atol=0)


def test_contractive_latent_vectors_change_less_relative_to_their_variance():
    def change(model):
        z = model.transform(TEST)
        noise = np.random.default_rng(2).normal(size=TEST.shape) * 0.1 * model.featurizer_.scale
        moved = model.transform(TEST + noise)
        return ((moved - z) ** 2).sum(1).mean() / z.var(0).sum()

    plain, contractive = fitted("plain"), fitted("contractive")
    assert change(contractive) < 0.9 * change(plain)
    assert -contractive.score_samples(TEST).mean() < 0.6 * TEST.var(0).mean()


def test_outliers_have_lower_scores_as_with_an_isolation_forest():
    outliers = np.random.default_rng(0).permuted(TEST, axis=1)
    both, is_known = np.vstack([TEST, outliers]), np.repeat([1, 0], len(TEST))
    ours = roc_auc_score(is_known, fitted("plain").score_samples(both))
    theirs = roc_auc_score(is_known, IsolationForest(random_state=0).fit(TRAIN).score_samples(both))
    assert ours > 0.98
    assert ours >= theirs - 0.01
