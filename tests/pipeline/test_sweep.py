"""The command `molvae sweep`: the folder it leaves, going on after a stop, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from molvae.pipeline import commands, terminal
from molvae.pipeline import sweep as sweeping
from molvae.pipeline.cli import _run
from molvae.pipeline.sweep import sweep_features

from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec
from molvae.features import FeatureWriter
from molvae.features.fingerprints import FingerprintFeaturizer

CONFIG = """
[model]
recipe = "plain"
[training]
batch_size = 32
n_molecules = 640
precision = "float32"
"""


@pytest.fixture
def features(tmp_path: Path) -> Path:
    folder = tmp_path / "features"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = (random.random((100, 1)) < 0.3 + 0.4 * random.random((1, 64))).astype(np.uint8)
    with FeatureWriter(folder, FeatureSpec("bits", 64)) as writer:
        writer.write(rows ^ (random.random((100, 64)) < 0.2))
    FingerprintFeaturizer("bits", 2, 64).save(folder / "featurizer.json")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "plain.toml"
    path.write_text(CONFIG)
    return path


def test_the_command_prints_the_table_and_leaves_a_whole_folder(
    features: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sizes"
    line = ["sweep", str(config), "--features", str(features), "--latent", "4,2", "--molecules", "320", "-o", str(out)]
    assert _run(line) == 0
    said = capsys.readouterr()
    assert "variance rebuilt" in said.out
    assert "intrinsic dimension of the data" in said.out
    assert "knee" in said.out
    assert "size 2: " in said.err
    assert "by PCA" in said.err
    assert {path.name for path in out.iterdir()} == {"sweep.csv", "sweep.json", "sweep.png", "sweep.svg"}
    assert list(pd.read_csv(out / "sweep.csv")["size"]) == [2, 4]
    assert json.loads((out / "sweep.json").read_text())["settings"]["training"]["n_molecules"] == 320
    assert {path.name for path in tmp_path.iterdir()} == {"features", "plain.toml", "sizes"}


def test_a_stopped_sweep_goes_on_with_the_missing_sizes(
    features: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sweep_features(config, features, "1,2,4", tmp_path / "whole", None)
    out = tmp_path / "broken"

    def stop(table: pd.DataFrame, path: Path, write=sweeping.write_table) -> None:
        write(table, path)
        if len(table) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sweeping, "write_table", stop)
        with pytest.raises(KeyboardInterrupt):
            sweep_features(config, features, "1,2,4", out, None)
    assert not out.exists()
    with pytest.raises(InputError, match="other settings or features"):
        sweep_features(config, features, "1,2,4", out, 320)
    capsys.readouterr()
    with terminal.showing():
        result = sweep_features(config, features, "1,2,4", out, None)
    said = capsys.readouterr().err
    assert "sizes finished before: 1, 2" in said
    assert "size 4:" in said
    assert "size 2:" not in said
    measured = [name for name in whole.table if name != "seconds"]
    pd.testing.assert_frame_equal(result.table[measured], whole.table[measured])
    assert not (tmp_path / "broken.partial").exists()
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())


def test_what_cannot_be_swept_is_refused_in_one_sentence(
    features: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sizes"
    other = tmp_path / "counts.toml"
    other.write_text('[features]\ndecoder_output = "counts"\n' + CONFIG)
    linear = tmp_path / "linear.toml"
    linear.write_text(CONFIG.replace("plain", "linear"))
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for path, sizes, folder, where, message in [
        (config, "2,x", features, out, "got 'x'"),
        (config, "2,2", features, out, "stands twice"),
        (config, "2000", features, out, "between 1 and 1024"),
        (linear, "65", features, out, "larger than the 64 columns"),
        (other, "2", features, out, "decoder_output 'counts'"),
        (config, "2", tmp_path / "none", out, "molvae featurize"),
        (tmp_path / "none.toml", "2", features, out, "no such file"),
        (config, "2", features, full, "expected a new or empty folder"),
    ]:
        code = _run(["sweep", str(path), "--features", str(folder), "--latent", sizes, "-o", str(where)])
        said = capsys.readouterr().err.strip().splitlines()
        assert (code, len(said)) == (2, 1), said
        assert message in said[0]
        assert not out.exists()
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def test_more_molecules_than_the_settings_say_are_shown_only_when_asked(
    features: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text(CONFIG.replace("640", "5_000_000"))
    result = sweep_features(config, features, "1", tmp_path / "asked", 64)
    assert result.config.training.n_molecules == 64
    assert commands.sweep.__doc__
