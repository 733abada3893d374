"""The search of one run as a part of a longer one: where it starts, and how many molecules it scores."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molvae.files import PART_PREFIX

from .campaign import Campaign
from .earlier import continued_search
from .manifest import Manifest, Plan
from .run_dir import MANIFEST, SEARCH_STATE, RunDir

_N_NAMED = 4  # changed settings that a note names


@dataclass(frozen=True)
class Night:
    """Where the search of a run starts, and its budget.

    Parameters
    ----------
    state : Path
        Folder with the state that the search continues.
    state_files : tuple of Path
        Its files; empty if the search starts anew.
    budget : int
        Number of molecules to score, those of the continued runs included.
    notes : tuple of str
        What a reader of the report needs to know, one sentence each.
    """

    state: Path
    state_files: tuple[Path, ...]
    budget: int
    notes: tuple[str, ...]

    def put_state(self, checkpoint: Path) -> None:
        """Make the state the checkpoint of this search, unless the checkpoint exists.

        Parameters
        ----------
        checkpoint : Path
            The folder of the checkpoint.
        """
        if not self.state_files or checkpoint.exists():
            return
        part = checkpoint.with_name(f"{PART_PREFIX}{checkpoint.name}")
        shutil.rmtree(part, ignore_errors=True)
        for source in self.state_files:  # copies: a checkpoint grows in place
            target = part / source.relative_to(self.state)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            with target.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(part, checkpoint)


def plan_night(run: RunDir, campaign: Campaign, plan: Plan) -> Night:
    """Decide where the search of a run starts.

    Parameters
    ----------
    run : RunDir
        The run.
    campaign : Campaign
        Its settings.
    plan : Plan
        The plan of its search, as if it started anew.

    Returns
    -------
    Night
        The same for every attempt of the run: only what was recorded at its start is read.
    """
    state, per_run = run.earlier_search / SEARCH_STATE, campaign.search.budget
    total = campaign.run.total_budget if campaign.run is not None else None
    anew = min(per_run, total or per_run)
    found = continued_search(run) if campaign.continues else None
    if found is None:
        return Night(state, (), anew, ())
    problem, before = found.problem, Manifest.read(run.earlier_search)
    if before is None and not problem:
        problem = f"{run.earlier_search / MANIFEST} is not readable"
    if before is not None and not problem and (names := _differences(before, plan)):
        more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
        problem = f"changed since then: {', '.join(names[:_N_NAMED])}{more}"
    if before is None or problem:
        return Night(state, (), anew, (f"the search starts anew and does not continue that of {found.run}: {problem}",))
    files = tuple(sorted(path for path in state.rglob("*") if path.is_file()))
    n_before, budget = before.counts.kept, int(before.facts.get("budget") or before.counts.kept)
    if total is not None and n_before >= total:
        note = f"the total budget of {total:,} molecules is used up, so no molecule was scored in this run"
        return Night(state, files, budget, (note,))
    note = f"the search continues that of {found.run}, in which {n_before:,} molecules had been scored"
    wanted = n_before + per_run if total is None else min(n_before + per_run, total)
    return Night(state, files, max(wanted, budget), (note,))


def _differences(before: Manifest, plan: Plan) -> list[str]:
    """Names of what differs between a search and a plan, except its budget."""
    found = [] if before.version == plan.version else ["the release of molvae"]
    found += [] if before.seed == plan.seed else ["seed"]
    then, now = (dict(_flatten(json.loads(json.dumps(dict(one.settings))))) for one in (before, plan))
    names = [name for name in {**then, **now} if name != "search.budget" and not name.startswith("run.")]
    found += [name for name in names if then.get(name) != now.get(name)]
    old, new = (
        {name: entry.sha256 for name, entry in one.inputs.items() if not name.startswith("earlier ")}
        for one in (before, plan)
    )
    return found + [name for name in {**old, **new} if old.get(name) != new.get(name)]


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flatten(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner
