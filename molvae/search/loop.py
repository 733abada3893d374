"""The search loop: propose molecules, score them, learn, until the budget is spent."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molvae.errors import InputError
from molvae.scoring.objective import Objective
from molvae.search.ledger import RoundSummary
from molvae.search.oracle import Answer, Oracle
from molvae.search.result import SearchResult
from molvae.search.search import Search
from molvae.search.settings import SearchSettings

if TYPE_CHECKING:
    from molvae.codec import MoleculeSpace


def optimize(
    oracle: Oracle,
    *,
    budget: int | None = None,
    codec: "MoleculeSpace | str | Path | None" = None,
    start: Iterable[str] | None = None,
    seed: int = 0,
    settings: SearchSettings | Mapping[str, Any] | None = None,
    progress: Callable[[RoundSummary], None] | None = None,
    notify: Callable[[str], None] | None = None,
    checkpoint: Path | str | None = None,
) -> SearchResult:
    """Search for molecules with a high score.

    Round 0 scores the start molecules; without them, the first draws from the prior. The same arguments give the same
    results, bit for bit, even if the search is interrupted and resumed from its checkpoint. An exception raised by the
    oracle propagates; the checkpoint then holds the rounds before it.

    Parameters
    ----------
    oracle : callable
        Takes a list of canonical SMILES and returns one score per molecule in order, higher is better; None or NaN
        for a molecule that cannot be scored. It can also return a DataFrame with a column `score` and further columns
        `value_*`, `score_*` and `unscored_reason`. No molecule is passed twice, except those of a call that was
        interrupted.
    budget : int, optional
        Largest number of unique molecules to score, start molecules included. Required unless `settings` gives it.
    codec : MoleculeSpace, str or Path, optional
        A codec, or what `load_codec` takes; default: the default codec.
    start : iterable of str, optional
        SMILES to start from; default: `settings.start`, or draws from the codec's prior if that is empty.
    seed : int, default=0
        Seed of the random numbers.
    settings : SearchSettings or mapping, optional
        Settings as in the section `[search]` of a campaign. `budget` and `start` take precedence. The goals of an
        `Objective` with `combine = "pareto"` are the default of `goals`.
    progress : callable, optional
        Called with a `RoundSummary` after each round, and after each batch of start molecules.
    notify : callable, optional
        Called with each note as it occurs, such as a skipped start molecule; default: `warnings.warn`.
    checkpoint : Path or str, optional
        Folder that is updated in each round. If it holds the checkpoint of an interrupted search with the same
        arguments, the search resumes.

    Returns
    -------
    SearchResult
        Scored molecules, best first, with latent vectors, counts and history.

    Raises
    ------
    InputError
        An argument is invalid, no start molecule can be encoded, the oracle's return value is not one number per
        molecule, or the checkpoint cannot be used.

    Examples
    --------
    >>> from molvae.codec import ToyCodec
    >>> result = optimize(lambda smiles: [s.count("F") for s in smiles], budget=60, codec=ToyCodec())
    >>> len(result.table), float(result.table["score"].max()), result.stop_reason
    (60, 1.0, 'budget')
    """
    if not callable(oracle):
        raise InputError(f"oracle: expected a function of a list of SMILES, got {type(oracle).__name__}")
    search = Search(
        codec,
        budget=budget,
        start=start,
        seed=seed,
        settings=_with_goals(settings, oracle),
        notify=notify or _warn,
        checkpoint=checkpoint,
    )
    while smiles := search.pending or search.ask():
        search.tell(smiles, _score(oracle, smiles, search, checkpoint))
        if progress is not None:
            progress(search.history[-1])
    if search.stop_reason != "budget" and notify is None:
        _warn(f"the search stopped after {search.n_scored} molecules: {search.stop_reason}")
    return search.result()


def _with_goals(
    settings: SearchSettings | Mapping[str, Any] | None, oracle: Oracle
) -> SearchSettings | Mapping[str, Any] | None:
    """The settings with the goals of an objective, unless they have others."""
    goals = oracle.goals if isinstance(oracle, Objective) else ()
    if not goals:
        return settings
    if isinstance(settings, SearchSettings):
        return settings if settings.goals else settings.model_copy(update={"goals": goals})
    return {"goals": goals, **settings} if isinstance(settings, Mapping) else settings or {"goals": goals}


def _score(oracle: Oracle, smiles: list[str], search: Search, checkpoint: Path | str | None) -> Answer:
    """The oracle's scores; its exceptions get a note on which scores are saved."""
    try:
        return oracle(list(smiles))
    except Exception as error:
        saved = f"are saved in {checkpoint}" if checkpoint else "are lost; with a checkpoint they would be saved"
        error.add_note(
            f"while scoring {len(smiles)} molecules in round {search.n_rounds - 1} of the search; the scores of the "
            f"{search.n_scored} molecules before {saved}"
        )
        raise


def _warn(note: str) -> None:
    warnings.warn(note, stacklevel=3)
