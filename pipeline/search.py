"""Stage 3: search for molecules with a high score; every scored molecule is written with its latent vector."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.errors import InputError, MolvaeError
from molvae.files import link_or_copy, replacing, write_text
from molvae.scoring.objective import Objective
from molvae.search.ledger import RoundSummary
from molvae.search.loop import optimize
from molvae.search.optimizers import CONTROLS
from molvae.search.result import SearchResult
from molvae.search.settings import SearchSettings
from molvae.seeds import generator
from molvae.workers import LocalProcesses, Mapper

from . import terminal
from .assays import fitted_objective, model_files
from .campaign import Campaign
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry
from .night import Night, plan_night
from .run_dir import RunDir

if TYPE_CHECKING:
    from molvae.codec import Codec

VERSION = 4
_BATCH = 256
_CONTROL_BATCH = 100


def search(run: RunDir, mapper: Mapper | None = None) -> Manifest:
    """Run stage 3, or resume it from the checkpoint of an interrupted attempt.

    Parameters
    ----------
    run : RunDir
        Folder of the run; stage 1 is complete.
    mapper : Mapper or None
        Scores molecules; None uses worker processes on this machine.

    Returns
    -------
    Manifest
        Counts and files of the stage: the scored molecules, their latent vectors and the history.
    """
    from molvae.codec import load_codec  # imports torch

    campaign = Campaign.load(run.campaign)
    codec = load_codec(run.codec if campaign.train else campaign.finished_codec)
    inputs = {"codec": Entry(path=codec.name, sha256=codec.sha256)}
    inputs |= {name: file_entry(path, run.path) for name, path in model_files(run, campaign).items()}
    if campaign.search.library_starts:
        inputs["molecules"] = file_entry(run.molecules, run.path)
    if campaign.starts is not None:
        inputs["starts"] = file_entry(run.starts, run.path)
    objective = Objective(fitted_objective(run, campaign), mapper or LocalProcesses())
    own = {str(run.models / name) for name in campaign.assays}  # are inputs already, by a name that no copy changes
    inputs |= {
        f"scorer {path}": Entry(path=path, sha256=sha256)
        for path, sha256 in objective.identity().items()
        if path not in own
    }
    settings = campaign.model_dump(mode="json", include={"search", "lead", "starts", "controls"})
    settings["objective"] = campaign.objective.score_settings()
    plan = Plan("search", VERSION, run.search, settings, campaign.seed, inputs)
    night = plan_night(run, campaign, plan)
    if campaign.run is not None and campaign.continues:
        state = {f"earlier {path.relative_to(night.state)}": path for path in night.state_files}
        plan = replace(
            plan,
            settings=settings | {"run": campaign.run.model_dump(mode="json")},
            inputs=inputs | {name: file_entry(path, run.path) for name, path in state.items()},
        )
    return plan.carry_out(
        lambda folder: _search(run, campaign, codec, objective, folder / plan.checkpoint, night=night)
    )


def _search(
    run: RunDir, campaign: Campaign, codec: "Codec", objective: Objective, checkpoint: Path, *, night: Night
) -> Outcome:
    from molvae.devices import CODEC_DEVICE, choose_precision

    log.info("search: encodes and decodes in %s", choose_precision(CODEC_DEVICE))
    settings = campaign.search.model_copy(update={"budget": night.budget})
    for note in night.notes:
        _note(note)
    night.put_state(checkpoint)
    starts = [*([campaign.lead.smiles] if campaign.lead else []), *settings.start]
    starts += _assay_starts(run, campaign, codec) + _library_starts(run, campaign, codec)
    job = _Job(campaign, codec, objective, starts or None)
    result = job.run("search", settings, checkpoint)
    controls = {
        name: job.run(f"control {name}", _control_settings(settings, name), checkpoint / name, is_control=True)
        for name in campaign.control_methods
    }
    _check_scores(result)
    _write(run, result, controls, night.notes)
    _note_failures(result)
    from_cache = _report_cache(campaign, objective)
    n = len(result.table)
    outputs = {run.proposals.name: n, run.latent.name: n, run.history.name: None}
    if controls:
        outputs[run.controls.name] = sum(len(control.table) for control in controls.values())
    if campaign.continues:
        outputs |= dict.fromkeys(_keep_state(checkpoint, run))
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
        outputs,
        Counts(into=result.funnel["n_proposed"], kept=n, dropped=dropped, notes=from_cache),
        result.stop_reason,
        facts={"budget": night.budget},
    )


def _check_scores(result: SearchResult) -> None:
    """Raise MolvaeError if no molecule has a score: the run has no candidates."""
    counts, n = result.funnel, len(result.table)
    if n == 0:
        raise MolvaeError(
            f"no molecule was scored: of {counts['n_proposed']:,} decoded latent vectors, {counts['n_valid']:,} gave a "
            f"valid molecule; {counts['n_infeasible']:,} of these violate [search.constraints] or cannot be encoded; "
            "relax the constraints or use another codec"
        )
    if result.table["score"].isna().all():
        reasons = result.table["unscored_reason"].value_counts()
        last = f"; most frequent reason: {reasons.index[0]} ({reasons.iloc[0]:,})" if len(reasons) else ""
        raise MolvaeError(f"none of {n:,} molecules has a score{last}; check the terms of [objective]")


def _keep_state(checkpoint: Path, run: RunDir) -> list[str]:
    """Keep the checkpoints of the search and its controls as outputs, for the next run; return their names."""
    names = []
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        target = run.search_state / path.relative_to(checkpoint)
        link_or_copy(path, target)
        names.append(target.relative_to(run.search).as_posix())
    return names


def _report_cache(campaign: Campaign, objective: Objective) -> dict[str, int]:
    """Say how many values came from the cache; after a resumption, only those since then are counted."""
    for name, (n, n_all) in objective.n_from_cache.items():
        line = f"{name}: {n:,} of {n_all:,} values from the cache {campaign.objective.cache}"
        log.info("search: %s", line)
        terminal.show(f"  {line}")
    return {f"{name} from the cache": n for name, (n, _) in objective.n_from_cache.items()}


@dataclass(frozen=True)
class _Job:
    """What the search and its controls have in common."""

    campaign: Campaign
    codec: "Codec"
    objective: Objective
    starts: list[str] | None

    def run(self, name: str, settings: SearchSettings, checkpoint: Path, is_control: bool = False) -> SearchResult:
        """Run one method, with progress; the notes of a control repeat those of the search and are only logged."""
        with terminal.bar(name, settings.budget, "molecules scored") as bar:
            done, before, begin = 0, None, time.monotonic()

            def report(summary: RoundSummary) -> None:
                nonlocal done, before
                before = summary["calls"] - summary["new"] if before is None else before  # scored in other attempts
                n_new, done = summary["calls"] - done, summary["calls"]
                text = _describe(summary, (done - before) / (time.monotonic() - begin))
                bar.describe(f"molecules scored, {text}")
                bar.advance(n_new)
                log.info("%s, round %d: %d scored, %d new, %s", name, summary["round"], done, summary["new"], text)

            return optimize(
                self.objective,
                codec=self.codec,
                budget=settings.budget,
                start=self.starts,
                seed=self.campaign.seed,
                settings=settings,
                progress=report,
                notify=log.info if is_control else _note,
                checkpoint=checkpoint,
            )


def _control_settings(settings: SearchSettings, method: str) -> SearchSettings:
    """The settings of a control. A method that ignores the scores needs no small batches and no spare proposals."""
    data = settings.model_dump() | {"method": method}
    if method in CONTROLS:
        data |= {"batch_size": _CONTROL_BATCH, "proposals": 1, "proposals_per_call": 2}
    return SearchSettings.model_validate(data)


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
    if not campaign.search.library_starts:
        return []
    library = pq.read_table(run.molecules, columns=["smiles"])["smiles"].to_numpy()
    order = generator(campaign.seed, "library starts").permutation(len(library))
    found = _Source(f"{run.molecules}: the library", "library starts", [str(one) for one in library[order]])
    return _encodable(found, campaign.search.library_starts, campaign, codec)


def _assay_starts(run: RunDir, campaign: Campaign, codec: "Codec") -> list[str]:
    """Random molecules of the assay that meet the condition of `[starts]` and that the codec reconstructs.

    Raises
    ------
    InputError
        The codec can encode none of them.
    """
    if campaign.starts is None:
        return []
    smiles = pd.read_csv(run.starts, dtype=str, keep_default_na=False)["smiles"].tolist()
    n, remove_stereo = campaign.starts.n, campaign.search.remove_stereo
    exact: list[str] = []
    for begin in range(0, len(smiles), _BATCH):
        encoding = codec.encode(smiles[begin : begin + _BATCH], remove_stereo=remove_stereo)
        known = [one for one, ok in zip(encoding.smiles, encoding.ok, strict=True) if ok and one is not None]
        decoded = codec.decode(encoding.z[encoding.ok]) if known else []
        exact += [one for one, back in zip(known, decoded, strict=True) if back.smiles == one]
        if len(exact) >= n:
            return exact[:n]
    if exact:
        _note(f"the codec reconstructs only {len(exact):,} of the molecules that the search may start from (n = {n:,})")
        return exact
    return _encodable(_Source("[starts]", "start molecules", smiles), n, campaign, codec)


class _Source(NamedTuple):
    """Molecules to start from, in order: where they are from, for errors; what they are, for notes."""

    where: str
    what: str
    smiles: list[str]


def _encodable(source: _Source, n: int, campaign: Campaign, codec: "Codec") -> list[str]:
    """The first n molecules that the codec can encode."""
    starts: list[str] = []
    reason = None
    for begin in range(0, len(source.smiles), _BATCH):
        smiles = source.smiles[begin : begin + _BATCH]
        encoding = codec.encode(smiles, remove_stereo=campaign.search.remove_stereo)
        starts += [one for one, ok in zip(smiles, encoding.ok, strict=True) if ok]
        reason = reason or next(filter(None, encoding.reason), None)
        if len(starts) >= n:
            return starts[:n]
    if not starts:
        raise InputError(f"{source.where}: the codec {codec.name} can encode none of its molecules ({reason})")
    _note(f"only {len(starts):,} of {n:,} {source.what} can be encoded by the codec; all of them are used")
    return starts


def _write(run: RunDir, result: SearchResult, controls: Mapping[str, SearchResult], notes: Sequence[str]) -> None:
    with replacing(run.proposals) as part:
        result.table.sort_values("latent_row").to_parquet(part, index=False)  # in the order of scoring
    with replacing(run.latent) as part:
        np.save(part, result.latent)
    if controls:
        tables = [
            control.table.sort_values("latent_row").assign(method=name).drop(columns="latent_row")
            for name, control in controls.items()
        ]
        with replacing(run.controls) as part:
            pd.concat(tables, ignore_index=True).to_parquet(part, index=False)
    content = {
        "funnel": result.funnel,
        "history": _records(result),
        "notes": [*notes, *result.notes],
        "stop_reason": result.stop_reason,
        "controls": {name: _records(control) for name, control in controls.items()},
    }
    write_text(run.history, json.dumps(content, indent=1) + "\n")


def _records(result: SearchResult) -> list[dict[str, object]]:
    """The history as JSON can hold it, one entry per round."""
    history = result.history.astype(object).where(result.history.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in history]


def _note(text: str) -> None:
    log.warning("%s", text)
    terminal.show(f"  note: {text}")
