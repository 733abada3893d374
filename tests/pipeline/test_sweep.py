"""The command `molvae sweep`: its output folder, resuming, and invalid input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from molvae.pipeline import commands, terminal
from molvae.pipeline.cli import _run
from molvae.pipeline.sweep import sweep_features

from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec
from molvae.features import FeatureWriter
from molvae.features.fingerprints import FingerprintFeaturizer
from molvae.training import latent_sizes

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


def test_the_command_prints_the_table_and_writes_the_folder(
    features: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sizes"
    line = ["sweep", str(config), "--features", str(features), "--latent", "4,2", "--molecules", "320", "-o", str(out)]
    assert _run(line) == 0
    shown = capsys.readouterr()
    assert "intrinsic dimension" in shown.out
    assert "knee" in shown.out
    assert "size 2: " in shown.err
    assert "PCA" in shown.err
    assert {path.name for path in out.iterdir()} == {"sweep.csv", "sweep.json", "sweep.png", "sweep.svg"}
    assert list(pd.read_csv(out / "sweep.csv")["size"]) == [2, 4]
    assert json.loads((out / "sweep.json").read_text())["settings"]["training"]["n_molecules"] == 320
    assert {path.name for path in tmp_path.iterdir()} == {"features", "plain.toml", "sizes"}


def test_an_interrupted_sweep_resumes_with_the_missing_sizes(
    features: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sweep_features(config, features, "1,2,4", tmp_path / "whole", None)
    out = tmp_path / "interrupted"

    def stop(table: pd.DataFrame, path: Path, write=latent_sizes.write_table) -> None:
        write(table, path)
        if len(table) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(latent_sizes, "write_table", stop)
        with pytest.raises(KeyboardInterrupt):
            sweep_features(config, features, "1,2,4", out, None)
    assert not out.exists()
    with pytest.raises(InputError, match=r"interrupted\.partial: .*settings"):
        sweep_features(config, features, "1,2,4", out, 320)
    capsys.readouterr()
    with terminal.showing():
        result = sweep_features(config, features, "1,2,4", out, None)
    shown = capsys.readouterr().err
    assert ": 1, 2\n" in shown
    assert "size 4:" in shown
    assert "size 2:" not in shown
    measured = [name for name in whole.table if name != "seconds"]
    pd.testing.assert_frame_equal(result.table[measured], whole.table[measured])
    assert not (tmp_path / "interrupted.partial").exists()
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())


def test_unusable_input_is_refused_in_one_line(
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
    for path, sizes, folder, where, fact in [
        (config, "2,x", features, out, "got 'x'"),
        (config, "2,2", features, out, "size 2: "),
        (config, "2000", features, out, "size 2000: "),
        (linear, "65", features, out, "64 columns"),
        (other, "2", features, out, "decoder_output 'counts'"),
        (config, "2", tmp_path / "none", out, "none: "),
        (tmp_path / "none.toml", "2", features, out, "none.toml: "),
        (config, "2", features, full, "full: "),
    ]:
        code = _run(["sweep", str(path), "--features", str(folder), "--latent", sizes, "-o", str(where)])
        lines = capsys.readouterr().err.strip().splitlines()
        assert (code, len(lines)) == (2, 1), lines
        assert fact in lines[0]
        assert not out.exists()
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def test_the_option_limits_the_molecules_per_size(features: Path, config: Path, tmp_path: Path) -> None:
    config.write_text(CONFIG.replace("640", "5_000_000"))
    result = sweep_features(config, features, "1", tmp_path / "asked", 64)
    assert result.config.training.n_molecules == 64
    assert commands.sweep.__doc__
