"""How good a codec is: what comes back from codes, and what samples of its prior are like, measured as MOSES does."""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import pandas as pd

from molvae.bundled import bundled
from molvae.chem import metrics
from molvae.errors import InputError
from molvae.files import replacing
from molvae.seeds import generator

if TYPE_CHECKING:
    import torch

TEST_FILE, TEST_STATISTICS_FILE = "moses_test.csv.gz", "moses_test_fcd.npz"
FCD_MOLECULES = 5_000
TRIES = 3

FCD_FLOORS = {1_000: 1.28, 2_000: 0.63, 5_000: 0.26, 10_000: 0.14, 30_000: 0.05}
"""Number of molecules drawn from the MOSES training set -> their FCD to the test set, as measured."""

_MOSES_TEST = "the MOSES test set"
_BATCH = 256
_LENGTH, _N_SYMBOLS = 350, 35  # of ChemNet's input


class _Decoded(Protocol):
    @property
    def text(self) -> str: ...
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

    def decode(self, z: np.ndarray) -> Sequence[_Decoded]:
        """As Codec.decode, greedy."""
        ...

    def sample(self, n: int, seed: int = 0, tries: int = 3) -> Sequence[_Decoded]:
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
    n_samples: drawn from the prior. valid_first, valid: share that are molecules at the first decode, within `tries`.
    unique: share of the valid that differ. novel: share of the unique that are not in the training set.
    internal_diversity: 1 - the mean Tanimoto similarity of pairs of the valid (MOSES's IntDiv1).
    fcd: Fréchet ChemNet distance of the first fcd_molecules valid samples to fcd_reference; it falls as their number
        grows (FCD_FLOORS).
    """

    codec: str
    seed: int
    n_test: int
    n_unreadable: int
    unreadable_reasons: dict[str, int]
    exact: float | None
    canonical: float | None
    n_samples: int
    tries: int
    valid_first: float | None
    valid: float | None
    invalid_reasons: dict[str, int]
    unique: float | None
    novel: float | None
    internal_diversity: float | None
    fcd: float | None
    fcd_molecules: int
    fcd_reference: str

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self)


def evaluate(
    codec: EvaluatedCodec,
    n: int = 10_000,
    test_smiles: Sequence[str] | None = None,
    train_smiles: Collection[str] | None = None,
    seed: int = 0,
    fcd_molecules: int = FCD_MOLECULES,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """The figures of a codec from n test molecules, drawn at random where there are more, and n samples of its prior.

    test_smiles: canonical; None takes the bundled MOSES test set, and for the FCD the statistics of all of it. Others
        are the FCD's reference themselves. train_smiles: canonical; None takes those that the codec knows, if any.
    progress: is told each step in words before it begins.

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
    valid = [sample.smiles for sample in samples if sample.smiles is not None]
    train = codec.training_smiles() if train_smiles is None else train_smiles
    unique = sorted(set(valid))
    tell(f"comparing {len(valid):,} samples with one another and with the training set")
    figures |= {
        "valid_first": _share(sum(sample.smiles is not None for sample in first), n),
        "valid": _share(len(valid), n),
        "invalid_reasons": _count_kinds(sample.reason for sample in samples if sample.smiles is None),
        "unique": _share(len(unique), len(valid)),
        "novel": None if train is None else _share(len(unique) - len(set(unique).intersection(train)), len(unique)),
        "internal_diversity": metrics.internal_diversity(valid) if len(valid) > 1 else None,
    }
    fcd_molecules = min(fcd_molecules, len(valid))
    tell(f"measuring the Fréchet ChemNet distance of {fcd_molecules:,} samples")
    reference = FcdStatistics.load(bundled(TEST_STATISTICS_FILE)) if test_smiles is None else FcdStatistics.of(test)
    return Evaluation(
        codec=codec.name,
        seed=seed,
        n_samples=n,
        tries=TRIES,
        fcd=fcd(valid[:fcd_molecules], reference),
        fcd_molecules=fcd_molecules,
        fcd_reference=f"{_MOSES_TEST if test_smiles is None else 'the test molecules'} ({reference.n:,})",
        **figures,
    )


def format_evaluation(evaluation: Evaluation) -> str:
    """The figures as a table for the terminal."""
    e = evaluation
    rows = [
        (f"Codes of {e.n_test:,} test molecules", "", ""),
        ("  decoded exactly", _percent(e.exact), "text as encoded, greedy from the code"),
        ("  the same molecule", _percent(e.canonical), "canonical SMILES as encoded"),
        ("  without a code", f"{e.n_unreadable:,}", _list_kinds(e.unreadable_reasons)),
        (f"{e.n_samples:,} samples of the prior, seed {e.seed}", "", ""),
        ("  valid at the first try", _percent(e.valid_first), ""),
        (f"  valid within {e.tries} tries", _percent(e.valid), _list_kinds(e.invalid_reasons)),
        ("  unique", _percent(e.unique), "of the valid"),
        ("  novel", _percent(e.novel), "of the unique; training set not known" if e.novel is None else "of the unique"),
        ("  internal diversity", _plain(e.internal_diversity), "1 - mean Tanimoto similarity of pairs"),
        (f"  FCD at {e.fcd_molecules:,}", _plain(e.fcd), f"to {e.fcd_reference}; compare at equal numbers only"),
    ]
    if e.fcd_molecules and e.fcd_reference.startswith(_MOSES_TEST):
        near = min(FCD_FLOORS, key=lambda number: abs(math.log(number / e.fcd_molecules)))
        rows.append(
            (f"  (at {near:,}, real molecules have", f"{FCD_FLOORS[near]:.2f})", "those of the MOSES training set")
        )
    width = max(len(label) for label, *_ in rows)
    lines = [f"{label:<{width}}  {value:>8}  {note}".rstrip() for label, value, note in rows]
    return "\n".join([f"Codec {e.codec}", *lines])


@dataclass(frozen=True)
class FcdStatistics:
    """What the FCD knows of a set of molecules: mean (512,) and covariance (512, 512) of ChemNet's answers, float64."""

    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def of(cls, smiles: Sequence[str]) -> Self:
        """The statistics of canonical SMILES, as RDKit of today writes them; about 3 ms of one core for each.

        Raises:
            InputError: fewer than two molecules.
        """
        if len(smiles) < 2:
            raise InputError(f"FCD: expected at least two molecules, got {len(smiles)}")
        total, squares = np.zeros(512), np.zeros((512, 512))
        for block in _answers(smiles):
            total += block.sum(axis=0)
            squares += block.T @ block
        mean = total / len(smiles)
        return cls(mean, (squares - len(smiles) * np.outer(mean, mean)) / (len(smiles) - 1), len(smiles))

    def save(self, path: Path) -> None:
        """Write the statistics: the covariance's upper triangle, in float32; the same statistics, the same bytes."""
        upper = self.covariance[np.triu_indices(512)].astype(np.float32)
        with replacing(path) as part:
            np.savez_compressed(part, mean=self.mean, covariance=upper, n=np.int64(self.n))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The statistics that `save` wrote.

        Raises:
            InputError: there is no such file, or it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                covariance = np.zeros((512, 512))
                covariance[np.triu_indices(512)] = content["covariance"]
                covariance += np.triu(covariance, 1).T
                return cls(content["mean"], covariance, int(content["n"]))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; FcdStatistics.of(smiles).save(path) makes it") from None
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: expected FCD statistics, got something else ({error})") from None


def fcd(smiles: Sequence[str], reference: FcdStatistics) -> float | None:
    """The Fréchet ChemNet distance of canonical SMILES to a reference, 0 or more, lower is better; None below two.

    Source: Preuer et al. 2018, doi:10.1021/acs.jcim.8b00234; ChemNet's weights come with fcd_torch. The trace of the
    root is taken from the eigenvalues of a symmetric product, which needs no complex numbers.
    """
    if len(smiles) < 2:
        return None
    ours = FcdStatistics.of(smiles)
    values, vectors = np.linalg.eigh(reference.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ ours.covariance @ root).clip(min=0)).sum()
    gap = np.square(ours.mean - reference.mean).sum()
    return float(gap + np.trace(ours.covariance) + np.trace(reference.covariance) - 2 * cross)


def load_test_smiles() -> list[str]:
    """The bundled MOSES test set, as SMILES.

    Raises:
        InputError: it is not there.
    """
    path = bundled(TEST_FILE)
    if not path.is_file():
        raise InputError(f"{path}: the bundled test set is not there; give test molecules, or install molvae again")
    return pd.read_csv(path)["SMILES"].tolist()


def _reconstruct(codec: EvaluatedCodec, smiles: Sequence[str]) -> dict[str, Any]:
    encoding = codec.encode(smiles)
    readable = np.flatnonzero(encoding.ok).tolist()
    decoded = codec.decode(encoding.z[readable]) if len(readable) else []
    pairs = [(encoding.smiles[row], back) for row, back in zip(readable, decoded, strict=True)]
    return {
        "n_test": len(smiles),
        "n_unreadable": len(smiles) - len(readable),
        "unreadable_reasons": _count_kinds(encoding.reason),
        "exact": _share(sum(back.text == given for given, back in pairs), len(smiles)),
        "canonical": _share(sum(back.smiles == given for given, back in pairs), len(smiles)),
    }


def _answers(smiles: Sequence[str]) -> Iterator[np.ndarray]:
    """ChemNet's answers to batches of molecules, (up to _BATCH, 512) float64."""
    import torch
    from fcd_torch.utils import get_one_hot

    model = _chemnet()
    for start in range(0, len(smiles), _BATCH):
        batch = np.stack([get_one_hot(text, _LENGTH) for text in smiles[start : start + _BATCH]])
        x = torch.from_numpy(batch / _N_SYMBOLS).float().transpose(1, 2)  # (B, 35, 350)
        with torch.inference_mode():
            yield model(x).double().numpy()  # (B, 512)


@cache
def _chemnet() -> "torch.nn.Module":
    from fcd_torch import FCD

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: torch.nn.Module = FCD(n_jobs=1).model
    return model


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _count_kinds(reasons: Iterable[str | None]) -> dict[str, int]:
    """How often each kind of reason (what stands before its first colon) was given, the most frequent first."""
    counts = Counter(reason.split(":")[0] for reason in reasons if reason)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _list_kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} ({count:,})" for kind, count in counts.items())


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
