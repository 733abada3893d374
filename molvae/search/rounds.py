"""The parts of one round of a search: propose molecules, learn from their scores."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from molvae.search.checkpoint import Record
from molvae.search.optimizers import LatentOptimizer, State, find_optimizer
from molvae.search.oracle import Scores
from molvae.search.result import SearchResult
from molvae.search.scored import Proposal, RoundSummary, ScoredMolecules
from molvae.search.settings import SearchSettings
from molvae.search.starts import read_starts
from molvae.search.surrogates import Surrogate
from molvae.seeds import integer_seed

if TYPE_CHECKING:
    from molvae.codec import Decoded, MoleculeSpace


class Search:
    """The state of a search.

    Parameters
    ----------
    codec : MoleculeSpace
        Codec that decodes the proposals.
    settings : SearchSettings
        Settings; `start` and `library_starts` are ignored.
    seed : int
        Seed of the random numbers.
    start : iterable of str, or None
        SMILES to start from; None starts from the codec's prior.
    notify : callable
        Called with each note as it occurs.

    Attributes
    ----------
    scored : ScoredMolecules
        All molecules scored so far.
    n_rounds : int
        Number of the current round.
    history : list of RoundSummary
        One entry per round; in round 0, one per batch of start molecules.
    notes : list of str
        All notes so far.
    stop_reason : str or None
        Why the search ended; None while it runs.
    """

    def __init__(
        self,
        codec: "MoleculeSpace",
        settings: SearchSettings,
        seed: int,
        start: Iterable[str] | None,
        notify: Callable[[str], None],
    ) -> None:
        self._codec, self._settings, self._seed, self._notify = codec, settings, seed, notify
        self._optimizer: LatentOptimizer = find_optimizer(settings.method)(self._draw, seed, settings.optimizer)
        self._surrogate = Surrogate(settings.surrogate)
        self._decoded: set[int] = set()  # hashes of all distinct molecules decoded, scored or not
        self._new_decoded: set[int] = set()  # those of this round
        self._n_proposed = 0
        self._n_valid = 0
        self._n_stalled = 0
        self.scored = ScoredMolecules(codec.n_latent)
        self.n_rounds = 0
        self.history: list[RoundSummary] = []
        self.notes: list[str] = []
        self.stop_reason: str | None = None
        self._starts = read_starts(start, codec, settings.budget, self._note, remove_stereo=settings.remove_stereo)

    def next_starts(self) -> list[Proposal]:
        """Return the next start molecules to score.

        Returns
        -------
        list of Proposal
            At most `batch_size`; empty if all are scored.
        """
        batch = self._unscored_starts()[: self._n_left()]
        self._count([start.smiles for start in batch], len(batch))
        return batch

    def propose(self) -> list[Proposal]:
        """Decode new latent vectors and choose the molecules to score.

        Returns
        -------
        list of Proposal
            Distinct molecules that have not been scored, at most `batch_size`; empty if no molecule is new.
        """
        z = self._optimizer.ask(self._settings.proposals)
        decoded = self._decode(z)
        self._count([one.smiles for one in decoded if one.smiles is not None], len(z))
        new: dict[str, Proposal] = {}
        for row, one in enumerate(decoded):
            if one.smiles is not None and one.smiles not in self.scored and one.smiles not in new:
                parent = int(self._optimizer.parents[row])
                new[one.smiles] = Proposal(one.smiles, one.raw_smiles, z[row], parent, row)
        proposals = list(new.values())
        if not self._optimizer.learns:
            return proposals[: self._n_left()]
        chosen = self._surrogate.choose(list(new), self._n_left(), list(self.scored.row), self.scored.penalized())
        return [proposals[row] for row in chosen]

    def learn(self, proposals: Sequence[Proposal], scores: Scores) -> Record:
        """Add the scored molecules, pass the scores to the optimizer, and decide whether the search ends.

        Parameters
        ----------
        proposals : sequence of Proposal
            Return value of `next_starts` or `propose`.
        scores : Scores
            Their scores.

        Returns
        -------
        Record
            What `restore` needs from this round.
        """
        n_notes = len(self.notes)
        if scores.n_infinite:
            self._note(f"oracle: {scores.n_infinite} infinite scores in round {self.n_rounds} count as failed")
        self.scored.add(proposals, scores, self.n_rounds)
        are_starts = bool(proposals) and proposals[0].asked is None
        z = _latent(proposals, self._codec.n_latent)
        own_z = z if are_starts or not proposals or not self._settings.reencode else self._reencode(proposals, z)
        score = self.scored.penalized()[len(self.scored) - len(proposals) :]
        asked = None if are_starts else np.array([proposal.asked for proposal in proposals], dtype=np.int64)
        self._optimizer.tell(own_z, score, asked)
        self.history.append(self.scored.summarize(self.n_rounds, len(proposals)))
        values = {
            "smiles": [proposal.smiles for proposal in proposals],
            "raw_smiles": [proposal.raw_smiles for proposal in proposals],
            "parent": [proposal.parent for proposal in proposals],
            "terms": list(scores.terms),
            "summary": self.history[-1],
            "notes": self.notes[n_notes:],
        }
        arrays = {"z": z, "score": scores.score, "optimizer_z": own_z, "optimizer_score": score}
        arrays |= {f"term_{index}": column for index, column in enumerate(scores.terms.values())}
        arrays["decoded"] = np.array(sorted(self._new_decoded), np.uint64)
        self._new_decoded = set()
        self._advance(len(proposals))
        return Record(values, arrays)

    def state(self) -> Record:
        """Return the state between two rounds.

        Returns
        -------
        Record
            What `restore` needs in addition to the records of all rounds.
        """
        optimizer = self._optimizer.state()
        values = {name: getattr(self, name) for name in _STATE} | {"rng": optimizer.rng}
        return Record(values, optimizer.arrays)

    def restore(self, records: Sequence[Record], state: Record) -> None:
        """Resume after the last of the recorded rounds.

        Parameters
        ----------
        records : sequence of Record
            Return values of `learn`, in order; at least one.
        state : Record
            Return value of `state` after the last of them.
        """
        for values, arrays in records:
            rows = zip(values["smiles"], values["raw_smiles"], arrays["z"], values["parent"], strict=True)
            terms = {name: arrays[f"term_{index}"] for index, name in enumerate(values["terms"])}
            proposals = [Proposal(*row) for row in rows]
            self.scored.add(proposals, Scores(arrays["score"], terms, 0), values["summary"]["round"])
            self._decoded.update(arrays["decoded"].tolist())
            self.history.append(values["summary"])
            self.notes += values["notes"]
        z, score = (
            np.concatenate([arrays[name] for _, arrays in records]) for name in ("optimizer_z", "optimizer_score")
        )
        values = dict(state.values)
        self._optimizer.restore(State(state.arrays, values["rng"]), z, score)
        for name in _STATE:
            setattr(self, name, values[name])

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that determine the result, as JSON values.

        Returns
        -------
        dict
            Argument by name.
        """
        fields = set(SearchSettings.model_fields) - {"start", "library_starts"}
        return {
            "codec": self._codec.sha256,
            "seed": self._seed,
            "start": [start.smiles for start in self._starts],
            **self._settings.model_dump(mode="json", include=fields),
            "optimizer": self._settings.optimizer.model_dump(mode="json"),
        }

    def result(self) -> SearchResult:
        """Return what the search found so far.

        Returns
        -------
        SearchResult
            All scored molecules.
        """
        funnel = {
            "n_proposed": self._n_proposed,
            "n_valid": self._n_valid,
            "n_unique": len(self._decoded),
            "n_scored": len(self.scored),
            "n_failed_score": int(np.isnan(self.scored.score).sum()),
        }
        order = np.argsort(np.where(np.isnan(self.scored.score), np.inf, -self.scored.score), kind="stable")
        table = self.scored.table().iloc[order].reset_index(drop=True)
        history = pd.DataFrame(self.history).astype({"best": float, "top10": float, "median": float})
        return SearchResult(table, self.scored.latent(), funnel, history, tuple(self.notes), self.stop_reason or "")

    def _note(self, note: str) -> None:
        self.notes.append(note)
        self._notify(note)

    def _unscored_starts(self) -> list[Proposal]:
        return [start for start in self._starts if start.smiles not in self.scored]

    def _n_left(self) -> int:
        """How many molecules this round may score."""
        return min(self._settings.batch_size, self._settings.budget - len(self.scored))

    def _count(self, valid: Sequence[str], n_proposed: int) -> None:
        self._n_proposed += n_proposed
        self._n_valid += len(valid)
        self._new_decoded |= {_hash(smiles) for smiles in valid} - self._decoded
        self._decoded |= self._new_decoded

    def _advance(self, n_new: int) -> None:
        self._n_stalled = 0 if n_new else self._n_stalled + 1
        self.n_rounds += not self._unscored_starts()
        if len(self.scored) >= self._settings.budget:
            self.stop_reason = "budget"
        elif self._n_stalled >= self._settings.patience:
            n_proposals = self._n_stalled * self._settings.proposals
            self.stop_reason = f"no new molecule in {self._n_stalled} rounds ({n_proposals:,} proposals)"

    def _draw(self, n: int, seed: int) -> np.ndarray:
        return self._codec.draw(n, seed=seed, spread=0.0)

    def _decode(self, z: np.ndarray) -> list["Decoded"]:
        """Decode latent vectors (n, D); row i uses pair i of `noise_levels`, modulo the number of pairs."""
        levels = self._settings.noise_levels
        decoded: dict[int, Decoded] = {}
        for index, (noise, temperature) in enumerate(levels[: len(z)]):
            seed = integer_seed(self._seed, f"search/decode/{self._n_proposed}/{index}")
            rows = range(index, len(z), len(levels))
            decoded |= zip(
                rows, self._codec.decode(z[rows], noise=noise, temperature=temperature, seed=seed), strict=True
            )
        return [decoded[row] for row in range(len(z))]

    def _reencode(self, proposals: Sequence[Proposal], z: np.ndarray) -> np.ndarray:
        """Encodings (n, D) of the molecules; a molecule that cannot be encoded keeps the row of `z`."""
        encoding = self._codec.encode([proposal.smiles for proposal in proposals])
        same = [smiles == proposal.smiles for smiles, proposal in zip(encoding.smiles, proposals, strict=True)]
        return np.where((np.array(same) & encoding.ok)[:, None], encoding.z, z).astype(np.float32)


_STATE = ("_n_proposed", "_n_valid", "_n_stalled", "n_rounds", "stop_reason")


def _latent(proposals: Sequence[Proposal], n_latent: int) -> np.ndarray:
    return np.array([proposal.z for proposal in proposals], np.float32).reshape(-1, n_latent)


def _hash(smiles: str) -> int:
    """Hash to 64 bits; the probability that any two of a million molecules have equal hashes is 1 in 40 million."""
    return int.from_bytes(hashlib.blake2b(smiles.encode(), digest_size=8).digest())
