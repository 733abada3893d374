"""`molvae pick`: the words for runs, the constraints, the lists, and the files that it writes."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import read_candidates, write_candidates


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int:
    """Run `molvae pick` and return the exit code."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["pick", *arguments])
    return int(stop.value.code or 0)


def rows(path: str = "picks.csv") -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def monday(candidates: pd.DataFrame) -> Path:
    """A folder with a candidate table in which two of four molecules passed."""
    folder = Path("monday")
    folder.mkdir()
    write_candidates(folder, candidates)
    return folder


def test_prints_the_picks_and_writes_a_plate_table(monday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(str(monday), "-n", "2", "--diversity", "0", "-o", "picks.csv", "-o", "picks.sdf", "-o", "plate.html")
        == cli.DONE
    )
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:5] == ["1", "C000001", "0.812", "S1", "CC(=O)Nc1ccc(O)cc1"]
    assert lines[2].endswith("rank 2 by score")
    assert "fingerprints only" in err
    assert [(row["well"], row["candidate_id"]) for row in rows()] == [("A1", "C000001"), ("A2", "C000002")]
    assert Path("picks.sdf").read_text().count("$$$$") == 2
    assert Path("plate.html").read_text().count("rank 2 by score") == 1


def test_the_condition_replaces_the_default(monday: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(monday), "--where", "not passed and has('[N,n]') and value_logp < 0", "-o", "picks.csv") == cli.DONE
    assert [row["candidate_id"] for row in rows()] == ["C000004"]
    assert "1 pick instead of 24: of 4 candidates, 3 not eligible" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.smi", "C000003\nCC(=O)Nc1ccc(O)cc1.Cl paracetamol\n"),
        ("list.txt", "id\nC000003\nC000001\n"),
        ("list.csv", "candidate_id,note\nC000003,a\nC000001,b\n"),
        ("list.csv", "SMILES;id\nO=Cc1ccncc1;x\nOc1ccc(NC(C)=O)cc1;y\n"),
    ],
)
def test_lists_may_hold_ids_or_smiles_in_any_format(monday: Path, name: str, content: str) -> None:
    Path(name).write_text(content)
    assert run(str(monday), "-n", "2", "--include", name, "-o", "picks.csv") == cli.DONE
    assert [row["candidate_id"] for row in rows()] == ["C000003", "C000001"]
    assert run(str(monday), "--exclude", name, "-o", "picks.csv") == cli.DONE
    assert [row["candidate_id"] for row in rows()] == ["C000002"]


def test_an_earlier_plate_can_be_excluded(monday: Path) -> None:
    assert run(str(monday), "-n", "1", "-o", "first.csv", "-o", "first.sdf") == cli.DONE
    for name in ("first.csv", "first.sdf"):
        assert run(str(monday), "--exclude", name, "-o", "picks.csv") == cli.DONE
        assert {row["smiles"] for row in rows()}.isdisjoint(row["smiles"] for row in rows("first.csv"))


def test_molecules_of_several_runs_are_merged(
    monday: Path, candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    tuesday = Path("tuesday")
    tuesday.mkdir()
    write_candidates(tuesday, candidates.iloc[[1, 3]].assign(passed=True, score=[0.9, 0.2]))
    assert run(str(monday), str(tuesday), "--diversity", "0", "-o", "picks.csv") == cli.DONE
    found = [(row["candidate_id"], row["run"], row["also_in"]) for row in rows()]
    assert found == [("C000002", "tuesday", "monday"), ("C000001", "monday", ""), ("C000004", "tuesday", "monday")]
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["1", "C000002", "tuesday"],
        ["2", "C000001", "monday"],
        ["3", "C000004", "tuesday"],
    ]


def test_a_condition_holds_for_all_runs_together(monday: Path, candidates: pd.DataFrame) -> None:
    tuesday = Path("tuesday")
    tuesday.mkdir()
    other = candidates.iloc[:1].assign(smiles="CCO", score=0.8)
    write_candidates(tuesday, other)
    limit = "passed order by score desc limit 2"
    assert run("monday", "tuesday", "--where", limit, "--diversity", "0", "-o", "picks.csv") == cli.DONE
    found = [(row["run"], row["candidate_id"]) for row in rows()]
    assert found == [("monday", "C000001"), ("tuesday", "C000001")]


def test_excel_gets_its_mark_and_molvae_reads_the_file(monday: Path) -> None:
    assert run("monday", "--excel", "-o", "picks.csv") == cli.DONE
    assert Path("picks.csv").read_bytes().startswith(b"\xef\xbb\xbfposition,")
    assert len(read_candidates(Path("picks.csv"), may_hold_more=True)) == 2
    assert run("monday", "--excel", "-o", "picks.sdf") == cli.REFUSED


def test_the_latent_vectors_of_a_run_are_used(
    monday: Path, candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """C000001 and C000002 have the same latent vector, so that a third molecule is farther."""
    write_candidates(monday, candidates.assign(passed=True, score=[0.9, 0.8, 0.7, 0.6]))
    (monday / "3-search").mkdir()
    np.save(monday / "3-search" / "latent.npy", np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32))
    manifest = {
        "stage": "search",
        "version": 1,
        "key": "0",
        "settings": {},
        "seed": 0,
        "inputs": {"codec": {"path": "toy", "sha256": "0"}},
        "outputs": [],
        "counts": {"into": 4, "kept": 4, "dropped": {}},
        "stopped": "",
        "packages": {},
        "seconds": 1.0,
    }
    (monday / "3-search" / "manifest.json").write_text(json.dumps(manifest))
    assert run(str(monday), "-n", "2", "--diversity", "1", "--latent-weight", "1", "-o", "picks.csv") == cli.DONE
    assert [row["candidate_id"] for row in rows()] == ["C000001", "C000004"]
    (monday / "3-search" / "latent.npy").write_bytes(b"nonsense")
    assert run(str(monday), "-n", "2", "--diversity", "1") == cli.DONE
    err = capsys.readouterr().err
    assert "latent.npy: not readable" in err
    assert "fingerprints only" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-n", "0"], "n: "),
        (["--diversity", "2"], "diversity"),
        (["--method", "best"], "maxmin"),
        (["--plate", "25"], "24, 48, 96, 384"),
        (["--where", "scor > 0"], "score"),
        (["--where", "select score from candidates"], "candidate_id"),
        (["--where", "score > 2"], "4 not eligible"),
        (["--include", "missing.smi"], "missing.smi"),
        (["--include", "names.csv"], "candidate_id"),
        (["--include", "junk.sdf"], "junk.sdf"),
        (["--include", "all.smi", "-n", "1"], "more than the number of picks"),
        (["--include", "all.smi", "--exclude", "all.smi"], "both"),
        (["--exclude-similarity", "0.9"], "--exclude"),
        (["--per-scaffold", "1", "-n", "2", "--where", "scaffold = 'c1ccccc1'"], "scaffold"),
        (["-o", "picks.doc"], ".csv"),
    ],
)
def test_bad_input_is_one_sentence(
    monday: Path, arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("all.smi").write_text("CC(=O)Nc1ccc(O)cc1\nO=Cc1ccncc1\n")
    Path("names.csv").write_text("name,comment\nparacetamol,yes\n")
    Path("junk.sdf").write_text("no molecule\n")
    assert run(str(monday), *arguments) == cli.REFUSED
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("molvae: ")
    assert named in message
    assert "--smiles-column" not in message


def test_an_unknown_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nothing") == cli.REFUSED
    assert "nothing" in capsys.readouterr().err
