"""The summary of a complete run: the funnel, the best candidates and the files, in 80 columns."""

import json
import textwrap
from collections.abc import Sequence

import pandas as pd

from molvae.benchmark.controls import verdict
from molvae.candidates.build import is_eligible
from molvae.candidates.files import read_candidates
from molvae.chem.scaffolds import first_per_scaffold
from molvae.report.report import funnel_steps

from .campaign import Campaign
from .earlier import earlier_runs
from .manifest import Manifest
from .run_dir import POSES, RunDir
from .terminal import elapsed

_WIDTH = 80
_N_BEST = 5
_FILES = {
    "candidates.csv": "all scored molecules, with their checks",
    "candidates.parquet": "the same table with numbers in full precision",
    "candidates.sdf": "the same table with structures",
    POSES: "docked poses of the best candidates",
    "report.html": "all molecules with structures, and plots of the search",
}


def summarize(run: RunDir, name: str, seconds: float | None = None) -> str:
    """Summarize a complete run.

    Parameters
    ----------
    run : RunDir
        The run.
    name : str
        Path of the run as it is printed.
    seconds : float, optional
        Time that the command took, start-up included; default: the time of all stages.

    Returns
    -------
    str
        Lines of up to 80 characters.
    """
    candidates = read_candidates(run.validate)
    search = json.loads(run.history.read_text(encoding="utf-8"))
    manifests = [Manifest.read(folder) for folder in run.stages]
    took = elapsed(sum(manifest.seconds for manifest in manifests if manifest) if seconds is None else seconds)
    lines = [f"{run.path.name}: {len(candidates):,} molecules scored in {took}", ""]
    lines += [f"  {label:<38}{n:>6,}" for label, n in funnel_steps(candidates, search["funnel"])]
    lines += _earlier(candidates, earlier_runs(run))
    lines += ["", *_best(candidates)]
    if "front" in candidates:
        lines += ["", *_front(candidates, Campaign.load(run.campaign).objective.goals)]
    if run.comparison.is_file():
        lines += ["", *_compare(pd.read_csv(run.comparison))]
    if search["stop_reason"] != "budget":
        lines += ["", f"The search ended early: {search['stop_reason']}."]
    has_poses = (run.validate / POSES).exists()
    lines += ["", f"Files in {name}"]
    lines += [f"  {file:<20}{meaning}" for file, meaning in _FILES.items() if file != POSES or has_poses]
    if is_eligible(candidates).any():
        lines += ["", "Next", f"  {'explain the best molecule':<28}molvae why {name} best"]
        lines += [f"  {'pick 24 molecules to order':<28}molvae pick {name} -n 24"]
    return "\n".join(lines)


def _earlier(candidates: pd.DataFrame, earlier: Sequence[str]) -> list[str]:
    """How many molecules are new, compared with the earlier runs of the campaign."""
    if not earlier or "first_seen" not in candidates:
        return []
    seen, passed = candidates["first_seen"].notna(), candidates["passed"]
    runs = "1 earlier run" if len(earlier) == 1 else f"{len(earlier):,} earlier runs"
    text = (
        f"Compared with {runs} of the campaign: {int((~seen).sum()):,} new, {int(seen.sum()):,} seen before; of those "
        f"that passed every check, {int((passed & ~seen).sum()):,} new, {int((passed & seen).sum()):,} seen before."
    )
    return ["", *textwrap.wrap(text, _WIDTH)]


def _compare(table: pd.DataFrame) -> list[str]:
    """The search and its controls, one line each, and what that means."""
    has_held_out = "n_similar" in table
    head = f"  {'method':<30}{'molecules':>9}{'ten best':>10}"
    lines = [head + (f"{'found':>8}{'similar':>9}{'nearest':>9}" if has_held_out else "")]
    for row in table.to_dict("records"):
        score = "" if pd.isna(row["top10"]) else f"{row['top10']:.3f}"
        line = f"  {row['name'][:29]:<30}{row['n']:>9,}{score:>10}"
        if has_held_out:
            line += f"{row['n_found']:>8,}{row['n_similar']:>9,}{row['highest_similarity']:>9.3f}"
        lines.append(line)
    sentences = verdict(table)
    return [*lines, *(part for sentence in sentences for part in textwrap.wrap(sentence, _WIDTH))]


def _best(candidates: pd.DataFrame) -> list[str]:
    passed = candidates[is_eligible(candidates)]
    if passed.empty:
        text = "No molecule passed every check with a score above 0; see the columns `score_*` and"
        return [text, "`reason` of candidates.csv."]
    lines = [f"  {'best scaffolds':<16}{'score':>7}  SMILES"]
    room = _WIDTH - 27
    ranked = passed.sort_values("score", ascending=False, kind="stable")
    best = ranked.iloc[first_per_scaffold(ranked["smiles"].astype(str), _N_BEST)]
    for name, score, smiles in zip(best["candidate_id"], best["score"], best["smiles"].astype(str), strict=True):
        lines.append(f"  {name:<16}{score:>7.3f}  {smiles if len(smiles) <= room else f'{smiles[: room - 3]}...'}")
    return lines


def _front(candidates: pd.DataFrame, goals: Sequence[str]) -> list[str]:
    """The size of the Pareto front, and the best compromise with the values of its goals."""
    front = candidates[candidates["front"] == 1]
    lines = [f"  Pareto front: {len(front):,} molecules, {int(front['passed'].sum()):,} of them passed every check"]
    for row in candidates[candidates["best_compromise"]].to_dict("records"):
        lines.append(f"  best compromise: {row['candidate_id']}, front {row['front']}, score {row['score']:.3f}")
        values = ", ".join(f"{name} {row[f'value_{name}']:.4g}" for name in goals)
        lines += textwrap.wrap(values, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines
