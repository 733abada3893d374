"""A campaign that trains its own codec: the four stages, and a training that is stopped and gone on with."""

import shutil
from pathlib import Path

import pytest
from molvae.pipeline import runs, terminal
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.manifest import Manifest
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.search import search
from molvae.pipeline.train import _kept_out, train
from molvae.pipeline.validate import validate

import molvae
from molvae.candidates.files import read_candidates
from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.training.batches import held_out_rows
from molvae.training.checkpoint import CHECKPOINT_NAME
from molvae.training.config import TrainingSettings

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


def test_the_library_is_written_as_tokens_and_labels(featurized: RunDir) -> None:
    manifest = Manifest.read(featurized.featurize)
    assert manifest is not None
    rows = {entry.path: entry.rows for entry in manifest.outputs}
    assert rows["decoder_output.npy"] == rows["molecules.parquet"] == 32


def test_the_run_uses_the_codec_it_trained(trained: RunDir) -> None:
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
    assert "check_in_training" not in table, "nothing is said of a training set that is not known"
    found = codec.applicability_domain(table["smiles"], percentile=90, remove_stereo=True)
    assert table["check_in_domain"].tolist() == [reason or "pass" for reason in found["reason"]]


def test_training_that_is_stopped_goes_on(featurized: RunDir, trained: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copy(featurized, "stopped")

    def stop(line: str) -> None:
        if line.startswith("  64 of 96"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(terminal, "say", stop)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    (left,) = run.train.iterdir()
    assert (left / CHECKPOINT_NAME).exists(), "the checkpoint stays"
    train(run)
    for name in ("weights.safetensors", "prior.safetensors"):
        assert sha256_of(run.codec / name) == sha256_of(trained.codec / name)
    assert {path.name for path in run.train.iterdir()} == {path.name for path in trained.train.iterdir()}


def test_training_killed_before_its_first_checkpoint_begins_anew(featurized: RunDir, trained: RunDir) -> None:
    run = copy(featurized, "early")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molvae.pipeline.train.train_model", stop)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    manifest = Manifest.read(trained.train)
    assert manifest is not None
    half = run.train / f"checkpoint-{manifest.key[:12]}"
    half.mkdir()
    (half / "config.toml").write_text("[train")
    train(run)
    assert sha256_of(run.codec / "weights.safetensors") == sha256_of(trained.codec / "weights.safetensors")


def test_without_its_section_there_is_nothing_to_train(tmp_path: Path) -> None:
    run = runs.start(Campaign.load(None), tmp_path / "run")
    with pytest.raises(InputError, match=r"there is no \[train\] section"):
        train(run)


def test_a_domain_is_measured_by_molecules_that_training_did_not_see() -> None:
    assert _kept_out(TrainingSettings(n_held_out=500), 20_000) is None
    assert _kept_out(TrainingSettings(), 9_000) is None
    kept_out = _kept_out(TrainingSettings(n_held_out=3_000, seed=1), 20_000)
    assert kept_out is not None
    assert len(kept_out) == 2_000
    seen, _ = held_out_rows(20_000, 3_000, seed=1)
    assert not set(kept_out.tolist()) & set(seen.tolist())
