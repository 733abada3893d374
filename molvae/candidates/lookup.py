"""Which candidate of a table a user means: by id, rank, SMILES or InChIKey."""

import difflib
import re

import numpy as np
import pandas as pd

from molvae.candidates.build import is_eligible
from molvae.chem.fingerprints import tanimoto
from molvae.chem.molecules import canonicalize, inchikey, standardize
from molvae.errors import InputError

BEST = "best"

_RANK = re.compile(r"#?(\d+)")
_ID = re.compile(r"[Cc]0*(\d+)")
_INCHIKEY = re.compile(r"(?:InChIKey=)?([A-Z]{14}-[A-Z]{10}-[A-Z])")
_N_NEAR = 3


def rank_candidates(table: pd.DataFrame) -> np.ndarray:
    """The order of candidates: those that passed every check first, both groups by descending score.

    Parameters
    ----------
    table : DataFrame
        Candidate table, in any order.

    Returns
    -------
    ndarray of shape (n,)
        Row positions, the best first; molecules without a score last, ties in the order of the table.
    """
    score = table["score"].to_numpy(float)
    passed = table["passed"].to_numpy(bool)
    return np.lexsort((-np.nan_to_num(score, nan=-np.inf), ~passed))


def find_candidate(table: pd.DataFrame, molecule: str) -> int:
    """Find the candidate that a user means.

    Parameters
    ----------
    table : DataFrame
        Candidate table.
    molecule : str
        A candidate_id (`C000123`, `C123`), `best`, a rank (`1` or `#1`: rows as in candidates.csv, best first), an
        InChIKey, or a SMILES in any form. With several goals, `best` is the best compromise. A word that is an
        id of the table is read as an id, even if it looks like a rank.

    Returns
    -------
    int
        Position of the row.

    Raises
    ------
    InputError
        No candidate matches; the message names similar ones.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"candidate_id": ["C01", "C02"], "smiles": ["CO", "CCO"], "score": [0.2, 0.4], "passed": [True, True]}
    ... )
    >>> [find_candidate(table, one) for one in ("best", "2", "c1", "OCC")]
    [1, 0, 0, 1]
    """
    word = molecule.strip().encode("utf-8", "replace").decode("utf-8")  # bytes of a shell that are not UTF-8
    exact = np.flatnonzero(table["candidate_id"].astype(str) == word)  # ids of yours may look like a rank
    found = int(exact[0]) if len(exact) else _by_rank(table, word)
    if found is None:
        found = _by_id(table, word)
    if found is None:
        found = _by_structure(table, word)
    if found is None:
        raise InputError(_explain_unknown(table, word))
    return found


def _by_rank(table: pd.DataFrame, word: str) -> int | None:
    order = rank_candidates(table)
    if word.lower() == BEST:
        if "best_compromise" in table and table["best_compromise"].any():
            return int(np.flatnonzero(table["best_compromise"])[0])
        eligible = is_eligible(table).to_numpy(bool)
        best = [row for row in order if eligible[row]]
        return int(best[0] if best else order[0])
    rank = _RANK.fullmatch(word)
    if rank is None:
        return None
    number = int(rank[1])
    if not 1 <= number <= len(table):
        raise InputError(f"rank {number}: expected 1 to {len(table):,}, the number of candidates of this run")
    return int(order[number - 1])


def _by_id(table: pd.DataFrame, word: str) -> int | None:
    ids = table["candidate_id"].astype(str)
    number = _ID.fullmatch(word)
    if number is None:
        return None
    rows = np.flatnonzero(ids.str.extract(r"^[Cc]0*(\d+)$")[0] == number[1])
    return int(rows[0]) if len(rows) else None


def _by_structure(table: pd.DataFrame, word: str) -> int | None:
    key = _INCHIKEY.fullmatch(word)
    if key:
        return _first(table["inchikey"], key[1]) if "inchikey" in table else None
    for smiles in (canonicalize(word).smiles, standardize(word).smiles):
        row = _first(table["smiles"], smiles)
        if row is not None:
            return row
        if smiles and "inchikey" in table:  # another tautomer or charge
            row = _first(table["inchikey"], inchikey(smiles))
            if row is not None:
                return row
    return None


def _first(values: pd.Series, wanted: str | None) -> int | None:
    rows = np.flatnonzero(values == wanted)
    return int(rows[0]) if wanted and len(rows) else None


def _explain_unknown(table: pd.DataFrame, word: str) -> str:
    """Why no candidate matches, and which ones are similar."""
    key = _INCHIKEY.fullmatch(word)
    if key:
        near = _same_skeleton(table, key[1])
        return f"{word}: no candidate has this InChIKey{f'; same connectivity: {near}' if near else ''}"
    read = canonicalize(word)
    if read.smiles and not _ID.fullmatch(word):
        similarity = tanimoto(read.smiles, table["smiles"].tolist())
        order = np.argsort(-similarity, kind="stable")[:_N_NEAR]
        near = ", ".join(f"{table['candidate_id'].iloc[row]} ({similarity[row]:.2f})" for row in order)
        return f"{word}: not among the {len(table):,} scored molecules; most similar (Tanimoto): {near}"
    ids = table["candidate_id"].astype(str).tolist()
    close = difflib.get_close_matches(word.upper(), ids, n=_N_NEAR)
    hint = f"; similar: {', '.join(close)}" if close else ""
    wanted = f"expected {BEST}, a rank such as 1, a candidate_id ({min(ids)} to {max(ids)}), a SMILES or an InChIKey"
    return f"{word}: no such candidate{hint}; {wanted}"


def _same_skeleton(table: pd.DataFrame, key: str) -> str:
    if "inchikey" not in table:
        return ""
    is_same = table["inchikey"].astype(str).str.startswith(key.split("-")[0])
    return ", ".join(table["candidate_id"][is_same].head(_N_NEAR))
