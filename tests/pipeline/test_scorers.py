"""Runs with a scorer of the user: a Python function and a command, from a campaign file."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.search import search

from molvae.codec import ToyCodec

ROOT = Path(__file__).parents[2]
CAMPAIGN = """
[molecules]
path = "library.csv"
[search]
budget = 30
batch_size = 10
[objective.terms.fluorine]
python = "my_scores.py:score"
parallel = true
shape = "higher"
low = 0
high = 3
[objective.terms.length]
command = ["python3", "length.py"]
shape = "lower"
low = 20
high = 80
"""
FUNCTION = """
import sys

def score(smiles):
    is_worker = float(sys.argv[0] == "-c")
    return {
        "value": [s.count('F') for s in smiles],
        "n_n": [s.count('N') for s in smiles],
        "is_worker": [is_worker for _ in smiles],
    }
"""
COMMAND = """
import json, sys
for line in sys.stdin:
    smiles = line.strip()
    if "Cl" in smiles:
        print(json.dumps({"value": None, "reason": "chlorine is not supported"}))
    else:
        print(json.dumps({"value": len(smiles)}))
"""


def design(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.run(
        [sys.executable, "-m", "molvae.pipeline.cli", "design", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT), "HOME": str(folder), "COLUMNS": "80"},
        timeout=240,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "library.csv").write_text("name,SMILES\na,CCO\nb,c1ccccc1O\nc,CC(=O)Nc1ccc(O)cc1\n")
    (tmp_path / "my.toml").write_text(CAMPAIGN)
    (tmp_path / "my_scores.py").write_text(FUNCTION)
    (tmp_path / "length.py").write_text(COMMAND)
    return tmp_path


def test_a_run_scores_with_a_function_and_a_command(folder: Path) -> None:
    run = design(folder, "my.toml", "--out", "one")
    assert run.returncode == 0, run.stderr
    table = pd.read_csv(folder / "one" / "candidates.csv")
    assert len(table) == 30
    has_chlorine = table["smiles"].str.contains("Cl")
    assert table["unscored_reason"].notna().tolist() == has_chlorine.tolist()
    scored = table[~has_chlorine]
    assert scored["value_fluorine"].tolist() == scored["smiles"].str.count("F").tolist()
    assert scored["value_fluorine_n_n"].tolist() == scored["smiles"].str.count("N").tolist()
    assert (scored["value_fluorine_is_worker"] == 1).all()
    assert scored["value_length"].tolist() == scored["smiles"].str.len().tolist()
    assert "chlorine is not supported (3)" in (folder / "one" / "run.log").read_text()

    (folder / "my_scores.py").write_text(FUNCTION.replace("'F'", "'O'"))
    shutil.rmtree(folder / "one" / "4-validate")  # incomplete: the search is repeated, because its scorer has changed
    again = design(folder, "--resume", "one")
    assert again.returncode == 0, again.stderr
    table = pd.read_csv(folder / "one" / "candidates.csv").query("unscored_reason.isna()")
    assert table["value_fluorine"].tolist() == table["smiles"].str.count("O").tolist()


def test_a_second_run_takes_its_values_from_the_cache(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = CAMPAIGN.replace("[objective.terms.fluorine]", '[objective]\ncache = "scores"\n[objective.terms.fluorine]')
    (folder / "my.toml").write_text(text)
    (folder / "length.py").write_text(f"open({str(folder / 'calls')!r}, 'a').write('x')\n{COMMAND}")
    tables = []
    for name, from_cache in (("one", 0), ("two", 30)):
        run = runs.start(Campaign.load(folder / "my.toml"), folder / name)
        featurize(run)
        with caplog.at_level(logging.INFO, "pipeline"):
            notes = search(run).counts.notes
        assert notes == {"fluorine from the cache": from_cache, "length from the cache": from_cache}
        assert f"length: {from_cache} of 30 values from the cache" in caplog.text
        tables.append(run.proposals.read_bytes())
    assert tables[0] == tables[1]
    assert (folder / "calls").read_text() == "xxx"  # one call per batch of the first run


@pytest.mark.parametrize(
    ("name", "code", "exit_code", "fact"),
    [
        pytest.param(
            "my_scores.py", "def score(smiles):\n    return 1", 2, "my_scores.py:score", marks=pytest.mark.slow
        ),
        pytest.param("my_scores.py", "def other(smiles): ...", 2, "my_scores.py", marks=pytest.mark.slow),
        pytest.param("length.py", "raise SystemExit('no licence')", 1, "no licence", marks=pytest.mark.slow),
    ],
)
def test_a_scorer_that_does_not_work_ends_the_run_with_one_sentence(
    folder: Path, name: str, code: str, exit_code: int, fact: str
) -> None:
    (folder / name).write_text(code)
    run = design(folder, "my.toml", "--out", "one")
    assert run.returncode == exit_code
    assert (folder / "one").exists() == ("def other" not in code)  # a missing function is found before the run
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("molvae: ")
    assert fact in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_run_scores_with_a_model_of_classes(tmp_path: Path) -> None:
    """Molecules with a pyridine are active: the search has to find more of them than its first molecules have."""
    molecules = ToyCodec().molecules
    rows = [f"{smiles},{'active' if 'n1' in smiles or 'cn' in smiles else 'inactive'}" for smiles in molecules[:400]]
    (tmp_path / "assay.csv").write_text("smiles,activity\n" + "\n".join(rows) + "\n")
    (tmp_path / "my.toml").write_text(
        """
[molecules]
path = "assay.csv"
[search]
budget = 120
proposals = 60
[objective.terms.active]
assay = "assay.csv"
column = "activity"
pessimism = 0
shape = "higher"
low = 0.2
high = 0.8
"""
    )
    done = design(tmp_path, "my.toml", "--out", "run")
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "run" / "candidates.parquet")
    assert table["value_active"].between(0, 1).all()
    first, best = table[table["round"] == 0], table.nlargest(20, "score")
    is_aromatic_n = best["smiles"].str.contains("n1|cn|nc")
    assert is_aromatic_n.mean() > 0.8 > first["smiles"].str.contains("n1|cn|nc").mean()
