"""Compares a search with its controls: the scores, and how many held-out molecules each method finds again."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from molvae.chem.fingerprints import nearest_references
from molvae.chem.molecules import without_stereo
from molvae.errors import InputError
from molvae.workers import Serial

N_BEST = 10
"""Number of best molecules whose mean score is compared."""


class Hidden(NamedTuple):
    """Molecules that were held out of a search.

    Parameters
    ----------
    smiles : sequence of str
        All held-out molecules.
    series : sequence of str
        Those of the series, among them; similarity is measured to them.
    similarity : float
        Tanimoto similarity (Morgan fingerprints, radius 2, 2,048 bits) from which a molecule counts as similar.
    """

    smiles: Sequence[str]
    series: Sequence[str]
    similarity: float


def compare_methods(
    methods: Mapping[str, pd.DataFrame],
    hidden: Hidden | None = None,
    known: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Compare methods after the same number of calls.

    Parameters
    ----------
    methods : mapping of str to DataFrame
        Name of a method -> its scored molecules in the order of scoring, with columns smiles and score; the search
        first, then its controls. All are cut to the number of calls of the shortest.
    hidden : Hidden, optional
        The held-out molecules.
    known : mapping of str to sequence of str, optional
        Name -> molecules that the search knew, such as the training molecules of the model: how similar were they to
        the held-out molecules before the search?

    Returns
    -------
    DataFrame
        One row per method, then one per set of known molecules: name, role (search, control or known), n (molecules),
        best, top10 (mean of the ten best scores); and with `hidden`: n_found (held-out molecules that are among the
        molecules, stereo ignored), n_similar (molecules similar to a series), n_reached (molecules of the series to
        which one is similar) and highest_similarity. NaN where a number is not defined.

    Raises
    ------
    InputError
        There is no method.

    Examples
    --------
    >>> scored = {"search": pd.DataFrame({"smiles": ["CCO", "CCN"], "score": [0.5, 0.7]})}
    >>> compare_methods(scored)[["name", "n", "top10"]].values.tolist()
    [['search', 2, 0.6]]
    """
    if not methods:
        raise InputError("compare_methods: expected at least one method, got none")
    n_calls = min(len(table) for table in methods.values())
    rows = []
    for position, (name, table) in enumerate(methods.items()):
        used = table.iloc[:n_calls]
        best = np.sort(used["score"].dropna().to_numpy(float))[::-1]
        scores = {"best": best[0], "top10": best[:N_BEST].mean()} if len(best) else {"best": np.nan, "top10": np.nan}
        smiles = used["smiles"].tolist()
        rows.append({"name": name, "role": "control" if position else "search", "n": n_calls} | scores)
        rows[-1] |= _recovery(smiles, hidden)
    for name, given in (known or {}).items():
        rows.append({"name": name, "role": "known", "n": len(given), "best": np.nan, "top10": np.nan})
        rows[-1] |= _recovery(list(given), hidden)
    return pd.DataFrame(rows)


def _recovery(smiles: list[str], hidden: Hidden | None) -> dict[str, float | int]:
    """How near the molecules are to the held-out ones."""
    if hidden is None:
        return {}
    if not smiles:
        return {"n_found": 0, "n_similar": 0, "n_reached": 0, "highest_similarity": np.nan}
    targets = {without_stereo(one) for one in hidden.smiles}
    to_series = nearest_references(smiles, list(hidden.series), Serial())[1]
    from_series = nearest_references(list(hidden.series), smiles, Serial())[1]
    limit = np.float32(hidden.similarity)
    return {
        "n_found": len({without_stereo(one) for one in smiles} & targets),
        "n_similar": int((to_series >= limit).sum()),
        "n_reached": int((from_series >= limit).sum()),
        "highest_similarity": round(float(to_series.max()), 4),
    }


def verdict(table: pd.DataFrame, n_hidden: int | None = None) -> list[str]:
    """State in sentences whether the search is better than its controls.

    Parameters
    ----------
    table : DataFrame
        From `compare_methods`.
    n_hidden : int, optional
        Number of held-out molecules.

    Returns
    -------
    list of str
        One sentence per question; empty if there is nothing to compare.
    """
    search, controls = table[table["role"] == "search"].iloc[0], table[table["role"] == "control"]
    sentences = []
    if len(controls):
        best = controls.sort_values("top10", ascending=False, kind="stable", na_position="last").iloc[0]
        numbers = f"mean of the ten best scores {search['top10']:.3f}, {best['name']} {best['top10']:.3f}"
        if search["top10"] > best["top10"]:
            sentences.append(f"The search is better than every control ({numbers}).")
        else:
            sentences.append(f"The search is not better than the control {best['name']} ({numbers}).")
    if "n_similar" in table:
        found = f"{search['n_found']:.0f}{f' of {n_hidden:,}' if n_hidden else ''} held-out molecules"
        similar = f"{search['n_similar']:,.0f} molecules similar to the held-out series"
        sentence = f"The search found {found}, and {similar}"
        if len(controls):
            order = controls.sort_values(["n_found", "n_similar"], ascending=False, kind="stable")
            best = order.iloc[0]
            numbers = f"found {best['n_found']:.0f} and {best['n_similar']:,.0f}"
            is_better = (search["n_found"], search["n_similar"]) > (best["n_found"], best["n_similar"])
            if is_better:
                sentence += f"; the best control, {best['name']}, {numbers}"
            else:
                sentence += f": no more than the control {best['name']}, which {numbers}"
        sentences.append(f"{sentence}.")
    return sentences
