"""Numbers about a set of molecules, as the MOSES benchmark defines them; FCD needs a network and is not here.

Source: Polykovskiy et al. 2020, doi:10.3389/fphar.2020.565644, and its code, molsets 0.3.1.
"""

from collections.abc import Collection, Sequence

from molvae.chem.fingerprints import mean_similarities, morgan_bits
from molvae.chem.molecules import canonicalize
from molvae.errors import InputError


def validity(texts: Sequence[str | None]) -> float:
    """The share of texts that are molecules, in [0, 1]; NaN of no texts.

    Example:
        >>> validity(["CCO", "C1CC", None, "c1ccccc1"])
        0.5
    """
    return _share(sum(canonicalize(text).smiles is not None for text in texts), len(texts))


def uniqueness(smiles: Sequence[str], at: int | None = 10_000) -> float:
    """The share of distinct molecules among the first `at` valid ones (None: among all), in [0, 1]; NaN of none.

    smiles: canonical. A set of fewer than `at` is taken whole.

    Raises:
        InputError: `at` is below 1.

    Example:
        >>> uniqueness(["CCO", "CCO", "CCN", "CCC"], at=3)
        0.6666666666666666
    """
    if at is not None and at < 1:
        raise InputError(f"uniqueness: at: expected 1 or more, got {at}")
    first = smiles[:at]
    return _share(len(set(first)), len(first))


def novelty(smiles: Sequence[str], reference: Collection[str]) -> float:
    """The share of the distinct molecules that the reference does not hold, in [0, 1]; NaN of none.

    Both canonical; give the reference as a set if it is used more than once.

    Example:
        >>> novelty(["CCO", "CCO", "CCN"], {"CCO"})
        0.5
    """
    known = reference if isinstance(reference, set | frozenset | dict) else set(reference)
    distinct = set(smiles)
    return _share(sum(text not in known for text in distinct), len(distinct))


def internal_diversity(smiles: Sequence[str], p: float = 1) -> float:
    """1 minus the mean Tanimoto similarity of all pairs, each molecule with itself among them; in [0, 1), NaN of none.

    smiles: canonical; repeated ones count as often as they stand. Morgan fingerprints, radius 2, 1,024 bits. With p
    the similarities are raised to its power, averaged per molecule, and the p-th roots averaged (IntDiv2 has p = 2).

    Raises:
        InputError: a SMILES does not parse, or p is not positive.

    Example:
        >>> internal_diversity(["CCO", "CCO"])
        0.0
    """
    if not p > 0:
        raise InputError(f"internal_diversity: p: expected more than 0, got {p}")
    if not len(smiles):
        return float("nan")
    means = mean_similarities(morgan_bits(smiles, radius=2, n_bits=1024), p)
    return float(1 - (means ** (1 / p)).mean())


def _share(n: int, total: int) -> float:
    return n / total if total else float("nan")
