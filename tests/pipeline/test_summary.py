"""The summary of a run, in 80 columns, whatever came of it."""

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


def test_it_tells_the_funnel_the_best_and_the_files(run: RunDir, candidates: pd.DataFrame) -> None:
    text = write(run, candidates)
    assert text.splitlines()[0].startswith("mine: 4 molecules scored in ")
    assert "latent vectors decoded                12,000" in text
    assert "C000001           0.812  CC(=O)Nc1ccc(O)cc1" in text
    assert "C000003" not in text, "it did not pass"
    assert "Files in runs/mine" in text
    assert "ended early" not in text


def test_it_stays_within_80_columns(run: RunDir, candidates: pd.DataFrame) -> None:
    candidates.loc[0, "smiles"] = "C" * 150
    text = write(run, candidates)
    assert "CCC..." in text
    assert max(map(len, text.splitlines())) <= 80


def test_it_says_when_nothing_passed_or_the_search_gave_up(run: RunDir, candidates: pd.DataFrame) -> None:
    candidates["passed"] = False
    text = write(run, candidates, "no new molecule in 20 rounds (5,120 points)")
    assert "No molecule passed all checks" in text
    assert "The search ended early: no new molecule in 20 rounds (5,120 points)." in text
