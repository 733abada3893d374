import numpy as np
import pytest
import torch

from molvae.feature_spec import PAD, FeatureSpec
from molvae.features import FeatureStore, FeatureWriter
from molvae.training import TrainConfig
from molvae.training.batches import Batches
from molvae.training.config import TrainingSettings
from molvae.training.parallel import Rank
from molvae.training.trainer import new_model
from molvae.training.update import Update, optimizer_of, weights_of


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(0)
    lengths = random.integers(3, 9, 512)
    x = np.where(np.arange(8) < lengths[:, None], random.integers(4, 30, (512, 8)), PAD).astype(np.uint16)
    y, bits = random.normal(size=(512, 2)).astype(np.float32), random.integers(0, 2, (512, 32)).astype(np.uint8)
    y[::2] = np.nan
    with FeatureWriter(folder, FeatureSpec("tokens", 30, 8), ("logp", "qed"), n_bits=32) as writer:
        writer.write(x, y, bits=bits)
    return FeatureStore.open(folder)


def update_of(rows, device="cpu", captures=True, **training):
    sizes = {"encoder": {"kind": "gru", "embedding": 16, "hidden": 16}, "decoder": {"kind": "gru", "hidden": 32}}
    content = {"model": {"n_latent": 8, **sizes}, "training": {"learning_rate": 3e-3, **training}}
    config = TrainConfig.from_dict(content, "test")
    model = new_model(config, rows, torch.device(device))
    optimizer = optimizer_of(model, config.training)
    batches = Batches(rows, torch.device(device))
    return Update(model, optimizer, config.training, batches, Rank(), captures=captures), model, optimizer


def test_a_step_uses_the_learning_rate_of_the_schedule(rows):
    update, model, optimizer = update_of(rows, warmup=0.5, decay_from=1.0)
    before = {name: value.clone() for name, value in model.named_parameters()}
    update(np.arange(64), 1, 0.25)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1.5e-3)
    assert any((value != before[name]).any() for name, value in model.named_parameters())


def test_means_cover_the_steps_since_the_last_call(rows):
    update, model, _ = update_of(rows)
    for seed in range(4):
        update(np.arange(64), seed, 0.5)
    first = update.means(4)
    assert tuple(first) == model.term_names
    assert {"reconstruction", "noised_reconstruction", "kl", "similarity", "properties"} == set(first)
    for seed in range(20):
        update(np.arange(64), seed, 0.5)
    assert update.means(20)["reconstruction"] < first["reconstruction"]


def test_weights_rise_over_their_warmup_and_default_to_one():
    settings = TrainingSettings(weights={"kl": 0.4}, weight_warmup={"kl": 0.2})
    assert weights_of(settings, ("reconstruction", "kl"), 0.1) == [1.0, pytest.approx(0.2)]
    assert weights_of(settings, ("reconstruction", "kl")) == [1.0, 0.4]


def test_terms_of_weight_zero_change_no_parameter(rows):
    weights = dict.fromkeys(("reconstruction", "noised_reconstruction", "kl", "similarity", "properties"), 0.0)
    update, model, _ = update_of(rows, weights=weights, weight_decay=0.0)
    before = {name: value.clone() for name, value in model.named_parameters()}
    update(np.arange(64), 1, 0.5)
    assert all((value == before[name]).all() for name, value in model.named_parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="captured steps need a GPU")
def test_captured_steps_equal_eager_steps(rows):
    eager, captured = update_of(rows, "cuda", captures=False)[0], update_of(rows, "cuda")[0]
    random = np.random.default_rng(0)
    for seed in range(30):
        chosen = random.permutation(512)[:64]
        eager(chosen, seed, 0.5)
        captured(chosen, seed, 0.5)
    ours, theirs = captured.means(30), eager.means(30)
    assert ours == {name: pytest.approx(value, rel=1e-3) for name, value in theirs.items()}
