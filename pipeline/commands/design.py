"""`molvae design`: one run from start to end, through Prefect."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from molvae.errors import InputError, MolvaeError
from molvae.extras import require

from .. import terminal
from ..api import api
from ..log import log, logging_to
from ..run_dir import RunDir
from .declaration import Changes, command


@command
def design(
    *,
    campaign: Annotated[
        Path | None,
        typer.Argument(metavar="CAMPAIGN.toml", help="Settings of the run. Default: the bundled default.toml."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run folder. Default: runs/NAME-TIME.")
    ] = None,
    changes: Changes = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Resume this run. With --set: a new run that takes over its stages.",
        ),
    ] = None,
) -> None:
    """Search for molecules, check them and write the candidates.

    Reads a reference library, decodes latent vectors to molecules, scores the molecules until the budget is spent,
    checks them, and writes candidates.csv, .parquet, .sdf and report.html into the run folder. A stopped run resumes
    with --resume and gives the same candidates. With --resume and --set, the run stays as it is, and a new run with the
    changed settings takes over the stages that the change does not affect.

    \b
    Examples:
      molvae design
      molvae design lead.toml --set lead.smiles="CC(=O)Nc1ccc(O)cc1"
      molvae design --set search.budget=500 --set molecules.path=my.csv
      molvae design --resume runs/lead-20261124-101500
      molvae design --resume runs/latest --set checks.mol_weight=[200,450]
    """
    if resume is not None and (campaign is not None or (out is not None and not changes)):
        given = "CAMPAIGN.toml" if campaign is not None else "--out, or add --set for a new run"
        raise InputError(f"--resume keeps the settings of the run; remove {given}")
    require("prefect", "molvae design")
    start = time.monotonic()
    seconds = None
    earlier = None if resume is None else RunDir.open(resume)
    from .. import runs  # imports RDKit; torch only after the campaign is found to be valid

    if earlier is not None and changes:
        run, earlier = runs.derive(earlier, changes, out), None
    else:
        run = earlier or runs.start(runs.load(campaign, changes or ()), out)
    damaged = runs.find_damage(run) if earlier else []
    for path in damaged:
        terminal.report(f"note: {_shorten(path)}: has changed since it was written; the stage runs again")
    if not damaged and runs.is_complete(run):  # needs no lock: the folder may be read-only
        print(f"{_shorten(run.path)} is already complete.\n")
        try:
            runs.finish(run)
        except OSError as error:
            error.add_note(_how_to_resume(run))
            raise
    else:
        with run.lock(), _logged(run), runs.recording_failure(run):
            _run_stages(run)
            runs.finish(run)
        seconds = None if resume else time.monotonic() - start
    from ..summary import summarize

    print(summarize(run, _shorten(run.path), seconds))


def _run_stages(run: RunDir) -> None:
    """Run every stage that is not complete, with progress on the terminal and details in run.log."""
    run.tidy()
    with logging_to(run.log), terminal.showing():
        terminal.show(f"molvae design: {_shorten(run.path)}")
        with api(run.log) as wait:
            with terminal.bar("starting Prefect", None, ""):
                from .. import flow  # imports Prefect

                wait()
            flow.run_flow(str(run.path))


@contextlib.contextmanager
def _logged(run: RunDir) -> Iterator[None]:
    """Log an error of the block with its traceback, and add notes: the path of the log and how to resume."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(OSError), logging_to(run.log):  # the folder may be gone
            log.error("the run ended early", exc_info=error)
        if isinstance(error, Exception) and not isinstance(error, MolvaeError):
            error.add_note(f"details: {_shorten(run.log)}")
        is_refusal = isinstance(error, InputError) and not isinstance(error.__context__, OSError)
        if not is_refusal:  # the input is part of the run and would fail again
            error.add_note(_how_to_resume(run))
        raise


def _how_to_resume(run: RunDir) -> str:
    return f"resume with: molvae design --resume {_shorten(run.path)}"


def _shorten(path: Path) -> str:
    """The path, relative to the working folder if it is inside it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
