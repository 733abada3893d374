"""`molvae refit`: a codec with its prior fitted to other molecules."""

from pathlib import Path
from typing import Annotated

import typer

from .. import terminal
from .declaration import CodecName, command


@command
def refit(
    *,
    features: Annotated[Path, typer.Argument(metavar="DIR", help="A folder made by `molvae featurize --vocabulary`.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="CODEC", help="A new folder for the codec.")],
    codec: CodecName = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Training settings (.toml) whose [prior] and [sampling] sections are used."
        ),
    ] = None,
) -> None:
    """Fit a codec's prior to your own molecules.

    Also fits the applicability domain; the weights stay the same. Samples then resemble your molecules, and the
    applicability domain is measured on them.

    \b
    Examples:
      molvae featurize series.csv --vocabulary druglike -o features
      molvae refit features --codec druglike -o focused
    """
    from ..train import refit as refit_codec

    with terminal.showing():
        fitted = refit_codec(codec_name=codec, features=features, out=out, config=config)
    terminal.report(f"codec {fitted.name}, {fitted.n_latent} latent dimensions: {out}")
