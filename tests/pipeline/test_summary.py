"""The summary of a run, in 80 columns."""

import json
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline.run_dir import RunDir
from molvae.pipeline.summary import summarize

from molvae.candidates.files import write_candidates

COUNTS = {"n_proposed": 12_000, "n_valid": 900, "n_unique": 40, "n_scored": 4, "n_failed_score": 1}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.create(tmp_path / "mine")
    run.search.mkdir()
    run.validate.mkdir()
    return run


def write(run: RunDir, candidates: pd.DataFrame, stop_reason: str = "budget") -> str:
    write_candidates(run.validate, candidates)
    run.history.write_text(json.dumps({"funnel": COUNTS, "stop_reason": stop_reason}))
    return summarize(run, "runs/mine")


def test_summary_has_the_funnel_the_best_candidates_and_the_files(run: RunDir, candidates: pd.DataFrame) -> None:
    text = write(run, candidates)
    assert text.splitlines()[0].startswith("mine: 4 molecules scored in ")
    assert "latent vectors decoded                12,000" in text
    assert "C000001           0.812  CC(=O)Nc1ccc(O)cc1" in text
    assert "C000003" not in text, "it failed a check"
    assert text.splitlines()[-9] == "Files in runs/mine"
    assert text.splitlines()[-1].endswith("molvae pick runs/mine -n 24")
    assert "rounds" not in text


def test_summary_fits_80_columns(run: RunDir, candidates: pd.DataFrame) -> None:
    candidates.loc[0, "smiles"] = "C" * 150
    text = write(run, candidates)
    assert "CCC..." in text
    assert max(map(len, text.splitlines())) <= 80


def test_summary_does_not_call_a_score_of_0_the_best(run: RunDir, candidates: pd.DataFrame) -> None:
    text = write(run, candidates.assign(score=[0.0, 0.0, 0.5, 0.5]))
    assert "best scaffolds" not in text
    assert "score above 0" in text
    assert "molvae why" not in text


def test_summary_without_passed_candidates_has_the_stop_reason(run: RunDir, candidates: pd.DataFrame) -> None:
    candidates["passed"] = False
    text = write(run, candidates, "no new molecule in 20 rounds (5,120 proposals)")
    assert "best scaffolds" not in text
    assert "`reason`" in text
    assert "no new molecule in 20 rounds (5,120 proposals)" in text
