"""`molvae sweep`: reconstruction as a function of the number of latent dimensions."""

from pathlib import Path
from typing import Annotated

import typer

from .. import terminal
from .declaration import command


@command
def sweep(
    *,
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Settings of the model and its training.")],
    features: Annotated[Path, typer.Option("--features", metavar="DIR", help="A folder made by `molvae featurize`.")],
    latent: Annotated[
        str, typer.Option("--latent", metavar="SIZES", help="Numbers of latent dimensions, such as 2,4,8,16,32.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new folder for the table and the plot.")],
    molecules: Annotated[
        int | None,
        typer.Option(
            "--molecules",
            min=1,
            metavar="N",
            help="Training molecules per size. Default: as in CONFIG, at most 200,000.",
        ),
    ] = None,
) -> None:
    """Compare codecs with different numbers of latent dimensions.

    Trains the recipe of CONFIG briefly at each size and compares it with PCA. Prints and plots the reconstruction of
    held-out molecules at each size, the intrinsic dimension of the data (two nearest neighbors) and the knee. Writes
    sweep.csv, .json, .svg and .png. The same command resumes a stopped sweep.

    \b
    Examples:
      molvae sweep moses.toml --features features --latent 2,4,8,16,32 -o sizes
    """
    from ..sweep import sweep_features

    with terminal.showing():
        result = sweep_features(config=config, features=features, sizes=latent, out=out, n_molecules=molecules)
    print(result.text())
    terminal.report(f"table and plot: {out}")
