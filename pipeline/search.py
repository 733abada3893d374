"""Stage 3: search for molecules with a high score; every scored molecule is written with its latent vector."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.files import replacing, write_text
from molvae.scoring.objective import Objective
from molvae.search.ledger import RoundSummary
from molvae.search.loop import optimize
from molvae.search.result import SearchResult
from molvae.seeds import generator
from molvae.workers import LocalProcesses

from . import terminal
from .campaign import Campaign
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry
from .run_dir import RunDir

if TYPE_CHECKING:
    from molvae.codec import Codec

VERSION = 3
_BATCH = 256


def search(run: RunDir) -> Manifest:
    """Run stage 3, or resume it from the checkpoint of an interrupted attempt.

    Parameters
    ----------
    run : RunDir
        Folder of the run; stage 1 is complete.

    Returns
    -------
    Manifest
        Counts and files of the stage: the scored molecules, their latent vectors and the history.
    """
    from molvae.codec import load_codec  # imports torch

    campaign = Campaign.load(run.campaign)
    codec = load_codec(run.codec if campaign.train else campaign.finished_codec)
    inputs = {"codec": Entry(path=codec.name, sha256=codec.sha256)}
    if campaign.search.library_starts:
        inputs["molecules"] = file_entry(run.molecules, run.path)
    objective = Objective(campaign.objective, LocalProcesses())
    inputs |= {f"scorer {path}": Entry(path=path, sha256=sha256) for path, sha256 in objective.identity().items()}
    settings = campaign.model_dump(mode="json", include={"search", "lead"})
    settings["objective"] = campaign.objective.score_settings()
    plan = Plan("search", VERSION, run.search, settings, campaign.seed, inputs)
    return plan.carry_out(lambda folder: _search(run, campaign, codec, objective, folder / plan.checkpoint))


def _search(run: RunDir, campaign: Campaign, codec: "Codec", objective: Objective, checkpoint: Path) -> Outcome:
    from molvae.devices import CODEC_DEVICE, choose_precision

    log.info("search: encodes and decodes in %s", choose_precision(CODEC_DEVICE))
    settings = campaign.search
    starts = [*([campaign.lead.smiles] if campaign.lead else []), *settings.start]
    starts += _library_starts(run, campaign, codec)
    with terminal.bar("search", settings.budget, "molecules scored") as bar:
        done, begin = 0, time.monotonic()

        def report(summary: RoundSummary) -> None:
            nonlocal done
            bar.advance(summary["calls"] - done)
            done = summary["calls"]
            text = _describe(summary, done / (time.monotonic() - begin))
            bar.describe(f"molecules scored, {text}")
            log.info("round %d: %d scored, %d new, %s", summary["round"], done, summary["new"], text)

        result = optimize(
            objective,
            codec=codec,
            budget=settings.budget,
            start=starts or None,
            seed=campaign.seed,
            settings=settings,
            progress=report,
            notify=_note,
            checkpoint=checkpoint,
        )
    _write(run, result)
    _note_failures(result)
    from_cache = _report_cache(campaign, objective)
    n = len(result.table)
    outputs = {run.proposals.name: n, run.latent.name: n, run.history.name: None}
    counts = result.funnel
    if "n_lost" in counts:
        _note(
            f"{counts['n_lost']:,} of {counts['n_proposed']:,} proposals decoded without the part to keep; "
            f"{counts['n_repaired']:,} of them contain it after they were decoded again"
        )
    dropped = {
        "invalid SMILES": counts["n_proposed"] - counts["n_valid"],
        "violates a constraint, or cannot be encoded": counts["n_infeasible"],
        "duplicate, or not chosen for scoring": counts["n_valid"] - counts["n_infeasible"] - n,
    }
    return Outcome(
        outputs, Counts(into=result.funnel["n_proposed"], kept=n, dropped=dropped, notes=from_cache), result.stop_reason
    )


def _report_cache(campaign: Campaign, objective: Objective) -> dict[str, int]:
    """Say how many values came from the cache; after a resumption, only those since then are counted."""
    for name, (n, n_all) in objective.n_from_cache.items():
        line = f"{name}: {n:,} of {n_all:,} values from the cache {campaign.objective.cache}"
        log.info("search: %s", line)
        terminal.show(f"  {line}")
    return {f"{name} from the cache": n for name, (n, _) in objective.n_from_cache.items()}


def _note_failures(result: SearchResult) -> None:
    """Say how many molecules have no score, and the most frequent reasons."""
    reasons = result.table["unscored_reason"].dropna()
    if len(reasons):
        found = [f"{reason} ({n:,})" for reason, n in reasons.value_counts().head(3).items()]
        _note(f"{len(reasons):,} molecules have no score: {'; '.join(found)}")


def _describe(summary: RoundSummary, calls_per_second: float) -> str:
    """The best scores, the share of new molecules among the decoded ones, and the speed."""
    scores = [f"{name} {summary[key]:.4g}" for name, key in _SCORES.items() if summary[key] is not None]
    share = summary["new_share"]
    new = [f"{share:.0%} of decoded new"] if share is not None else []
    return ", ".join([*scores, *new, f"{calls_per_second:.3g} a second"])


_SCORES: dict[str, Literal["best", "top10"]] = {"best": "best", "mean of ten best": "top10"}


def _library_starts(run: RunDir, campaign: Campaign, codec: "Codec") -> list[str]:
    """`library_starts` random molecules of the library that the codec can encode.

    Raises
    ------
    InputError
        The codec can encode no molecule of the library.
    """
    n_starts = campaign.search.library_starts
    if not n_starts:
        return []
    library = pq.read_table(run.molecules, columns=["smiles"])["smiles"].to_numpy()
    order = generator(campaign.seed, "library starts").permutation(len(library))
    starts: list[str] = []
    reason = None
    for begin in range(0, len(order), _BATCH):
        smiles = [str(one) for one in library[order[begin : begin + _BATCH]]]
        encoding = codec.encode(smiles, remove_stereo=campaign.search.remove_stereo)
        starts += [one for one, ok in zip(smiles, encoding.ok, strict=True) if ok]
        reason = reason or next(filter(None, encoding.reason), None)
        if len(starts) >= n_starts:
            return starts[:n_starts]
    if not starts:
        raise InputError(f"{run.molecules}: the codec {codec.name} can encode no molecule of the library ({reason})")
    _note(f"the codec can encode only {len(starts):,} of the {n_starts:,} library starts; all of them are used")
    return starts


def _write(run: RunDir, result: SearchResult) -> None:
    with replacing(run.proposals) as part:
        result.table.sort_values("latent_row").to_parquet(part, index=False)  # in the order of scoring
    with replacing(run.latent) as part:
        np.save(part, result.latent)
    content = {
        "funnel": result.funnel,
        "history": result.history.astype(object).where(result.history.notna(), None).to_dict("records"),
        "notes": result.notes,
        "stop_reason": result.stop_reason,
    }
    write_text(run.history, json.dumps(content, indent=1) + "\n")


def _note(text: str) -> None:
    log.warning("%s", text)
    terminal.show(f"  note: {text}")
