import json

import numpy as np
import pytest
import torch

from molvae.errors import InputError, MolvaeError
from molvae.features import FeatureStore, FeatureWriter, TokenFeaturizer
from molvae.training import TrainConfig, train
from molvae.training.keepers import LOG_NAME, FolderKeeper

FRAGMENTS = ["c1ccccc1", "C(=O)N", "CC", "OC", "Cl", "N1CCOCC1", "C#N", "c1ccncc1"]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """600 strings of a simple language, labelled with their length."""
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(0)
    strings = ["".join(random.choice(FRAGMENTS, 4)) for _ in range(600)]
    featurizer = TokenFeaturizer.from_corpus(strings, 40)
    featurizer.save(folder / "featurizer.json")
    labels = np.array([[len(string)] for string in strings], np.float32)
    labels[::5] = np.nan
    with FeatureWriter(folder, featurizer.spec, ("length",)) as writer:
        writer.write(featurizer.encode(strings).x, labels)
    return folder


def config(n_molecules=6400, n_processes=1, **training):
    training = {"batch_size": 64, "evaluate_every": 1600, "n_held_out": 60, "precision": "float32", **training}
    return TrainConfig.from_dict(
        {
            "model": {
                "n_latent": 16,
                "encoder": {"kind": "gru", "embedding": 16, "hidden": 32},
                "decoder": {"kind": "gru", "hidden": 64},
            },
            "training": {"n_molecules": n_molecules, "n_processes": n_processes, "learning_rate": 5e-3, **training},
        },
        "test",
    )


def weights(trained):
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def test_every_term_falls_and_is_logged(features, tmp_path):
    reported = []
    trained = train(config(19_200, evaluate_every=4800), features, tmp_path, report=reported.append)
    log = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert [entry["molecules"] for entry in log] == [4800, 9600, 14_400, 19_200]
    assert log == reported
    for name in ("reconstruction", "noised_reconstruction", "properties"):
        assert log[-1]["train"][name] < 0.7 * log[0]["train"][name]
    assert trained.stop_reason == "finished"
    assert trained.validation["exact"] > 0.3
    assert trained.validation["active_units"] > 0
    assert log[-1]["seconds_left"] == 0


def test_a_resumed_training_gives_the_same_weights(features, tmp_path):
    whole = train(config(3200), features, tmp_path / "whole")

    def stop(entry):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config(3200), features, tmp_path / "interrupted", report=stop)
    resumed = train(config(3200), features, tmp_path / "interrupted", resume=True)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    logs = [(tmp_path / name / LOG_NAME).read_text().splitlines() for name in ("whole", "interrupted")]
    assert [json.loads(a)["train"] for a in logs[0]] == [json.loads(b)["train"] for b in logs[1]]


def test_log_entries_newer_than_the_checkpoint_are_dropped(features, tmp_path):
    train(config(1600), features, tmp_path)
    with (tmp_path / LOG_NAME).open("a") as log:
        log.write(json.dumps({"step": 99, "train": {}}) + "\n")
    train(config(1600), features, tmp_path, resume=True)
    assert [json.loads(line)["step"] for line in (tmp_path / LOG_NAME).read_text().splitlines()] == [25]


@pytest.mark.slow
def test_two_processes_learn_like_one(features, tmp_path):
    one = train(config(1600), features, tmp_path / "one")
    two = train(config(1600, n_processes=2), features, tmp_path / "two")
    assert two.validation["loss"] == pytest.approx(one.validation["loss"], rel=0.1)
    again = train(config(1600, n_processes=2), features, tmp_path / "again")
    torch.testing.assert_close(weights(two), weights(again))


def test_training_stops_without_improvement(features, tmp_path):
    trained = train(config(64_000, learning_rate=1e-12, patience=2), features, tmp_path)
    assert trained.stop_reason == "no improvement in 2 validations"
    assert trained.n_molecules < 64_000


def test_a_diverged_training_ends(features, tmp_path):
    with pytest.raises(MolvaeError, match=r"step \d+"):
        train(config(learning_rate=1e12, gradient_norm=1e12), features, tmp_path)


def test_training_starts_from_given_weights(features, tmp_path):
    first = train(config(3200), features, tmp_path / "first")
    second = train(config(64, learning_rate=1e-9), features, tmp_path / "second", start=first.model)
    torch.testing.assert_close(weights(second), weights(first), atol=1e-4, rtol=1e-4)


def test_initial_weights_of_a_killed_start_are_not_used(features, tmp_path, monkeypatch):
    first = train(config(64), features, tmp_path / "first")
    set_start = FolderKeeper.set_start

    def killed(keeper, model, origin):
        set_start(keeper, model, origin)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FolderKeeper, "set_start", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config(64), features, tmp_path / "second", start=first.model)
    with pytest.raises(InputError, match=r"second: .*--resume"):
        train(config(64), features, tmp_path / "second", resume=True)
    again = train(config(64), features, tmp_path / "second")
    torch.testing.assert_close(weights(again), weights(first), rtol=0, atol=0)  # random, as in the first training


def test_a_folder_holds_one_training(features, tmp_path):
    train(config(64), features, tmp_path)
    with pytest.raises(InputError, match="--resume"):
        train(config(64), features, tmp_path)
    with pytest.raises(InputError, match=r"other: .*--resume"):
        train(config(64), features, tmp_path / "other", resume=True)


@pytest.mark.parametrize(("n", "n_processes"), [(2, 1), (20, 1), (2, 3)])
def test_training_works_with_fewer_molecules_than_a_batch(features, tmp_path, n, n_processes):
    store = FeatureStore.open(features)
    (tmp_path / "few").mkdir()
    with FeatureWriter(tmp_path / "few", store.spec, ("length",)) as writer:
        writer.write(store.rows(np.arange(n)).astype(np.uint16), store.labels(np.arange(n)))
    assert train(config(256, n_processes), tmp_path / "few", tmp_path / "work").n_molecules == 256


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_molecules_are_refused(features, tmp_path, n):
    store = FeatureStore.open(features)
    (tmp_path / "none").mkdir()
    with FeatureWriter(tmp_path / "none", store.spec) as writer:
        writer.write(store.rows(np.arange(1)).astype(np.uint16)[:n])
    with pytest.raises(InputError, match=f"none: .*got {n}"):
        train(config(64), tmp_path / "none", tmp_path / "work")
