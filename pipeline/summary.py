"""What a person reads when a run is done: the funnel, the best candidates, the files; in 80 columns."""

import json

import pandas as pd

from molvae.candidates.files import read_candidates
from molvae.chem.scaffolds import first_of_each
from molvae.report.report import funnel_steps

from .manifest import Manifest
from .run_dir import RunDir
from .terminal import elapsed

_WIDTH = 80
_N_BEST = 5
_FILES = {
    "candidates.csv": "every molecule that was scored, with its checks",
    "candidates.parquet": "the same, for programs",
    "candidates.sdf": "the same, with structures, for chemistry software",
    "report.html": "to look at: structures, funnel, course of the search",
}


def summarize(run: RunDir, shown: str) -> str:
    """The summary of a complete run, whose path is to be shown as `shown`."""
    candidates = read_candidates(run.validate)
    search = json.loads(run.history.read_text(encoding="utf-8"))
    manifests = [Manifest.read(folder) for folder in (run.featurize, run.train, run.search, run.validate)]
    seconds = sum(manifest.seconds for manifest in manifests if manifest)
    lines = [f"{run.path.name}: {len(candidates):,} molecules scored in {elapsed(seconds)}", ""]
    lines += [f"  {label:<38}{n:>6,}" for label, n in funnel_steps(candidates, search["funnel"])]
    lines += ["", *_best(candidates)]
    if search["stop_reason"] != "budget":
        lines += ["", f"The search ended early: {search['stop_reason']}."]
    lines += ["", f"Files in {shown}"]
    lines += [f"  {name:<20}{meaning}" for name, meaning in _FILES.items()]
    return "\n".join(lines)


def _best(candidates: pd.DataFrame) -> list[str]:
    passed = candidates[candidates["passed"]]
    if passed.empty:
        return ["No molecule passed all checks; the column `reason` of candidates.csv says why not."]
    lines = [f"  {'best scaffolds':<16}{'score':>7}  SMILES"]
    room = _WIDTH - 27
    ranked = passed.sort_values("score", ascending=False, kind="stable")
    best = ranked.iloc[first_of_each(ranked["smiles"].astype(str), _N_BEST)]
    for name, score, smiles in zip(best["candidate_id"], best["score"], best["smiles"].astype(str), strict=True):
        lines.append(f"  {name:<16}{score:>7.3f}  {smiles if len(smiles) <= room else f'{smiles[: room - 3]}...'}")
    return lines
