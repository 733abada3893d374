"""Stage 4: check all scored molecules, compare them with the library, and write candidates and report."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from molvae.candidates.build import build_candidates
from molvae.candidates.files import write_candidates
from molvae.checks.check import PASS
from molvae.codec import Codec, load_codec
from molvae.report.pareto import goals_of
from molvae.report.report import Report, funnel_steps, write_report
from molvae.scoring.objective import Objective
from molvae.scoring.poses import write_poses
from molvae.workers import LocalProcesses

from . import terminal
from .campaign import Campaign
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry, installed
from .run_dir import POSES, PUBLISHED, REPORT, RunDir

VERSION = 2


def validate(run: RunDir) -> Manifest:
    """Run stage 4, and copy its files to the top of the run folder.

    Parameters
    ----------
    run : RunDir
        Folder of the run; stages 1 to 3 are complete.

    Returns
    -------
    Manifest
        Files of the stage, and the number of molecules that failed each check.
    """
    campaign = Campaign.load(run.campaign)
    codec = load_codec(run.codec if campaign.train else campaign.finished_codec)
    inputs = {path.stem: file_entry(path, run.path) for path in (run.proposals, run.history, run.molecules)}
    inputs["codec"] = Entry(path=codec.name, sha256=codec.sha256)
    settings = campaign.model_dump(mode="json", include={"name", "checks"})
    docking = None
    if campaign.objective.has_poses:
        docking = Objective(campaign.objective, LocalProcesses())
        settings["objective"] = campaign.objective.model_dump(mode="json")
        inputs |= {f"scorer {path}": Entry(path=path, sha256=sha256) for path, sha256 in docking.identity().items()}
    plan = Plan("validate", VERSION, run.validate, settings, campaign.seed, inputs)
    manifest = plan.carry_out(lambda folder: _validate(run, campaign, codec, docking, folder))
    run.publish()
    return manifest


def _validate(run: RunDir, campaign: Campaign, codec: Codec, docking: Objective | None, folder: Path) -> Outcome:
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
            progress=bar.advance,
        )
    for name, reason in candidates.attrs["skipped"].items():
        log.warning("check %s is skipped: %s", name, reason)
    write_candidates(folder, candidates)
    facts = {}
    if docking is not None:
        terminal.show("  docking the best candidates again, for their poses")
        facts["docked poses"] = f"{POSES} ({write_poses(folder / POSES, docking, candidates):,} candidates)"
    _report(folder / REPORT, candidates, run, campaign, codec, facts=facts)
    failed = {
        name.removeprefix("check_"): int((candidates[name] != PASS).sum())
        for name in map(str, candidates)
        if name.startswith("check_")
    }
    n, n_passed = len(candidates), int(candidates["passed"].sum())
    counts = Counts(into=n, kept=n_passed, dropped=failed)
    outputs = {name: None if name == REPORT else n for name in PUBLISHED}
    return Outcome(outputs | ({POSES: None} if docking else {}), counts)


def _report(
    path: Path, candidates: pd.DataFrame, run: RunDir, campaign: Campaign, codec: Codec, *, facts: dict[str, str]
) -> None:
    terminal.show("  writing the report")
    search = json.loads(run.history.read_text(encoding="utf-8"))
    training = "trained in this run" if campaign.train else f"sha256 {codec.sha256[:12]}"
    report = Report(
        title=campaign.name,
        candidates=candidates,
        funnel=funnel_steps(candidates, search["funnel"]),
        history=pd.DataFrame(search["history"]),
        campaign_toml=run.campaign.read_text(encoding="utf-8"),
        notes=search["notes"],
        goals=goals_of(campaign.objective),
        facts={"molvae": installed("molvae"), "seed": str(campaign.seed), "codec": f"{codec.name} ({training})"}
        | facts,
    )
    write_report(path, report)
