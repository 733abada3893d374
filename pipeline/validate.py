"""Stage 4: every molecule that was scored is checked, compared with what is known, and told why it fails."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.candidates.files import write_candidates
from molvae.checks.checks import run_checks
from molvae.chem.fingerprints import ReferenceSet
from molvae.chem.molecules import inchikey, parse
from molvae.chem.properties import count_open_stereo_centers
from molvae.codec import Codec, load_codec
from molvae.report.report import Report, write_report

from . import terminal
from .campaign import Campaign
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry, installed
from .run_dir import PUBLISHED, REPORT, RunDir
from .summary import funnel

VERSION = 1
_REFERENCES_AT_ONCE = 50_000


def validate(run: RunDir) -> Manifest:
    """Candidates and report in 4-validate, and what people open at the top of the run."""
    campaign = Campaign.load(run.campaign)
    codec = load_codec(run.codec if campaign.train else campaign.finished_codec)
    inputs = {path.stem: file_entry(path, run.path) for path in (run.proposals, run.history, run.molecules)}
    inputs["codec"] = Entry(path=codec.name, sha256=codec.sha256)
    settings = campaign.model_dump(mode="json", include={"name", "checks"})
    plan = Plan("validate", VERSION, run.validate, settings, campaign.seed, inputs)
    manifest = plan.carry_out(lambda folder: _validate(run, campaign, codec, folder))
    run.publish()
    return manifest


def _validate(run: RunDir, campaign: Campaign, codec: Codec, folder: Path) -> Outcome:
    proposals = pd.read_parquet(run.proposals)
    reference = pq.read_table(run.molecules, columns=["id", "smiles"]).to_pandas()
    candidates = pd.concat([proposals, _check(proposals, reference, campaign, codec), _describe(proposals)], axis=1)
    candidates = pd.concat([candidates, _nearest(proposals, reference)], axis=1)
    order = candidates.sort_values(["passed", "score"], ascending=False, kind="stable", na_position="last")
    candidates = order.reset_index(drop=True)
    write_candidates(folder, candidates)
    _report(folder / REPORT, candidates, run, campaign, codec)
    failed: Counter[str] = Counter()
    for name in map(str, candidates.filter(like="check_")):
        failed[name.removeprefix("check_")] = int((candidates[name] != "pass").sum())
    n, n_passed = len(candidates), int(candidates["passed"].sum())
    counts = Counts(into=n, kept=n_passed, dropped=dict(failed))
    return Outcome({name: None if name == REPORT else n for name in PUBLISHED}, counts)


def _report(path: Path, candidates: pd.DataFrame, run: RunDir, campaign: Campaign, codec: Codec) -> None:
    terminal.say("  drawing the report")
    search = json.loads(run.history.read_text(encoding="utf-8"))
    training = "trained in this run" if campaign.train else f"sha256 {codec.sha256[:12]}"
    report = Report(
        title=campaign.name,
        candidates=candidates,
        funnel=funnel(candidates, search["funnel"]),
        history=pd.DataFrame(search["history"]),
        campaign_toml=run.campaign.read_text(encoding="utf-8"),
        notes=search["notes"],
        facts={"molvae": installed("molvae"), "seed": str(campaign.seed), "codec": f"{codec.name} ({training})"},
    )
    write_report(path, report)


def _check(proposals: pd.DataFrame, reference: pd.DataFrame, campaign: Campaign, codec: Codec) -> pd.DataFrame:
    terminal.say("  checking every molecule")
    settings, training = campaign.checks, None
    if settings.in_training:
        training = codec.training_smiles()
        if training is None:
            log.warning(
                "the training set of codec %s is not known here; whether molecules are in it is not checked", codec.name
            )
            settings = settings.model_copy(update={"in_training": False})
    known = dict(zip(reference["smiles"], reference["id"], strict=True))
    if settings.in_domain and codec.calibration is None:
        log.warning("the domain of codec %s was never measured; whether molecules are in it is not checked", codec.name)
        settings = settings.model_copy(update={"in_domain": False})

    def domain(smiles: Sequence[str], percentile: float) -> list[str | None]:
        reasons = codec.applicability_domain(smiles, percentile=percentile, remove_stereo=True)["reason"]
        return [reason if isinstance(reason, str) else None for reason in reasons]

    return run_checks(proposals["smiles"].tolist(), settings, known, training, domain)


def _describe(proposals: pd.DataFrame) -> pd.DataFrame:
    smiles = proposals["smiles"]
    return pd.DataFrame(
        {
            "inchikey": [inchikey(text) for text in smiles],
            "open_stereo_centers": [count_open_stereo_centers(parse(text)) for text in smiles],
        }
    )


def _nearest(proposals: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """The most similar molecule of the library for each proposal; the first of equals."""
    smiles = proposals["smiles"].tolist()
    best = np.full(len(smiles), -1.0, np.float32)
    row = np.zeros(len(smiles), np.int64)
    with terminal.bar("nearest in the library", len(reference), "molecules") as bar:
        for begin in range(0, len(reference), _REFERENCES_AT_ONCE):
            part = reference["smiles"].iloc[begin : begin + _REFERENCES_AT_ONCE].tolist()
            index, similarity = ReferenceSet(part).nearest(smiles)
            is_nearer = similarity > best
            best[is_nearer], row[is_nearer] = similarity[is_nearer], index[is_nearer] + begin
            bar.advance(len(part))
    nearest = reference.iloc[row].reset_index(drop=True)
    return pd.DataFrame(
        {
            "nearest_reference": nearest["id"].where(nearest["id"].notna(), nearest["smiles"]),
            "nearest_reference_smiles": nearest["smiles"],
            "nearest_reference_similarity": best.astype(float).round(6),  # float32 knows no more digits
        }
    )
