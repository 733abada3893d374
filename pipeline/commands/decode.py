"""`molvae decode`: latent vectors to molecules."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from .. import terminal
from .declaration import CodecName, IdColumn, MoleculesOut, Seed, command


@command
def decode(
    *,
    source: Annotated[
        Path,
        typer.Argument(metavar="LATENT", help="Table with the columns z_000, z_001, ...: .parquet or .csv."),
    ],
    out: MoleculesOut,
    id_column: IdColumn = None,
    codec: CodecName = None,
    noise: Annotated[float, typer.Option("--noise", min=0, max=1, help="Noise level of the decoder.")] = 0.0,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="0: the most probable token at each step.")
    ] = 0.0,
    seed: Seed = 0,
    beam_size: Annotated[
        int,
        typer.Option(
            "--beam-size", min=1, help="Number of most probable SMILES; the one whose latent vector is nearest is kept."
        ),
    ] = 1,
) -> None:
    """Decode latent vectors to molecules.

    Reads what `molvae encode` writes. Writes one row for each latent vector, in the same order. Columns: id (if the
    input has ids), raw_smiles as decoded, smiles if it is valid, reason if it is not.

    \b
    Examples:
      molvae decode latent.parquet -o molecules.csv
      molvae decode latent.parquet --beam-size 8 -o molecules.csv
      molvae decode points.csv --id-column name -o molecules.smi
    """
    import pandas as pd

    from molvae.codec import load_codec
    from molvae.seeds import integer_seed
    from molvae.tables import Kinds, kind_of, writing

    from ..latent_tables import DECODED, decoded_table, read_latent
    from ..tables import MOLECULE_ENDINGS, check_ending

    check_ending(out, MOLECULE_ENDINGS)
    loaded = load_codec(codec)
    latent = read_latent(source, loaded, id_column)
    kinds: Kinds = {"id": str, **DECODED} if latent.id_column else DECODED
    n, n_valid = 0, 0
    reasons = Counter[str]()
    with terminal.showing(), terminal.bar("decode", None, "latent vectors") as bar, writing(out, kinds) as writer:
        for number, (ids, z, unreadable) in enumerate(latent.chunks):
            chunk_seed = seed if number == 0 else integer_seed(seed, f"decode chunk {number}")
            table = decoded_table(
                loaded.decode(z, noise=noise, temperature=temperature, seed=chunk_seed, beam_size=beam_size)
            )
            table["reason"] = [first or second for first, second in zip(unreadable, table["reason"], strict=True)]
            writer.write(table.assign(id=pd.Series(ids, dtype=object)))
            reasons.update(map(kind_of, table["reason"].dropna()))
            n, n_valid = n + len(table), n_valid + int(table["smiles"].notna().sum())
            bar.advance(len(table))
    terminal.report_notes(latent.notes, writer.notes, out)
    terminal.report(f"{n:,} latent vectors, {n_valid:,} decoded to valid SMILES: {out}")
    for kind, count in reasons.most_common():
        terminal.report(f"  {count:,} without a molecule: {kind}")
