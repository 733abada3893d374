"""A run at a glance, as tables, sentences and a page of Markdown; made from its files, for Prefect and its events."""

import html
import json
import shlex
from collections.abc import Mapping, Sequence

import pandas as pd
from pydantic import JsonValue

from molvae.candidates.build import is_eligible
from molvae.checks.check import PASS
from molvae.search.notes import COLLAPSE_ROUNDS, collapsed_share

from .campaign import Campaign
from .manifest import Manifest
from .run_dir import POSES, RunDir
from .terminal import elapsed

N_BEST = 20
"""Number of candidates in the table of the best."""
_N_REASONS = 3
_STEPS = {
    "proposed": "latent vectors decoded",
    "decoded": "valid SMILES",
    "new": "unique molecules",
    "feasible": "meet the constraints and can be encoded",
    "scored": "scored",
    "novel": "not in the reference or training set",
    "passed": "passed every check",
    "eligible": "of them with a score above 0",
}
_FILES = {"candidates.csv": "all scored molecules", "report.html": "molecules with structures, and plots"}


def count_run(run: RunDir, candidates: pd.DataFrame | None = None) -> dict[str, int]:
    """Count the molecules at each step of a run.

    Parameters
    ----------
    run : RunDir
        The run; stages may be missing.
    candidates : DataFrame or None, default=None
        Its candidate table; None before the candidates are checked.

    Returns
    -------
    dict of str to int
        `proposed`, `decoded`, `new`, `feasible` and `scored` once the search is complete; `novel` (if the campaign
        checks it), `passed` and `eligible` (passed, with a score above 0) once the candidates are checked.
    """
    counts: dict[str, int] = {}
    if Manifest.read(run.search) is not None:
        funnel = json.loads(run.history.read_text(encoding="utf-8"))["funnel"]
        counts["proposed"], counts["decoded"], counts["new"] = (
            funnel[name] for name in ("n_proposed", "n_valid", "n_unique")
        )
        counts["feasible"] = funnel["n_unique"] - funnel["n_infeasible"]
        counts["scored"] = funnel["n_scored"]
    if candidates is not None:
        known = [name for name in ("check_in_reference", "check_in_training") if name in candidates]
        if known:
            counts["novel"] = int((candidates[known] == PASS).all(axis=1).sum())
        counts["passed"] = int(candidates["passed"].sum())
        counts["eligible"] = int(is_eligible(candidates).sum())
    return counts


def list_funnel(counts: Mapping[str, int]) -> list[dict[str, JsonValue]]:
    """Make the funnel table.

    Parameters
    ----------
    counts : mapping of str to int
        As from `count_run`.

    Returns
    -------
    list of dict
        One row per step: `step`, `molecules`, `share` of the step before, and the `meaning` of the step.
    """
    rows: list[dict[str, JsonValue]] = []
    before = None
    for step, meaning in _STEPS.items():
        if step in counts:
            n = counts[step]
            share = "" if not before else f"{n / before:.0%}"
            rows.append({"step": step, "molecules": n, "share": share, "meaning": meaning})
            before = n
    return rows


def list_best(candidates: pd.DataFrame, n: int = N_BEST) -> list[dict[str, JsonValue]]:
    """Make the table of the best candidates, in the order of candidates.csv: those that passed first.

    Parameters
    ----------
    candidates : DataFrame
        The candidate table.
    n : int, default=20
        Number of rows.

    Returns
    -------
    list of dict
        One row per candidate: `rank`, `id`, `SMILES`, `score` (None: it has none), `passed` and `reasons`.
    """
    best = candidates.iloc[:n]
    reasons = best["reason"].fillna(best["unscored_reason"]) if "unscored_reason" in best else best["reason"]
    return [
        {
            "rank": rank,
            "id": str(name),
            "SMILES": str(smiles),
            "score": None if score != score else round(float(score), 4),
            "passed": "yes" if passed else "no",
            "reasons": reason if isinstance(reason, str) else "",
        }
        for rank, (name, smiles, score, passed, reason) in enumerate(
            zip(best["candidate_id"], best["smiles"], best["score"], best["passed"], reasons, strict=True), 1
        )
    ]


def explain_starvation(run: RunDir, campaign: Campaign, counts: Mapping[str, int]) -> str | None:
    """Say whether a complete run gave fewer candidates than asked for, or did not use its budget.

    Parameters
    ----------
    run : RunDir
        The complete run.
    campaign : Campaign
        Its settings.
    counts : mapping of str to int
        As from `count_run`.

    Returns
    -------
    str or None
        A sentence; None if the run gave enough.
    """
    asked = min(campaign.notify.min_passed, campaign.search.budget)
    parts = []
    if counts["passed"] < asked:
        parts.append(
            f"{counts['passed']:,} candidates passed every check, {asked:,} were asked for ([notify] min_passed)"
        )
    stopped = json.loads(run.history.read_text(encoding="utf-8"))["stop_reason"]
    if stopped != "budget":
        parts.append(
            f"the search stopped after {counts['scored']:,} of {campaign.search.budget:,} molecules: {stopped}"
        )
    return "; ".join(parts) or None


def explain_collapse(run: RunDir) -> str | None:
    """Say whether the search collapsed: whether it decoded hardly any new molecule in ten rounds.

    Parameters
    ----------
    run : RunDir
        A run whose search is complete.

    Returns
    -------
    str or None
        A sentence about the first such rounds; None if there are none.
    """
    history = json.loads(run.history.read_text(encoding="utf-8"))["history"]
    for end in range(1, len(history) + 1):
        share = collapsed_share(history[max(0, end - COLLAPSE_ROUNDS) : end])
        if share is not None:
            return (
                f"the search collapsed: after {history[end - 1]['calls']:,} molecules, only {share:.1%} of the decoded "
                "latent vectors gave new molecules"
            )
    return None


def describe_result(counts: Mapping[str, int]) -> str:
    """Describe a complete run in one line.

    Parameters
    ----------
    counts : mapping of str to int
        As from `count_run`.

    Returns
    -------
    str
        Numbers of molecules that were scored and that passed every check.

    Examples
    --------
    >>> describe_result({"scored": 1200, "passed": 310})
    '1,200 molecules scored, 310 passed every check'
    """
    return f"{counts['scored']:,} molecules scored, {counts['passed']:,} passed every check"


def write_page(run: RunDir, outcome: str, states: Mapping[str, str], notes: Sequence[str], *, is_complete: bool) -> str:
    """Write the page on a run: how it ended, its stages, its files and what to do next.

    Parameters
    ----------
    run : RunDir
        The run.
    outcome : str
        How it ended, in one sentence.
    states : mapping of str to str
        What became of each stage, in order.
    notes : sequence of str
        What is unusual about the run.
    is_complete : bool
        Whether all stages are complete.

    Returns
    -------
    str
        Markdown.
    """
    folder = shlex.quote(str(run.path))
    lines = [f"## {run.path.name}: {'complete' if is_complete else 'failed'}", "", f"**{_text(outcome)}**"]
    lines += ["", *(f"- {_text(note)}" for note in notes)] if notes else []
    if is_complete:
        lines += ["", "### Files", ""]
        lines += [f"- {_code(run.path / name)}: {meaning}" for name, meaning in _FILES.items()]
        lines += [f"- {_code(run.path / POSES)}: docked poses"] if (run.path / POSES).exists() else []
    lines += ["", "### Next", "", "```"]
    if is_complete:
        lines += [f"molvae why {folder} best", f"molvae pick {folder} -n 24", f"molvae diff {folder}"]
    else:
        lines += [f"less {shlex.quote(str(run.log))}", f"molvae design --resume {folder}"]
    lines += ["```", "", "### Stages" if is_complete else "### Complete stages", ""]
    lines += ["| stage | state | in | kept | dropped | time | most frequent reasons |", "|---|---|---|---|---|---|---|"]
    manifests = dict(zip(states, (Manifest.read(getattr(run, stage)) for stage in states), strict=True))
    lines += [_stage_row(stage, state, manifests[stage]) for stage, state in states.items()]
    lines += ["", f"Folder: {_code(run.path)}. Log: {_code(run.log)}."]
    return "\n".join(lines) + "\n"


def _stage_row(stage: str, state: str, manifest: Manifest | None) -> str:
    if manifest is None:
        return f"| {stage} | {_text(state)} | | | | | |"
    counts = manifest.counts
    reasons = sorted(counts.dropped.items(), key=lambda one: -one[1])[:_N_REASONS]
    cells = [
        stage,
        _text(state),
        f"{counts.into:,}",
        f"{counts.kept:,}",
        f"{counts.into - counts.kept:,}",
        elapsed(manifest.seconds),
        _text("; ".join(f"{reason}: {n:,}" for reason, n in reasons if n)),
    ]
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text that Markdown shows as it is, also in a table."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{one}" if one in "\\`*_[]|~#" else one for one in escaped)


def _code(path: object) -> str:
    return f"`{str(path).replace('`', '')}`"
