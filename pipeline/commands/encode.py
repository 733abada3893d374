"""`molvae encode`: a molecule file to latent vectors."""

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
    import pandas as pd

    from molvae.codec import load_codec
    from molvae.datasets import open_molecules, standardize_file, standardized_rows
    from molvae.inputs import latent_columns
    from molvae.tables import Kinds, kind_of, writing
    from molvae.workers import LocalProcesses

    from ..tables import LATENT_ENDINGS, check_ending

    check_ending(out, LATENT_ENDINGS)
    mapper = LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    loaded = load_codec(codec)
    columns = latent_columns(loaded.n_latent)
    kinds: Kinds = {"id": str} if file.id_column else {}
    kinds |= {"smiles": str, "ok": bool, "reason": str, **dict.fromkeys(columns, float)}
    n = 0
    reasons, warnings = Counter[str](), Counter[str]()
    with terminal.showing(), terminal.bar("encode", None, "molecules") as bar, writing(out, kinds) as writer:
        for chunk in standardize_file(file, mapper, drop_duplicates=False):
            encoding = loaded.encode(standardized_rows(chunk), remove_stereo=remove_stereo)
            table = pd.DataFrame(
                {"id": chunk["id"].tolist(), "smiles": encoding.smiles, "reason": encoding.reason}, dtype=object
            )
            table = table.assign(ok=encoding.ok)
            writer.write(pd.concat([table, pd.DataFrame(encoding.z, columns=columns)], axis=1))
            reasons.update(kind_of(reason) for reason in encoding.reason if reason)
            for note in encoding.note:
                # a set: each kind counts once per row
                warnings.update({kind_of(part) for part in note.split("; ")} if note else ())
            n += len(table)
            bar.advance(len(table))
            bar.expect(file.fraction_read)
    for note in file.notes:
        terminal.report(f"note: {note}")
    terminal.report(f"{n:,} rows, {n - reasons.total():,} encoded: {out}")
    for kind, count in reasons.most_common():
        terminal.report(f"  {count:,} not encoded: {kind}")
    for kind, count in warnings.most_common():
        terminal.report(f"  {count:,} with a warning: {kind}")
