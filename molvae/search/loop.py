"""The search loop: propose molecules, score them, learn, until the budget is spent."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molvae.errors import InputError
from molvae.search.checkpoint import Checkpoint, Record
from molvae.search.oracle import NO_SCORES, Oracle, Scores, ask_oracle
from molvae.search.result import SearchResult
from molvae.search.rounds import Search
from molvae.search.scored import Proposal, RoundSummary
from molvae.search.settings import SearchSettings

if TYPE_CHECKING:
    from molvae.codec import MoleculeSpace

_MAX_SHOWN = 60


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

    Round 0 scores the start molecules; without them, the first draws from the prior. Equal arguments give equal
    results, bit for bit, even if the search is interrupted and resumed from its checkpoint. An exception raised by the
    oracle propagates; the checkpoint then holds the rounds before it.

    Parameters
    ----------
    oracle : callable
        Takes a list of canonical SMILES and returns one score per molecule in order, higher is better; None or NaN
        for a molecule that cannot be scored. It can also return a DataFrame with a column `score` and further columns
        `value_*` and `score_*`. No molecule is passed twice.
    budget : int, optional
        Largest number of distinct molecules to score, start molecules included. Required unless `settings` gives it.
    codec : MoleculeSpace, str or Path, optional
        A codec, or what `load_codec` takes; default: the default codec.
    start : iterable of str, optional
        SMILES to start from; default: `settings.start`, or draws from the codec's prior if that is empty.
    seed : int, default=0
        Seed of the random numbers.
    settings : SearchSettings or mapping, optional
        Settings as in the section `[search]` of a campaign. `budget` and `start` take precedence.
    progress : callable, optional
        Called with a `RoundSummary` after each round, and after each batch of start molecules.
    notify : callable, optional
        Called with each note as it occurs, such as a skipped start molecule; default: `warnings.warn`.
    checkpoint : Path or str, optional
        Folder that is updated after each round. If it holds the checkpoint of an interrupted search with the same
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
    >>> optimize(lambda smiles: [s.count("F") for s in smiles], budget=60, codec=ToyCodec())
    SearchResult(60 molecules scored, best score 1: CCNC(=O)c1ccc(F)cc1; stopped: budget)
    """
    settings = _read_settings(settings, budget, seed, oracle, start)
    if codec is None or isinstance(codec, str | Path):
        from molvae.codec import load_codec  # imports torch

        codec = load_codec(codec)
    search = Search(codec, settings, int(seed), settings.start or None if start is None else start, notify or _warn)
    saved = _resume(search, Path(checkpoint)) if checkpoint is not None else None
    while search.stop_reason is None:
        proposals = search.next_starts() or search.propose()
        scores = _score(oracle, proposals, search, saved)
        record = search.learn(proposals, scores)
        if saved is not None:
            saved.append(record, search.state())
        if progress is not None:
            progress(search.history[-1])
    if search.stop_reason != "budget" and notify is None:
        _warn(f"the search stopped after {len(search.scored)} of {settings.budget} molecules: {search.stop_reason}")
    return search.result()


def _read_settings(
    settings: SearchSettings | Mapping[str, Any] | None, budget: Any, seed: Any, oracle: Any, start: Any
) -> SearchSettings:
    """The settings with the budget; every argument is checked."""
    if not callable(oracle):
        raise InputError(f"oracle: expected a function of a list of SMILES, got {type(oracle).__name__}")
    if settings is None or isinstance(settings, Mapping):
        settings = SearchSettings.from_dict(settings or {}, "settings")
    if not isinstance(settings, SearchSettings):
        raise InputError(f"settings: expected SearchSettings or a mapping, got {type(settings).__name__}")
    if budget is None and "budget" not in settings.model_fields_set:
        raise InputError("budget: required; give the number of molecules to score, for example budget=200")
    budget = settings.budget if budget is None else budget
    for name, value, least in (("budget", budget, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    if start is None and settings.library_starts:
        raise InputError("settings.library_starts: only a campaign has a reference library; give start molecules")
    return settings.model_copy(update={"budget": int(budget)})


def _resume(search: Search, path: Path) -> Checkpoint:
    """Open the checkpoint and restore the search from it; a new checkpoint gets the arguments as its first record."""
    checkpoint = Checkpoint.open(path)
    now = search.arguments()
    if checkpoint.state is None:
        checkpoint.append(Record(now, {}), search.state())
        return checkpoint
    before, *rounds = checkpoint.records
    changed = [
        f"{name} {_shorten(before.values.get(name))} (now {_shorten(now[name])})"
        for name in now
        if before.values.get(name) != now[name]
    ]
    if changed:
        raise InputError(
            f"{path}: belongs to another search: {', '.join(changed)}; delete it to start again, or give another path"
        )
    if rounds:
        search.restore(rounds, checkpoint.state)
    return checkpoint


def _score(oracle: Oracle, proposals: list[Proposal], search: Search, checkpoint: Checkpoint | None) -> Scores:
    """The oracle's scores; if the oracle raises, the exception gets a note that lists which scores are saved."""
    if not proposals:
        return NO_SCORES
    try:
        return ask_oracle(oracle, [proposal.smiles for proposal in proposals])
    except Exception as error:
        saved = f"are saved in {checkpoint.path}" if checkpoint else "are lost; with a checkpoint they would be saved"
        error.add_note(
            f"while scoring {len(proposals)} molecules in round {search.n_rounds} of the search; the scores of the "
            f"{len(search.scored)} molecules before {saved}"
        )
        raise


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _warn(note: str) -> None:
    warnings.warn(note, stacklevel=3)
