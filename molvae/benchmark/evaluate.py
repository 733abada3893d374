"""The metrics of a codec: reconstruction of test molecules, and its samples compared with reference sets."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from molvae.benchmark.comparison import SetMetrics, load_references, measure
from molvae.benchmark.distribution import Progress, load_test_smiles, ranked, read_set
from molvae.errors import InputError
from molvae.seeds import generator
from molvae.tables import kind_of
from molvae.workers import Mapper

if TYPE_CHECKING:
    from molvae.codec import Codec, Decoded

TRIES = 3
BEAM_SIZE = 8
ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a codec; None if a metric cannot be computed. Shares are in [0, 1].

    Parameters
    ----------
    codec : str
        Name of the codec.
    seed : int
        Seed of the choice of test molecules and of the samples.
    n_test : int
        Number of test molecules.
    n_unreadable : int
        Number of test molecules that the codec cannot encode; they count as not reconstructed.
    unreadable_reasons : dict of str to int
        Kind of reason -> number of these molecules.
    exact, canonical : float or None
        Share of the test molecules that greedy decoding reconstructs: as the encoded SMILES (`exact`), or as any
        SMILES of the same molecule (`canonical`).
    canonical_of_8 : float or None
        `canonical` for beam search: of the BEAM_SIZE most probable SMILES, the one whose latent vector is nearest.
    active_units : int or None
        Number of latent dimensions whose variance over the test molecules exceeds ACTIVE_VARIANCE, 0.01 [1]_.
    n_latent : int
        Number of latent dimensions.
    n_samples : int
        Number of samples of the prior.
    tries : int
        Maximum number of decodings of a sample until it is valid.
    valid_first : float
        Share of samples that are valid at the first try; `samples.valid` is the share after all tries.
    samples_reconstructed : float or None
        Share of the valid samples that greedy decoding reconstructs from their own latent vectors.
    n_recoded : int
        Number of valid samples that the codec can encode.
    prior_cosine : float or None
        Mean cosine similarity between a prior draw and the encoding of the molecule that it decodes to.
    samples : SetMetrics
        Metrics of the samples.

    References
    ----------
    .. [1] Burda et al. 2016, arXiv:1509.00519.
    """

    codec: str
    seed: int
    n_test: int
    n_unreadable: int
    unreadable_reasons: dict[str, int]
    exact: float | None
    canonical: float | None
    canonical_of_8: float | None
    active_units: int | None
    n_latent: int
    n_samples: int
    tries: int
    valid_first: float
    samples_reconstructed: float | None
    n_recoded: int
    prior_cosine: float | None
    samples: SetMetrics

    def to_dict(self) -> dict[str, object]:
        """The same as plain values, for JSON.

        Returns
        -------
        dict
            All fields.
        """
        return asdict(self) | {"samples": self.samples.to_dict()}


def evaluate(
    codec: "Codec",
    *,
    n: int = 10_000,
    test_smiles: Sequence[str] | None = None,
    train_smiles: Iterable[str] | None = None,
    seed: int = 0,
    origin: str = "the test molecules",
    progress: Progress = lambda step: None,
    mapper: Mapper | None = None,
) -> Evaluation:
    """The metrics of a codec: reconstruction, and its samples compared with reference sets.

    Parameters
    ----------
    codec : Codec
        Codec to evaluate.
    n : int, default=10_000
        Number of samples, and largest number of test molecules.
    test_smiles : sequence of str, optional
        Canonical SMILES of the test molecules, which are also the reference set. By default the MOSES test set, with
        both MOSES test sets as references.
    train_smiles : iterable of str, optional
        Canonical SMILES of the training set, iterated once; by default those of the codec, if available.
    seed : int, default=0
        Seed of the choice of test molecules and of the samples.
    origin : str, default="the test molecules"
        Description of `test_smiles`, for the table.
    progress : callable, optional
        Called with a description of each step before it starts.
    mapper : Mapper, optional
        Applies functions to many molecules; by default in local processes.

    Returns
    -------
    Evaluation
        The metrics.

    Raises
    ------
    InputError
        `n` is below 1, there is no test molecule, or a bundled test set is missing.

    Examples
    --------
    >>> import molvae
    >>> evaluation = molvae.evaluate(molvae.load_codec("moses"), n=1000)  # doctest: +SKIP
    """
    if n < 1:
        raise InputError(f"n: expected at least 1 molecule, got {n}")
    test = load_test_smiles() if test_smiles is None else list(test_smiles)
    if not test:
        raise InputError("test_smiles: expected at least one molecule, got none")
    rows = np.sort(generator(seed, "evaluate test").permutation(len(test))[:n])
    progress(f"reconstructing {len(rows):,} test molecules")
    test_metrics = _reconstruct(codec, [test[row] for row in rows])
    progress(f"drawing {n:,} samples")
    first = codec.sample(n, seed=seed, tries=1)
    samples = codec.sample(n, seed=seed, tries=TRIES)
    progress("reconstructing the samples")
    recoded = _recode(codec, codec.draw(n, seed=seed), samples)
    progress(f"computing properties and fragments of {n:,} samples")
    molecules = read_set(((one.smiles, None if one.smiles else one.reason) for one in samples), mapper=mapper)
    train = codec.training_smiles() if train_smiles is None else train_smiles
    references = load_references(test_smiles, origin, progress, mapper)
    return Evaluation(
        codec=codec.name,
        seed=seed,
        n_samples=n,
        tries=TRIES,
        valid_first=sum(sample.smiles is not None for sample in first) / n,
        samples=measure(molecules, references, train, progress),
        **test_metrics._asdict(),
        **recoded._asdict(),
    )


class _Reconstruction(NamedTuple):
    n_test: int
    n_unreadable: int
    unreadable_reasons: dict[str, int]
    exact: float
    canonical: float
    canonical_of_8: float
    active_units: int | None
    n_latent: int


class _Recoded(NamedTuple):
    samples_reconstructed: float | None
    n_recoded: int
    prior_cosine: float | None


def _reconstruct(codec: "Codec", smiles: Sequence[str]) -> _Reconstruction:
    """Encode and decode test molecules."""
    encoding = codec.encode(smiles)
    encoded = np.flatnonzero(encoding.ok).tolist()
    z = encoding.z[encoded]
    expected = [encoding.smiles[row] for row in encoded]
    greedy = codec.decode(z) if encoded else []
    beam = codec.decode(z, beam_size=BEAM_SIZE) if encoded else []
    return _Reconstruction(
        n_test=len(smiles),
        n_unreadable=len(smiles) - len(encoded),
        unreadable_reasons=ranked(Counter(kind_of(reason) for reason in encoding.reason if reason)),
        exact=sum(one.raw_smiles == given for given, one in zip(expected, greedy, strict=True)) / len(smiles),
        canonical=sum(one.smiles == given for given, one in zip(expected, greedy, strict=True)) / len(smiles),
        canonical_of_8=sum(one.smiles == given for given, one in zip(expected, beam, strict=True)) / len(smiles),
        active_units=int((z.var(axis=0) > ACTIVE_VARIANCE).sum()) if len(encoded) > 1 else None,
        n_latent=encoding.z.shape[1],
    )


def _recode(codec: "Codec", draws: np.ndarray, samples: "Sequence[Decoded]") -> _Recoded:
    """Encode and decode the samples of prior draws (n, D)."""
    valid = [row for row, sample in enumerate(samples) if sample.smiles is not None]
    smiles = [samples[row].smiles or "" for row in valid]
    if not valid:
        return _Recoded(None, 0, None)
    encoding = codec.encode(smiles)
    encoded = np.flatnonzero(encoding.ok).tolist()
    z, drawn = encoding.z[encoded].astype(np.float64), draws[valid][encoded].astype(np.float64)
    decoded = codec.decode(encoding.z[encoded]) if encoded else []
    n_reconstructed = sum(one.smiles == smiles[row] for row, one in zip(encoded, decoded, strict=True))
    lengths = np.linalg.norm(z, axis=1) * np.linalg.norm(drawn, axis=1)
    cosines = (z * drawn).sum(axis=1)[lengths > 0] / lengths[lengths > 0]
    return _Recoded(
        samples_reconstructed=n_reconstructed / len(valid),
        n_recoded=len(encoded),
        prior_cosine=float(cosines.mean()) if len(cosines) else None,
    )
