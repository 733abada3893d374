"""Start, find and finish runs."""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.files import PART_PREFIX, link_or_copy, write_text

from . import clock, terminal
from .assays import needs_assays, read_assays
from .campaign import Campaign, molecules_path
from .earlier import copy_start, record_start
from .failures import describe_failure
from .manifest import Manifest
from .run_dir import LATEST, MANIFEST, RUNS, RunDir, write_campaign
from .runner import check_runner


def load(campaign: Path | None, changes: Sequence[str]) -> Campaign:
    """Read a campaign and check its library, scorers, assays, codec and lead; mistakes are found before a run starts.

    Parameters
    ----------
    campaign : Path or None
        The campaign file, or the name of a bundled one; None: the bundled default.toml.
    changes : sequence of str
        Changes to its settings, as `section.key=value`.

    Returns
    -------
    Campaign
        The settings.

    Raises
    ------
    InputError
        The campaign, library, a scorer, an assay table, codec, lead or Dask cluster cannot be used.
    """
    loaded = Campaign.load(campaign, changes)

    from molvae.datasets import open_molecules
    from molvae.features.views import decodes_to_smiles
    from molvae.scoring.objective import Objective

    section = loaded.molecules
    open_molecules(molecules_path(section), section.smiles_column, section.id_column)
    Objective(loaded.objective)  # raises an error if a file or program is missing, or a function cannot be imported
    if loaded.train is not None and not decodes_to_smiles(loaded.train.features.decoder_output):
        raise InputError(
            f"[train.features] decoder_output = {loaded.train.features.decoder_output!r}: a search needs a codec that "
            "generates molecules; use smiles or selfies"
        )
    if loaded.train is None:
        from molvae.codec import load_codec  # imports torch

        codec = load_codec(loaded.finished_codec)
        if not codec.decodes_to_smiles:
            raise InputError(
                f"codec {codec.name}: decodes to {codec.featurizer.describe()}; a search needs a codec that generates "
                "molecules"
            )
        if loaded.lead is not None:
            encoding = codec.encode([loaded.lead.smiles], remove_stereo=loaded.search.remove_stereo)
            if not encoding.ok[0]:
                where = f"[lead] smiles {loaded.lead.smiles}"
                raise InputError(f"{where}: codec {codec.name} cannot encode it: {encoding.reason[0]}")
    if needs_assays(loaded):
        read_assays(loaded)
    check_runner(loaded.runner)
    return loaded


def start(campaign: Campaign, out: Path | None) -> RunDir:
    """Create a run folder with the resolved campaign.

    Parameters
    ----------
    campaign : Campaign
        The settings.
    out : Path or None
        The run folder; None: runs/NAME-TIME.

    Returns
    -------
    RunDir
        The run.

    Raises
    ------
    InputError
        `out` contains files, or another process starts a run there.
    """
    run = RunDir.create_named(Path(RUNS), campaign.name) if out is None else RunDir.create(out)
    with run.lock():
        if run.campaign.exists():
            raise InputError(f"{run.path}: another process started a run in this folder; choose another --out")
        record_start(run, campaign.name, continues=campaign.continues)
        write_campaign(run, campaign.to_toml())
    return run


def derive(source: RunDir, changes: Sequence[str], out: Path | None) -> RunDir:
    """Create a run with the settings of another one, some of them changed; the other one stays as it is.

    The new run starts with the files of the other one: as hard links, and its checkpoints as copies. Stages that the
    changes do not affect are then complete; the others run again, and the last one always. The same earlier runs count.

    Parameters
    ----------
    source : RunDir
        The other run, in any state.
    changes : sequence of str
        Changes to its settings, as `section.key=value`.
    out : Path or None
        The new run folder; None: runs/NAME-TIME.

    Returns
    -------
    RunDir
        The new run.

    Raises
    ------
    InputError
        The settings cannot be used, `out` contains files, or another process writes to `source` or to `out`.
    """
    campaign = load(source.campaign, changes)
    if source.is_locked():
        raise InputError(f"{source.path}: another process writes to this run; wait until it ends")
    run = RunDir.create_named(Path(RUNS), campaign.name) if out is None else RunDir.create(out)
    with run.lock():
        if run.campaign.exists():
            raise InputError(f"{run.path}: another process started a run in this folder; choose another --out")
        for stage in source.stages[:-1]:  # a complete last stage would mark the new run as complete
            for path in sorted(path for path in stage.rglob("*") if path.is_file()):
                _take_over(path, run.path / path.relative_to(source.path))
        copy_start(source, run)
        write_campaign(run, campaign.to_toml())
    return run


def _take_over(path: Path, target: Path) -> None:
    """Link a file, or copy it if it belongs to a checkpoint, which changes in place."""
    if path.name.startswith(PART_PREFIX):
        return
    if any(part.startswith("checkpoint-") for part in path.parts):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    else:
        link_or_copy(path, target)


@contextlib.contextmanager
def recording_failure(run: RunDir) -> Iterator[None]:
    """Write an error of the block to `failure.json`, for lists of runs; the record of an earlier attempt is removed.

    Parameters
    ----------
    run : RunDir
        The run, which this process has locked.

    Yields
    ------
    None
        While errors are recorded. A stop request is not an error.
    """
    run.failure.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        with contextlib.suppress(OSError, InputError):  # the disk may be full
            content = {"failed": clock.now(), "reason": describe_failure(error).splitlines()[0]}
            write_text(run.failure, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        raise


def find_unfinished(campaign: Campaign) -> RunDir | None:
    """Find the newest incomplete run in `runs` that has the same settings and is not locked by another process.

    Parameters
    ----------
    campaign : Campaign
        The settings.

    Returns
    -------
    RunDir or None
        The run; None if there is none.
    """
    settings = campaign.to_toml()
    for path in sorted(Path(RUNS).glob(f"{campaign.name}-*/campaign.toml"), reverse=True):
        run = RunDir.open(path.parent)
        if path.read_text(encoding="utf-8") == settings and not is_complete(run) and not run.is_locked():
            return run
    return None


def is_complete(run: RunDir) -> bool:
    """Whether the last stage is complete and its files are unchanged.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    bool
        False for a run that has to be resumed.
    """
    last_stage = run.stages[-1]
    manifest = Manifest.read(last_stage)
    return manifest is not None and manifest.is_whole(last_stage)


def find_damage(run: RunDir) -> list[Path]:
    """Find the files of complete stages that are missing or have changed since they were written.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    list of Path
        At most one file per stage; the stage runs again.
    """
    found = []
    for stage in run.stages:
        if (stage / MANIFEST).exists():
            manifest = Manifest.read(stage)
            change = MANIFEST if manifest is None else manifest.find_change(stage)
            found += [stage / change] if change else []
    return found


def finish(run: RunDir) -> None:
    """Copy the result files to the top of a complete run, and link `latest` to it.

    A run without any score other than 0 is not worth opening in the morning: `latest` keeps its target, and a note says
    so.

    Parameters
    ----------
    run : RunDir
        The run.
    """
    run.publish()
    if not _has_scores(run):
        terminal.report(f"note: no molecule has a score above 0, so {RUNS}/{LATEST} does not link to this run")
        return
    try:
        run.link_latest()
    except OSError as error:
        print(f"molvae: the link {RUNS}/{LATEST} was not updated ({error})", file=sys.stderr)


def _has_scores(run: RunDir) -> bool:
    """Whether at least one molecule has a score other than 0."""
    score = pq.read_table(run.path / "candidates.parquet", columns=["score"])["score"].to_pandas()
    return bool((score.notna() & (score != 0)).any())
