"""Stage 4: check all scored molecules, compare them with the library, and write candidates and report."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.benchmark.controls import Hidden, compare_methods
from molvae.candidates.build import build_candidates
from molvae.candidates.columns import DESCRIPTORS
from molvae.candidates.files import write_candidates
from molvae.checks.check import PASS
from molvae.chem.properties import compute
from molvae.codec import Codec, load_codec
from molvae.files import write_text
from molvae.qsar.model import TRAINING_FILE, load_model
from molvae.report.explore import N_KNOWN, map_search
from molvae.report.pareto import goals_of
from molvae.report.report import HeldOutSeries, Report, funnel_steps, write_report
from molvae.scoring.objective import Objective
from molvae.scoring.poses import write_poses
from molvae.workers import LocalProcesses, Mapper

from . import terminal
from .assays import goodness, model_files, read_held_out
from .campaign import Campaign, molecules_path
from .earlier import earlier_runs, read_seen
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry, installed
from .run_dir import POSES, PUBLISHED, REPORT, RunDir

VERSION = 5

N_REFERENCE = 300
"""Number of reference molecules whose properties the report shows."""
_NOTED = 0.1  # share of the molecules


def validate(run: RunDir, mapper: Mapper | None = None) -> Manifest:
    """Run stage 4, and copy its files to the top of the run folder.

    Parameters
    ----------
    run : RunDir
        Folder of the run; stages 1 to 3 are complete.
    mapper : Mapper or None
        Runs the work per molecule; None uses worker processes on this machine.

    Returns
    -------
    Manifest
        Files of the stage, and the number of molecules that failed each check.
    """
    mapper = mapper or LocalProcesses()
    campaign = Campaign.load(run.campaign)
    codec = load_codec(run.codec if campaign.train else campaign.finished_codec)
    inputs = {path.stem: file_entry(path, run.path) for path in (run.proposals, run.history, run.molecules)}
    inputs["codec"] = Entry(path=codec.name, sha256=codec.sha256)
    for path, is_used in ((run.controls, campaign.control_methods), (run.held_out, campaign.hold_out)):
        if is_used:
            inputs[path.stem] = file_entry(path, run.path)
    inputs |= {name: file_entry(path, run.path) for name, path in model_files(run, campaign).items()}
    if run.earlier_molecules.exists():
        inputs["earlier molecules"] = file_entry(run.earlier_molecules, run.path)
    settings = campaign.model_dump(mode="json", include={"name", "checks", "hold_out"})
    docking = None
    if campaign.objective.has_poses:
        docking = Objective(campaign.objective, mapper)
        settings["objective"] = campaign.objective.model_dump(mode="json")
        inputs |= {f"scorer {path}": Entry(path=path, sha256=sha256) for path, sha256 in docking.identity().items()}
    plan = Plan("validate", VERSION, run.validate, settings, campaign.seed, inputs)
    manifest = plan.carry_out(lambda folder: _validate(run, campaign, codec, docking, folder=folder, mapper=mapper))
    run.publish()
    return manifest


def _validate(
    run: RunDir, campaign: Campaign, codec: Codec, docking: Objective | None, *, folder: Path, mapper: Mapper
) -> Outcome:
    proposals = pd.read_parquet(run.proposals)
    molecules = pq.read_table(run.molecules, columns=["id", "smiles"])
    reference = dict(zip(molecules["smiles"].to_pylist(), molecules["id"].to_pylist(), strict=True))
    terminal.show("  checking all molecules")
    with terminal.bar("nearest in the library", len(reference), "molecules") as bar:
        candidates = build_candidates(
            proposals,
            reference,
            settings=campaign.checks,
            codec=codec,
            conditions=campaign.objective.conditions,
            domains=campaign.objective.domains,
            seen=read_seen(run),
            mapper=mapper,
            progress=bar.advance,
        )
    for name, reason in candidates.attrs["skipped"].items():
        log.warning("check %s is skipped: %s", name, reason)
    write_candidates(folder, candidates)
    comparison = _compare(run, campaign, proposals)
    if comparison is not None:
        write_text(run.comparison, comparison.to_csv(index=False, lineterminator="\n"))
    n_seen = int(candidates["first_seen"].notna().sum())
    facts = {}
    if n_earlier := len(earlier_runs(run)):
        facts["earlier runs"] = (
            f"{n_earlier:,} ({len(candidates) - n_seen:,} molecules are new, {n_seen:,} seen before)"
        )
    if docking is not None:
        terminal.show("  docking the best candidates again, for their poses")
        facts["docked poses"] = f"{POSES} ({write_poses(folder / POSES, docking, candidates):,} candidates)"
    _report(folder / REPORT, candidates, comparison, run, codec, facts=facts)
    failed = {
        name.removeprefix("check_"): int((candidates[name] != PASS).sum())
        for name in map(str, candidates)
        if name.startswith("check_")
    }
    n, n_passed = len(candidates), int(candidates["passed"].sum())
    counts = Counts(into=n, kept=n_passed, dropped=failed)
    outputs = {name: None if name == REPORT else n for name in PUBLISHED}
    outputs |= {} if comparison is None else {run.comparison.name: len(comparison)}
    passed = candidates["score"][candidates["passed"]].dropna()
    results = {
        "best_score": float(passed.max()) if len(passed) else None,
        "n_new": len(candidates) - n_seen,
        "n_seen": n_seen,
    }
    return Outcome(outputs | ({POSES: None} if docking else {}), counts, facts=results)


def _compare(run: RunDir, campaign: Campaign, proposals: pd.DataFrame) -> pd.DataFrame | None:
    """The search compared with its controls, or None if there are neither controls nor held-out molecules."""
    held_out = read_held_out(run, campaign)
    if held_out is None and not campaign.control_methods:
        return None
    methods = {campaign.search.method: proposals}
    if campaign.control_methods:
        methods |= {str(name): table for name, table in pd.read_parquet(run.controls).groupby("method", sort=False)}
    if held_out is None:
        return compare_methods(methods)
    terms = [name for name in campaign.assays if campaign.hold_out and campaign.hold_out.term in (None, name)]
    known = {"start molecules": proposals["smiles"][proposals["round"] == 0].tolist()}
    for name in terms[:1]:
        known["training molecules"] = pd.read_csv(run.models / name / TRAINING_FILE)["smiles"].tolist()
    hidden = Hidden(held_out.table["smiles"].tolist(), held_out.series["smiles"].tolist(), held_out.similarity)
    return compare_methods(methods, hidden, known)


def _report(
    path: Path,
    candidates: pd.DataFrame,
    comparison: pd.DataFrame | None,
    run: RunDir,
    codec: Codec,
    *,
    facts: dict[str, str],
) -> None:
    campaign = Campaign.load(run.campaign)
    terminal.show("  writing the report")
    search = json.loads(run.history.read_text(encoding="utf-8"))
    training = "trained in this run" if campaign.train else f"sha256 {codec.sha256[:12]}"
    library = pq.read_table(run.molecules, columns=["smiles"])["smiles"].to_pylist()
    scored = datetime.fromtimestamp(run.proposals.stat().st_mtime, UTC)
    report = Report(
        title=campaign.name,
        candidates=candidates,
        funnel=funnel_steps(candidates, search["funnel"]),
        history=pd.DataFrame(search["history"]),
        campaign_toml=run.campaign.read_text(encoding="utf-8"),
        notes=[*search["notes"], *_domain_notes(candidates)],
        goals=goals_of(campaign.objective),
        comparison=comparison,
        held_out=_describe_held_out(run, campaign),
        controls={name: pd.DataFrame(rows) for name, rows in search["controls"].items()},
        facts={
            "scored": f"{scored:%Y-%m-%d %H:%M} UTC",
            "campaign": campaign.name,
            "library": f"{molecules_path(campaign.molecules).name} ({len(library):,} molecules)",
            "codec": f"{codec.name} ({training})",
            "seed": str(campaign.seed),
            "versions": f"molvae {installed('molvae')}, RDKit {installed('rdkit')}",
        }
        | facts,
        lead=campaign.lead.smiles if campaign.lead else None,
        reference=compute(_sample(library, N_REFERENCE), DESCRIPTORS),
        search_map=map_search(np.load(run.latent, allow_pickle=False), _known(run, campaign), codec),
    )
    write_report(path, report)


def _sample(smiles: list[str], n: int) -> list[str]:
    """At most n molecules, evenly spaced."""
    return [smiles[row] for row in np.unique(np.linspace(0, len(smiles) - 1, min(n, len(smiles))).astype(int))]


def _known(run: RunDir, campaign: Campaign) -> pd.DataFrame | None:
    """The best molecules of the assay, and those of the held-out series, for the map."""
    tables = []
    for name, term in campaign.assays.items():
        measured = pd.read_csv(run.models / name / TRAINING_FILE)
        best = measured.iloc[np.argsort(-goodness(term, measured["value"].to_numpy(float)), kind="stable")[:N_KNOWN]]
        tables.append(best.assign(kind="best of the assay", label=[f"{name} {value:.4g}" for value in best["value"]]))
        break
    held_out = read_held_out(run, campaign)
    if held_out is not None:
        series = held_out.series.iloc[:N_KNOWN]
        tables.append(
            series.assign(kind="held-out series", label=[f"measured {value:.4g}" for value in series["value"]])
        )
    return pd.concat(tables)[["kind", "smiles", "label"]] if tables else None


def _domain_notes(candidates: pd.DataFrame) -> list[str]:
    """A sentence if a considerable share of the molecules is outside the domain of the codec or of a model."""
    notes = []
    for column, domain in (("check_in_domain", "codec"), ("check_in_model_domain", "models of the objective")):
        n = int((candidates[column] != PASS).sum()) if column in candidates else 0
        if n > _NOTED * len(candidates):
            notes.append(
                f"{n:,} of {len(candidates):,} scored molecules are outside the applicability domain of the {domain}; "
                "their scores are unreliable, and they fail a check"
            )
    return notes


def _describe_held_out(run: RunDir, campaign: Campaign) -> list[HeldOutSeries]:
    """Measured and predicted values of the held-out series."""
    held_out = read_held_out(run, campaign)
    if held_out is None or campaign.hold_out is None:
        return []
    name = campaign.hold_out.term or next(iter(campaign.assays))
    series = held_out.series
    predicted = load_model(run.models / name).predict_standardized(series["smiles"].tolist())
    table = series.assign(predicted=predicted["value"].to_numpy())
    return [
        HeldOutSeries(str(scaffold), len(rows), float(rows["value"].mean()), float(rows["predicted"].mean()))
        for scaffold, rows in table.groupby("scaffold", sort=False)
    ]
