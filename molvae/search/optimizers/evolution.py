"""An evolutionary algorithm in latent space that breeds from scored and from predicted molecules."""

from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from scipy.special import ndtri

from molvae import settings as base
from molvae.search.optimizers.arms import Arms
from molvae.search.optimizers.moves import MOVES, Parents, sampling_noise
from molvae.search.optimizers.protocol import NO_PARENT, LatentSpace, Outcome, Proposals, Results, State, check_results
from molvae.search.optimizers.scale import LatentScale
from molvae.search.ranking import fitness
from molvae.seeds import generator

_NAMES = np.array(list(MOVES))
_PRIOR = list(MOVES).index("prior")
_N_STEPS = 5  # parts of the range of step sizes of each move
_NOISES = ((0.0, 0.0), (0.1, 0.25), (0.25, 0.6))
"""Ranges of the noise level of the decoder."""
_MAX_REMEMBERED = 500  # newest proposals whose arms are kept until their scores arrive


class EvolutionSettings(base.Settings):
    """Settings of `Evolution`.

    Parameters
    ----------
    population : int, default=200
        Number of best molecules kept as parents.
    n_predicted : int, default=40
        Number of molecules with the highest acquisition that are parents, too, until the next scores arrive.
    n_initial : int, default=30
        Number of molecules from the prior before the first generation, if there are no start molecules.
    selection_pressure : float, default=2.0
        First parents are drawn from the best fraction 10**-u of the population, u uniform in [0, selection_pressure].
    mate_pressure : float, default=1.0
        The same for the second and third parents.
    shares : dict of str to float, optional
        Shares of the moves, by the names of `molvae.search.optimizers.moves.MOVES`; default: `Move.share` of each. They
        need not sum to 1; a move that is not named is not used.
    noise_share : float, default=0.4
        Share of proposals decoded with noise and temperature, before adaptation; the proposals of the moves `noise` and
        `prior` always are.
    adaptation : float, default=0.7
        Part of the proposals whose moves, step sizes and noise levels adapt to their success, in [0, 1]; with 0, none
        of them adapts.
    success_share : float, default=0.05
        Share of the proposals of a generation that are successes: new molecules with the highest acquisition. Without
        predictions of a surrogate, a molecule is a success if it has a better score than its parent.
    success_decay : float, default=0.9
        Factor applied to the counts of proposals and successes in each generation.
    """

    population: int = Field(200, ge=1, le=100_000, description="number of best molecules kept as parents")
    n_predicted: int = Field(40, ge=0, le=100_000, description="molecules with the best acquisition that are parents")
    n_initial: int = Field(30, ge=0, description="molecules from the prior before breeding, if no start molecules")
    selection_pressure: float = Field(2.0, ge=0, le=6, description="first parents are from the best 10**-U(0, this)")
    mate_pressure: float = Field(1.0, ge=0, le=6, description="the same for the second and third parent")
    shares: dict[str, float] | None = Field(None, description="shares of the moves")
    noise_share: float = Field(0.4, ge=0, le=1, description="share of proposals decoded with noise and temperature")
    adaptation: float = Field(0.7, ge=0, le=1, description="part of the proposals that adapts to success; 0: none")
    success_share: float = Field(0.05, gt=0, le=1, description="share of a generation that counts as success")
    success_decay: float = Field(0.9, gt=0, le=1, description="factor applied to the counts of successes")

    @field_validator("shares")
    @classmethod
    def _are_shares(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        for name, share in (shares or {}).items():
            if name not in MOVES:
                raise PydanticCustomError(
                    "move", "unknown move {name}; known: {known}", {"name": repr(name), "known": ", ".join(MOVES)}
                )
            if not 0 <= share < np.inf:
                raise PydanticCustomError(
                    "share", "{name}: expected 0 or more, got {share}", {"name": name, "share": share}
                )
        if shares is not None and not any(shares.values()):
            raise PydanticCustomError("shares", "expected at least one share above 0")
        return shares


class _Parents(NamedTuple):
    """Molecules to breed from.

    Parameters
    ----------
    ids : ndarray of shape (n,)
        Id of each scored molecule; for a predicted molecule that of its scored ancestor.
    z : ndarray of shape (n, D)
        Latent vectors, float32.
    quality : ndarray of shape (n,)
        Normal quantile of the score among all scored molecules, or the acquisition, which is in the same unit.
    """

    ids: np.ndarray
    z: np.ndarray
    quality: np.ndarray

    @classmethod
    def empty(cls, n_latent: int) -> "_Parents":
        return cls(np.zeros(0, np.int64), np.zeros((0, n_latent), np.float32), np.zeros(0))

    def rows(self, rows: np.ndarray) -> "_Parents":
        return _Parents(self.ids[rows], self.z[rows], self.quality[rows])


class Evolution:
    """Evolutionary algorithm with eight moves, including decoding a parent with noise.

    Parents are drawn from the best fraction of the population. The fraction is log-uniform, so better molecules are
    drawn more often. Moves, step sizes and noise levels that give more of the new molecules with the highest
    acquisition are drawn more often. Repeats of known molecules (the step was too short), invalid SMILES and poor
    molecules (it was too long) are not successes. Until the next scores arrive, molecules with a high acquisition are
    parents, too.

    Parameters
    ----------
    space : LatentSpace
        Number of latent dimensions, and prior.
    seed : int
        Seed of the random numbers.
    settings : EvolutionSettings, optional
        Settings.
    """

    Settings: ClassVar[type[base.Settings]] = EvolutionSettings
    uses_surrogate: ClassVar[bool] = True

    def __init__(self, space: LatentSpace, seed: int, settings: EvolutionSettings | None = None) -> None:
        self._settings = settings or EvolutionSettings()
        self._rng = generator(seed, "search/evolution")
        self._scale = LatentScale(space, seed)
        self._arms = Arms(_arm_shares(self._settings), self._settings.adaptation, self._settings.success_decay)
        self._asked = np.zeros((0, 2), np.int64)  # id and arm of the newest proposals
        self._n_asked = 0
        self._n_told = 0
        self._is_breeding = False
        self._has_predictions = False
        self._scored = _Parents.empty(self._scale.n_latent)  # the population, best first
        self._values = np.zeros((0, 1))  # of the population
        self._rows = np.zeros(0, np.int64)  # of the population, among all scored molecules
        self._predicted = _Parents.empty(self._scale.n_latent)

    def ask(self, n: int) -> Proposals:
        """Propose latent vectors."""
        ids = np.arange(self._n_asked, self._n_asked + n)
        self._n_asked += n
        if self._is_breeding and len(self._scored.ids):
            arms = self._arms.draw(n, self._rng)
        else:
            arms = np.full(n, _PRIOR * _N_STEPS * len(_NOISES))
        self._asked = np.vstack([self._asked, np.column_stack([ids, arms])])[-max(n, _MAX_REMEMBERED) :]
        kind, part, level = self._arms.parts(arms)
        z = self._scale.draw(n, self._rng)
        noise = self._rng.uniform(*np.array(_NOISES)[level].T)
        temperature = np.where(noise > 0, self._rng.uniform(0.3, 0.9, n), 0.0)
        parents = np.full((n, 2), NO_PARENT)
        pool = self._parents()
        population = self._scale.standardize(pool.z)
        chosen = self._select_three(n, len(pool.ids)) if len(pool.ids) else np.zeros((3, n), np.int64)
        for number, move in enumerate(MOVES.values()):
            rows = np.flatnonzero(kind == number)
            if not len(rows):
                continue
            if move.make is None:
                noise[rows], temperature[rows] = sampling_noise(len(rows), 1.0, self._rng)
                continue
            step = _draw_steps(move.steps, part[rows], self._rng)
            first, second, third = (population[one[rows]] for one in chosen)
            drawn = Parents(first, second, third, population, pool.quality)
            z[rows] = move.make(drawn, step[:, None], self._rng)
            parents[rows, 0] = pool.ids[chosen[0, rows]]
            if move.has_mate:
                parents[rows, 1] = pool.ids[chosen[1, rows]]
            if move.is_noise:
                noise[rows], temperature[rows] = step, self._rng.uniform(0.3, 0.9, len(rows))
        return Proposals(
            ids,
            self._scale.to_latent(z),
            noise.astype(np.float32),
            temperature.astype(np.float32),
            parents,
            _NAMES[kind],
        )

    def tell(self, results: Results) -> None:
        """Keep the best molecules as parents, and adapt the moves."""
        results = check_results(results, self._scale.n_latent)
        is_scored = results.outcome == Outcome.SCORED
        if is_scored.any():
            self._learn_scores(results.rows(is_scored))
        if not is_scored.all():
            self._learn_predictions(results.rows(~is_scored))

    def state(self) -> State:
        """Return the state from which `restore` resumes exactly."""
        arrays = {"tries": self._arms.tries.copy(), "wins": self._arms.wins.copy(), "asked": self._asked.copy()}
        arrays |= {f"predicted_{name}": column.copy() for name, column in self._predicted._asdict().items()}
        arrays["rows"] = self._rows.copy()
        arrays["counts"] = np.array([self._n_asked, self._n_told, self._is_breeding, self._has_predictions], np.int64)
        return State(arrays, self._rng.bit_generator.state)

    def restore(self, state: State, scored: Results) -> None:
        """Resume from a state and all scored results before it."""
        self._arms.tries, self._arms.wins = state.arrays["tries"].copy(), state.arrays["wins"].copy()
        self._asked = state.arrays["asked"].copy()
        self._predicted = _Parents(*(state.arrays[f"predicted_{name}"].copy() for name in _Parents._fields))
        self._rows = state.arrays["rows"].copy()
        self._n_asked, self._n_told = (int(count) for count in state.arrays["counts"][:2])
        self._is_breeding, self._has_predictions = (bool(flag) for flag in state.arrays["counts"][2:])
        self._values = np.asarray(scored.values, float)[self._rows]
        ids, z = scored.proposals.ids[self._rows], np.asarray(scored.z, np.float32)[self._rows]
        self._scored = _Parents(ids, z, self._quantiles(len(ids)))
        self._rng.bit_generator.state = state.rng

    def _parents(self) -> "_Parents":
        """Scored and predicted parents, best first."""
        if not len(self._predicted.ids):
            return self._scored
        together = _Parents(*map(np.concatenate, zip(self._scored, self._predicted, strict=True)))
        return together.rows(np.argsort(-together.quality, kind="stable"))

    def _select_three(self, n: int, size: int) -> np.ndarray:
        """Ranks (3, n) of three parents for each of n proposals, all different if there are three."""
        s = self._settings
        first, second, third = (self._select(n, size, p) for p in (s.selection_pressure, *[s.mate_pressure] * 2))
        second = np.where(second == first, (second + 1) % size, second)
        for _ in range(2):
            third = np.where((third == first) | (third == second), (third + 1) % size, third)
        return np.stack([first, second, third])

    def _select(self, n: int, size: int, pressure: float) -> np.ndarray:
        """Ranks of n parents: uniform over the best 10**-u of the population."""
        quantile = 10.0 ** -self._rng.uniform(0, pressure, n)
        return (self._rng.random(n) * np.ceil(quantile * size)).astype(np.int64)

    def _learn_scores(self, results: Results) -> None:
        ids = np.append(self._scored.ids, results.proposals.ids)
        rows = np.append(self._rows, np.arange(self._n_told, self._n_told + len(results.z)))
        self._n_told += len(results.z)
        values = np.vstack([self._values.reshape(-1, results.values.shape[1]), results.values])
        order = fitness(values)
        if not self._has_predictions:
            self._learn_successes(results.proposals.ids, self._is_better_than_parent(results, ids, order))
        best = np.lexsort((-rows, -order))[: self._settings.population]  # newest first among ties, to allow drift
        z = np.vstack([self._scored.z, results.z])[best]
        self._scored = _Parents(ids[best], z, self._quantiles(len(best)))
        self._values, self._rows = values[best], rows[best]
        self._predicted = _Parents.empty(self._scale.n_latent)
        are_starts = (results.proposals.ids < 0).any()
        self._is_breeding = self._is_breeding or bool(are_starts) or self._n_told >= self._settings.n_initial

    def _quantiles(self, n: int) -> np.ndarray:
        """Normal quantiles of the best n of all scored molecules."""
        return np.asarray(ndtri(1 - (np.arange(n) + 0.5) / max(1, self._n_told)))

    def _is_better_than_parent(self, results: Results, ids: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Whether scored molecules are better than their first parents (n,)."""
        known = dict(zip(ids.tolist(), order.tolist(), strict=True))
        lowest = float(order.min())
        pairs = zip(results.proposals.ids.tolist(), results.proposals.parents[:, 0].tolist(), strict=True)
        return np.array([parent != NO_PARENT and known[id] > known.get(parent, lowest) for id, parent in pairs])

    def _learn_predictions(self, results: Results) -> None:
        """Count the successes of a generation, and keep the molecules with the highest acquisition as parents."""
        acquisition = np.where(np.isfinite(results.acquisition), results.acquisition, -np.inf)
        ids, is_new = results.proposals.ids, results.outcome == Outcome.PREDICTED
        if np.isfinite(acquisition).any():
            self._has_predictions = True
            n_best = max(1, round(self._settings.success_share * len(ids)))
            self._learn_successes(ids, is_new & (acquisition >= np.sort(acquisition)[-n_best]))
            self._keep_predicted(results.rows(is_new))
        else:  # the new molecules count when their scores arrive
            self._learn_successes(ids[~is_new], np.zeros(np.sum(~is_new), bool))

    def _learn_successes(self, ids: np.ndarray, is_success: np.ndarray) -> None:
        _, rows, asked = np.intersect1d(ids, self._asked[:, 0], assume_unique=True, return_indices=True)
        self._arms.learn(self._asked[asked, 1], is_success[rows])

    def _keep_predicted(self, results: Results) -> None:
        good = np.argsort(-results.acquisition, kind="stable")  # NaN last
        good = good[np.isfinite(results.acquisition[good])]
        first_parent = results.proposals.parents[good, 0]
        found = _Parents(first_parent, results.z[good], results.acquisition[good])
        both = _Parents(*map(np.concatenate, zip(self._predicted, found, strict=True)))
        best = np.argsort(-both.quality, kind="stable")[: self._settings.n_predicted]
        self._predicted = both.rows(best)


def _arm_shares(settings: EvolutionSettings) -> np.ndarray:
    """Shares of the moves, step sizes and noise levels before adaptation (n_moves, n_steps, n_noises); sum 1."""
    arms = np.zeros((len(MOVES), _N_STEPS, len(_NOISES)))
    noisy = settings.noise_share / (len(_NOISES) - 1)
    noises = [1 - settings.noise_share] + [noisy] * (len(_NOISES) - 1)
    for number, (name, move) in enumerate(MOVES.items()):
        share = move.share if settings.shares is None else settings.shares.get(name, 0.0)
        if move.make is None:
            arms[number, 0, 0] = share
        elif move.is_noise:
            arms[number, :, 0] = share / _N_STEPS
        else:
            arms[number] = share * np.array(noises) / _N_STEPS
    return arms / arms.sum()


def _draw_steps(limits: tuple[float, float], part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Log-uniform step sizes (n,) in the given parts of a range; the ends of every part have the same ratio."""
    low, high = np.log(limits)
    return np.exp(low + (part + rng.random(len(part))) / _N_STEPS * (high - low))
