"""A campaign that trains a codec: the four stages, and an interrupted training that resumes."""

import shutil
from pathlib import Path

import pytest
from molvae.pipeline import runs, terminal
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.manifest import Manifest
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.search import search
from molvae.pipeline.train import train
from molvae.pipeline.validate import validate

import molvae
from molvae.candidates.files import read_candidates
from molvae.devices import CODEC_DEVICE, choose_precision, fastest_device
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.training.checkpoint import CHECKPOINT_NAME

CAMPAIGN = """
name = "own"
[molecules]
path = "library.smi"
[train]
name = "own-codec"
features.vocabulary_size = 30
features.labels = 10
[train.model]
n_latent = 4
[train.training]
n_molecules = 96
batch_size = 8
n_held_out = 4
n_processes = 1
evaluate_every = 32
[search]
budget = 12
proposals = 40
[objective.terms.weight]
property = "mol_weight"
shape = "lower"
[checks]
mol_weight = [10, 500]
in_domain = 90
"""


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    folder = tmp_path_factory.mktemp("own")
    rows = [f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("O", "N", "(=O)O", "c1ccccc1")]
    (folder / "library.smi").write_text("\n".join(rows))
    (folder / "own.toml").write_text(CAMPAIGN)
    run = runs.start(runs.load(folder / "own.toml", []), folder / "run")
    featurize(run)
    return run


def copy(run: RunDir, name: str) -> RunDir:
    shutil.copytree(run.path, run.path.with_name(name))
    return RunDir(run.path.with_name(name))


@pytest.fixture(scope="module")
def trained(featurized: RunDir) -> RunDir:
    run = copy(featurized, "trained")
    train(run)
    return run


def test_the_library_is_written_as_features_and_labels(featurized: RunDir) -> None:
    manifest = Manifest.read(featurized.featurize)
    assert manifest is not None
    rows = {entry.path: entry.rows for entry in manifest.outputs}
    assert rows["decoder_output.npy"] == rows["molecules.parquet"] == 32


def test_the_log_tells_the_precision(featurized: RunDir, caplog: pytest.LogCaptureFixture) -> None:
    run = copy(featurized, "logged")
    with caplog.at_level("INFO", logger="pipeline"):
        train(run)
        search(run)
    device = fastest_device()
    assert f"train: trains in {choose_precision(device)} on {device}" in caplog.messages
    assert f"search: encodes and decodes in {choose_precision(CODEC_DEVICE)}" in caplog.messages


def test_the_search_uses_the_trained_codec(trained: RunDir) -> None:
    manifest = Manifest.read(trained.train)
    assert manifest is not None
    assert manifest.stopped == "finished"
    assert {path.name for path in trained.train.iterdir()} == {"codec", "log.jsonl", "manifest.json"}
    codec = molvae.load_codec(trained.codec)
    assert (codec.name, codec.n_latent) == ("own-codec", 4)
    search(trained)
    validate(trained)
    searched = Manifest.read(trained.search)
    assert searched is not None
    assert searched.inputs["codec"].sha256 == codec.sha256
    table = read_candidates(trained.path)
    assert len(table) > 0
    assert "check_in_training" not in table, "the training set is not available"
    found = codec.applicability_domain(table["smiles"], percentile=90, remove_stereo=True)
    assert table["check_in_domain"].tolist() == [reason or "pass" for reason in found["reason"]]


def test_an_interrupted_training_resumes(featurized: RunDir, trained: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copy(featurized, "stopped")

    def stop(line: str) -> None:
        if line.startswith("  64 of 96"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(terminal, "show", stop)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    (work,) = run.train.iterdir()
    assert (work / CHECKPOINT_NAME).exists()
    train(run)
    for name in ("weights.safetensors", "prior.safetensors"):
        assert sha256_of(run.codec / name) == sha256_of(trained.codec / name)
    assert {path.name for path in run.train.iterdir()} == {path.name for path in trained.train.iterdir()}


def test_a_training_killed_before_its_first_checkpoint_starts_again(featurized: RunDir, trained: RunDir) -> None:
    run = copy(featurized, "early")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molvae.training.codec_training.train", stop)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    manifest = Manifest.read(trained.train)
    assert manifest is not None
    partial = run.train / f"checkpoint-{manifest.key[:12]}"
    partial.mkdir()
    (partial / "config.toml").write_text("[train")
    train(run)
    assert sha256_of(run.codec / "weights.safetensors") == sha256_of(trained.codec / "weights.safetensors")


def test_a_campaign_without_a_train_section_is_refused(tmp_path: Path) -> None:
    run = runs.start(Campaign.load(None), tmp_path / "run")
    with pytest.raises(InputError, match=r"\[train\]"):
        train(run)
