"""The command `molvae`: its subcommands, its exit codes and its one-line error messages.

The command line is parsed first and its job runs afterwards, so that interrupts and errors are handled in one place.
Large packages are imported only where they are needed: `--help` does not import torch, RDKit or Prefect.
"""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn, Protocol, runtime_checkable

import typer

from molvae.errors import InputError, MissingPackageError, MolvaeError, is_out_of_memory

from . import terminal
from .commands import (
    columns,
    decode,
    design,
    diff,
    domain,
    encode,
    evaluate,
    featurize,
    pick,
    qsar,
    query,
    refit,
    runs,
    sample,
    serve,
    sweep,
    train,
    why,
)
from .failures import OF_THE_SYSTEM, describe_failure, with_notes

DONE, FAILED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

COMMANDS = (
    design.design,
    serve.serve,
    featurize.featurize,
    train.train,
    refit.refit,
    sweep.sweep,
    sample.sample,
    encode.encode,
    domain.domain,
    decode.decode,
    evaluate.evaluate,
    query.query,
    pick.pick,
    why.why,
    diff.diff,
    columns.columns,
)
"""In the order of `molvae --help`."""

GROUPS = (runs.group, qsar.group)
"""Commands with subcommands."""

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
for _command in COMMANDS:
    app.command()(_command)
for _group in GROUPS:
    app.add_typer(_group)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from .version import describe_version

        for line in describe_version():
            print(line, flush=True)
        raise typer.Exit


@app.callback()
def molvae(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print versions, codecs and precision."),
    ] = False,
) -> None:
    """Design molecules in the latent space of an autoencoder.

    Start here: molvae design
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and exit with its code; no traceback is printed.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        The arguments of the command line, without `molvae`; None takes those of the process.
    """
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _terminate)
    terminal.protect_output()
    # Waiting threads must sleep: if another program runs, spinning threads make small matrix products many times
    # slower. One thread is as fast as two: the matrix products are small, and RDKit does the rest of the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    code = _run(list(sys.argv[1:] if arguments is None else arguments))
    # After a Ctrl-C inside code that a library compiled from a string, CPython ends the process by the signal, although
    # the signal was handled, and ignores the exit code. Executing code from a string once more resets this.
    exec("")
    sys.exit(code)


class Terminated(BaseException):
    """SIGTERM was received; not an Exception, so that no handler of errors catches it."""


_stops: list[BaseException] = []
"""The stop requests that this process received, in order."""


@runtime_checkable
class _LineError(Protocol):
    """What typer raises for a command line that it cannot parse; the class depends on the version of typer."""

    exit_code: int

    def format_message(self) -> str: ...


def _run(arguments: list[str]) -> int:
    try:
        job = app(arguments, prog_name="molvae", standalone_mode=False)
        if callable(job):
            job()
            sys.stdout.flush()
        return DONE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of the output, such as `head`, has closed it
        return DONE
    except OSError as error:
        return _end_by_system(error)
    except MemoryError as error:
        return _print_error(describe_failure(error), error, FAILED)
    except KeyboardInterrupt as error:
        return _end_by_interrupt(error)
    except Exception as error:
        return _end_by_error(error)
    except BaseException as error:
        if isinstance(error, Terminated) or type(error).__name__ == "TerminationSignal":  # the latter is Prefect's
            return _end_by_termination(error)
        raise


def _end_by_error(error: Exception) -> int:
    if isinstance(error, MolvaeError):
        code = REFUSED if isinstance(error, InputError | MissingPackageError) else FAILED
        return _print_error(describe_failure(error), error, code)
    if _stops:  # a library caught the stop request and raised another error
        return _end_by_wrapped_stop(error)
    if type(error).__name__ == "Abort":  # Ctrl-C while typer parses the command line
        return _end_by_interrupt(error)
    if isinstance(error, _LineError):
        return _end_by_line(error)
    return _end_by_crash(error)


def _print_error(message: str, error: BaseException, code: int) -> int:
    text = with_notes(message, error)
    print("\n".join(f"molvae: {line}" for line in text.splitlines()), file=sys.stderr)
    return code


def _end_by_interrupt(error: BaseException) -> int:
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has printed ^C on this line
    return _print_error("stopped", error, INTERRUPTED)


def _end_by_termination(error: BaseException) -> int:
    return _print_error("stopped by SIGTERM", error, TERMINATED)


def _end_by_wrapped_stop(error: Exception) -> int:
    """End as for the stop request itself, without the note on details: nothing failed."""
    stop = _stops[0]
    stop.__notes__ = [note for note in getattr(error, "__notes__", []) if not note.startswith("details: ")]
    return _end_by_interrupt(stop) if isinstance(stop, KeyboardInterrupt) else _end_by_termination(stop)


def _end_by_line(error: _LineError) -> int:
    message = error.format_message().strip()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help text
        print(message, file=sys.stderr)
    elif message:
        message = message.replace("\n", " ")
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "molvae"
        print(f"molvae: {message.rstrip('.')}; see {command} --help", file=sys.stderr)
    return REFUSED


def _end_by_system(error: OSError) -> int:
    if error.errno in OF_THE_SYSTEM:
        return _print_error(describe_failure(error), error, REFUSED)
    return _end_by_crash(error)


def _end_by_crash(error: BaseException) -> int:
    if is_out_of_memory(error):
        return _print_error(describe_failure(error), error, FAILED)
    if not any("run.log" in note for note in getattr(error, "__notes__", [])):
        with contextlib.suppress(OSError):  # the disk may be full
            handle, name = tempfile.mkstemp(prefix="molvae-error-", suffix=".log")
            with os.fdopen(handle, "w", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
            error.add_note(f"details: {name}")
    return _print_error(describe_failure(error), error, FAILED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _interrupt_again)
    _stops.append(KeyboardInterrupt())
    raise _stops[-1]


def _interrupt_again(number: int, frame: FrameType | None) -> NoReturn:
    """End at once at a second Ctrl-C; the next start removes unfinished files."""
    os.write(2, b"molvae: stopped\n")
    os._exit(INTERRUPTED)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    _stops.append(Terminated())
    raise _stops[-1]


if __name__ == "__main__":
    main()
