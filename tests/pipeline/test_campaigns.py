"""Every bundled campaign runs from start to end, with a small library and a budget of a few molecules."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import BUNDLED, Campaign
from molvae.pipeline.featurize import featurize
from molvae.pipeline.fit import fit
from molvae.pipeline.search import search
from molvae.pipeline.summary import summarize
from molvae.pipeline.validate import validate

from molvae.candidates.files import read_candidates
from molvae.chem.fixed_parts import read_kept

N_SCORED = 12
NEEDS: dict[str, tuple[str, ...]] = {
    "admet.toml": ("admet_ai",),
    "cns.toml": ("dimorphite_dl",),
    "docking.toml": ("vina", "meeko", "gemmi", "dockstring"),
}
"""Packages of extras that a campaign needs; without them, its test is skipped."""
MORE: dict[str, tuple[str, ...]] = {
    "default.toml": ("starts.n=4", "objective.terms.potency.fit=ridge", "search.evolution.n_initial=5"),
    "docking.toml": ("objective.terms.dock.n_saved=1", "search.library_starts=3"),
}
"""Changes to a campaign that needs more than a smaller budget to run fast."""
SLOW = ("admet.toml", "default.toml", "docking.toml")
LIBRARY = "CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\nCCN(CC)CC(=O)Nc1c(C)cccc1C e\n"


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in BUNDLED])
def test_a_bundled_campaign_runs(name: str, tmp_path: Path) -> None:
    missing = [package for package in NEEDS.get(name, ()) if find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    (tmp_path / "library.smi").write_text(LIBRARY)
    changes = [f"search.budget={N_SCORED}", "search.batch_size=6", "search.proposals=60", "search.generations=1"]
    if Campaign.load(Path(name)).molecules.path is None:
        changes += [f"molecules.path={tmp_path / 'library.smi'}", "checks.in_training=false"]
    campaign = runs.load(Path(name), [*changes, *MORE.get(name, ())])
    run = runs.start(campaign, tmp_path / "run")
    with run.lock():
        for stage in (fit, featurize, search, validate):
            stage(run)
    candidates = read_candidates(run.path)
    assert len(candidates) == N_SCORED
    keep = campaign.search.constraints.keep
    assert keep is None or all(map(read_kept(keep).is_in, candidates["smiles"]))
    assert {f"score_{term}" for term in campaign.objective.terms} <= set(candidates)
    assert candidates["score"].between(0, 1).sum() >= N_SCORED / 2, candidates["unscored_reason"].tolist()
    if campaign.objective.has_poses:
        assert (run.path / "poses.sdf").read_text().startswith(candidates["candidate_id"].iloc[0] + "\n")
        assert "poses.sdf" in summarize(run, "run")
    assert summarize(run, "run").startswith(f"run: {N_SCORED} molecules scored")
