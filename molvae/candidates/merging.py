"""Candidate tables of several runs as one table, with one row per molecule."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from molvae.errors import InputError


def merge_candidates(
    tables: Mapping[str, pd.DataFrame], eligible: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, np.ndarray]:
    """One table of the candidates of several runs, for `pick_candidates`.

    If several runs have a molecule, one of its rows is kept: eligible rows come first, then the highest score, then the
    first run.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Name of each run -> its candidate table.
    eligible : mapping of str to ndarray
        Name of each run -> flags, one per row: which rows may be picked.

    Returns
    -------
    table : DataFrame
        The rows in the order of the runs, with `run` (the run of the row) and `also_in` (the other runs that have the
        molecule, separated by commas; None if there are none).
    eligible : ndarray of bool
        One flag per row of the table.

    Raises
    ------
    InputError
        There is no table.

    Examples
    --------
    >>> first = pd.DataFrame({"candidate_id": ["C1", "C2"], "smiles": ["CCO", "CCN"], "score": [0.5, 0.2]})
    >>> second = pd.DataFrame({"candidate_id": ["C1"], "smiles": ["CCN"], "score": [0.3]})
    >>> flags = {"monday": np.array([True, True]), "tuesday": np.array([True])}
    >>> merge_candidates({"monday": first, "tuesday": second}, flags)[0][["smiles", "run", "also_in"]].values.tolist()
    [['CCO', 'monday', None], ['CCN', 'tuesday', 'monday']]
    """
    if not tables:
        raise InputError("tables: expected at least one candidate table, got none")
    parts = [table.assign(run=run) for run, table in tables.items()]
    table = pd.concat(parts, ignore_index=True)
    flags = np.concatenate([np.asarray(eligible[run], dtype=bool) for run in tables])
    order = np.lexsort((np.arange(len(table)), -table["score"].fillna(-np.inf).to_numpy(), ~flags))
    is_kept = np.zeros(len(table), dtype=bool)
    is_kept[order] = ~table["smiles"].iloc[order].duplicated().to_numpy()
    runs = table.groupby("smiles", sort=False)["run"].agg(list)
    others = [
        ", ".join(run for run in runs[smiles] if run != own) or None
        for smiles, own in zip(table["smiles"], table["run"], strict=True)
    ]
    table["also_in"] = pd.Series(others, dtype=object)
    return table[is_kept].reset_index(drop=True), flags[is_kept]
