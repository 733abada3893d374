from pathlib import Path

import pytest

from molvae.benchmark.comparison import evaluate_smiles
from molvae.benchmark.files import evaluate_file
from molvae.errors import InputError
from molvae.workers import Serial

GENERATED = ["CCO", "CCO", "CC(=O)Nc1ccc(O)cc1", "c1ccc2ccccc2c1", "C1CC", "CCCP"]
REFERENCE = ["CCN", "CCO", "c1ccc2ccccc2c1"]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("generated.smi").write_text("\n".join(GENERATED) + "\n")
    Path("mine.csv").write_text("id,smiles\na,NCC\nb,C1CC\nc,OCC\nd,c1ccc2ccccc2c1\n")
    Path("invalid.smi").write_text("C1CC\n")


def test_a_file_has_the_metrics_of_its_smiles() -> None:
    metrics = evaluate_file("generated.smi", "mine.csv", Path("mine.csv"), mapper=Serial())
    assert metrics == evaluate_smiles(
        GENERATED, REFERENCE, REFERENCE, origin="the molecules of mine.csv", mapper=Serial()
    )
    assert metrics.valid == 5 / 6
    assert metrics.novelty == 2 / 4


@pytest.mark.parametrize("role", ["reference", "train"])
def test_files_without_valid_molecules_are_refused(role: str) -> None:
    files = {"reference": "mine.csv", role: "invalid.smi"}
    with pytest.raises(InputError, match=r"invalid\.smi"):
        evaluate_file("generated.smi", **files, mapper=Serial())
