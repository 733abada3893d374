"""The columns of the candidate table, which holds one row per scored molecule of a search."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from molvae.errors import InputError

Kind = Literal["text", "number", "integer", "flag"]


@dataclass(frozen=True)
class Column:
    """A column of the candidate table.

    Parameters
    ----------
    name : str
        Name; a name that ends in `*` is a family of columns (`value_*`: `value_logp`, `value_qed`, ...).
    kind : {"text", "number", "integer", "flag"}
        Type of the values.
    meaning : str
        Description, for the documentation and the report.
    needed : bool, default=True
        Whether every candidate table must have it.
    """

    name: str
    kind: Kind
    meaning: str
    needed: bool = True


START = "start"
"""The move of start molecules."""

DESCRIPTORS = (
    "mol_weight",
    "logp",
    "tpsa",
    "hbd",
    "hba",
    "rotatable_bonds",
    "rings",
    "fraction_csp3",
    "qed",
    "sa_score",
)
"""The calculated properties that every candidate table has."""

CANDIDATE_COLUMNS: tuple[Column, ...] = (
    Column("candidate_id", "text", "C and a number, in the order of scoring"),
    Column("smiles", "text", "canonical SMILES; unique in the table"),
    Column("score", "number", "score of the objective in [0, 1], higher is better; empty if a term failed"),
    Column("passed", "flag", "whether the molecule passes every check"),
    Column(
        "failed_checks", "text", "names of the failed checks, separated by commas; empty if it passes", needed=False
    ),
    Column("reason", "text", "reasons of all failed checks, separated by semicolons; empty if the molecule passes"),
    Column("value_*", "number", "value of a term, in its own unit", needed=False),
    Column("score_*", "number", "desirability of a term, in [0, 1]", needed=False),
    Column("front", "integer", "number of the Pareto front; 1: not dominated; 0: a value is missing", needed=False),
    Column(
        "best_compromise",
        "flag",
        "with several goals: the molecule with the highest score of those that pass every check",
        needed=False,
    ),
    Column("mol_weight", "number", "average molecular weight in Da", needed=False),
    Column("logp", "number", "calculated logP (Crippen)", needed=False),
    Column("tpsa", "number", "topological polar surface area in Å²", needed=False),
    Column("hbd", "number", "number of H-bond donors", needed=False),
    Column("hba", "number", "number of H-bond acceptors", needed=False),
    Column("rotatable_bonds", "number", "number of rotatable bonds", needed=False),
    Column("rings", "number", "number of rings", needed=False),
    Column("fraction_csp3", "number", "fraction of the carbon atoms that are sp3 (Fsp3)", needed=False),
    Column("qed", "number", "drug-likeness (QED), 0 to 1", needed=False),
    Column("sa_score", "number", "synthetic accessibility (SA score), 1 (easy) to 10 (hard to make)", needed=False),
    Column("scaffold", "text", "Bemis-Murcko scaffold; empty for a molecule without rings", needed=False),
    Column("nearest_reference", "text", "id of the most similar reference molecule; its SMILES if it has no id"),
    Column("nearest_reference_smiles", "text", "canonical SMILES of the most similar reference molecule"),
    Column(
        "nearest_reference_similarity",
        "number",
        "Tanimoto similarity to it (Morgan fingerprints, radius 2, 2,048 bits)",
    ),
    Column("is_start", "flag", "whether it is a start molecule", needed=False),
    Column("is_known", "flag", "whether it is in the reference library or the codec's training set", needed=False),
    Column(
        "first_seen",
        "text",
        "when the first run of the campaign that reported it was completed, in UTC; empty if no earlier run did",
        needed=False,
    ),
    Column("first_run", "text", "name of that run; empty if no earlier run reported it", needed=False),
    Column("round", "integer", "round of the search; 0: the start molecules, or the first draws if there are none"),
    Column(
        "move",
        "text",
        "move of the optimizer that generated it; `start`: a start molecule; `+infill`: decoded with a fixed part",
        needed=False,
    ),
    Column("parent_id", "text", "candidate_id of the parent; empty if there is none"),
    Column("parent_smiles", "text", "canonical SMILES of the parent", needed=False),
    Column("mate_id", "text", "candidate_id of the second parent; empty if there is none", needed=False),
    Column("mate_smiles", "text", "canonical SMILES of the second parent", needed=False),
    Column("predicted_score", "number", "score that the surrogate predicted; empty if it was not used", needed=False),
    Column("predicted_std", "number", "standard deviation of the prediction", needed=False),
    Column("open_stereo_centers", "integer", "number of stereocenters with undefined configuration"),
    Column("unscored_reason", "text", "why the molecule has no score; empty if it has one", needed=False),
    Column("inchikey", "text", "standard InChIKey"),
    Column("raw_smiles", "text", "SMILES as the decoder generated it, or as the user gave it for a start molecule"),
    Column("latent_row", "integer", "row of its latent vector in latent.npy"),
    Column(
        "check_*",
        "text",
        "`pass`, or the reason why the molecule fails this check; only in the Parquet file",
        needed=False,
    ),
)
"""The columns of a candidate table, in the order of its files."""

_OF_PROPOSALS = (
    "candidate_id", "smiles", "raw_smiles", "round", "move", "parent_id", "mate_id", "latent_row", "predicted_score",
    "predicted_std", "score", "value_*", "score_*", "front", "unscored_reason",
)  # fmt: skip

PROPOSAL_COLUMNS = tuple(column for column in CANDIDATE_COLUMNS if column.name in _OF_PROPOSALS)
"""The columns of the table of a search; `build_candidates` adds the others."""


def describe_column(name: str) -> Column | None:
    """The documented column with this name, or the family that it belongs to.

    Parameters
    ----------
    name : str
        Name of a column, such as `smiles` or `value_logp`.

    Returns
    -------
    Column or None
        None if molvae does not write such a column.

    Examples
    --------
    >>> describe_column("value_logp").name
    'value_*'
    """
    exact = next((column for column in CANDIDATE_COLUMNS if column.name == name), None)
    families = (column for column in CANDIDATE_COLUMNS if column.name.endswith("*"))
    return exact or next((column for column in families if name.startswith(column.name[:-1])), None)


def check_table(
    table: pd.DataFrame, columns: tuple[Column, ...], where: str, may_hold_more: bool = False
) -> pd.DataFrame:
    """Check the columns of a table, and return the table.

    Parameters
    ----------
    table : DataFrame
        Table to check.
    columns : tuple of Column
        Columns that it must or may have.
    where : str
        Name of the table, for error messages.
    may_hold_more : bool, default=False
        Whether other columns are allowed.

    Returns
    -------
    DataFrame
        The table.

    Raises
    ------
    InputError
        A column is missing, unknown or of the wrong kind, or an id or SMILES occurs twice.
    """
    known = {column.name: column for column in columns}
    missing = [c.name for c in columns if c.needed and not c.name.endswith("*") and c.name not in table]
    if missing:
        has = ", ".join(map(str, table))
        raise InputError(f"{where}: not a candidate table: no column {', '.join(missing)}; it has {has}")
    for name in map(str, table):
        column = describe_column(name)
        if column is None or column.name not in known:
            if may_hold_more:
                continue
            raise InputError(f"{where}: unknown column {name}; known: {', '.join(known)}")
        if not _is_kind(table[name], column.kind):
            raise InputError(f"{where}: column {name}: expected {column.kind}, got {table[name].dtype}")
    for key in ("candidate_id", "smiles"):
        empty = np.flatnonzero(~table[key].map(lambda value: isinstance(value, str) and bool(value)).to_numpy(bool))
        if len(empty):
            raise InputError(f"{where}: column {key}, row {empty[0] + 1}: is empty; every candidate needs a {key}")
        repeated = table[key][table[key].duplicated()]
        if len(repeated):
            raise InputError(f"{where}: {key} {repeated.iloc[0]} occurs twice; it must be unique")
    return table


def _is_kind(values: pd.Series, kind: Kind) -> bool:
    if kind == "text":
        return bool(values.map(lambda v: v is None or isinstance(v, str) or v != v).all())
    if kind == "integer":
        return pd.api.types.is_integer_dtype(values)
    if kind == "flag":
        return pd.api.types.is_bool_dtype(values)
    return pd.api.types.is_numeric_dtype(values)
