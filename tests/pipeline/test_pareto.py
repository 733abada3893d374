"""The campaign pareto.toml: a small run with three conflicting goals."""

import re
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.search import search
from molvae.pipeline.summary import summarize
from molvae.pipeline.validate import validate

from molvae.errors import InputError

SMALL = ["search.budget=50", "search.proposals=60", "search.batch_size=10", "search.generations=1"]


def test_the_front_in_the_candidates_is_not_dominated(tmp_path: Path) -> None:
    (tmp_path / "library.csv").write_text("name,SMILES\na,CCO\nb,c1ccccc1O\nc,CC(=O)Nc1ccc(O)cc1\n")
    changes = [f"molecules.path={tmp_path / 'library.csv'}", "objective.terms.logp.weight=2"]
    run = runs.start(runs.load(Path("pareto.toml"), [*SMALL, *changes]), tmp_path / "run")
    with run.lock():
        for stage in (featurize, search, validate):
            stage(run)
    summary = summarize(run, "run")
    table = pd.read_csv(tmp_path / "run" / "candidates.csv")
    assert len(table) == 50
    goals = table[["score_celecoxib", "score_sa_score", "score_logp"]].to_numpy()
    front = table["front"].to_numpy()
    assert front.min() == 1
    for row, number in zip(goals, front, strict=True):
        dominates = (goals >= row).all(axis=1) & (goals > row).any(axis=1)
        assert dominates.any() == (number > 1)
        assert front[dominates].max(initial=0) == number - 1  # some of the front before, and none of later ones

    best = table[table["best_compromise"]]
    passed = table[table["passed"]]
    assert best["candidate_id"].tolist() == passed.nlargest(1, "score")["candidate_id"].tolist()
    assert f"best compromise: {best['candidate_id'].item()}, front {best['front'].item()}" in summary
    assert f"Pareto front: {(front == 1).sum()} molecules, {(front[table['passed']] == 1).sum()} of them" in summary
    assert max(map(len, summary.splitlines())) <= 80

    page = (tmp_path / "run" / "report.html").read_text()
    assert len(re.findall(r'<path class="path [^"]*" data-row', page)) == 50
    assert "logP</text>" in page


def test_a_campaign_has_no_goals_of_its_own() -> None:
    with pytest.raises(InputError, match=r"\[search\] goals: .*pareto"):
        Campaign.load(Path("lead.toml"), ['search.goals=["qed", "similarity"]', "lead.smiles=CCO"])
