"""The command `molvae evaluate`: what it prints and writes for files, and how bad input ends."""

import json
from pathlib import Path

import pytest
from molvae.pipeline import cli

pytestmark = pytest.mark.usefixtures("one_process")

GENERATED = ["CCO", "CCO", "CC(=O)Nc1ccc(O)cc1", "c1ccc2ccccc2c1", "no molecule", "CCCP"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made.smi").write_text("\n".join(GENERATED) + "\n")
    Path("mine.csv").write_text("id,smiles\na,CCN\nb,OCC\nc,c1ccc2ccccc2c1\nd,C1CC\n")


def run(*arguments: str) -> int:
    return cli._run(["evaluate", *arguments])


def test_a_file_beside_a_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("made.smi", "--reference", "mine.csv", "--train", "mine.csv", "--json", "made.json") == 0
    said = capsys.readouterr()
    assert said.out.startswith("File made.smi\n6 rows\n  valid")
    assert "the molecules of mine.csv" in said.out
    notes = [line for line in said.err.splitlines() if line.startswith("note: --")]
    assert [" ".join(note.split()[1:3]) for note in notes] == ["--reference mine.csv:", "--train mine.csv:"]
    assert all("(1)" in note for note in notes)
    figures = json.loads(Path("made.json").read_text())
    assert figures["file"] == "made.smi"
    assert figures["n"] == 6
    assert figures["moses"]["valid"] == 5 / 6
    assert figures["novelty"] == 2 / 4
    assert figures["references"]["reference"]["n"] == 3


def test_novelty_needs_a_training_set_beside_a_reference_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("one.smi").write_text("CCO\n")
    assert run("one.smi", "--reference", "one.smi") == 0
    said = capsys.readouterr().out
    assert "training set not known (--train FILE)" in said
    assert "needs two reference molecules" in said or "needs two valid molecules" in said
    assert "one valid molecule only" in said


def test_a_file_without_a_molecule_has_a_validity(capsys: pytest.CaptureFixture[str]) -> None:
    Path("none.smi").write_text("C1CC\nC(C\n")
    assert run("none.smi") == 0
    said = capsys.readouterr().out
    assert "0.00 %" in said
    assert "no valid molecule" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("made.smi", "--codec", "moses"), "--codec"),
        (("made.smi", "--n", "5", "--seed", "1"), "--n, --seed"),
        (("absent.smi",), "absent.smi"),
        (("empty.smi",), "empty.smi"),
        (("made.smi", "--reference", "empty.smi"), "empty.smi"),
        (("made.smi", "--reference", "none.smi"), "--reference none.smi: expected molecules, got 1 "),
        (
            ("made.smi", "--reference", "mine.csv", "--train", "none.smi"),
            "--train none.smi: expected molecules, got 1 ",
        ),
        (("picture.png",), "the ending .png is not known"),
        (("made.smi", "--json", "made.txt"), "--json made.txt: expected a file name that ends in .json"),
        (("--n", "0"), "--n"),
    ],
)
def test_bad_input_ends_in_a_sentence(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.smi").write_text("")
    Path("none.smi").write_text("C1CC\n")
    Path("picture.png").write_bytes(b"\x89PNG")
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_one_sample_of_a_codec(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--n", "1", "--reference", "mine.csv") == 0
    said = capsys.readouterr().out
    assert said.startswith("Codec druglike\n")
    assert "needs two valid molecules" in said
