"""The commands `design` and `serve`: a run or a schedule, with Prefect beneath it and a person watching."""

import contextlib
import signal
import zoneinfo
from collections.abc import Iterator, Sequence
from pathlib import Path

from molvae.errors import InputError, MolvaeError
from molvae.extras import require

from . import terminal
from .api import api
from .log import log, logging_to
from .run_dir import RUNS, SERVE_LOG, RunDir


def design(campaign: Path | None, out: Path | None, changes: Sequence[str], resume: Path | None) -> None:
    """A new run, or an old one gone on with, carried to its end; its summary is printed."""
    if resume is not None and (campaign is not None or out is not None or changes):
        given = "CAMPAIGN.toml" if campaign is not None else "--out" if out is not None else "--set"
        raise InputError(f"--resume goes on with a run as it was begun; {given} cannot be given with it")
    require("prefect", "molvae design")
    earlier = None if resume is None else RunDir.open(resume)
    from . import runs  # brings torch and RDKit: nobody waits for them to hear of a slip
    from .summary import summarize

    run = earlier or runs.start(runs.load(campaign, changes), out)
    if runs.is_complete(run):  # only to be looked at, perhaps where nobody may write
        print(f"{shown(run.path)} is complete; nothing was done again.\n")
        runs.finish(run)
    else:
        with run.lock(), _told_how_to_resume(run):
            _carry_out(run)
            runs.finish(run)
    print(summarize(run, shown(run.path)))


def serve(campaign: Path, cron: str, timezone: str | None, changes: Sequence[str]) -> None:
    """Start the campaign whenever the schedule says so, until this process is told to stop.

    Raises:
        InputError: campaign, schedule or time zone cannot be used.
    """
    require("prefect", "molvae serve")
    zone = _zone(timezone)
    from . import runs  # brings torch and RDKit

    name = runs.load(campaign, changes).name
    SERVE_LOG.parent.mkdir(exist_ok=True)
    with logging_to(SERVE_LOG), api(SERVE_LOG, schedules=True) as wait:
        from . import deploy  # brings Prefect

        starts = deploy.next_starts(cron, zone)
        wait()
        print(f"{name} starts at {cron!r}, time zone {zone}; the next three times:")
        print("\n".join(f"  {start:%a %Y-%m-%d %H:%M %Z}" for start in starts))
        print(f"Each run goes to {RUNS}/{name}-TIME. Ctrl-C ends the schedule.", flush=True)
        when_terminated = signal.getsignal(signal.SIGTERM)
        try:
            deploy.serve(name, campaign, changes, cron, zone)
        except SystemExit:  # what Prefect makes of SIGTERM, which it takes for itself
            signal.signal(signal.SIGTERM, when_terminated)
            signal.raise_signal(signal.SIGTERM)
    raise KeyboardInterrupt  # which Prefect takes for itself, too, and returns; nothing else ends it


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _carry_out(run: RunDir) -> None:
    """Every stage that is not done yet, through Prefect, with progress on the terminal and the rest in run.log."""
    run.tidy()
    with logging_to(run.log), terminal.showing():
        terminal.say(f"molvae design: {shown(run.path)}")
        with api(run.log) as wait:
            with terminal.bar("starting Prefect", None, ""):
                from . import flow  # brings Prefect

                wait()
            flow.carry_out(str(run.path))


@contextlib.contextmanager
def _told_how_to_resume(run: RunDir) -> Iterator[None]:
    """What goes wrong inside is logged with its traceback, and bears a note that says how to go on."""
    try:
        yield
    except BaseException as error:
        with logging_to(run.log):
            log.error("the run ended early", exc_info=error)
        if isinstance(error, Exception) and not isinstance(error, MolvaeError):
            error.add_note(f"{shown(run.log)} tells more")
        is_refusal = isinstance(error, InputError) and not isinstance(error.__context__, OSError)
        if not is_refusal:  # what was given is part of the run, and would be refused again
            error.add_note(f"go on with: molvae design --resume {shown(run.path)}")
        raise


def _zone(timezone: str | None) -> str:
    """The name of a time zone: the one given, else this machine's.

    Raises:
        InputError: there is no such zone, or the machine's cannot be told.
    """
    import tzlocal  # of the extra `pipeline`

    try:
        zone = timezone or tzlocal.get_localzone_name()
        return zoneinfo.ZoneInfo(zone).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        if timezone is None:
            raise InputError(
                f"this machine's time zone cannot be told ({error}); give it: --timezone Europe/Berlin"
            ) from None
        raise InputError(
            f"--timezone {timezone}: no such time zone; expected a name such as Europe/Berlin or UTC"
        ) from None
