"""Files of a run that are truncated, or have a flipped bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
from molvae.pipeline.run_dir import RunDir

from .harness import Lab, files_of, flip_bit, kills, results, truncate

STAGES = ("1-featurize", "3-search", "4-validate")
OUTPUTS = [
    "1-featurize/molecules.parquet",
    "1-featurize/manifest.json",
    "3-search/proposals.parquet",
    "3-search/latent.npy",
    "3-search/history.json",
    "3-search/manifest.json",
    "4-validate/candidates.csv",
    "4-validate/candidates.parquet",
    "4-validate/manifest.json",
]
DAMAGES: dict[str, Callable[[Path], None]] = {"truncated": truncate, "flipped": flip_bit}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_damaged_output_is_named_and_made_again(
    name: str, damage: str, lab: Lab, small: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a run that is complete."""
    run = lab.copy(small, *STAGES)
    DAMAGES[damage](run.path / name)
    ending = lab.resume(run)
    assert ending.code == 0, ending
    assert f"{name}: has changed since it was written; the stage runs again" in ending.err
    assert results(run) == results(small)
    assert files_of(run) == files_of(small)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["rounds.bin", "state.bin"])
def test_a_damaged_checkpoint_is_refused(name: str, damage: str, lab: Lab, small: RunDir) -> None:
    run = lab.copy(small, *STAGES[:1])
    assert lab.resume(run, faults=[kills("rename", "3-search/checkpoint-*/state.bin", after=5)]).code == -9
    (file,) = run.path.glob(f"3-search/checkpoint-*/{name}")
    DAMAGES[damage](file)
    ending = lab.resume(run)
    ending.is_refused(f"{name}: damaged", "delete the checkpoint to start again")
    for entry in file.parent.iterdir():
        entry.unlink()
    lab.heals(run, small)
