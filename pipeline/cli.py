"""The command `molvae`: what can be said on the command line, and how every ending is told in one line.

A command here only says what to do; it is done after the line has been read, so that an interrupt or an error ends
the same way everywhere. Nothing heavy is imported before it is needed: `--help` must not wait for torch.
"""

import contextlib
import errno
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from molvae.errors import InputError, MolvaeError

DONE, FAILED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

Job = Callable[[], None]

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}

SmilesColumn = Annotated[
    str | None,
    typer.Option("--smiles-column", metavar="NAME", help="Column that holds the SMILES, where it is not named so."),
]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", metavar="NAME", help="Column with your own ids; they are carried through.")
]
CodecName = Annotated[
    str | None,
    typer.Option("--codec", metavar="CODEC", help="A bundled codec's name, or a codec folder. Default: druglike."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same molecules.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Change one setting of the campaign; may be given several times."
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"molvae {version('molvae')}")
        raise typer.Exit


@app.callback()
def molvae(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Design molecules in the latent space of an autoencoder.

    Start here: molvae design
    """


@app.command(short_help="Search for molecules and check them: the main job.")
def design(
    campaign: Annotated[
        Path | None,
        typer.Argument(metavar="CAMPAIGN.toml", help="Settings of the run; without it, the bundled default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run folder itself. Default: runs/NAME-TIME.")
    ] = None,
    changes: Changes = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run; needs no other argument.")
    ] = None,
) -> Job:
    """Search for molecules that meet an objective, check every one, and write candidates to open.

    Reads a reference library, decodes points of the latent space into molecules, scores them until the budget is
    spent, checks them, and writes candidates.csv, .parquet, .sdf and report.html into the run folder. A run that was
    stopped goes on with --resume and ends with the same candidates.

    \b
    Examples:
      molvae design
      molvae design lead.toml --set lead.smiles="CC(=O)Nc1ccc(O)cc1"
      molvae design --set search.budget=500 --set molecules.path=my.csv
      molvae design --resume runs/lead-20261124-101500
    """

    def job() -> None:
        from . import launch

        launch.design(campaign, out, tuple(changes or ()), resume)

    return job


@app.command(short_help="Start a campaign on a schedule.")
def serve(
    campaign: Annotated[
        Path, typer.Argument(metavar="CAMPAIGN.toml", help="Settings of the runs, read anew at each start.")
    ],
    cron: Annotated[
        str, typer.Option("--cron", metavar="CRON", help='When to start: "minute hour day month weekday".')
    ],
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Berlin. Default: this machine's.")
    ] = None,
    changes: Changes = None,
) -> Job:
    """Start a campaign on a schedule, for as long as this command runs.

    Prints the time zone and the next three starts. Each start makes a run folder of its own; one that finds an
    unfinished run of the same campaign, which nobody is working on, goes on with that one instead.

    \b
    Example:
      molvae serve lead.toml --cron "0 3 * * *" --timezone Europe/Berlin
    """

    def job() -> None:
        from . import launch

        launch.serve(campaign, cron, timezone, tuple(changes or ()))

    return job


@app.command(short_help="Turn a molecule file into training data.")
def featurize(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Molecules: .csv, .tsv, .smi (each also .gz), .parquet, .sdf.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new folder for the features.")],
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
    properties: Annotated[
        bool, typer.Option("--properties", help="Also compute properties (QED, logP, ...), for codecs that learn them.")
    ] = False,
    labels: Annotated[
        int,
        typer.Option(
            "--labels", min=1, metavar="N", help="With --properties: of at most so many molecules, drawn at random."
        ),
    ] = 250_000,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Training settings (.toml), whose [features] are taken."),
    ] = None,
    decoder_output: Annotated[
        str | None,
        typer.Option(
            "--decoder-output",
            metavar="NAME",
            help="Representation that the decoder reconstructs: smiles (default), selfies, bits, counts.",
        ),
    ] = None,
    encoder_input: Annotated[
        str | None,
        typer.Option(
            "--encoder-input",
            metavar="NAME",
            help="Representation that the encoder reads, if it differs: smiles, random_smiles, selfies, bits, counts, "
            "graph.",
        ),
    ] = None,
    vocabulary_size: Annotated[
        int | None,
        typer.Option("--vocabulary-size", min=8, metavar="N", help="Tokens of the vocabulary that is learnt.  [500]"),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            "--vocabulary", metavar="CODEC", help="Take this codec's vocabulary, to train on from its weights."
        ),
    ] = None,
) -> Job:
    """Standardize a molecule file and write it as arrays that a codec can be trained on.

    Salts are stripped, charges neutralized, duplicates dropped. Every molecule of the input is accounted for:
    molecules.parquet holds those that were kept, dropped.csv each of the others with the reason.

    \b
    Example:
      molvae featurize library.csv --id-column compound -o features
      molvae featurize library.smi --encoder-input graph -o features
    """

    def job() -> None:
        from . import commands

        options: dict[str, object] = {
            "decoder_output": decoder_output,
            "encoder_input": encoder_input,
            "vocabulary_size": vocabulary_size,
            "labels": labels if properties else None,
        }
        changes = {name: value for name, value in options.items() if value is not None}
        commands.featurize(source, out, smiles_column, id_column, config, changes, vocabulary)

    return job


@app.command(short_help="Train a codec of your own.")
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Settings of the model and its training.")],
    features: Annotated[Path, typer.Option("--features", metavar="DIR", help="A folder made by `molvae featurize`.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="CODEC", help="A new folder for the codec.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="CODEC", help="Begin from the weights of this codec, not from none."),
    ] = None,
) -> Job:
    """Train a codec of your own on a features folder.

    Uses a GPU where there is one, else every core. What is needed to go on after a stop stands in CODEC.training
    until the codec is written.

    \b
    Example:
      molvae train moses.toml --features features -o codec
    """

    def job() -> None:
        from . import commands

        commands.train(config, features, out, resume, start)

    return job


@app.command(short_help="Fit a codec's prior to your own molecules.")
def refit(
    features: Annotated[Path, typer.Argument(metavar="DIR", help="A folder made by `molvae featurize --vocabulary`.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="CODEC", help="A new folder for the codec.")],
    codec: CodecName = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Training settings (.toml), whose [prior] and [sampling] count."),
    ] = None,
) -> Job:
    """Fit a codec's prior and domain to your own molecules; its weights stay as they are.

    Samples then come from where those molecules lie, and novelty is judged beside them.

    \b
    Example:
      molvae featurize series.csv --vocabulary druglike -o features
      molvae refit features --codec druglike -o focused
    """

    def job() -> None:
        from . import commands

        commands.refit(codec, features, out, config)

    return job


@app.command(short_help="Find out how large a code must be.")
def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Settings of the model and its training.")],
    features: Annotated[Path, typer.Option("--features", metavar="DIR", help="A folder made by `molvae featurize`.")],
    latent: Annotated[
        str, typer.Option("--latent", metavar="SIZES", help="Sizes of the code to train, such as 2,4,8,16,32.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new folder for table and plot.")],
    molecules: Annotated[
        int | None,
        typer.Option(
            "--molecules", min=1, metavar="N", help="Shown at each size. Default: as CONFIG says, at most 200,000."
        ),
    ] = None,
) -> Job:
    """Find out how large a code must be: train the recipe of CONFIG small at each size, beside PCA.

    Prints and plots what comes back of held-out rows at each size, the intrinsic dimension of the data (two nearest
    neighbours) and the knee. Writes sweep.csv, .json, .svg and .png. A sweep that was stopped goes on, by the same
    command, with the sizes that are missing.

    \b
    Example:
      molvae sweep moses.toml --features features --latent 2,4,8,16,32 -o sizes
    """

    def job() -> None:
        from . import commands

        commands.sweep(config, features, latent, out, molecules)

    return job


@app.command(short_help="Draw new molecules.")
def sample(
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many molecules to draw.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to: .csv, .smi or .parquet.")],
    seed: Seed = 0,
    codec: CodecName = None,
    tries: Annotated[
        int, typer.Option("--tries", min=1, help="How often a text that is no molecule is drawn again.")
    ] = 3,
    window: Annotated[
        list[str] | None,
        typer.Option("--window", metavar="NAME=LOW:HIGH", help="Draw to a range of a property; may be given again."),
    ] = None,
    guidance: Annotated[
        float, typer.Option("--guidance", min=0, help="How strongly windows draw: 1 as Bayes would have it.")
    ] = 1.0,
    noise: Annotated[
        float | None, typer.Option("--noise", min=0, max=1, help="0: near the points drawn; 1: any molecule.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, help="0: the most probable text at each point.")
    ] = None,
    spread: Annotated[
        float | None, typer.Option("--spread", min=0, help="0: where codes lie; 1: once more as far about them.")
    ] = None,
) -> Job:
    """Draw new molecules that look like those the codec was trained on.

    A window is a range of a property that the codec has learnt; either end may be left out. It is told at the end how
    many molecules lie within all windows by their own properties. Noise, temperature and spread, where not given, are
    the codec's own (beside a window, no spread); more of any brings more variety and fewer molecules at the first try.

    \b
    Examples:
      molvae sample -n 1000 --seed 1 -o molecules.smi
      molvae sample -n 1000 --window logp=1:2 --window tpsa=:90 -o polar.smi
    """

    def job() -> None:
        from . import commands

        commands.sample(n, out, seed, codec, tries, window or [], guidance, noise, temperature, spread)

    return job


@app.command(short_help="Turn molecules into points.")
def encode(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Molecules: .csv, .tsv, .smi (each also .gz), .parquet, .sdf.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to: .parquet or .csv.")],
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
    codec: CodecName = None,
    remove_stereo: Annotated[
        bool, typer.Option("--remove-stereo", help="Drop stereo, which the codec moses cannot read.")
    ] = False,
) -> Job:
    """Turn molecules into points: one row for each row of the input, in order.

    Columns: id (where the input has ids), smiles as it was encoded, ok, reason where not ok, and z_000, z_001, ...

    \b
    Example:
      molvae encode library.csv -o points.parquet
    """

    def job() -> None:
        from . import commands

        commands.encode(source, out, smiles_column, id_column, codec, remove_stereo)

    return job


@app.command(short_help="Tell which molecules are strange to a codec.")
def novelty(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Molecules: .csv, .tsv, .smi (each also .gz), .parquet, .sdf.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to: .parquet or .csv.")],
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
    codec: CodecName = None,
    percentile: Annotated[
        float, typer.Option("--percentile", help="Above which novelty a molecule is out of the codec's domain.")
    ] = 99.0,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", metavar="FILE", help="Molecules, such as the training set, to name the nearest of."
        ),
    ] = None,
    remove_stereo: Annotated[
        bool, typer.Option("--remove-stereo", help="Drop stereo, which the codec moses cannot read.")
    ] = False,
) -> Job:
    """Tell which molecules are out of a codec's domain, and why: one row for each row of the input, in order.

    Columns: id (where the input has ids), smiles as judged, is_out, the measures and their percentiles among
    molecules of the codec's training set (kept from the training where its card says so), novelty from 0 to 100 (100:
    stranger than all of them, or unreadable), reason.

    \b
    Example:
      molvae novelty library.csv -o novelty.csv
    """

    def job() -> None:
        from . import commands

        commands.novelty(source, out, smiles_column, id_column, codec, percentile, reference, remove_stereo)

    return job


@app.command(short_help="Turn points into molecules.")
def decode(
    source: Annotated[
        Path, typer.Argument(metavar="POINTS", help="A table with columns z_000, z_001, ...: .parquet or .csv.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to: .csv, .smi or .parquet.")],
    codec: CodecName = None,
    noise: Annotated[
        float, typer.Option("--noise", min=0, max=1, help="0: the molecule itself; 1: any molecule.")
    ] = 0.0,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0: the most probable text.")] = 0.0,
    seed: Seed = 0,
    candidates: Annotated[
        int, typer.Option("--candidates", min=1, help="Read so many of the most probable texts, and keep the nearest.")
    ] = 1,
) -> Job:
    """Turn points into molecules: one row for each point, in order.

    Columns: text as the decoder wrote it, smiles where that is a molecule, reason where it is not.

    \b
    Examples:
      molvae decode points.parquet -o molecules.csv
      molvae decode points.parquet --candidates 8 -o molecules.csv
    """

    def job() -> None:
        from . import commands

        commands.decode(source, out, codec, noise, temperature, seed, candidates)

    return job


@app.command(short_help="Measure a codec, or any file of SMILES.")
def evaluate(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Generated molecules, a row each. Without it, samples of the codec."),
    ] = None,
    codec: CodecName = None,
    n: Annotated[
        int | None,
        typer.Option("--n", "-n", min=1, metavar="N", help="Molecules to sample and to rebuild. Default: 5000."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same seed gives the same molecules. Default: 0.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FILE", help="Molecules to compare with. Default: the MOSES test sets."),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option("--train", metavar="FILE", help="Molecules that are not novel. Default: the codec's, or MOSES'."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the numbers here.")
    ] = None,
) -> Job:
    """Measure a codec, or any file of SMILES, by all metrics of the MOSES benchmark.

    A codec is also asked what comes back from codes: of test molecules, and of its own samples. MOSES measures 30,000
    molecules; the FCD can be compared at equal numbers only.

    \b
    Examples:
      molvae evaluate --codec moses --n 30000 --json moses.json
      molvae evaluate generated.smi --reference mine.csv --train mine_train.csv
    """

    def job() -> None:
        from . import commands

        commands.evaluate(source, codec, n, seed, reference, train, json_file)

    return job


@app.command(short_help="Ask a candidate table in SQL.")
def query(
    candidates: Annotated[
        Path, typer.Argument(metavar="CANDIDATES", help="candidates.csv, .parquet, or a run folder.")
    ],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A where clause (order by and limit may follow), or a select.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the rows here (.csv, .smi, .parquet).")
    ] = None,
) -> Job:
    """Ask a candidate table in SQL; similar_to('SMILES') and has('SMARTS') may be used in it.

    \b
    Examples:
      molvae query runs/latest "passed and value_logp < 2 limit 10"
      molvae query runs/latest "has('c1ccncc1') order by score desc"
      molvae query runs/latest "select round, max(score) from candidates
        group by round"
    """

    def job() -> None:
        from . import commands

        commands.query(candidates, text, out)

    return job


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and leave with its exit code; a traceback is never shown."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _terminate)
    # Threads that wait must sleep: where they spin beside another program, small products take many times as long.
    # And one thread is as fast as two here: products are small, and the rest of the work is RDKit's.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    code = _run(list(sys.argv[1:] if arguments is None else arguments))
    # A Ctrl-C amid code that a library builds from text makes CPython end this process by the signal, though it was
    # handled and whatever the exit code; the next such code takes that back.
    exec("")
    sys.exit(code)


class Terminated(BaseException):
    """SIGTERM has come; not an Exception, so that nobody takes it for a failure and goes on."""


_stops: list[BaseException] = []
"""What has told this process to stop, in the order in which it came."""


def _run(arguments: list[str]) -> int:
    try:
        job: Any = app(arguments, prog_name="molvae", standalone_mode=False)
        if callable(job):
            job()
            sys.stdout.flush()
        return DONE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read the output, such as `head`, has had enough
        return DONE
    except MolvaeError as error:
        return _say(str(error), error, REFUSED if isinstance(error, InputError) else FAILED)
    except OSError as error:
        return _tell_of_system(error)
    except KeyboardInterrupt as error:
        return _tell_of_stop(error)
    except MemoryError as error:
        return _say("out of memory", error, FAILED)
    except Exception as error:
        if _stops:  # which came amid a library's own work, and bears that library's name now
            return _tell_of_wrapped_stop(error)
        if type(error).__name__ == "Abort":  # typer's word for Ctrl-C while it reads the line
            return _tell_of_stop(error)
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # typer could not read the line
            return _tell_of_usage(error)
        return _tell_of_crash(error)
    except BaseException as error:
        if isinstance(error, Terminated) or type(error).__name__ == "TerminationSignal":  # the latter is Prefect's
            return _tell_of_termination(error)
        raise


def _say(message: str, error: BaseException, code: int) -> int:
    notes = [note for note in getattr(error, "__notes__", []) if "\n" not in note]  # a longer one is for the log
    text = "; ".join([message, *notes])
    print("\n".join(f"molvae: {line}" for line in text.splitlines()), file=sys.stderr)
    return code


def _tell_of_stop(error: BaseException) -> int:
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has written ^C into this line
    return _say("stopped", error, INTERRUPTED)


def _tell_of_termination(error: BaseException) -> int:
    return _say("stopped by SIGTERM", error, TERMINATED)


def _tell_of_wrapped_stop(error: Exception) -> int:
    """As for the stop itself: nothing has failed, so no log need be read."""
    stop = _stops[0]
    stop.__notes__ = [note for note in getattr(error, "__notes__", []) if "tells more" not in note]
    return _tell_of_stop(stop) if isinstance(stop, KeyboardInterrupt) else _tell_of_termination(stop)


def _tell_of_usage(error: Any) -> int:
    message = error.format_message().strip()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help, laid out to be read
        print(message, file=sys.stderr)
    elif message:
        message = message.replace("\n", " ")
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "molvae"
        print(f"molvae: {message.rstrip('.')}; see {command} --help", file=sys.stderr)
    return REFUSED


def _tell_of_system(error: OSError) -> int:
    where = f"{error.filename}: " if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    if error.errno in _NO_ROOM:
        return _say(f"{where}{reason}; make room, or choose a folder on another disk", error, REFUSED)
    if error.errno in _REFUSED:
        return _say(f"{where}{reason}", error, REFUSED)
    return _tell_of_crash(error)


def _tell_of_crash(error: BaseException) -> int:
    if not any("run.log" in note for note in getattr(error, "__notes__", [])):
        with contextlib.suppress(OSError):  # the disk may be full
            handle, name = tempfile.mkstemp(prefix="molvae-error-", suffix=".log")
            with os.fdopen(handle, "w", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
            error.add_note(f"{name} tells more")
    first_line = next(iter(str(error).strip().splitlines()), "no message")
    return _say(f"failed unexpectedly ({type(error).__name__}: {first_line})", error, FAILED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _insist)
    _stops.append(KeyboardInterrupt())
    raise _stops[-1]


def _insist(number: int, frame: FrameType | None) -> NoReturn:
    """A second Ctrl-C does not wait for the tidying; whatever is left half done is tidied at the next start."""
    os.write(2, b"molvae: stopped\n")
    os._exit(INTERRUPTED)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    _stops.append(Terminated())
    raise _stops[-1]


if __name__ == "__main__":
    main()
