"""Stage 3: propose molecules, score them, learn; every molecule that was scored is kept, with its point."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.files import replacing, write_text
from molvae.scoring.objective import Objective
from molvae.search.loop import optimize
from molvae.search.result import SearchResult
from molvae.search.scored import RoundSummary
from molvae.seeds import generator

from . import terminal
from .campaign import Campaign
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry
from .run_dir import RunDir

if TYPE_CHECKING:
    from molvae.codec import Codec

VERSION = 1
_ENCODED_AT_ONCE = 256


def search(run: RunDir) -> Manifest:
    """Proposals, points and history in 3-search; goes on from the checkpoint of an attempt that was killed."""
    from molvae.codec import load_codec  # brings torch

    campaign = Campaign.load(run.campaign)
    codec = load_codec(run.codec if campaign.train else campaign.finished_codec)
    inputs = {"codec": Entry(path=codec.name, sha256=codec.sha256)}
    if campaign.search.library_starts:
        inputs["molecules"] = file_entry(run.molecules, run.path)
    settings = campaign.model_dump(mode="json", include={"objective", "search", "lead"})
    plan = Plan("search", VERSION, run.search, settings, campaign.seed, inputs)
    return plan.carry_out(lambda folder: _search(run, campaign, codec, folder / plan.checkpoint))


def _search(run: RunDir, campaign: Campaign, codec: "Codec", checkpoint: Path) -> Outcome:
    settings = campaign.search
    starts = [*([campaign.lead.smiles] if campaign.lead else []), *settings.start]
    starts += _library_starts(run, campaign, codec)
    with terminal.bar("search", settings.budget, "molecules scored") as bar:
        done = 0

        def report(summary: RoundSummary) -> None:
            nonlocal done
            bar.advance(summary["calls"] - done)
            done = summary["calls"]
            log.info("round %(round)d: %(calls)d scored, %(new)d new, best %(best)s", summary)

        result = optimize(
            Objective(campaign.objective),
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
    n = len(result.table)
    outputs = {run.proposals.name: n, run.latent.name: n, run.history.name: None}
    dropped = {
        "not a molecule": result.funnel["n_proposed"] - result.funnel["n_valid"],
        "decoded before, or more than a round scores": result.funnel["n_valid"] - n,
    }
    return Outcome(outputs, Counts(into=result.funnel["n_proposed"], kept=n, dropped=dropped), result.stop_reason)


def _library_starts(run: RunDir, campaign: Campaign, codec: "Codec") -> list[str]:
    """As many molecules of the library as are asked for, drawn at random among those that the codec can read.

    Raises:
        InputError: the codec can read none of the library.
    """
    wanted = campaign.search.library_starts
    if not wanted:
        return []
    library = pq.read_table(run.molecules, columns=["smiles"])["smiles"].to_numpy()
    order = generator(campaign.seed, "library starts").permutation(len(library))
    starts: list[str] = []
    reason = None
    for begin in range(0, len(order), _ENCODED_AT_ONCE):
        smiles = [str(text) for text in library[order[begin : begin + _ENCODED_AT_ONCE]]]
        encoding = codec.encode(smiles, remove_stereo=campaign.search.remove_stereo)
        starts += [text for text, ok in zip(smiles, encoding.ok, strict=True) if ok]
        reason = reason or next(filter(None, encoding.reason), None)
        if len(starts) >= wanted:
            return starts[:wanted]
    if not starts:
        raise InputError(f"{run.molecules}: the codec {codec.name} can read no molecule of the library ({reason})")
    _note(f"the library has only {len(starts):,} molecules that the codec can read; all of them are starts")
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
    terminal.say(f"  note: {text}")
