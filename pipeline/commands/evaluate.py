"""`molvae evaluate`: metrics of a codec, or of a file of generated molecules."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molvae.errors import InputError

from .. import terminal
from .declaration import CodecName, command

if TYPE_CHECKING:
    from molvae.datasets import MoleculeFile
    from molvae.workers import Mapper

_N_SAMPLES = 5000

_Metrics = tuple[str, dict[str, object]]
"""The table to print, and the content of the JSON file."""


@command
def evaluate(
    *,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Generated molecules, one per row. Default: samples of the codec."),
    ] = None,
    codec: CodecName = None,
    n: Annotated[
        int | None,
        typer.Option("--n", "-n", min=1, metavar="N", help="Molecules to sample and to reconstruct. Default: 5000."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same seed gives the same molecules. Default: 0.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FILE", help="Reference set. Default: the MOSES test sets."),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            "--train", metavar="FILE", help="Training set, for novelty. Default: that of the codec, or of MOSES."
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the metrics to this file.")
    ] = None,
) -> None:
    """Compute the MOSES metrics of a codec or a file of SMILES.

    For a codec, also computes the reconstruction rates of test molecules and of its samples. The MOSES benchmark uses
    30,000 molecules. Compare FCD values only between sets of equal size.

    \b
    Examples:
      molvae evaluate --codec moses --n 30000 --json moses.json
      molvae evaluate generated.smi --reference mine.csv --train mine_train.csv
    """
    from molvae.datasets import open_molecules
    from molvae.extras import require
    from molvae.files import write_text
    from molvae.workers import LocalProcesses

    from ..tables import check_ending

    if json_file is not None:
        check_ending(json_file, (".json",), "--json")
    require("fcd_torch", "molvae evaluate")  # before anything is sampled
    given = {"--codec": codec, "--n": n, "--seed": seed}
    unused = [option for option, value in given.items() if value is not None]
    if source is not None and unused:
        raise InputError(f"{source}: a file is evaluated without a codec; remove {', '.join(unused)}")
    paths = {"FILE": source, "--reference": reference, "--train": train}
    mapper = LocalProcesses()
    files = {role: open_molecules(path, mapper=mapper) for role, path in paths.items() if path is not None}
    inputs = _Inputs(files, mapper)
    with terminal.showing():
        if source is None:
            table, content = _evaluate_codec(inputs, codec=codec, n=n or _N_SAMPLES, seed=seed or 0)
        else:
            table, content = _evaluate_file(inputs)
    print(table)
    inputs.report()
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")


class _Inputs:
    """The molecule files of the command line, by role, and counts of their invalid rows."""

    def __init__(self, files: "dict[str, MoleculeFile]", mapper: "Mapper") -> None:
        self.files = files
        self.mapper = mapper
        self.n_invalid: Counter[str] = Counter()

    def molecules(self, role: str) -> Iterator[str] | None:
        """The canonical SMILES of a file; None if it is not given."""
        return self._read(role) if role in self.files else None

    def reference(self) -> list[str] | None:
        """The reference set; None if it is not given."""
        if "--reference" not in self.files:
            return None
        _show_step(f"reading {self.files['--reference'].path}")
        return list(self._read("--reference"))

    def reference_name(self) -> str:
        return f"the molecules of {self.files['--reference'].path}" if "--reference" in self.files else ""

    def report(self) -> None:
        """Print the notes on the files and the numbers of invalid rows."""
        for role, file in self.files.items():
            for note in file.notes_without_options:
                terminal.report(f"note: {file.path}: {note}")
            if self.n_invalid[role]:
                terminal.report(f"note: {role} {file.path}: invalid rows are skipped ({self.n_invalid[role]:,})")

    def _read(self, role: str) -> Iterator[str]:
        from molvae.benchmark.distribution import read_canonical
        from molvae.benchmark.files import read_rows

        n = 0
        for smiles in read_canonical(read_rows(self.files[role]), self.mapper):
            if smiles is None:
                self.n_invalid[role] += 1
            else:
                n += 1
                yield smiles
        if not n:
            where = f"{role} {self.files[role].path}"
            raise InputError(f"{where}: expected molecules, got {self.n_invalid[role]:,} invalid rows")


def _evaluate_codec(inputs: _Inputs, *, codec: str | None, n: int, seed: int) -> _Metrics:
    from molvae.benchmark.evaluate import evaluate as evaluate_codec
    from molvae.benchmark.tables import format_evaluation
    from molvae.codec import load_codec

    evaluation = evaluate_codec(
        load_codec(codec),
        n=n,
        test_smiles=inputs.reference(),
        train_smiles=inputs.molecules("--train"),
        seed=seed,
        origin=inputs.reference_name(),
        progress=_show_step,
        mapper=inputs.mapper,
    )
    return format_evaluation(evaluation), evaluation.to_dict()


def _evaluate_file(inputs: _Inputs) -> _Metrics:
    from molvae.benchmark.comparison import evaluate_rows
    from molvae.benchmark.files import read_rows
    from molvae.benchmark.tables import format_file_metrics

    file = inputs.files["FILE"]
    metrics = evaluate_rows(
        read_rows(file),
        inputs.reference(),
        inputs.molecules("--train"),
        origin=inputs.reference_name(),
        progress=_show_step,
        mapper=inputs.mapper,
    )
    return format_file_metrics(str(file.path), metrics), {"file": str(file.path), **metrics.to_dict()}


def _show_step(step: str) -> None:
    terminal.show(f"  {step}")
