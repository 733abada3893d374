"""`molvae train`: a new codec, trained on a features folder."""

from pathlib import Path
from typing import Annotated

import typer

from .. import terminal
from .declaration import command


@command
def train(
    *,
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Settings of the model and its training.")],
    features: Annotated[Path, typer.Option("--features", metavar="DIR", help="A folder made by `molvae featurize`.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="CODEC", help="A new folder for the codec.")],
    resume: Annotated[bool, typer.Option("--resume", help="Resume a stopped training.")] = False,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="CODEC", help="Start from the weights of this codec. Default: random weights."),
    ] = None,
) -> None:
    """Train a codec on your own molecules.

    Uses a GPU if there is one, else all CPU cores. The folder CODEC.training holds the checkpoint for --resume until
    the codec is written.

    \b
    Examples:
      molvae train moses.toml --features features -o codec
      molvae train moses.toml --features features -o codec --resume
    """
    from ..train import train_codec

    with terminal.showing():
        codec = train_codec(config=config, features=features, out=out, resume=resume, start=start)
    terminal.report(f"codec {codec.name}, {codec.n_latent} latent dimensions: {out}")
