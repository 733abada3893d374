"""`molvae design` from the command line: a run that is stopped twice, resumed and printed again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from molvae.pipeline import cli

from molvae.candidates.comparison import compare_candidates
from molvae.candidates.explanation import explain_candidate
from molvae.candidates.run_data import read_run
from molvae.devices import CODEC_DEVICE, choose_precision

ROOT = Path(__file__).parents[2]
SMALL = [
    "--set", "molecules.path=library.csv", "--set", "search.budget=150", "--set", "search.proposals=60",
    "--set", "search.batch_size=5", "--set", "checks.in_training=false",
]  # fmt: skip


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "molvae.pipeline.cli", "design", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT), "HOME": str(folder / "home"), "COLUMNS": "80"},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes whose working folder is inside this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "home").mkdir()
    (folder / "library.csv").write_text("name,SMILES\na,CCO\nb,c1ccccc1O\nc,CC(=O)Nc1ccc(O)cc1\n")
    return folder


@pytest.fixture(scope="module")
def stopped(folder: Path) -> list[tuple[int, str, str]]:
    """Exit code and output of three starts of a run: stopped while Prefect starts, stopped in the search, complete."""
    endings = []
    process = start(folder, "lead_like.toml", "--out", "mine", *SMALL)
    wait_for((folder / "mine" / "run.log").exists, process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    endings.append(finish(process))
    process = start(folder, "--resume", "mine")
    wait_for(lambda: any((folder / "mine").glob("3-search/checkpoint-*")), process)
    process.send_signal(signal.SIGTERM)
    endings.append(finish(process))
    endings.append(finish(start(folder, "--resume", "mine")))
    return endings


def test_ctrl_c_prints_one_line_with_the_command_to_resume(stopped: list[tuple[int, str, str]]) -> None:
    code, out, err = stopped[0]
    assert code == 130
    assert out == ""
    assert err.splitlines()[-1] == "molvae: stopped; resume with: molvae design --resume mine"
    assert err.count("molvae: ") == 1
    assert "Traceback" not in err


def test_sigterm_prints_one_line_with_the_command_to_resume(stopped: list[tuple[int, str, str]]) -> None:
    code, _, err = stopped[1]
    assert code == 143
    assert err.splitlines()[-1] == "molvae: stopped by SIGTERM; resume with: molvae design --resume mine"
    assert "Traceback" not in err


def test_the_run_ends_with_a_summary(stopped: list[tuple[int, str, str]], folder: Path) -> None:
    code, out, err = stopped[2]
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("mine: 150 molecules scored in ")
    for label in ("latent vectors decoded", "valid SMILES", "unique molecules", "passed every check"):
        assert label in out
    assert "not in the reference set" in out
    assert max(map(len, lines)) <= 80
    assert all(
        (folder / "mine" / name).is_file() and name in out for name in os.listdir(folder / "mine") if "cand" in name
    )
    assert "\x1b" not in out + err, "no colors and no bars without a terminal"
    assert "prefect" not in err.lower()


def test_a_complete_run_leaves_only_its_files(stopped: list[tuple[int, str, str]], folder: Path) -> None:
    assert {path.name for path in (folder / "mine").iterdir()} == {
        "1-featurize", "3-search", "4-validate", ".lock", "campaign.toml", "candidates.csv", "candidates.parquet",
        "candidates.sdf", "report.html", "run.log", "start.json",
    }  # fmt: skip
    assert not list((folder / "home").iterdir()), "nothing is written to the home folder"
    if Path("/proc").is_dir():
        assert not processes_of(folder)


def test_latest_links_to_the_run(stopped: list[tuple[int, str, str]], folder: Path) -> None:
    assert (folder / "runs" / "latest").resolve() == folder / "mine"
    assert [path.name for path in (folder / "runs").iterdir()] == ["latest"]


def test_candidates_of_the_run_are_explained_with_its_files(stopped: list[tuple[int, str, str]], folder: Path) -> None:
    run = read_run(folder / "mine")
    assert "codec" in run.inputs
    for molecule in ("best", str(len(run.table))):
        why = explain_candidate(run, molecule)
        assert why.notes == ()
        assert why.combination.startswith("geometric mean of the desirabilities (equal weights)")
        assert why.lineage[0].origin == "draw from the prior"
        assert all(step.change is not None for step in why.lineage[1:])
        assert why.by_latent[0].distance <= why.by_latent[-1].distance
        assert len(why.by_latent) == len(why.by_fingerprint) == 5
        assert {term.unit for term in why.terms} == {""}
    assert explain_candidate(run, "best").rank_passed == 1
    same = compare_candidates(folder / "mine", folder / "mine")
    assert same.settings == ()
    assert same.is_comparable


def test_the_log_contains_all_three_starts(stopped: list[tuple[int, str, str]], folder: Path) -> None:
    text = (folder / "mine" / "run.log").read_text()
    assert text.count("the run ended early") == 2
    assert "prefect.flow_runs: Finished in state Completed('150 molecules scored, " in text
    assert "featurize: already complete" in text
    assert f"search: encodes and decodes in {choose_precision(CODEC_DEVICE)}" in text


def test_resuming_a_complete_run_prints_its_summary(stopped: list[tuple[int, str, str]], folder: Path) -> None:
    code, out, err = finish(start(folder, "--resume", "mine"))
    assert code == 0, err
    assert out.splitlines()[0].startswith("mine is ")
    assert "3-search" not in err
    assert out.split("\n", 2)[2] == stopped[2][1]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--resume", "mine", "--out", "other"], "remove --out"),
        (["lead.toml", "--resume", "mine"], "remove CAMPAIGN.toml"),
        (["--resume", "mine", "--set", "sed=1"], "sed: unknown key"),
        (["--resume", "gone"], "gone: "),
        (["--resume", "home"], "home: "),
        (["--out", "mine"], "`molvae design --resume mine`"),
        (["--out", "home/x", "--set", "molecules.path=gone.csv"], "gone.csv: "),
        (["--out", "home/x", "--set", "codec.name=mosses"], "mosses"),
        (["nowhere.toml"], "nowhere.toml: "),
        (
            ["lead.toml", "--set", "lead.smiles=C[C@H](N)O", "--set", "codec.name=moses", "--out", "home/x"],
            "[C@H] (remove_stereo=True",
        ),
        (["lead.toml", "--set", "lead.smiles=aspirin", "--out", "home/x"], "SMILES: aspirin"),
    ],
)
def test_a_run_that_cannot_start_is_refused_in_one_line(
    arguments: list[str],
    part: str,
    stopped: list[tuple[int, str, str]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert cli._run(["design", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert part in output.err
    assert output.err.startswith("molvae: ")
    assert output.err.count("\n") == 1
    assert not (folder / "home" / "x").exists()
