"""`molvae domain`: which molecules are inside the applicability domain of a codec."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import terminal
from .declaration import CodecName, IdColumn, MoleculeFileArgument, RemoveStereo, SmilesColumn, TableOut, command

if TYPE_CHECKING:
    from molvae.chem.fingerprints import ReferenceSet
    from molvae.workers import Mapper

_KINDS = {"smiles": str, "in_domain": bool, "nearest_reference": str, "reason": str}


@command
def domain(
    *,
    source: MoleculeFileArgument,
    out: TableOut,
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
    codec: CodecName = None,
    percentile: Annotated[
        float, typer.Option("--percentile", help="Percentile above which a molecule is out of the domain.")
    ] = 99.0,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FILE", help="Training molecules; adds the nearest one to each row."),
    ] = None,
    remove_stereo: RemoveStereo = False,
) -> None:
    """Find molecules outside the codec's applicability domain.

    Writes one row for each row of the input, in the same order. Columns: id (if the input has ids), smiles, in_domain,
    the measures, their percentiles, domain_percentile, and the reason if the molecule is out of the domain. The
    percentiles are among training or held-out molecules of the codec. domain_percentile combines all measures; it is
    100 if the molecule cannot be encoded, and empty if the SMILES is invalid.

    \b
    Examples:
      molvae domain library.csv -o domain.csv
      molvae domain library.csv --reference training.smi -o domain.parquet
    """
    import pandas as pd

    from molvae.codec import load_codec
    from molvae.datasets import open_molecules, standardize_file, standardized_rows
    from molvae.tables import Kinds, kind_of, writing
    from molvae.workers import LocalProcesses

    from ..tables import LATENT_ENDINGS, check_ending

    check_ending(out, LATENT_ENDINGS)
    mapper = LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    loaded = load_codec(codec)
    loaded.applicability_domain([], percentile=percentile)  # fails before the files are read
    nearest = None if reference is None else _read_reference(reference, mapper)
    empty = loaded.applicability_domain([], percentile=percentile, reference=nearest)
    columns = [str(name) for name in empty if nearest is not None or not str(name).startswith("nearest_")]
    kinds: Kinds = {"id": str} if file.id_column else {}
    kinds |= {name: _KINDS.get(name, float) for name in ["smiles", "in_domain", *columns]}
    n, counts, not_encoded, warnings = 0, Counter[str](), Counter[str](), Counter[str]()
    with terminal.showing(), terminal.bar("domain", None, "molecules") as bar, writing(out, kinds) as writer:
        for chunk in standardize_file(file, mapper, drop_duplicates=False):
            table = loaded.applicability_domain(
                standardized_rows(chunk), percentile=percentile, reference=nearest, remove_stereo=remove_stereo
            )
            flags = [None if pd.isna(flag) else bool(flag) for flag in table["in_domain"]]
            is_encoded = table["reconstruction_nats"].notna()
            not_encoded.update(map(kind_of, table["reason"][~is_encoded]))
            for warning in chunk["warning"].dropna():
                warnings.update({kind_of(part) for part in warning.split("; ")})
            for flag, encoded in zip(flags, is_encoded, strict=True):
                if encoded:
                    counts["in" if flag else "out"] += 1
            ids = pd.Series(chunk["id"].tolist(), dtype=object)
            writer.write(table.assign(id=ids, in_domain=pd.Series(flags, dtype=object)))
            n += len(table)
            bar.advance(len(table))
            bar.expect(file.fraction_read)
    for note in file.notes:
        terminal.report(f"note: {note}")
    terminal.report(
        f"{n:,} rows, {counts['in']:,} in the domain, {counts['out']:,} out of it (percentile {percentile:g}): {out}"
    )
    for kind, count in not_encoded.most_common():
        terminal.report(f"  {count:,} not encoded: {kind}")
    for kind, count in warnings.most_common():
        terminal.report(f"  {count:,} with a warning: {kind}")


def _read_reference(path: Path, mapper: "Mapper") -> "ReferenceSet":
    from molvae.chem.fingerprints import ReferenceSet
    from molvae.datasets import open_molecules, standardize_file

    chunks = standardize_file(open_molecules(path, mapper=mapper), mapper, drop_duplicates=False)
    return ReferenceSet([smiles for chunk in chunks for smiles in chunk["smiles"] if smiles is not None], mapper)
