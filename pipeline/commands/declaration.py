"""Options that several commands share, and a decorator that runs the work after the command line is parsed.

Command modules import only small packages at the top, because `molvae --help` imports all of them.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

MoleculeFileArgument = Annotated[
    Path, typer.Argument(metavar="INPUT", help="Molecules: .csv, .tsv, .smi, .txt, .sdf (each also .gz) or .parquet.")
]
MoleculesOut = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Output file: .csv, .smi or .parquet.")]
TableOut = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Output file: .parquet or .csv.")]
SmilesColumn = Annotated[
    str | None,
    typer.Option("--smiles-column", metavar="NAME", help="Column with the SMILES. Default: found by name."),
]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", metavar="NAME", help="Column with your own ids; they are kept.")
]
CodecName = Annotated[
    str | None,
    typer.Option("--codec", metavar="CODEC", help="Name of a bundled codec, or a codec folder. Default: druglike."),
]
RemoveStereo = Annotated[
    bool, typer.Option("--remove-stereo", help="Remove stereo, which the codec moses cannot encode.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same molecules.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting of the campaign; may be repeated."),
]

Job = Callable[[], None]


def command(work: Callable[..., None]) -> Callable[..., Job]:
    """Declare a command: its arguments are parsed first, and its work runs afterwards.

    Parameters
    ----------
    work : callable
        The command; typer reads its signature and its docstring.

    Returns
    -------
    callable
        Takes the parsed arguments and returns the job to run. `molvae.pipeline.cli` handles the interrupts and errors
        of the job.
    """

    @functools.wraps(work)
    def read(**arguments: object) -> Job:
        return functools.partial(work, **arguments)

    return read
