"""Faults while features are written and a codec is trained, and damaged features, codecs and checkpoints."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.run_dir import RunDir

from molvae.codec import load_codec
from molvae.codec.description import find_codec
from molvae.errors import CodecError
from molvae.files import sha256_of

from .harness import ROOT, Lab, complete, fills_disk, flip_bit, free_space, kills, mounted, results, truncate

CAMPAIGN = """
[molecules]
path = "library.smi"
[train]
name = "own"
features.vocabulary_size = 40
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
DAMAGES = {"truncated": truncate, "flipped": flip_bit}


def start(folder: Path, molecules: list[str]) -> RunDir:
    (folder / "library.smi").write_text("\n".join(molecules))
    (folder / "own.toml").write_text(CAMPAIGN)
    return runs.start(Campaign.load(folder / "own.toml"), folder / "complete")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A complete run that trained its codec."""
    molecules = [f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("O", "N", "(=O)O", "c1ccccc1")]
    run = start(tmp_path_factory.mktemp("trained"), molecules)
    complete(run)
    return run


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with complete features, whose array is larger than 300 kB."""
    with gzip.open(ROOT / "data" / "moses_test.csv.gz", "rt") as file:
        molecules = [line.split(",")[0].strip() for line in file][1:9_001]
    run = start(tmp_path_factory.mktemp("featurized"), molecules)
    featurize(run)
    assert (run.featurize / "decoder_output.npy").stat().st_size > 300_000
    return run


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decoder_output.npy", ".part-molecules-*"])
def test_a_disk_that_is_full_while_features_are_written(name: str, lab: Lab, featurized: RunDir) -> None:
    with mounted(lab.folder / "disk", "size=100m") as disk:
        run = lab.copy(featurized, to=disk / "run")
        ending = lab.resume(run, faults=[fills_disk(f"1-featurize/{name}", left=100_000)], mount=disk)
        ending.is_refused("1-featurize/", "no space left on device", "free some space", "resume with")
        assert not [path for path in run.featurize.iterdir() if path.is_file()], "a file is left"
        free_space(disk)
        featurize(run)
        assert hashes(run.featurize) == hashes(featurized.featurize)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name",
    [
        "1-featurize/decoder_output.npy",
        "1-featurize/decoder_output_lengths.npy",
        "1-featurize/features.json",
        "2-train/codec/weights.safetensors",
        "2-train/codec/prior.safetensors",
        "2-train/codec/codec.json",
    ],
)
def test_damaged_features_and_codecs_are_named_and_made_again(
    name: str, damage: str, lab: Lab, trained: RunDir
) -> None:
    run = lab.copy(trained, "1-featurize", "2-train", "3-search", "4-validate")
    DAMAGES[damage](run.path / name)
    ending = lab.resume(run)
    assert ending.code == 0, ending
    assert f"{name}: has changed since it was written; the stage runs again" in ending.err
    assert results(run) == results(trained)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tensors of checkpoint.json", "tensors of best.json", "checkpoint.json"])
def test_a_damaged_checkpoint_of_a_training_is_refused(name: str, lab: Lab, trained: RunDir) -> None:
    """The run was killed after the last step, before its codec was written: the best weights are needed, too."""
    for damage in DAMAGES.values():
        run = lab.copy(trained, "1-featurize", to=lab.folder / damage.__name__)
        ending = lab.resume(run, faults=[kills("open", f"{damage.__name__}/2-train/.part-*/codec/weights.safetensors")])
        assert ending.code == -9, ending
        (file,) = run.train.glob(f"checkpoint-*/{name.removeprefix('tensors of ')}")
        if name.startswith("tensors"):
            file = file.with_name(next(iter(json.loads(file.read_text())["files"])))
        damage(file)
        ending = lab.resume(run)
        ending.is_refused(f"{file.name}: has changed since it was written", f"delete {file.parent}")
        shutil.rmtree(file.parent)
        lab.heals(run, trained)


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_file_of_a_codec_is_named(damage: str, tmp_path: Path) -> None:
    whole = find_codec("moses")
    for name in sorted(path.name for path in whole.iterdir()):
        codec = tmp_path / name / "codec"
        shutil.copytree(whole, codec)
        DAMAGES[damage](codec / name)
        with pytest.raises(CodecError, match=name):
            load_codec(codec)
