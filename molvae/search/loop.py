"""The search itself: ask for points, decode them, score what is new, tell; until the budget is spent."""

import difflib
import hashlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.candidates.columns import PROPOSAL_COLUMNS, check_table
from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.search.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from molvae.search.optimizers import (
    NO_PARENT,
    OPTIMIZERS,
    EvolutionSettings,
    LatentOptimizer,
    RandomDirectionsSettings,
    State,
)
from molvae.search.oracle import NO_SCORES, Oracle, Scores, ask_oracle
from molvae.search.surrogates import Surrogate, SurrogateSettings
from molvae.seeds import integer_seed
from molvae.settings import Settings

if TYPE_CHECKING:
    from molvae.codec import Codec, Decoded

_BELOW_ALL = -1e30
_MAX_REASONS = 5


class LoopSettings(Settings):
    """How a round goes, whatever the method.

    proposals: latent vectors asked for and decoded in a round.
    batch_size: most molecules scored in a round, chosen by `surrogate` where the method learns; the rest of what was
        decoded is let go. Small generations learn sooner, and a round costs one decoding of `points`.
    patience: rounds in a row without a new molecule after which the search gives up.
    levels: (noise, temperature) pairs at which the decoder writes; a round's points are shared among them in turn.
    align: whether the optimizer is told the code of the molecule itself rather than the point it was decoded from.
    remove_stereo: whether the stereo of the starts is dropped, for a codec that knows none.
    """

    proposals: int = Field(256, ge=1, le=100_000)
    batch_size: int = Field(10, ge=1, le=100_000)
    patience: int = Field(20, ge=1)
    levels: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.3, 0.5))
    align: bool = True
    remove_stereo: bool = False
    surrogate: SurrogateSettings = SurrogateSettings()
    evolution: EvolutionSettings = EvolutionSettings()
    random_directions: RandomDirectionsSettings = RandomDirectionsSettings()

    @field_validator("levels")
    @classmethod
    def _are_levels(cls, levels: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if not levels or not all(0 <= noise <= 1 and temperature >= 0 for noise, temperature in levels):
            raise PydanticCustomError(
                "levels", "expected pairs [noise, temperature], noise from 0 to 1, temperature 0 or more"
            )
        return levels


class SearchSettings(LoopSettings):
    """The `[search]` of a campaign.

    method: "evolution", or one of the controls "random_directions" and "prior".
    budget: most distinct molecules that are scored, starts included.
    start: SMILES to start from; none: draws from the codec's prior.
    library_starts: how many molecules of the reference library to start from, beside `start`.
    """

    method: str = "evolution"
    budget: int = Field(2000, ge=1)
    start: tuple[str, ...] = ()
    library_starts: int = Field(0, ge=0)

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        if method not in OPTIMIZERS:
            raise PydanticCustomError("method", "{problem}", {"problem": _unknown_method(method)})
        return method


class RoundSummary(TypedDict):
    """One line of a search's history. Scores are None where nothing could be scored.

    calls: distinct molecules scored so far; new: in this round; best, top10: of all so far (the mean of the ten
    best); median: of this round.
    """

    round: int
    calls: int
    new: int
    best: float | None
    top10: float | None
    median: float | None


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    table: a row per scored molecule, in the order of scoring; the columns of PROPOSAL_COLUMNS.
    latent: (m, D) float32, the points that were decoded to them (of a start: its code), row by row.
    funnel: n_proposed (latent points, the starts' codes included), n_valid (decoded to a molecule), n_unique
        (different molecules among these), n_scored (sent to the oracle), n_failed_score (came back without a score).
    history: a line per round.
    notes: what the user should know: starts that could not be used, were changed, or do not come back from their codes.
    stop_reason: "budget", or why the search ended before it was spent.
    """

    table: pd.DataFrame
    latent: np.ndarray
    funnel: dict[str, int]
    history: list[RoundSummary]
    notes: list[str]
    stop_reason: str


def optimize(
    oracle: Oracle,
    budget: int,
    codec: "Codec | str | Path | None" = None,
    start: Iterable[str] | None = None,
    seed: int = 0,
    method: str = "evolution",
    *,
    remove_stereo: bool = False,
    progress: Callable[[RoundSummary], None] | None = None,
    checkpoint: Path | None = None,
) -> pd.DataFrame:
    """The molecules that a search scored, best first, failed ones (score NaN) last, equal ones in order of scoring.

    oracle: takes a list of canonical SMILES and returns as many scores, higher is better; None or NaN where it has
        none. At most `budget` distinct SMILES ever reach it, each once, starts included.
    codec: as `load_codec` takes it; None is the default one.
    start: SMILES to start from; None draws from the codec's prior.
    method: "evolution", or one of the controls "random_directions" and "prior".
    remove_stereo: whether the stereo of the starts is dropped, for a codec that knows none.
    checkpoint: a file, written after each round, from which a search that was broken off goes on.

    Columns as in PROPOSAL_COLUMNS; `score` as the oracle gave it. Why the search ended stands in `.attrs`
    ("stop_reason"), with "funnel" and "notes"; whatever is not as asked for is also warned of.

    Raises:
        InputError: something given cannot be used, or the oracle's answer cannot.

    Example:
        >>> import molvae
        >>> best = molvae.optimize(lambda smiles: [-abs(len(s) - 30) for s in smiles], budget=100)  # doctest: +SKIP
    """
    if codec is None or isinstance(codec, str | Path):
        from molvae.codec import load_codec  # brings torch

        codec = load_codec(codec)
    settings = LoopSettings(remove_stereo=remove_stereo)
    result = search(codec, oracle, budget, start, seed, method, settings, progress, _warn, checkpoint)
    if result.stop_reason != "budget":
        _warn(f"the search ended after {len(result.table)} of {budget} molecules: {result.stop_reason}")
    order = result.table["score"].to_numpy().copy()
    order = np.argsort(np.where(np.isnan(order), np.inf, -order), kind="stable")
    best = result.table.iloc[order].reset_index(drop=True)
    best.attrs = {"stop_reason": result.stop_reason, "funnel": result.funnel, "notes": result.notes}
    return best


def search(
    codec: "Codec",
    oracle: Oracle,
    budget: int,
    start: Iterable[str] | None = None,
    seed: int = 0,
    method: str = "evolution",
    settings: LoopSettings | None = None,
    progress: Callable[[RoundSummary], None] | None = None,
    notify: Callable[[str], None] | None = None,
    checkpoint: Path | None = None,
) -> SearchResult:
    """What a search found. At most `budget` distinct canonical SMILES reach the oracle, starts included, each once.

    The starts, or else the first draws from the prior, are round 0. Equal arguments give equal results, bit for bit,
    also where the search was broken off at any moment and goes on from its `checkpoint`: a file that is written after
    each round. What the oracle raises is passed on; the rounds before it are in the checkpoint.
    settings: of a SearchSettings only what LoopSettings knows is read.
    notify: is told each note as it arises, those about the starts before anything is scored.

    Raises:
        InputError: an argument, the oracle's answer or the checkpoint cannot be used, or none of the starts can.
    """
    settings = settings or LoopSettings()
    _check_arguments(oracle, budget, seed, method)
    state = _Search(codec, int(budget), int(seed), method, settings, notify or (lambda note: None))
    state.read_starts(start)
    state.resume(checkpoint)
    while state.stop_reason is None:
        proposals = state.take_starts() or state.propose()
        scores = _score(oracle, proposals, state, checkpoint)
        state.learn(proposals, scores)
        state.save(checkpoint)
        if progress is not None:
            progress(state.history[-1])
    return state.result()


class _Proposal(NamedTuple):
    """A molecule about to be scored: as text, where it was decoded from, and which ask it answers (None: a start)."""

    smiles: str
    raw_smiles: str
    point: np.ndarray
    parent: int = NO_PARENT
    asked: int | None = None


@dataclass
class _Search:
    """Everything that changes in the course of a search."""

    codec: "Codec"
    budget: int
    seed: int
    method: str
    settings: LoopSettings
    notify: Callable[[str], None]
    scored: dict[str, int] = field(default_factory=dict)  # canonical SMILES -> row
    raw_smiles: list[str] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    latent: list[np.ndarray] = field(default_factory=list)
    score: np.ndarray = field(default_factory=lambda: np.zeros(0))
    terms: dict[str, np.ndarray] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)  # digests of all distinct molecules decoded, scored or not
    n_proposed: int = 0
    n_valid: int = 0
    n_rounds: int = 0
    n_stalled: int = 0
    history: list[RoundSummary] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stop_reason: str | None = None
    starts: list[_Proposal] = field(default_factory=list)

    def __post_init__(self) -> None:
        make = OPTIMIZERS[self.method]
        own = getattr(self.settings, self.method, None)
        self.optimizer: LatentOptimizer = make(self._draw, self.seed, own)
        self.surrogate = Surrogate(self.settings.surrogate)

    def read_starts(self, start: Iterable[str] | None) -> None:
        """The start molecules that the codec can read, and notes about all that is not as given."""
        if start is None:
            return
        raw = _start_list(start)
        standard = [standardize(text) for text in raw]
        readable = [place for place, (smiles, _, _) in enumerate(standard) if smiles is not None]
        encoding = self.codec.encode(
            [standard[place].smiles for place in readable], remove_stereo=self.settings.remove_stereo
        )
        row_of = {place: row for row, place in enumerate(readable)}
        known: dict[str, str] = {}
        notes = []
        for place, (text, (smiles, reason, warning)) in enumerate(zip(raw, standard, strict=True)):
            name = f"start {place + 1} ({_shorten(text)})"
            row = row_of.get(place)
            read = encoding.smiles[row] if row is not None and encoding.ok[row] else None
            if row is None or read is None:
                notes.append(f"{name}: not used: {reason if row is None else encoding.reason[row]}")
            elif read in known:
                notes.append(f"{name}: the same molecule as {known[read]}; used once")
            else:
                known[read] = name
                said = [warning, "stereo dropped" if read != smiles else None]
                if any(said):
                    notes.append(f"{name}: {'; '.join(filter(None, said))}; used as {read}")
                self.starts.append(_Proposal(read, str(text).strip(), np.asarray(encoding.z[row], np.float32)))
        if not self.starts:
            raise InputError(f"start: none of {len(raw)} molecules can be used: {'; '.join(notes[:_MAX_REASONS])}")
        for note in notes:
            self.note(note)
        if len(self.starts) > self.budget:
            self.note(f"start: {len(self.starts)} molecules, but a budget of {self.budget}: only the first are scored")
            self.starts = self.starts[: self.budget]
        back = self.codec.decode(np.stack([start.point for start in self.starts]))
        for begun, came in zip(self.starts, back, strict=True):
            if came.smiles != begun.smiles:
                other = came.smiles or f"{came.raw_smiles} (no molecule: {came.reason})"
                self.note(
                    f"{known[begun.smiles]}: does not come back exactly from its own code, but as {other}; "
                    "the search starts near it, not from it"
                )

    def take_starts(self) -> list[_Proposal]:
        """The next start molecules to be scored; empty once all are."""
        left = [start for start in self.starts if start.smiles not in self.scored]
        for start in (chosen := left[: self._room()]):
            self.met.add(_digest(start.smiles))
        self.n_proposed += len(chosen)
        self.n_valid += len(chosen)
        return chosen

    def propose(self) -> list[_Proposal]:
        """New molecules from new points: invalid ones and all that were scored before are dropped, and counted."""
        z = self.optimizer.ask(self.settings.proposals)
        new: dict[str, _Proposal] = {}
        for row, came in enumerate(self._decode(z)):
            if came.smiles is None:
                continue
            self.n_valid += 1
            self.met.add(_digest(came.smiles))
            if came.smiles not in self.scored and came.smiles not in new:
                parent = int(self.optimizer.parents[row])
                new[came.smiles] = _Proposal(came.smiles, came.raw_smiles, z[row], parent, row)
        self.n_proposed += len(z)
        made = list(new.values())
        if not self.optimizer.learns:
            return made[: self._room()]
        chosen = self.surrogate.choose(list(new), self._room(), list(self.scored), self._told())
        return [made[row] for row in chosen]

    def learn(self, proposals: list[_Proposal], scores: Scores) -> None:
        """Add the scored molecules to the table, tell the optimizer, and see whether it is time to stop."""
        is_start = bool(proposals) and proposals[0].asked is None
        self._record(proposals, scores)
        told = self._told()[len(self.score) - len(proposals) :]
        asked = None if is_start else np.array([proposal.asked for proposal in proposals], dtype=np.int64)
        self.optimizer.tell(self._codes(proposals, is_start), told, asked)
        self.history.append(_summarize(self.n_rounds, self.score, scores.score))
        self.n_stalled = 0 if proposals else self.n_stalled + 1
        self.n_rounds += not any(start.smiles not in self.scored for start in self.starts)
        if len(self.scored) >= self.budget:
            self.stop_reason = "budget"
        elif self.n_stalled >= self.settings.patience:
            n_stalled_proposals = self.n_stalled * self.settings.proposals
            self.stop_reason = f"no new molecule in {self.n_stalled} rounds ({n_stalled_proposals:,} points)"

    def note(self, text: str) -> None:
        """Remember a note, and pass it on."""
        self.notes.append(text)
        self.notify(text)

    def result(self) -> SearchResult:
        """The table and all that belongs to it."""
        ids = [f"C{row:06d}" for row in range(1, len(self.scored) + 1)]
        table = {
            "candidate_id": pd.Series(ids, dtype="str"),
            "smiles": pd.Series(list(self.scored), dtype="str"),
            "raw_smiles": pd.Series(self.raw_smiles, dtype="str"),
            "round": np.array(self.round, np.int64),
            "parent_id": pd.Series([None if row == NO_PARENT else ids[row] for row in self.parent], dtype="str"),
            "latent_row": np.arange(len(ids), dtype=np.int64),
            "score": self.score,
            **self.terms,
        }
        funnel = {
            "n_proposed": self.n_proposed,
            "n_valid": self.n_valid,
            "n_unique": len(self.met),
            "n_scored": len(ids),
            "n_failed_score": int(np.isnan(self.score).sum()),
        }
        checked = check_table(pd.DataFrame(table), PROPOSAL_COLUMNS, "search")
        return SearchResult(checked, self._points(), funnel, self.history, self.notes, self.stop_reason or "")

    def save(self, path: Path | None) -> None:
        """Write all of this to the checkpoint, if there is one."""
        if path is None:
            return
        optimizer = self.optimizer.state()
        values = {
            "made_by": self._made_by(),
            "smiles": list(self.scored),
            "terms": list(self.terms),
            "optimizer": optimizer.rng,
            **{name: getattr(self, name) for name in _SAVED},
        }
        arrays = {f"optimizer_{name}": array for name, array in optimizer.arrays.items()}
        arrays |= {f"term_{place}": column for place, column in enumerate(self.terms.values())}
        arrays |= {
            "latent": self._points(),
            "score": self.score,
            "met": np.array(sorted(self.met), dtype=np.uint64),
        }
        save_checkpoint(path, Checkpoint(values, arrays))

    def resume(self, path: Path | None) -> None:
        """Go on from the checkpoint where there is one; where there is none yet, see that it can be written.

        Raises:
            InputError: it was written by a search with other arguments.
        """
        saved = load_checkpoint(path) if path is not None else None
        if saved is None:
            self.save(path)
            return
        values, arrays = saved
        mine = self._made_by()
        theirs = values["made_by"]
        changed = [
            f"{key} {_shorten(theirs.get(key))} (now {_shorten(mine[key])})"
            for key in mine
            if theirs.get(key) != mine[key]
        ]
        if changed:
            raise InputError(
                f"{path}: belongs to another search: {', '.join(changed)}; delete it to begin again, or give another"
            )
        for name in _SAVED:
            setattr(self, name, values[name])
        self.scored = {smiles: row for row, smiles in enumerate(values["smiles"])}
        self.terms = {name: arrays[f"term_{place}"] for place, name in enumerate(values["terms"])}
        self.latent, self.score = list(arrays["latent"]), arrays["score"]
        self.met = {int(digest) for digest in arrays["met"]}
        own = {name.removeprefix("optimizer_"): a for name, a in arrays.items() if name.startswith("optimizer_")}
        self.optimizer.restore(State(own, values["optimizer"]))

    def _made_by(self) -> dict[str, Any]:
        """The arguments that make a search what it is, as JSON holds them."""
        return {
            "codec": self.codec.sha256,
            "method": self.method,
            "budget": self.budget,
            "seed": self.seed,
            "start": [start.smiles for start in self.starts],
        } | self.settings.model_dump(mode="json", include=set(LoopSettings.model_fields))

    def _told(self) -> np.ndarray:
        """All scores so far as the optimizer may see them: a failure must not look better than any number."""
        known = self.score[~np.isnan(self.score)]
        worst = min(0.0, known.min()) if len(known) else _BELOW_ALL
        return np.where(np.isnan(self.score), worst, self.score)  # NaN becomes 0.0 (or the lowest score) here alone

    def _points(self) -> np.ndarray:
        return np.array(self.latent, np.float32).reshape(len(self.latent), self.codec.n_latent)

    def _room(self) -> int:
        return min(self.settings.batch_size, self.budget - len(self.scored))

    def _draw(self, n: int, seed: int) -> np.ndarray:
        return self.codec.draw(n, seed=seed, spread=0.0)

    def _decode(self, z: np.ndarray) -> list["Decoded"]:
        """What the points (n, D) decode to, in order; the levels of noise take the points in turn."""
        levels = self.settings.levels
        came: list[Any] = [None] * len(z)
        for place, (noise, temperature) in enumerate(levels[: len(z)]):
            seed = integer_seed(self.seed, f"search/decode/{self.n_proposed}/{place}")
            came[place :: len(levels)] = self.codec.decode(
                z[place :: len(levels)], noise=noise, temperature=temperature, seed=seed
            )
        return came

    def _codes(self, proposals: list[_Proposal], is_start: bool) -> np.ndarray:
        """Where the molecules lie (n, D): their own codes, or the points they were decoded from if they have none."""
        points = np.array([proposal.point for proposal in proposals], np.float32).reshape(-1, self.codec.n_latent)
        if is_start or not proposals or not self.settings.align:
            return points
        encoding = self.codec.encode([proposal.smiles for proposal in proposals])
        own = [read == proposal.smiles for read, proposal in zip(encoding.smiles, proposals, strict=True)]
        return np.where((np.array(own) & encoding.ok)[:, None], encoding.z, points).astype(np.float32)

    def _record(self, proposals: list[_Proposal], scores: Scores) -> None:
        if proposals and self.scored and set(scores.terms) != set(self.terms):
            raise InputError(
                f"oracle: its table had the columns {', '.join(self.terms) or 'score alone'} before, and now has "
                f"{', '.join(scores.terms) or 'score alone'}; they must stay the same"
            )
        for proposal in proposals:
            self.scored[proposal.smiles] = len(self.scored)
            self.raw_smiles.append(proposal.raw_smiles)
            self.round.append(self.n_rounds)
            self.parent.append(proposal.parent)
            self.latent.append(np.asarray(proposal.point, np.float32))
        self.score = np.append(self.score, scores.score)
        if proposals:
            self.terms = {name: np.append(self.terms.get(name, []), column) for name, column in scores.terms.items()}
        if scores.n_infinite:
            self.note(f"oracle: {scores.n_infinite} infinite scores in round {self.n_rounds} count as failed")


_SAVED = (
    "raw_smiles", "round", "parent", "n_proposed", "n_valid", "n_rounds", "n_stalled", "history", "notes",
    "stop_reason",
)  # fmt: skip


def _score(oracle: Oracle, proposals: list[_Proposal], state: _Search, checkpoint: Path | None) -> Scores:
    """The oracle's answer; an exception of its own leaves with a note on what is safe."""
    if not proposals:
        return NO_SCORES
    try:
        return ask_oracle(oracle, [proposal.smiles for proposal in proposals])
    except Exception as error:
        kept = f"are kept in {checkpoint}" if checkpoint else "are lost; a checkpoint would have kept them"
        error.add_note(
            f"while scoring {len(proposals)} molecules in round {state.n_rounds} of the search; the scores "
            f"of the {len(state.scored)} molecules before {kept}"
        )
        raise


def _summarize(number: int, score: np.ndarray, new: np.ndarray) -> RoundSummary:
    best = np.sort(score[~np.isnan(score)])[::-1][:10]
    fresh = new[~np.isnan(new)]
    return {
        "round": number,
        "calls": len(score),
        "new": len(new),
        "best": float(best[0]) if len(best) else None,
        "top10": float(best.mean()) if len(best) else None,
        "median": float(np.median(fresh)) if len(fresh) else None,
    }


def _check_arguments(oracle: Any, budget: Any, seed: Any, method: Any) -> None:
    if not callable(oracle):
        raise InputError(f"oracle: expected a function of a list of SMILES, got {type(oracle).__name__}")
    for name, value, least in (("budget", budget, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    if method not in OPTIMIZERS:
        raise InputError(f"method: {_unknown_method(method)}")


def _unknown_method(method: Any) -> str:
    near = difflib.get_close_matches(str(method), OPTIMIZERS, n=1)
    return f"unknown method {method!r}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(OPTIMIZERS)}")


def _start_list(start: Any) -> list[Any]:
    if isinstance(start, str):
        return [start]
    if not isinstance(start, Iterable) or isinstance(start, bytes | dict):
        raise InputError(f"start: expected a list of SMILES, got {type(start).__name__}")
    raw = list(start)
    if not raw:
        raise InputError("start: an empty list; give at least one SMILES, or None to start from the codec's prior")
    return raw


def _digest(smiles: str) -> int:
    """64 bits: two of a million molecules share theirs with a chance of one in 40 million."""
    return int.from_bytes(hashlib.blake2b(smiles.encode(), digest_size=8).digest())


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:60] + "..."


def _warn(note: str) -> None:
    warnings.warn(note, stacklevel=3)
