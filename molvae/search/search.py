"""The ask-and-tell interface of a search: it returns molecules to score, and learns from their scores."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from molvae.chem.fixed_parts import read_kept
from molvae.chem.molecule_table import with_structures
from molvae.errors import InputError
from molvae.inputs import read_molecules
from molvae.search.breeding import Breeder
from molvae.search.checkpoint import Checkpoint, Record
from molvae.search.ledger import Candidate, Ledger, RoundSummary, pack, unpack
from molvae.search.notes import collapsed_share, describe_scores, describe_starts
from molvae.search.oracle import Answer, Scores, read_scores
from molvae.search.result import SearchResult
from molvae.search.settings import SearchSettings
from molvae.search.starts import read_starts

if TYPE_CHECKING:
    from molvae.codec import MoleculeSpace

_MAX_SHOWN = 60
_STILL_CALLS = 200  # a note is given after this many scored molecules without a change of the ten best
_STILL_SHARE = 0.2  # or after this share of all scored molecules, if that is more


class Search:
    """A search for molecules with a high score, with scores from an assay, a cluster or a person.

    Ask for molecules, score them, and tell the scores. Scores may arrive in any order, and more molecules can be asked
    for in the meantime. `molvae.optimize` does this with a scoring function. The same arguments and calls give the
    same molecules.

    Parameters
    ----------
    codec : MoleculeSpace, str or Path, optional
        A codec, or what `load_codec` takes; default: the default codec.
    budget : int, optional
        Largest number of unique molecules to score, start molecules included. Required unless `settings` gives it.
    start : iterable of str, optional
        SMILES to start from; default: `settings.start`, or draws from the codec's prior if that is empty.
    seed : int, default=0
        Seed of the random numbers.
    settings : SearchSettings or mapping, optional
        Settings as in the section `[search]` of a campaign. `budget` and `start` take precedence.
    notify : callable, optional
        Called with each note as it occurs, such as a skipped start molecule; default: `warnings.warn`.
    checkpoint : Path or str, optional
        Folder that is updated by `ask` and `tell`. If it holds the checkpoint of a search with the same arguments, that
        search resumes; molecules without a score are in `pending`. With a larger budget than before, it continues.

    Attributes
    ----------
    history : list of RoundSummary
        One entry per `tell`, and per round that found no new molecule.
    notes : list of str
        All notes so far.
    stop_reason : str or None
        Why the search ended; None while it runs.

    Raises
    ------
    InputError
        An argument is invalid, no start molecule can be encoded, or the checkpoint cannot be used.

    Examples
    --------
    >>> from molvae.codec import ToyCodec
    >>> search = Search(ToyCodec(), budget=30)
    >>> while smiles := search.ask(10):
    ...     search.tell(smiles, [one.count("F") for one in smiles])
    >>> search.stop_reason, len(search.result().table)
    ('budget', 30)
    """

    def __init__(
        self,
        codec: "MoleculeSpace | str | Path | None" = None,
        *,
        budget: int | None = None,
        start: Iterable[str] | None = None,
        seed: int = 0,
        settings: SearchSettings | Mapping[str, Any] | None = None,
        notify: Callable[[str], None] | None = None,
        checkpoint: Path | str | None = None,
    ) -> None:
        self._settings = _read_settings(settings, budget, seed, start)
        if codec is None or isinstance(codec, str | Path):
            from molvae.codec import load_codec  # imports torch

            codec = load_codec(codec)
        self._codec, self._seed, self._notify = codec, int(seed), notify or _warn
        self.history: list[RoundSummary] = []
        self.notes: list[str] = []
        self.stop_reason: str | None = None
        self._n_rounds = 0
        self._n_stalled = 0
        self._improved_at = 0  # number of scored molecules when the ten best last changed
        self._noted: list[str] = []  # kinds of progress notes given so far
        self._n_recorded = {"history": 0, "notes": 0}  # how many of each the checkpoint holds
        self._pending: dict[str, Candidate] = {}
        self._ledger = Ledger(codec.n_latent, self._settings.goals)
        self._breeder = Breeder(codec, self._settings, self._seed)
        given = self._settings.start or None if start is None else start
        remove_stereo = self._settings.remove_stereo
        self._starts = read_starts(given, codec, self._settings.budget, self._note, remove_stereo=remove_stereo)
        self._starts = self._check_starts(self._starts)
        self._checkpoint = self._resume(Path(checkpoint)) if checkpoint is not None else None

    def _check_starts(self, starts: list[Candidate]) -> list[Candidate]:
        """Note start molecules that violate a constraint, and skip those without the part that is kept."""
        keep = self._settings.constraints.keep
        kept = [one for one in starts if keep is None or read_kept(keep).is_in(one.smiles)]
        names = {one.smiles for one in kept}
        skipped = [one.smiles for one in starts if one.smiles not in names]
        if skipped:
            more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
            then = "" if kept else "; the search starts from draws that do"
            self._note(f"start {skipped[0]}{more}: skipped: does not keep {keep}{then}")
        for one, reason in zip(kept, self._breeder.violations([one.smiles for one in kept]), strict=True):
            if reason is not None:
                self._note(f"start {one.smiles}: violates a constraint ({reason}); it is scored and used as a parent")
        return kept

    @property
    def n_rounds(self) -> int:
        """Number of rounds begun so far, including that of the start molecules."""
        return self._n_rounds

    @property
    def n_scored(self) -> int:
        """Number of molecules with a reported score."""
        return len(self._ledger)

    @property
    def pending(self) -> list[str]:
        """Molecules that `ask` returned and that have no score yet, in order."""
        return list(self._pending)

    def ask(self, n: int | None = None) -> list[str]:
        """Choose the next molecules to score.

        Parameters
        ----------
        n : int, optional
            Largest number of molecules; default: `batch_size` of the settings.

        Returns
        -------
        list of str
            Canonical SMILES of unique molecules that have not been returned before. Empty if the search has ended, if
            the pending molecules use up the budget, or if no new molecule is found while some are pending.

        Raises
        ------
        InputError
            `n` is not a whole number of at least 1, or the checkpoint cannot be written.
        """
        if n is not None:
            _check_number("n", n, 1)
        while self.stop_reason is None:
            n_left = self._settings.budget - len(self._ledger) - len(self._pending)
            n_wanted = min(self._settings.batch_size if n is None else int(n), n_left)
            if n_wanted < 1:
                break
            candidates = self._next_starts(n_wanted) or self._propose(n_wanted)
            if candidates:
                self._pending |= {one.smiles: one for one in candidates}
                self._save(candidates, [])
                return [one.smiles for one in candidates]
            if self._n_stalled >= self._settings.patience:
                if not self._pending:
                    nothing = None if len(self._ledger) else self._breeder.explain_nothing()
                    self.stop_reason = nothing or f"no new molecule in {self._n_stalled} rounds"
                    self._save([], [])
                break
        return []

    def tell(self, smiles: Iterable[str], scores: Answer) -> None:
        """Learn the scores of molecules.

        Parameters
        ----------
        smiles : iterable of str
            Molecules that `ask` returned and that have no score yet, in any order; not all of them need be given.
        scores : sequence of float, Series or DataFrame
            One score per molecule, higher is better; None or NaN for a molecule that cannot be scored. Or a table with
            a column `score` and further columns `value_*`, `score_*` and `unscored_reason`. A Series or a table is
            matched by its row labels: those of `smiles`, its SMILES, or numbers from 0.

        Raises
        ------
        InputError
            A molecule is not pending, the scores are not one number per molecule, or the checkpoint cannot be written.
        """
        given, index = read_molecules(smiles, "tell: smiles")
        for one in given:
            if one not in self._pending or given.count(one) > 1:
                why = "is given more than once" if one in self._pending else "is not pending"
                why = "has a score already" if one in self._ledger else why
                raise InputError(f"tell: {one}: expected pending molecules, each once; this one {why}")
        answer = read_scores(scores, len(given), given, index)
        if given:
            self.learn([self._pending[one] for one in given], answer)

    def learn(self, candidates: Sequence[Candidate], scores: Scores) -> None:
        """Learn scores that have been checked; see `tell`.

        Parameters
        ----------
        candidates : sequence of Candidate
            Pending molecules, at least one.
        scores : Scores
            Their scores.
        """
        round_number = candidates[0].round
        if scores.n_infinite:
            self._note(f"oracle: {scores.n_infinite} infinite scores in round {round_number} count as failed")
        self._ledger.add(candidates, scores)
        for one in candidates:
            del self._pending[one.smiles]
        self._breeder.learn(candidates, self._ledger.objectives[-len(candidates) :])
        new_share = None if candidates[0].id < 0 else self._breeder.new_share
        self.history.append(self._ledger.summarize(round_number, len(candidates), new_share))
        self._note_progress()
        if len(self._ledger) >= self._settings.budget:
            self.stop_reason = "budget"
        self._save([], candidates)

    def result(self) -> SearchResult:
        """Return what the search found so far.

        Returns
        -------
        SearchResult
            All scored molecules.
        """
        score = self._ledger.score
        funnel = self._breeder.counts | {"n_scored": len(score), "n_failed_score": int(np.isnan(score).sum())}
        order = np.argsort(np.where(np.isnan(score), np.inf, -score), kind="stable")
        table = self._ledger.table().iloc[order].reset_index(drop=True)
        numbers = dict.fromkeys(("new_share", "best", "top10", "median"), float)
        history = pd.DataFrame(self.history, columns=list(RoundSummary.__annotations__)).astype(numbers)
        reason = self.stop_reason or "not yet"
        return SearchResult(with_structures(table), self._ledger.latent(), funnel, history, tuple(self.notes), reason)

    def _next_starts(self, n: int) -> list[Candidate]:
        """The next n start molecules, as round 0."""
        left = [one for one in self._starts if one.smiles not in self._ledger and one.smiles not in self._pending]
        self._n_rounds = max(self._n_rounds, int(bool(self._starts)))
        self._breeder.count([one.smiles for one in left[:n]], len(left[:n]))
        return left[:n]

    def _propose(self, n: int) -> list[Candidate]:
        candidates = self._breeder.propose(n, self._ledger, list(self._pending.values()), self._n_rounds)
        self._n_rounds += 1
        self._n_stalled = 0 if candidates else self._n_stalled + 1
        if not candidates:
            self.history.append(self._ledger.summarize(self._n_rounds - 1, 0, self._breeder.new_share))
        return candidates

    def _note_progress(self) -> None:
        """Note once each: scores that cannot guide the search, no change of the ten best, few new molecules."""
        last, n = self.history[-1], len(self._ledger)
        notes = describe_scores(self._ledger)
        if self._starts and last["round"] == 0 and all(one.smiles in self._ledger for one in self._starts):
            notes |= describe_starts(self._ledger)
        for kind, note in notes.items():
            if kind not in self._noted:
                self._noted.append(kind)
                self._note(note)
        if len(self.history) < 2 or last["top10"] != self.history[-2]["top10"]:
            self._improved_at = n
        elif n - self._improved_at >= max(_STILL_CALLS, _STILL_SHARE * n) and "still" not in self._noted:
            self._noted.append("still")
            self._note(f"after {n:,} molecules: the ten best are the same as after {self._improved_at:,}")
        share = collapsed_share(self.history)
        if share is not None and "collapse" not in self._noted:
            self._noted.append("collapse")
            self._note(
                f"after {n:,} molecules: only {share:.1%} of the decoded latent vectors give new molecules; "
                "the search has little left to find near its best molecules"
            )

    def _note(self, note: str) -> None:
        self.notes.append(note)
        self._notify(note)

    # Checkpoint

    def _save(
        self,
        asked: Sequence[Candidate],
        told: Sequence[Candidate],
        checkpoint: Checkpoint | None = None,
        **more: int,
    ) -> None:
        """Write what is new since the last record."""
        checkpoint = checkpoint or self._checkpoint
        if checkpoint is None:
            return
        values, arrays = pack(asked, self._codec.n_latent)
        first = len(self._ledger) - len(told)
        arrays["score"] = self._ledger.score[first:]
        arrays |= {f"term:{name}": column[first:] for name, column in self._ledger.terms.items()} if told else {}
        arrays["seen"] = self._breeder.new_hashes
        values |= {"told": [one.smiles for one in told]}
        values |= {"reasons": [self._ledger.reasons.get(one.smiles) for one in told]}
        values |= {name: getattr(self, name)[n:] for name, n in self._n_recorded.items()} | more
        bred, bred_arrays = self._breeder.state()
        state = Record(bred | {name: getattr(self, name) for name in _STATE}, bred_arrays)
        checkpoint.append(Record(values, arrays), state)
        self._forget_recorded()

    def _forget_recorded(self) -> None:
        self._breeder.new_hashes = np.zeros(0, np.uint64)
        self._n_recorded = {name: len(getattr(self, name)) for name in self._n_recorded}

    def _resume(self, path: Path) -> Checkpoint:
        """Open the checkpoint and resume from it; a new checkpoint gets the arguments as its first record."""
        checkpoint = Checkpoint.open(path)
        now = self._arguments()
        if checkpoint.state is None:
            checkpoint.append(Record(now, {}), self._breeder.state())
            return checkpoint
        (before, _), *records = checkpoint.records
        budget = [before, *(values for values, _ in records if "budget" in values)][-1]["budget"]
        is_longer = budget < now["budget"]
        before = before | {"budget": now["budget"] if is_longer else budget}
        if is_longer and now["start"][: len(before["start"])] == before["start"]:  # the budget also limits the starts
            before["start"] = now["start"]
        changed = [
            f"{name} {_shorten(before.get(name))} (now {_shorten(value)})"
            for name, value in now.items()
            if before.get(name) != value
        ]
        if changed:
            raise InputError(
                f"{path}: belongs to another search: {', '.join(changed)}; delete it to start again, or give another "
                "path"
            )
        if records:
            self._restore(records, checkpoint.state)
        if is_longer:
            self.stop_reason, self._n_stalled = None, 0
            self._save([], [], checkpoint, budget=now["budget"])
        return checkpoint

    def _restore(self, records: Sequence[Record], state: Record) -> None:
        self.notes = []
        for values, arrays in records:
            self._pending |= {one.smiles: one for one in unpack(values, arrays)}
            self.history += values["history"]
            self.notes += values["notes"]
            terms = {name.removeprefix("term:"): arrays[name] for name in arrays if name.startswith("term:")}
            self._ledger.add(
                [self._pending.pop(one) for one in values["told"]], Scores(arrays["score"], terms, 0, values["reasons"])
            )
        self._breeder.restore(state, self._ledger, np.concatenate([arrays["seen"] for _, arrays in records]))
        values, _ = state
        for name in _STATE:
            setattr(self, name, values[name])
        self._forget_recorded()

    def _arguments(self) -> dict[str, Any]:
        """The arguments that determine the result, as JSON values."""
        fields = set(SearchSettings.model_fields) - {"start", "library_starts"}
        return {
            "codec": self._codec.sha256,
            "seed": self._seed,
            "start": [start.smiles for start in self._starts],
            **self._settings.model_dump(mode="json", include=fields),
            "optimizer": self._settings.optimizer.model_dump(mode="json"),
        }


_STATE = ("_n_rounds", "_n_stalled", "_improved_at", "_noted", "stop_reason")


def _read_settings(
    settings: SearchSettings | Mapping[str, Any] | None, budget: Any, seed: Any, start: Any
) -> SearchSettings:
    """The settings with the budget; every argument is checked."""
    if settings is None or isinstance(settings, Mapping):
        settings = SearchSettings.from_dict(settings or {}, "settings")
    if not isinstance(settings, SearchSettings):
        raise InputError(f"settings: expected SearchSettings or a mapping, got {type(settings).__name__}")
    if budget is None and "budget" not in settings.model_fields_set:
        raise InputError("budget: required; give the number of molecules to score, for example budget=200")
    budget = settings.budget if budget is None else budget
    _check_number("budget", budget, 1)
    _check_number("seed", seed, 0)
    if start is None and settings.library_starts:
        raise InputError("settings.library_starts: only a campaign has a reference library; give start molecules")
    return settings.model_copy(update={"budget": int(budget)})


def _check_number(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name}: expected a whole number of at least {least}, got {value!r}")


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _warn(note: str) -> None:
    warnings.warn(note, stacklevel=3)
