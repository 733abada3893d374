"""The candidate table of a search: the scored molecules, checked and compared with the reference library."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from molvae.candidates.columns import CANDIDATE_COLUMNS, DESCRIPTORS, PROPOSAL_COLUMNS, START, check_table
from molvae.checks.check import PASS, CheckContext, Library, TrainedCodec
from molvae.checks.known import find_known
from molvae.checks.run import CHUNK_ROWS, MIN_FOR_MAPPER, run_checks
from molvae.checks.settings import ChecksSettings
from molvae.chem.fingerprints import nearest_references
from molvae.chem.molecule_table import MoleculeTable, with_structures
from molvae.chem.molecules import inchikey, parse, to_smiles
from molvae.chem.properties import compute, count_open_stereo_centers
from molvae.chem.scaffolds import murcko
from molvae.errors import InputError, MolvaeError
from molvae.inputs import read_library
from molvae.workers import LocalProcesses, Mapper, WorkerFailure

_SECONDS = 20.0  # CPU time per molecule


def build_candidates(
    proposals: pd.DataFrame,
    reference: Library,
    *,
    settings: ChecksSettings | None = None,
    codec: TrainedCodec | None = None,
    conditions: Mapping[str, str] | None = None,
    domains: Mapping[str, float] | None = None,
    seen: pd.DataFrame | None = None,
    mapper: Mapper | None = None,
    progress: Callable[[int], None] | None = None,
) -> MoleculeTable:
    """The candidate table of the molecules that a search scored.

    Parameters
    ----------
    proposals : DataFrame
        One row per scored molecule: the `table` of the result of `molvae.optimize`.
    reference : mapping or iterable of str or rdkit.Chem.Mol
        Reference library: canonical SMILES or RDKit molecules, or a mapping of canonical SMILES to ids (None if a
        molecule has none).
    settings : ChecksSettings, optional
        Limits of the checks; by default those of an oral drug.
    codec : Codec, optional
        Codec of the search, for the checks `in_training` and `in_domain`.
    conditions : mapping of str to str, optional
        Terms of the objective that every candidate must meet, each with the reason why a molecule fails; see
        `ObjectiveSettings.conditions`. A molecule whose `score_<term>` is 0 fails the check `conditions`.
    domains : mapping of str to float, optional
        Terms that a model predicts, each with the lowest similarity to a training molecule in its applicability domain;
        see `ObjectiveSettings.domains`. A molecule whose `value_<term>_similarity` is lower fails the check
        `in_model_domain`.
    seen : DataFrame, optional
        Molecules that earlier runs reported: `smiles` (canonical, unique), `first_seen`, `first_run`. None: the table
        does not have the last two columns.
    mapper : Mapper, optional
        Checks and describes many molecules, and reads a large library; None uses worker processes on this machine.
    progress : callable, optional
        Called after each chunk of reference molecules that was compared, with their number.

    Returns
    -------
    MoleculeTable
        One row per molecule with the columns of `CANDIDATE_COLUMNS`. Molecules that passed every check come first; both
        groups are sorted by descending score. With a column `front` in `proposals`, `best_compromise` marks one row.
        ``attrs["skipped"]`` maps the names of skipped checks to the reasons.

    Raises
    ------
    InputError
        `proposals` is not a table of proposals, it has no column of a condition, or there is no reference molecule.

    Examples
    --------
    >>> import molvae
    >>> from molvae.codec import ToyCodec
    >>> result = molvae.optimize(lambda smiles: [-abs(len(s) - 20) for s in smiles], budget=20, codec=ToyCodec())
    >>> candidates = molvae.build_candidates(result.table, reference={"CC(=O)Nc1ccccc1": "acetanilide"})
    >>> candidates["nearest_reference"].unique().tolist()
    ['acetanilide']
    """
    check_table(proposals, PROPOSAL_COLUMNS, "proposals")
    given = read_library(reference)
    library = given if isinstance(given, Mapping) else dict.fromkeys(map(to_smiles, given))
    if not library:
        raise InputError("reference: expected at least one molecule, got none")
    smiles = proposals["smiles"].tolist()
    context = CheckContext(library, codec, _unmet(proposals, conditions or {}), _outside(proposals, domains or {}))
    mapper = mapper or LocalProcesses()
    checked = run_checks(smiles, settings, context, mapper)
    structures, descriptors = _describe_all(smiles, mapper)
    described = structures.assign(
        is_start=proposals["move"].to_numpy() == START if "move" in proposals else False,
        is_known=_are_known(smiles, checked, library, codec),
    )
    parents = {
        column.replace("_id", "_smiles"): _smiles_of(proposals[column], proposals)
        for column in ("parent_id", "mate_id")
        if column in proposals
    }
    if seen is not None:
        by_smiles = seen.set_index("smiles")
        for column in ("first_seen", "first_run"):
            found = by_smiles[column].reindex(smiles)
            described[column] = pd.Series([one if isinstance(one, str) else None for one in found], dtype=object)
    described = pd.concat([described, pd.DataFrame(parents), descriptors], axis=1)
    nearest = _nearest_reference(smiles, library, mapper, progress)
    candidates = pd.concat([proposals.reset_index(drop=True), checked, described, nearest], axis=1)
    candidates = candidates.sort_values(
        ["passed", "score"], ascending=False, kind="stable", na_position="last", ignore_index=True
    )
    if "front" in candidates:
        eligible = np.flatnonzero(is_eligible(candidates) & (candidates["front"] > 0))
        candidates["best_compromise"] = np.isin(np.arange(len(candidates)), eligible[:1])
    candidates.attrs = {"skipped": checked.attrs["skipped"]}
    return with_structures(check_table(candidates, CANDIDATE_COLUMNS, "candidates"))


def is_eligible(candidates: pd.DataFrame) -> pd.Series:
    """Which candidates may be called the best: they passed every check, and their score is above 0.

    A score of 0 means that the objective rejects the molecule. If scores can be negative, because they come from
    another scoring function, 0 has no such meaning, and any score is enough.

    Parameters
    ----------
    candidates : DataFrame
        Candidate table.

    Returns
    -------
    Series of bool
        One value per row.
    """
    score = candidates["score"]
    return candidates["passed"] & (score.notna() if (score < 0).any() else score > 0)


def _describe_all(smiles: Sequence[str], mapper: Mapper) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scaffold, InChIKey and open stereocenters of each molecule; and its descriptors."""
    if len(smiles) <= MIN_FOR_MAPPER:
        structures, descriptors = [_describe(one) for one in smiles], compute(smiles, DESCRIPTORS)
    else:
        chunks = (smiles[begin : begin + CHUNK_ROWS] for begin in range(0, len(smiles), CHUNK_ROWS))
        answers = list(chain.from_iterable(mapper(_describe_fully, chunks, seconds_per_row=_SECONDS)))
        for one, answer in zip(smiles, answers, strict=True):
            if isinstance(answer, WorkerFailure):
                raise MolvaeError(f"candidate {one}: cannot be described: {answer.reason}")
        found = [answer for answer in answers if not isinstance(answer, WorkerFailure)]
        structures = [structure for structure, _ in found]
        values = np.array([numbers for _, numbers in found])
        dtypes = compute(smiles[:1], DESCRIPTORS).dtypes
        descriptors = pd.DataFrame({name: values[:, i].astype(dtypes[name]) for i, name in enumerate(DESCRIPTORS)})
    scaffolds, keys, open_centers = zip(*structures, strict=True) if structures else ((), (), ())
    columns = {
        "scaffold": pd.Series(scaffolds, dtype=object),
        "inchikey": list(keys),
        "open_stereo_centers": list(open_centers),
    }
    return pd.DataFrame(columns), descriptors


def _describe(smiles: str) -> tuple[str | None, str | None, int]:
    return murcko(smiles) or None, inchikey(smiles), count_open_stereo_centers(parse(smiles))


def _describe_fully(smiles: str) -> tuple[tuple[str | None, str | None, int], list[float]]:
    return _describe(smiles), [float(value) for value in compute([smiles], DESCRIPTORS).iloc[0]]


def _are_known(
    smiles: Sequence[str], checked: pd.DataFrame, library: Mapping[str, str | None], codec: TrainedCodec | None
) -> np.ndarray:
    """Whether each molecule is in the reference library or in the training set of the codec, if that is available."""
    known = np.zeros(len(smiles), dtype=bool)
    for column, members in (
        ("check_in_reference", lambda: library),
        ("check_in_training", lambda: (codec.training_smiles() if codec else None) or ()),
    ):
        if column in checked:  # the check has looked already
            known |= (checked[column] != PASS).to_numpy()
        else:
            found = find_known(smiles, members())
            known |= np.array([one in found for one in smiles], dtype=bool)
    return known


def _smiles_of(ids: pd.Series, proposals: pd.DataFrame) -> pd.Series:
    """The SMILES of the molecules with these ids; None for an empty id."""
    by_id = dict(zip(proposals["candidate_id"], proposals["smiles"], strict=True))
    return pd.Series([by_id.get(one) for one in ids], dtype=object)


def _unmet(proposals: pd.DataFrame, conditions: Mapping[str, str]) -> dict[str, str]:
    """The molecules that violate a condition, and the reasons."""
    found: dict[str, list[str]] = {}
    for name, reason in conditions.items():
        column = f"score_{name}"
        if column not in proposals:
            raise InputError(f"proposals: expected a column {column}, since {name} is a condition of the objective")
        for smiles in proposals["smiles"][proposals[column] == 0]:
            found.setdefault(smiles, []).append(f"{name}: {reason}")
    return {smiles: "; ".join(reasons) for smiles, reasons in found.items()}


def _outside(proposals: pd.DataFrame, domains: Mapping[str, float]) -> dict[str, str]:
    """The molecules outside the domain of a model, and the reasons."""
    found: dict[str, list[str]] = {}
    for name, lowest in domains.items():
        column = f"value_{name}_similarity"
        if column not in proposals:  # no molecule has a prediction
            continue
        for smiles, similarity in zip(proposals["smiles"], proposals[column], strict=True):
            if similarity < lowest:
                reason = f"{name}: similarity to the training molecules {similarity:.3f} < {lowest:g}"
                found.setdefault(smiles, []).append(reason)
    return {smiles: "; ".join(reasons) for smiles, reasons in found.items()}


def _nearest_reference(
    smiles: list[str], library: Mapping[str, str | None], mapper: Mapper, progress: Callable[[int], None] | None
) -> pd.DataFrame:
    """The most similar library molecule for each molecule; the first one if several are equally similar."""
    members = list(library)
    row, similarity = nearest_references(smiles, members, mapper, progress)
    nearest = [members[i] for i in row]
    return pd.DataFrame(
        {
            "nearest_reference": pd.Series([library[one] or one for one in nearest], dtype=object),
            "nearest_reference_smiles": pd.Series(nearest, dtype=object),
            "nearest_reference_similarity": similarity.astype(float).round(6),  # the precision of float32
        }
    )
