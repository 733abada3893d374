"""Featurize, train, refit and sweep from Python, without the pipeline."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import molvae
from molvae.errors import InputError
from molvae.features.store import FeatureStore
from molvae.features.views import FeatureSettings
from molvae.training import Progress, TrainConfig
from molvae.training.feature_source import FeatureSource, read_source
from molvae.workers import Serial

LIBRARY = [f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("O", "N", "(=O)O", "c1ccccc1")]
CONFIG = TrainConfig.from_dict(
    {
        "name": "tiny",
        "features": {"vocabulary_size": 30, "labels": 10},
        "model": {"n_latent": 4},
        "training": {"n_molecules": 64, "batch_size": 8, "n_held_out": 4, "n_processes": 1, "evaluate_every": 32},
    },
    "tiny.toml",
)
SCRIPT = """
import sys
from pathlib import Path
import molvae
from molvae.training import TrainConfig
from molvae.workers import Serial

config = TrainConfig.from_toml(Path("tiny.toml"))
print(molvae.featurize("library.smi", "features", config).n_kept)
codec = molvae.train_codec(config, "features", "codec")
print(codec.encode(["CCO"]).z.shape)
molvae.featurize("library.smi", "own", like="codec", mapper=Serial())
molvae.refit_codec("codec", "own", "focused")
molvae.sweep_latent_sizes(config, "features", [1, 2], "sizes", n_molecules=32)
print(sorted(name for name in sys.modules if name.partition(".")[0] == "prefect" or "pipeline" in name.split(".")[:2]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("library.smi").write_text("\n".join([*LIBRARY, "nonsense", LIBRARY[0]]))
    return tmp_path


@pytest.fixture
def features(folder: Path) -> Path:
    molvae.featurize("library.smi", "features", CONFIG, mapper=Serial())
    return Path("features")


def test_a_codec_is_trained_without_pipeline_and_prefect(folder: Path) -> None:
    Path("tiny.toml").write_text(CONFIG.to_toml())
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["32", "(1, 4)", "[]"]
    assert done.stderr == ""
    assert {"features", "codec", "own", "focused", "sizes"} <= {path.name for path in folder.iterdir()}


def test_featurize_accounts_for_every_row(folder: Path) -> None:
    seen: list[Progress] = []
    notes: list[str] = []
    counts = molvae.featurize(
        "library.smi", "features", CONFIG, mapper=Serial(), progress=seen.append, notify=notes.append
    )
    assert (counts.n_rows, counts.n_kept) == (34, 32)
    assert counts.dropped == {"invalid SMILES": 1, "duplicate": 1}
    assert counts.files["molecules.parquet"] == counts.files["decoder_output.npy"] == 32
    assert {path.name for path in Path("features").iterdir()} == counts.files.keys()
    assert len(FeatureStore.open(Path("features"))) == 32
    assert [(event.step, event.done) for event in seen] == [
        ("featurize", 0),
        ("featurize", 34),
        ("features and labels", 0),
        ("features and labels", 32),
    ]
    assert notes == ["learning the vocabulary"]
    with pytest.raises(InputError, match="features: "):
        molvae.featurize("library.smi", "features")


def test_a_failed_featurize_leaves_no_folder(folder: Path) -> None:
    Path("bad.smi").write_text("nonsense\nmore\n")
    with pytest.raises(InputError, match=r"bad\.smi: .*2 rows"):
        molvae.featurize("bad.smi", "features", FeatureSettings(), mapper=Serial())
    assert {path.name for path in folder.iterdir()} == {"library.smi", "bad.smi"}


def test_the_features_record_their_molecule_file(features: Path) -> None:
    source = read_source(features)
    assert source is not None
    assert source.name == "library.smi"
    assert len(source.sha256) == 64
    (features / "source.json").unlink()
    assert read_source(features) is None
    entry = {"path": "somewhere/library.smi", "sha256": source.sha256}  # as a folder of an older version has it
    (features / "manifest.json").write_text(json.dumps({"inputs": {"molecules": entry}}))
    assert read_source(features) == source == FeatureSource("library.smi", source.sha256)


def test_train_codec_reports_each_validation(features: Path) -> None:
    seen: list[Progress] = []
    notes: list[str] = []
    codec = molvae.train_codec(CONFIG, features, "codec", progress=seen.append, notify=notes.append)
    assert [(event.step, event.done, event.total) for event in seen] == [("train", n, 64) for n in (0, 32, 64)]
    assert seen[0].metrics == {}
    assert codec.card["held_out"]["loss"] == round(min(event.metrics["loss"] for event in seen[1:]), 4)
    assert codec.card["training_data"].startswith("library.smi, sha256 ")
    assert notes == ["fitting the prior (gaussian)"]
    assert {"codec.json", "log.jsonl"} <= {path.name for path in Path("codec").iterdir()}
    with pytest.raises(InputError, match="codec: "):
        molvae.train_codec(CONFIG, features, "codec")


def test_an_interrupted_training_resumes_to_the_same_codec(features: Path) -> None:
    whole = molvae.train_codec(CONFIG, features, "whole")

    def stop(event: Progress) -> None:
        if event.done == 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        molvae.train_codec(CONFIG, features, "codec", progress=stop)
    assert not Path("codec").exists()
    with pytest.raises(InputError, match=r"codec\.training: .*--resume"):
        molvae.train_codec(CONFIG, features, "codec")
    with pytest.raises(InputError, match="resume"):
        molvae.train_codec(CONFIG, features, "codec", resume=True, start="whole")
    codec = molvae.train_codec(CONFIG, features, "codec", resume=True)
    np.testing.assert_array_equal(codec.encode(["CCO"]).z, whole.encode(["CCO"]).z)
    assert not Path("codec.training").exists()


def test_start_and_refit_take_a_codec_or_its_folder(features: Path) -> None:
    first = molvae.train_codec(CONFIG, features, "first")
    second = molvae.train_codec(CONFIG, features, "second", start=first)
    third = molvae.train_codec(CONFIG, features, "third", start="first")
    assert second.card["initial_weights"] == third.card["initial_weights"] == f"tiny, sha256 {first.sha256}"
    np.testing.assert_array_equal(second.encode(["CCO"]).z, third.encode(["CCO"]).z)
    focused = molvae.refit_codec(first, features, "focused")
    np.testing.assert_array_equal(focused.encode(["CCO"]).z, first.encode(["CCO"]).z)
    assert focused.card["prior_fitted_to"].endswith("; 32 molecules")
    with pytest.raises(InputError, match="--vocabulary moses"):
        molvae.refit_codec("moses", features, "other")


def test_an_interrupted_sweep_resumes(features: Path) -> None:
    seen: list[Progress] = []
    whole = molvae.sweep_latent_sizes(CONFIG, features, [2, 1], "whole", progress=seen.append)
    assert [event.metrics["size"] for event in seen if event.metrics] == [1, 2]
    assert (seen[-1].done, seen[-1].total) == (128, 128)

    def stop(event: Progress) -> None:
        if event.metrics:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        molvae.sweep_latent_sizes(CONFIG, features, [2, 1], "sizes", progress=stop)
    notes: list[str] = []
    again = molvae.sweep_latent_sizes(CONFIG, features, [2, 1], "sizes", notify=notes.append)
    assert len(notes) == 1
    assert notes[0].endswith(": 1")
    columns = [name for name in whole.table if name != "seconds"]
    assert again.table[columns].equals(whole.table[columns])
