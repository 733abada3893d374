"""`molvae featurize`: a molecule file to training data of a codec."""

from pathlib import Path
from typing import Annotated

import typer

from .. import terminal
from .declaration import IdColumn, MoleculeFileArgument, SmilesColumn, command


@command
def featurize(
    *,
    source: MoleculeFileArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new folder for the features.")],
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
    properties: Annotated[
        bool, typer.Option("--properties", help="Also compute properties (QED, logP, ...), for a property head.")
    ] = False,
    labels: Annotated[
        int,
        typer.Option(
            "--labels", min=1, metavar="N", help="With --properties: compute them for N random molecules at most."
        ),
    ] = 250_000,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Training settings (.toml) whose [features] section is used."),
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
        typer.Option("--vocabulary-size", min=8, metavar="N", help="Number of tokens to learn. Default: 500."),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            "--vocabulary",
            metavar="CODEC",
            help="Use the vocabulary of this codec, to train from its weights or to refit its prior.",
        ),
    ] = None,
) -> None:
    """Convert a molecule file to training data.

    Strips salts, neutralizes charges and drops duplicates. molecules.parquet holds the kept molecules, dropped.csv all
    other rows of the input with the reason.

    \b
    Examples:
      molvae featurize library.csv --id-column compound -o features
      molvae featurize library.smi --encoder-input graph -o features
    """
    from molvae.codec.description import find_codec, read_featurizers
    from molvae.features.views import FeatureSettings
    from molvae.folders import new_folder
    from molvae.training.featurizing import FeaturePlan

    from ..featurize import featurize_file

    given: dict[str, object] = {
        "decoder_output": decoder_output,
        "encoder_input": encoder_input,
        "vocabulary_size": vocabulary_size,
        "labels": labels if properties else None,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if config is None:
        settings = FeatureSettings()
    else:
        from molvae.training.config import read_config  # imports torch

        settings = read_config(config).features
    settings = FeatureSettings.from_dict(settings.model_dump() | changes, "featurize")
    plan = FeaturePlan(settings, read_featurizers(find_codec(vocabulary)) if vocabulary else None)
    with terminal.showing(), new_folder(out) as folder:
        manifest = featurize_file(source, folder, smiles_column=smiles_column, id_column=id_column, plan=plan)
    counts = manifest.counts
    terminal.report(f"{counts.into:,} read, {counts.kept:,} kept: {out}")
    for reason, count in sorted(counts.dropped.items(), key=lambda item: -item[1]):
        terminal.report(f"  {count:,} dropped: {reason}")
    for note, count in sorted(counts.notes.items(), key=lambda item: -item[1]):
        terminal.report(f"  {count:,} kept with a warning: {note}")
