"""How good a codec is: what comes back from codes, and what samples of its prior are like, measured as MOSES does."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from molvae.benchmark.comparison import (
    SetFigures,
    TableRow,
    format_figures,
    lay_out,
    list_kinds,
    load_references,
    measure,
    percent,
    plain,
)
from molvae.benchmark.distribution import kind_of, load_test_smiles, ranked, read_set
from molvae.errors import InputError
from molvae.seeds import generator
from molvae.workers import Mapper

TRIES = 3
BEAM_SIZE = 8
ACTIVE_VARIANCE = 0.01


class _Decoded(Protocol):
    @property
    def raw_smiles(self) -> str: ...
    @property
    def smiles(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...


class _Encoding(Protocol):
    @property
    def z(self) -> np.ndarray: ...
    @property
    def ok(self) -> np.ndarray: ...
    @property
    def reason(self) -> Sequence[str | None]: ...
    @property
    def smiles(self) -> Sequence[str | None]: ...


class EvaluatedCodec(Protocol):
    """What is asked of a codec here; molvae.codec.Codec has it."""

    @property
    def name(self) -> str:
        """Its name, for the table."""
        ...

    def encode(self, molecules: Sequence[str]) -> _Encoding:
        """As Codec.encode."""
        ...

    def decode(self, z: np.ndarray, *, beam_size: int = 1) -> Sequence[_Decoded]:
        """As Codec.decode, greedy."""
        ...

    def draw(self, n: int, *, seed: int = 0) -> np.ndarray:
        """As Codec.draw: the points that `sample` decodes."""
        ...

    def sample(self, n: int, *, seed: int = 0, tries: int = 3) -> Sequence[_Decoded]:
        """As Codec.sample."""
        ...

    def training_smiles(self) -> Collection[str] | None:
        """As Codec.training_smiles."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """The figures of one codec; shares lie in [0, 1], and None stands where a figure cannot be had.

    n_test: molecules encoded and decoded, greedy from their codes; n_unreadable of them have no code.
    exact, canonical: share of all n_test whose decoded text, or its canonical SMILES, is that of the molecule.
    canonical_of_8: as canonical, of the molecule nearest to the code among BEAM_SIZE decodes.
    active_units: of the n_latent dimensions those in which the codes vary by more than ACTIVE_VARIANCE (Burda et al.
        2016, arXiv 1509.00519).
    n_samples: drawn from the prior. valid_first: share that are molecules at the first decode.
    samples: the figures of what was drawn, decoded within `tries`; `samples.valid` is the validity within them.
    samples_reconstructed: share of the valid samples that are decoded to themselves (greedy) from their latent vectors;
        n_recoded of them have one. prior_cosine: mean cosine of a sample's prior vector, before noise, and its own.
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
    samples: SetFigures

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self) | {"samples": self.samples.to_dict()}


def evaluate(
    codec: EvaluatedCodec,
    n: int = 10_000,
    test_smiles: Sequence[str] | None = None,
    train_smiles: Iterable[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    origin: str = "the test molecules",
    mapper: Mapper | None = None,
) -> Evaluation:
    """The figures of a codec from n test molecules, drawn at random where there are more, and n samples of its prior.

    test_smiles: canonical; None takes the bundled MOSES test set, and both MOSES test sets as references. Others are
        the one reference themselves. origin: what they are, in words.
    train_smiles: canonical, gone through once; None takes those that the codec knows, if any.
    progress: is told each step in words before it begins.
    mapper: applies functions to many molecules; None takes LocalProcesses().

    Raises:
        InputError: n is below 1, there is no test molecule, or the bundled test set is not there.
    """
    if n < 1:
        raise InputError(f"n: expected at least 1 molecule, got {n}")
    tell = progress or (lambda step: None)
    test = load_test_smiles() if test_smiles is None else list(test_smiles)
    if not test:
        raise InputError("test_smiles: expected at least one molecule, got none")
    rows = np.sort(generator(seed, "evaluate test").permutation(len(test))[:n])
    tell(f"encoding and decoding {len(rows):,} test molecules")
    figures = _reconstruct(codec, [test[row] for row in rows])
    tell(f"drawing {n:,} samples")
    first = codec.sample(n, seed=seed, tries=1)
    samples = codec.sample(n, seed=seed, tries=TRIES)
    tell("encoding and decoding the samples")
    figures |= _recode(codec, codec.draw(n, seed=seed), samples)
    tell(f"describing {n:,} samples")
    texts = ((sample.smiles, None if sample.smiles else sample.reason) for sample in samples)
    molecules = read_set(texts, mapper=mapper)
    train = codec.training_smiles() if train_smiles is None else train_smiles
    return Evaluation(
        codec=codec.name,
        seed=seed,
        n_samples=n,
        tries=TRIES,
        valid_first=sum(sample.smiles is not None for sample in first) / n,
        samples=measure(molecules, load_references(test_smiles, origin, tell, mapper), train, tell),
        **figures,
    )


def format_evaluation(evaluation: Evaluation) -> str:
    """The figures as a table for the terminal."""
    e = evaluation
    active = "-" if e.active_units is None else f"{e.active_units} / {e.n_latent}"
    why = (
        "needs two codes"
        if e.active_units is None
        else f"dimensions whose code varies by more than {ACTIVE_VARIANCE:g}"
    )
    rows = [
        TableRow(f"Codes of {e.n_test:,} test molecules"),
        TableRow("  decoded exactly", [percent(e.exact)], "text as encoded, greedy from the code"),
        TableRow("  the same molecule", [percent(e.canonical)], "canonical SMILES as encoded"),
        TableRow(
            f"  nearest of {BEAM_SIZE}", [percent(e.canonical_of_8)], "the same, of each code's most probable texts"
        ),
        TableRow("  without a code", [f"{e.n_unreadable:,}"], list_kinds(e.unreadable_reasons)),
        TableRow("  active units", [active], why),
        TableRow(f"{e.n_samples:,} samples of the prior, seed {e.seed}"),
        TableRow("  valid at the first try", [percent(e.valid_first)]),
        TableRow(f"  valid within {e.tries} tries", [percent(e.samples.valid)], list_kinds(e.samples.invalid_reasons)),
        TableRow("  decoded back", [percent(e.samples_reconstructed)], "of the valid, greedy from their own codes"),
        TableRow("  own point", [plain(e.prior_cosine)], "mean cosine of a sample's prior point and its code"),
        *format_figures(e.samples),
    ]
    return lay_out(f"Codec {e.codec}", rows)


def format_file_figures(name: str, figures: SetFigures) -> str:
    """The figures of a file of SMILES as a table for the terminal."""
    f = figures
    rows = [
        TableRow(f"{f.n:,} rows"),
        TableRow("  valid", [percent(f.valid)], list_kinds(f.invalid_reasons)),
        *format_figures(f),
    ]
    return lay_out(f"File {name}", rows)


def _reconstruct(codec: EvaluatedCodec, smiles: Sequence[str]) -> dict[str, Any]:
    encoding = codec.encode(smiles)
    readable = np.flatnonzero(encoding.ok).tolist()
    decoded = codec.decode(encoding.z[readable]) if len(readable) else []
    nearest = codec.decode(encoding.z[readable], beam_size=BEAM_SIZE) if len(readable) else []
    pairs = [(encoding.smiles[row], back) for row, back in zip(readable, decoded, strict=True)]
    variance = encoding.z[readable].var(axis=0) if len(readable) > 1 else None
    return {
        "n_test": len(smiles),
        "n_unreadable": len(smiles) - len(readable),
        "unreadable_reasons": ranked(Counter(kind_of(reason) for reason in encoding.reason if reason)),
        "exact": sum(back.raw_smiles == given for given, back in pairs) / len(smiles),
        "canonical": sum(back.smiles == given for given, back in pairs) / len(smiles),
        "canonical_of_8": sum(back.smiles == encoding.smiles[row] for row, back in zip(readable, nearest, strict=True))
        / len(smiles),
        "active_units": None if variance is None else int((variance > ACTIVE_VARIANCE).sum()),
        "n_latent": encoding.z.shape[1],
    }


def _recode(codec: EvaluatedCodec, points: np.ndarray, samples: Sequence[_Decoded]) -> dict[str, Any]:
    """Whether samples are decoded back to themselves, and how near their codes are to the points they came from."""
    valid = [row for row, sample in enumerate(samples) if sample.smiles is not None]
    smiles = [samples[row].smiles or "" for row in valid]
    if not valid:
        return {"samples_reconstructed": None, "n_recoded": 0, "prior_cosine": None}
    encoding = codec.encode(smiles)
    readable = np.flatnonzero(encoding.ok).tolist()
    codes, own = encoding.z[readable].astype(np.float64), points[valid][readable].astype(np.float64)
    back = codec.decode(encoding.z[readable]) if readable else []
    n_back = sum(one.smiles == smiles[row] for row, one in zip(readable, back, strict=True))
    lengths = np.linalg.norm(codes, axis=1) * np.linalg.norm(own, axis=1)
    cosines = (codes * own).sum(axis=1)[lengths > 0] / lengths[lengths > 0]
    return {
        "samples_reconstructed": n_back / len(valid),
        "n_recoded": len(readable),
        "prior_cosine": float(cosines.mean()) if len(cosines) else None,
    }
