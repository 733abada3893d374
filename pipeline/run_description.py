"""The description of one run for `molvae runs show`: stages, counts, notes, files, and how to resume it."""

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from molvae.files import sha256_of

from . import clock
from .manifest import Manifest
from .run_dir import MANIFEST, POSES, RunDir
from .run_states import RunState, find_damage, state_of
from .terminal import elapsed

_WIDTH = 100


def describe_run(run: RunDir) -> dict[str, Any]:
    """Describe a run; the files of its complete stages are compared with their sha256.

    Parameters
    ----------
    run : RunDir
        The run, in any state.

    Returns
    -------
    dict
        Values that JSON can hold: the fields of `RunState`, and `stages`, `stop_reason`, `notes`, `files`, `log`,
        `last_log_line` and `resume`.
    """
    state = state_of(run)
    search = _history(run)
    files = [path for path in (*run.published, run.path / POSES) if path.exists()]
    return asdict(state) | {
        "stages": [_describe_stage(run, folder) for folder in run.stages if folder.is_dir()],
        "stop_reason": search.get("stop_reason"),
        "notes": list(search.get("notes") or ()),
        "files": [str(path) for path in files],
        "log": str(run.log) if run.log.exists() else None,
        "last_log_line": _last_line(run.log),
        "resume": _resume(state, run),
    }


def describe_run_text(run: RunDir) -> str:
    """Describe a run as text.

    Parameters
    ----------
    run : RunDir
        The run, in any state.

    Returns
    -------
    str
        Lines for a terminal.
    """
    found = describe_run(run)
    marks = [name for name in ("latest", "pinned") if found[f"is_{name}"]]
    reason = f" ({found['reason']})" if found["reason"] else ""
    lines = [f"{found['run']}: {found['state']}{reason}", ""]
    facts = {
        "campaign": found["campaign"],
        "started": clock.show_time(found["started"], "%Y-%m-%d %H:%M:%S %Z"),
        "completed": clock.show_time(found["completed"], "%Y-%m-%d %H:%M:%S %Z"),
        "took": "" if found["seconds"] is None else elapsed(found["seconds"]),
        "molecules": _molecules(found),
        "marks": ", ".join(marks),
        "settings": str(run.campaign),
        "log": found["log"] or "",
    }
    lines += [f"  {label:<11}{value}" for label, value in facts.items() if value]
    lines += ["", *_stage_lines(found["stages"])]
    if found["stop_reason"]:
        lines += ["", f"The search stopped: {found['stop_reason']}."]
    if found["notes"]:
        lines += ["", "Notes"]
        for note in found["notes"]:
            lines += textwrap.wrap(note, _WIDTH, initial_indent="  - ", subsequent_indent="    ")
    if found["files"]:
        lines += ["", "Files", *(f"  {path}" for path in found["files"])]
    if found["state"] in ("failed", "unfinished", "running") and found["last_log_line"]:
        lines += ["", "Last line of the log", f"  {found['last_log_line']}"]
    if found["resume"]:
        lines += ["", f"Resume with: {found['resume']}"]
    return "\n".join(lines)


def _describe_stage(run: RunDir, folder: Path) -> dict[str, Any]:
    manifest = Manifest.read(folder)
    if manifest is None:
        state = "not readable" if (folder / MANIFEST).exists() else "not complete"
        return {"stage": folder.name, "state": state}
    return {
        "stage": folder.name,
        "state": _damage(folder, manifest) or "complete",
        "started": manifest.started or None,
        "finished": manifest.finished or clock.iso((folder / MANIFEST).stat().st_mtime),
        "seconds": manifest.seconds,
        "into": manifest.counts.into,
        "kept": manifest.counts.kept,
        "dropped": manifest.counts.dropped,
        "stopped": manifest.stopped,
    }


def _damage(folder: Path, manifest: Manifest) -> str:
    for entry in manifest.outputs:
        path = folder / entry.path
        try:
            problem = find_damage(path, entry) or ("" if sha256_of(path) == entry.sha256 else "changed")
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
        if problem:
            return f"damaged: {entry.path} ({problem})"
    return ""


def _stage_lines(stages: list[dict[str, Any]]) -> list[str]:
    if not stages:
        return ["No stage has begun."]
    lines = [f"  {'stage':<14}{'finished':<18}{'took':>12}{'in':>12}{'kept':>12}  state"]
    for one in stages:
        took = elapsed(one["seconds"]) if "seconds" in one else ""
        into, kept = (f"{one[name]:,}" if name in one else "" for name in ("into", "kept"))
        when = clock.show_time(one.get("finished"))
        lines.append(f"  {one['stage']:<14}{when:<18}{took:>12}{into:>12}{kept:>12}  {one['state']}")
    return lines


def _molecules(found: dict[str, Any]) -> str:
    if found["n_scored"] is None:
        return ""
    text = f"{found['n_scored']:,} scored, {found['n_passed']:,} passed every check"
    if found["best_score"] is not None:
        text += f", best score {found['best_score']:.3f}"
    if found["n_seen"]:
        text += f"; {found['n_new']:,} new, {found['n_seen']:,} seen before"
    return text


def _history(run: RunDir) -> dict[str, Any]:
    try:
        content = json.loads(run.history.read_text(encoding="utf-8"))
    except (RecursionError, OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _last_line(path: Path) -> str | None:
    """The last line of the log that starts with a time; lines of tracebacks follow it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65_536))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line[:2] == "20" and " " in line), None)


def _resume(state: RunState, run: RunDir) -> str | None:
    if state.state in ("completed", "running") or not run.campaign.is_file():
        return None
    here = Path.cwd()
    path = run.path.relative_to(here) if run.path.is_relative_to(here) else run.path
    return f"molvae design --resume {path}"
