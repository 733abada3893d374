"""`molvae encode`: a molecule file as latent vectors."""

from collections import Counter

from .. import terminal
from .declaration import CodecName, IdColumn, MoleculeFileArgument, RemoveStereo, SmilesColumn, TableOut, command


@command
def encode(
    *,
    source: MoleculeFileArgument,
    out: TableOut,
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
    codec: CodecName = None,
    remove_stereo: RemoveStereo = False,
) -> None:
    """Encode molecules as latent vectors.

    Writes one row for each row of the input, in the same order. Columns: id (if the input has ids), smiles as encoded,
    ok, reason if not ok, and z_000, z_001, ...

    \b
    Examples:
      molvae encode library.csv -o latent.parquet
      molvae encode library.csv --id-column compound --codec moses -o latent.csv
    """
    import numpy as np
    import pandas as pd

    from molvae.codec import load_codec
    from molvae.datasets import open_molecules
    from molvae.tables import Kinds, kind_of, writing

    from ..latent_tables import latent_columns
    from ..molecule_rows import standardized_chunks
    from ..tables import LATENT_ENDINGS, check_ending

    check_ending(out, LATENT_ENDINGS)
    file = open_molecules(source, smiles_column, id_column)
    loaded = load_codec(codec)
    columns = latent_columns(loaded.n_latent)
    kinds: Kinds = {"id": str} if file.id_column else {}
    kinds |= {"smiles": str, "ok": bool, "reason": str, **dict.fromkeys(columns, float)}
    n = 0
    reasons, warnings = Counter[str](), Counter[str]()
    with terminal.showing(), terminal.bar("encode", None, "molecules") as bar, writing(out, kinds) as writer:
        for chunk in standardized_chunks(file):
            smiles, reason = chunk.smiles, chunk.reason
            valid = [row for row, text in enumerate(smiles) if text is not None]
            encoding = loaded.encode([smiles[row] or "" for row in valid], remove_stereo=remove_stereo)
            for i, row in enumerate(valid):
                smiles[row], reason[row] = encoding.smiles[i], encoding.reason[i]
                notes = [note for note in (chunk.warning[row], encoding.note[i]) if note]
                warnings.update({kind_of(part) for note in notes for part in note.split("; ")})  # each kind once a row
            z = np.full((len(smiles), loaded.n_latent), np.nan, np.float32)
            z[valid] = encoding.z
            table = pd.DataFrame({"id": chunk.id, "smiles": smiles, "reason": reason}, dtype=object)
            table = table.assign(ok=table["reason"].isna())
            writer.write(pd.concat([table, pd.DataFrame(z, columns=columns)], axis=1))
            reasons.update(kind_of(text) for text in reason if text)
            n += len(smiles)
            bar.advance(len(smiles))
            bar.expect(file.fraction_read)
    for note in file.notes:
        terminal.report(f"note: {note}")
    terminal.report(f"{n:,} rows, {n - reasons.total():,} encoded: {out}")
    for kind, count in reasons.most_common():
        terminal.report(f"  {count:,} not encoded: {kind}")
    for kind, count in warnings.most_common():
        terminal.report(f"  {count:,} with a warning: {kind}")
