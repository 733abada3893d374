"""The command `molvae evaluate` on files: its output, and its errors."""

import json
from pathlib import Path

import pytest
from molvae.pipeline import cli

pytestmark = pytest.mark.usefixtures("one_process")

GENERATED = ["CCO", "CCO", "CC(=O)Nc1ccc(O)cc1", "c1ccc2ccccc2c1", "invalid", "CCCP"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("generated.smi").write_text("\n".join(GENERATED) + "\n")
    Path("mine.csv").write_text("id,smiles\na,CCN\nb,OCC\nc,c1ccc2ccccc2c1\nd,C1CC\n")


def run(*arguments: str) -> int:
    return cli._run(["evaluate", *arguments])


def test_a_file_is_compared_with_a_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generated.smi", "--reference", "mine.csv", "--train", "mine.csv", "--json", "metrics.json") == 0
    output = capsys.readouterr()
    assert output.out.startswith("File generated.smi\n6 rows\n  valid")
    assert "the molecules of mine.csv" in output.out
    notes = [line for line in output.err.splitlines() if line.startswith("note: --")]
    assert [" ".join(note.split()[1:3]) for note in notes] == ["--reference mine.csv:", "--train mine.csv:"]
    assert all("(1)" in note for note in notes)
    metrics = json.loads(Path("metrics.json").read_text())
    assert metrics["file"] == "generated.smi"
    assert metrics["n"] == 6
    assert metrics["moses"]["valid"] == 5 / 6
    assert metrics["novelty"] == 2 / 4
    assert metrics["references"]["reference"]["n"] == 3


def test_novelty_needs_a_training_set_if_a_reference_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    Path("one.smi").write_text("CCO\n")
    assert run("one.smi", "--reference", "one.smi") == 0
    printed = capsys.readouterr().out
    assert "--train FILE" in printed
    assert "needs two reference molecules" in printed or "needs two valid molecules" in printed
    assert "only one valid molecule" in printed


def test_a_file_without_valid_molecules_has_a_validity_of_0(capsys: pytest.CaptureFixture[str]) -> None:
    Path("invalid.smi").write_text("C1CC\nC(C\n")
    assert run("invalid.smi") == 0
    printed = capsys.readouterr().out
    assert "0.00 %" in printed
    assert "no valid molecule" in printed


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("generated.smi", "--codec", "moses"), "--codec"),
        (("generated.smi", "--n", "5", "--seed", "1"), "--n, --seed"),
        (("absent.smi",), "absent.smi"),
        (("empty.smi",), "empty.smi"),
        (("generated.smi", "--reference", "empty.smi"), "empty.smi"),
        (("generated.smi", "--reference", "invalid.smi"), "--reference invalid.smi: "),
        (
            ("generated.smi", "--reference", "mine.csv", "--train", "invalid.smi"),
            "--train invalid.smi: ",
        ),
        (("picture.png",), ".png"),
        (("generated.smi", "--json", "metrics.txt"), "--json metrics.txt: "),
        (("--n", "0"), "--n"),
    ],
)
def test_invalid_input_is_reported_without_a_traceback(
    arguments: tuple[str, ...], fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.smi").write_text("")
    Path("invalid.smi").write_text("C1CC\n")
    Path("picture.png").write_bytes(b"\x89PNG")
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    assert fact in printed
    assert "Traceback" not in printed


@pytest.mark.slow
def test_one_sample_of_a_codec(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--n", "1", "--reference", "mine.csv") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Codec druglike\n")
    assert "needs two valid molecules" in printed
