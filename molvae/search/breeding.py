"""One round of a search: breed latent vectors, decode them, predict scores, and choose the molecules to score."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from molvae.chem.molecules import Standardized, without_stereo
from molvae.search.acquisitions import ACQUISITIONS, choose_batch
from molvae.search.checkpoint import Record
from molvae.search.constraints import Constraints
from molvae.search.keep import KeptPart
from molvae.search.ledger import Candidate, Ledger, to_results
from molvae.search.optimizers import LatentOptimizer, Outcome, Proposals, Results, State, find_optimizer
from molvae.search.seen import SeenMolecules
from molvae.search.settings import SearchSettings
from molvae.search.stereo import Stereoisomers
from molvae.search.surrogates import SURROGATES, Surrogate
from molvae.seeds import generator, integer_seed

if TYPE_CHECKING:
    from molvae.codec import Decoded, MoleculeSpace

_N_ENCODED = 64
"""Molecules with the highest acquisition that are encoded in each generation, because parents need latent vectors."""

_N_AT_FULL = 1_000
"""Number of scored molecules beyond which generations become smaller: an oracle that is called so often is cheap."""

_MAX_GROWTH = 4.0
"""Largest factor of the number of proposals, if most new molecules violate a constraint."""


class Breeder:
    """The optimizer, the surrogate and the decoder of a search.

    Parameters
    ----------
    codec : MoleculeSpace
        Codec that decodes the proposals.
    settings : SearchSettings
        Settings of the search.
    seed : int
        Seed of the random numbers.

    Attributes
    ----------
    counts : dict of str to int
        Numbers of proposals (`n_proposed`), valid SMILES (`n_valid`) and unique molecules (`n_unique`) so far, start
        molecules included; and of new molecules that violate a constraint or cannot be encoded (`n_infeasible`). With a
        part to keep, also the counts of `KeptPart`; repaired SMILES are valid.
    new_hashes : ndarray
        Hashes of the new molecules that were decoded since this attribute was last emptied, uint64.
    new_share : float
        Share of the proposals of the last round that gave a new molecule without a violation.
    """

    def __init__(self, codec: "MoleculeSpace", settings: SearchSettings, seed: int) -> None:
        self._codec, self._settings, self._seed = codec, settings, seed
        self._optimizer: LatentOptimizer = find_optimizer(settings.method)(codec, seed, settings.optimizer)
        self._surrogate: Surrogate = SURROGATES[settings.surrogate_name](settings.surrogate)
        self._acquisition = ACQUISITIONS[settings.acquisition]
        self._rng = generator(seed, "search/acquisition")
        self._seen = SeenMolecules()
        self.new_hashes = np.zeros(0, np.uint64)
        self.new_share = 0.0
        self._stereoisomers = Stereoisomers(settings.stereo)
        self._constraints = Constraints(settings.constraints, codec)
        self.counts = {"n_proposed": 0, "n_valid": 0, "n_unique": 0, "n_infeasible": 0}
        keep = settings.constraints.keep
        self._kept = None if keep is None else KeptPart(keep, codec)
        if self._kept is not None:
            self.counts |= self._kept.counts

    def propose(self, n: int, ledger: Ledger, pending: Sequence[Candidate], round_number: int) -> list[Candidate]:
        """Breed and decode one or more generations, and choose the molecules to score.

        Parameters
        ----------
        n : int
            Largest number of molecules.
        ledger : Ledger
            Scored molecules.
        pending : sequence of Candidate
            Molecules that are being scored.
        round_number : int
            Number of the round.

        Returns
        -------
        list of Candidate
            Unique molecules that are neither scored nor pending; empty if there is none.
        """
        s = self._settings
        can_predict = self._optimizer.uses_surrogate and self._surrogate.fit(
            list(ledger.row), ledger.own_z, ledger.objectives
        )
        known = _Known(ledger, pending, self._stereoisomers)
        n_bred = max(_n_proposals(s.proposals, len(ledger)), s.proposals_per_call * n)
        n_bred = round(n_bred * _growth(self.counts))
        n_generations = s.generations if can_predict else 1
        pool: dict[str, Candidate] = {}
        for _ in range(n_generations):
            pool |= self._breed(n_bred, known, round_number, can_predict)
        self.new_share = len(pool) / (n_generations * n_bred)
        chosen = self._choose(list(pool.values()), n, ledger, pending) if can_predict else list(pool.values())[:n]
        return self._encode(chosen)

    def violations(self, smiles: Sequence[str]) -> list[str | None]:
        """Check molecules against the constraints.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        list of str or None
            As from `Constraints.violations`.
        """
        return self._constraints.violations(smiles)

    def explain_nothing(self) -> str | None:
        """Why no molecule was found at all.

        Returns
        -------
        str or None
            One sentence; None unless a part has to be kept.
        """
        return None if self._kept is None else self._kept.explain_nothing(self.counts["n_proposed"])

    def learn(self, candidates: Sequence[Candidate], values: np.ndarray) -> None:
        """Report scores to the optimizer.

        Parameters
        ----------
        candidates : sequence of Candidate
            Molecules, at least one.
        values : ndarray of shape (n, k)
            Their values.
        """
        self._stereoisomers.learn([one.smiles for one in candidates], values)
        self._optimizer.tell(to_results(candidates, Outcome.SCORED, values, n_latent=self._codec.n_latent))

    def count(self, valid: Collection[str], n_proposed: int) -> None:
        """Count decoded molecules.

        Parameters
        ----------
        valid : collection of str
            Canonical SMILES of the valid ones, with repeats.
        n_proposed : int
            Number of decoded latent vectors.
        """
        new = self._seen.add(valid)
        self.new_hashes = np.append(self.new_hashes, new)
        self.counts["n_proposed"] += n_proposed
        self.counts["n_valid"] += len(valid)
        self.counts["n_unique"] += len(new)

    def state(self) -> Record:
        """Return the state from which `restore` resumes exactly.

        Returns
        -------
        Record
            A copy, without the other arguments of `restore`.
        """
        optimizer = self._optimizer.state()
        values = {
            "optimizer": dict(optimizer.rng),
            "acquisition": dict(self._rng.bit_generator.state),
            "surrogate": self._surrogate.state(),
            "counts": dict(self.counts),
            "new_share": self.new_share,
        }
        return Record(values, dict(optimizer.arrays))

    def restore(self, state: Record, ledger: Ledger, seen: np.ndarray) -> None:
        """Resume from a state.

        Parameters
        ----------
        state : Record
            Return value of `state`.
        ledger : Ledger
            Molecules scored before it.
        seen : ndarray of shape (n,)
            All `new_hashes` before it.
        """
        values: dict[str, Any] = state.values
        scored = to_results(ledger.candidates, Outcome.SCORED, ledger.objectives, n_latent=self._codec.n_latent)
        self._optimizer.restore(State(state.arrays, values["optimizer"]), scored)
        self._stereoisomers.learn(ledger.row, ledger.objectives)
        self._rng.bit_generator.state = values["acquisition"]
        self._surrogate.restore(values["surrogate"])
        self._seen.add_hashes(seen)
        self.counts, self.new_share = dict(values["counts"]), float(values["new_share"])
        if self._kept is not None:
            self._kept.counts = {name: self.counts[name] for name in self._kept.counts}

    def _breed(self, n: int, known: "_Known", round_number: int, can_predict: bool) -> dict[str, Candidate]:
        """Decode n proposals, report the outcomes to the optimizer, and return the new feasible molecules by SMILES."""
        proposals = self._optimizer.ask(n)
        seed = integer_seed(self._seed, f"search/decode/{self.counts['n_proposed']}")
        decoded = self._codec.decode(proposals.z, noise=proposals.noise, temperature=proposals.temperature, seed=seed)
        if self._kept is not None:
            parents = known.parents(proposals)
            proposals, decoded = self._kept.repair(proposals, decoded, parents, integer_seed(seed, "keep"))
            self.counts |= self._kept.counts
        self.count([one.smiles for one in decoded if one.smiles is not None], n)
        outcome = np.full(n, int(Outcome.INVALID))
        new: dict[str, int] = {}  # row of the proposal by SMILES
        for row, one in enumerate(decoded):
            if one.smiles is not None:
                is_new = known.add(one.smiles)
                outcome[row] = Outcome.INFEASIBLE if is_new else Outcome.REPEAT
                if is_new:
                    new[one.smiles] = row
        violations = self._constraints.violations(list(new))
        feasible = [one for one, reason in zip(new, violations, strict=True) if reason is None]
        self.counts["n_infeasible"] += len(new) - len(feasible)
        found = [_to_candidate(proposals, new[one], decoded[new[one]], round_number) for one in feasible]
        values = np.zeros(0)
        if can_predict:
            found, values = self._predict(found)
        own_z, acquisition = proposals.z.copy(), np.full(n, np.nan)
        rows = [new[one.smiles] for one in found]
        outcome[rows] = Outcome.PREDICTED
        acquisition[rows[: len(values)]] = values
        for row, candidate in zip(rows, found, strict=True):
            own_z[row] = candidate.own_z if candidate.is_encoded else own_z[row]
        self._optimizer.tell(Results(proposals, own_z, outcome, np.full((n, 1), np.nan), acquisition))
        return {one.smiles: one for one in found}

    def _predict(self, candidates: list[Candidate]) -> tuple[list[Candidate], np.ndarray]:
        """The candidates, the best of them encoded, and their acquisition; those that cannot be encoded are dropped."""
        if self._surrogate.uses_latent:
            candidates = self._encode(candidates)
        if not candidates:
            return [], np.zeros(0)
        z = np.array([one.own_z for one in candidates])
        values = self._acquisition(self._surrogate.predict([one.smiles for one in candidates], z), self._rng)
        order = np.argsort(-values, kind="stable")
        best = self._encode([candidates[row] for row in order[:_N_ENCODED]])
        names = {one.smiles for one in best}
        rows = [row for row in order[:_N_ENCODED] if candidates[row].smiles in names] + order[_N_ENCODED:].tolist()
        return [*best, *(candidates[row] for row in order[_N_ENCODED:])], values[rows]

    def _choose(self, new: list[Candidate], n: int, ledger: Ledger, pending: Sequence[Candidate]) -> list[Candidate]:
        """Choose n molecules by the acquisition."""
        if not new:
            return []
        together = [*pending, *new]
        z = np.array([one.own_z for one in together])
        prediction = self._surrogate.predict([one.smiles for one in together], z, with_covariance=True)
        rows = choose_batch(
            prediction,
            n,
            self._acquisition,
            self._rng,
            n_pending=len(pending),
            noise=self._surrogate.noise,
            scored=ledger.objectives,
        )
        mean, std = prediction.mean, prediction.std
        return [together[row]._replace(predicted=(float(mean[row]), float(std[row]))) for row in rows]

    def _encode(self, candidates: list[Candidate]) -> list[Candidate]:
        """Encode the candidates that are not encoded yet; those that cannot be encoded are dropped and counted."""
        raw = [one.smiles for one in candidates if not one.is_encoded]
        if not raw:
            return candidates
        encoding = self._codec.encode([Standardized(one) for one in raw])
        self.counts["n_infeasible"] += int(np.sum(~encoding.ok))
        z = {one: row for one, row, ok in zip(raw, encoding.z, encoding.ok, strict=True) if ok}
        return [
            one if one.is_encoded else one._replace(own_z=np.asarray(z[one.smiles], np.float32))
            for one in candidates
            if one.is_encoded or one.smiles in z
        ]


class _Known:
    """The molecules that are scored, being scored, or decoded in this round."""

    def __init__(self, ledger: Ledger, pending: Sequence[Candidate], stereoisomers: Stereoisomers) -> None:
        self._ledger, self._stereoisomers = ledger, stereoisomers
        self._merges = stereoisomers.are_repeats
        self._seen = {without_stereo(one.smiles) if self._merges else one.smiles for one in pending}

    def parents(self, proposals: Proposals) -> list[str | None]:
        """SMILES of the first parent of each proposal, if it has one."""
        smiles = {one.id: one.smiles for one in self._ledger.candidates}
        return [smiles.get(parent) for parent in proposals.parents[:, 0].tolist()]

    def add(self, smiles: str) -> bool:
        """Add a decoded molecule, and return whether it is new."""
        key = without_stereo(smiles) if self._merges else smiles
        if smiles in self._ledger or key in self._seen or (self._merges and self._stereoisomers.is_known(smiles)):
            return False
        self._seen.add(key)
        return True


def _growth(counts: Mapping[str, int]) -> float:
    """Factor of the number of proposals that keeps the number of feasible ones, at most 4."""
    n_feasible = counts["n_unique"] - counts["n_infeasible"]
    return min(_MAX_GROWTH, max(1.0, counts["n_unique"] / max(1, n_feasible)))


def _n_proposals(n: int, n_scored: int) -> int:
    """Number of proposals in a generation: n at first, decreasing to n / 3 as more molecules are scored."""
    return max(1, round(n * min(1.0, max(1 / 3, _N_AT_FULL / max(1, n_scored)))))


def _to_candidate(proposals: Proposals, row: int, decoded: "Decoded", round_number: int) -> Candidate:
    first, second = proposals.parents[row].tolist()
    return Candidate(
        decoded.smiles or "",
        decoded.raw_smiles,
        int(proposals.ids[row]),
        proposals.z[row],
        np.full_like(proposals.z[row], np.nan),
        (first, second),
        str(proposals.moves[row]),
        float(proposals.noise[row]),
        float(proposals.temperature[row]),
        round=round_number,
    )
