"""The candidate table, one row per distinct molecule that a search proposed: its columns, and their check."""

from dataclasses import dataclass

import pandas as pd

from molvae.errors import InputError


@dataclass(frozen=True)
class Column:
    """One documented column; a name that ends in `*` stands for a family (value_logp, value_qed, ...)."""

    name: str
    kind: str  # "text", "number", "integer" or "flag"
    meaning: str
    needed: bool = True


PROPOSAL_COLUMNS = (
    Column("candidate_id", "text", "C and a number, in the order in which molecules were first scored"),
    Column("smiles", "text", "canonical SMILES; no two rows bear the same"),
    Column("raw_smiles", "text", "the text exactly as the decoder wrote it, or the start molecule's own SMILES"),
    Column("round", "integer", "round of the search that proposed it; 0 for a scored start"),
    Column("parent_id", "text", "candidate_id of the molecule whose point was moved; empty where there is none"),
    Column("latent_row", "integer", "row of the search's latent.npy that was decoded to it"),
    Column("score", "number", "the objective, in [0, 1], higher is better; empty where a term failed"),
    Column("value_*", "number", "a property in its own unit", needed=False),
    Column("score_*", "number", "the same property as a desirability in [0, 1]", needed=False),
)

CANDIDATE_COLUMNS = (
    *PROPOSAL_COLUMNS,
    Column("check_*", "text", "`pass`, or the reason why the molecule failed this check", needed=False),
    Column("passed", "flag", "whether every check passed"),
    Column("reason", "text", "every failed check's reason, joined by `; `; empty where passed"),
    Column("nearest_reference", "text", "id (the user's own, else the SMILES) of the most similar reference molecule"),
    Column("nearest_reference_smiles", "text", "its canonical SMILES"),
    Column("nearest_reference_similarity", "number", "Tanimoto similarity to it, Morgan radius 2, 2,048 bits"),
    Column("inchikey", "text", "standard InChIKey"),
    Column("open_stereo_centers", "integer", "stereo centres whose configuration the SMILES leaves open"),
)


def check_table(
    table: pd.DataFrame, columns: tuple[Column, ...], where: str, may_hold_more: bool = False
) -> pd.DataFrame:
    """The same table, once it is known to hold the columns; others only where it may hold more.

    Raises:
        InputError: a column is missing, of the wrong kind or unknown; or ids or SMILES stand twice.
    """
    names = {column.name: column for column in columns}
    families = tuple(column.name[:-1] for column in columns if column.name.endswith("*"))
    missing = [c.name for c in columns if c.needed and not c.name.endswith("*") and c.name not in table]
    if missing:
        has = ", ".join(map(str, table))
        raise InputError(f"{where}: not a candidate table: no column {', '.join(missing)}; it has {has}")
    for name in map(str, table):
        family = next((f"{f}*" for f in families if name.startswith(f)), None)
        column = names.get(name) or names.get(family or "")
        if column is None:
            if may_hold_more:
                continue
            raise InputError(f"{where}: unknown column {name}; known: {', '.join(names)}")
        if not _is_kind(table[name], column.kind):
            raise InputError(f"{where}: column {name}: expected {column.kind}, got {table[name].dtype}")
    for key in ("candidate_id", "smiles"):
        twice = table[key][table[key].duplicated()]
        if len(twice):
            raise InputError(f"{where}: {key} {twice.iloc[0]} stands twice; it must be unique")
    return table


def _is_kind(values: pd.Series, kind: str) -> bool:
    if kind == "text":
        return bool(values.map(lambda v: v is None or isinstance(v, str) or v != v).all())
    if kind == "integer":
        return pd.api.types.is_integer_dtype(values)
    if kind == "flag":
        return pd.api.types.is_bool_dtype(values)
    return pd.api.types.is_numeric_dtype(values)
