"""Notes on an objective that cannot guide a search: scores of 0, and best scores that are all the same."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from molvae.search.ledger import START, Ledger, RoundSummary

COLLAPSE_ROUNDS = 10
"""Number of rounds over which a search is found to have collapsed."""
_COLLAPSE_SHARE = 0.05
_N_MISSING = 3
_N_BEST = 10
_SAME = 1e-3  # scores that differ by less are called the same
_N_NAMED = 3


def describe_starts(ledger: Ledger) -> dict[str, str]:
    """Describe the start molecules with a score of 0.

    Parameters
    ----------
    ledger : Ledger
        Scored molecules.

    Returns
    -------
    dict of str to str
        A note of the kind "starts" with their number, the terms that are 0, and a few of them; empty if there is none.
    """
    starts = [row for row, one in enumerate(ledger.candidates) if one.move == START]
    rows = [row for row in starts if ledger.score[row] == 0]
    if not rows:
        return {}
    named = ", ".join(ledger.candidates[row].smiles for row in rows[:_N_NAMED])
    more = ", ..." if len(rows) > _N_NAMED else ""
    note = f"{len(rows)} of {len(starts)} start molecules have a score of 0{_causes(ledger, rows)}: {named}{more}"
    return {"starts": note}


def describe_scores(ledger: Ledger) -> dict[str, str]:
    """Describe scores among which a search cannot choose.

    Parameters
    ----------
    ledger : Ledger
        Scored molecules.

    Returns
    -------
    dict of str to str
        Notes by kind: "missing" if none of at least three molecules has a score, "zero" if at least ten molecules have
        a score and all are 0, "saturated" if the ten best have the same score other than 0.
    """
    score, n = ledger.score[~np.isnan(ledger.score)], len(ledger)
    if not len(score) and n >= _N_MISSING:
        reasons = Counter(ledger.reasons.values()).most_common(1)
        why = f" (most often: {reasons[0][0]})" if reasons else ""
        return {"missing": f"after {n:,} molecules: none has a score{why}; the search has nothing to learn from"}
    if len(score) < _N_BEST:
        return {}
    best = np.partition(score, -_N_BEST)[-_N_BEST:]
    if not score.any():
        causes = _causes(ledger, np.flatnonzero(ledger.score == 0).tolist())
        return {"zero": f"after {n:,} molecules: all scores are 0{causes}; the search has nothing to improve on"}
    if best.min() != 0 and best.max() - best.min() < _SAME:
        return {
            "saturated": f"after {n:,} molecules: the ten best have the same score of {best.max():.4g}; the objective "
            "does not distinguish them, make it stricter"
        }
    return {}


def collapsed_share(history: Sequence[RoundSummary]) -> float | None:
    """Whether the last rounds found hardly any new molecule: the search has collapsed.

    Parameters
    ----------
    history : sequence of RoundSummary
        The rounds so far.

    Returns
    -------
    float or None
        Mean share of new molecules in the last ten rounds if it is below 5 %; None if it is not, or after fewer rounds.
    """
    shares = [one["new_share"] for one in history[-COLLAPSE_ROUNDS:] if one["new_share"] is not None]
    if len(shares) < COLLAPSE_ROUNDS:
        return None
    mean = float(np.mean(shares))
    return mean if mean < _COLLAPSE_SHARE else None


def _causes(ledger: Ledger, rows: Sequence[int]) -> str:
    """The terms that are 0, each with the number of molecules, most frequent first."""
    counts = {
        name.removeprefix("score_"): int((column[rows] == 0).sum())
        for name, column in ledger.terms.items()
        if name.startswith("score_")
    }
    ranked = sorted(((n, name) for name, n in counts.items() if n), key=lambda one: (-one[0], one[1]))
    return f" (0 in {', '.join(f'{name}: {n}' for n, name in ranked)})" if ranked else ""
