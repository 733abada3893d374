import dataclasses
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from molvae.bundled import bundled
from molvae.chem.metrics import internal_diversity
from molvae.chem.molecules import canonicalize
from molvae.errors import InputError
from molvae.validation.evaluate import (
    TEST_STATISTICS_FILE,
    Evaluation,
    FcdStatistics,
    evaluate,
    fcd,
    format_evaluation,
    load_test_smiles,
)


class Decoded(NamedTuple):
    text: str
    smiles: str | None
    reason: str | None = None


class Encoding(NamedTuple):
    z: np.ndarray
    ok: np.ndarray
    reason: list[str | None]
    smiles: list[str | None]


class Memory:
    """A codec whose point is a molecule's place in a list, so that every figure is known beforehand.

    It cannot read sulfur, returns alcohols written another way, and amines as methane.
    """

    name = "memory"

    def __init__(self, samples: Sequence[str | None], training: Sequence[str] | None = None) -> None:
        self.seen: list[str] = []
        self.samples = samples
        self.training = training
        self.calls: list[tuple[int, int, int]] = []

    def encode(self, molecules: Sequence[str]) -> Encoding:
        self.seen = list(molecules)
        ok = np.array(["S" not in smiles for smiles in molecules])
        z = np.where(ok, np.arange(len(molecules)), np.nan).astype(np.float32)[:, None]
        reason = [None if fine else f"not in the vocabulary: S in {s}" for fine, s in zip(ok, molecules, strict=True)]
        return Encoding(z, ok, reason, list(molecules))

    def decode(self, z: np.ndarray) -> list[Decoded]:
        smiles = [self.seen[int(place)] for place in z[:, 0]]
        return [
            Decoded("C", "C") if "N" in s else Decoded("O" + s[:-1], s) if s.endswith("O") else Decoded(s, s)
            for s in smiles
        ]

    def sample(self, n: int, seed: int = 0, tries: int = 3) -> list[Decoded]:
        self.calls.append((n, seed, tries))
        texts = list(self.samples[:n])
        if tries == 1:
            texts[0] = None
        return [Decoded(text or "C(", text, None if text else "not a SMILES: C(") for text in texts]

    def training_smiles(self) -> Sequence[str] | None:
        return self.training


TEST = ["CCC", "CCCC", "CCO", "CCCO", "CCN", "CS"]
SAMPLES = ["CCC", "CCC", "CCCl", "c1ccccc1", "CCBr", "CCI", None, "CCF"]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(Memory(SAMPLES, ["CCF", "CCI", "CC"]), n=8, test_smiles=TEST, seed=5)


def test_reconstruction_counts_all_test_molecules(evaluation: Evaluation) -> None:
    assert evaluation.n_test == 6
    assert evaluation.n_unreadable == 1
    assert evaluation.unreadable_reasons == {"not in the vocabulary": 1}
    assert evaluation.exact == 2 / 6  # the alkanes
    assert evaluation.canonical == 4 / 6  # and the alcohols


def test_samples_are_counted_as_moses_does(evaluation: Evaluation) -> None:
    assert evaluation.n_samples == 8
    assert evaluation.valid_first == 6 / 8
    assert evaluation.valid == 7 / 8
    assert evaluation.invalid_reasons == {"not a SMILES": 1}
    assert evaluation.unique == 6 / 7
    assert evaluation.novel == 4 / 6
    assert evaluation.internal_diversity == internal_diversity([s for s in SAMPLES if s])
    assert evaluation.fcd_molecules == 7
    assert evaluation.fcd_reference == "the test molecules (6)"
    assert evaluation.fcd is not None
    assert evaluation.fcd > 1


def test_the_seed_reaches_the_codec_and_the_draw_of_test_molecules() -> None:
    codec = Memory(SAMPLES)
    evaluate(codec, n=3, test_smiles=TEST, seed=9)
    assert codec.calls == [(3, 9, 1), (3, 9, 3)]
    first = codec.seen
    evaluate(codec, n=3, test_smiles=TEST, seed=9)
    assert codec.seen == first
    others = {tuple(first)}
    for seed in range(5):
        evaluate(codec, n=3, test_smiles=TEST, seed=seed)
        others.add(tuple(codec.seen))
    assert len(others) > 2


def test_without_a_training_set_novelty_is_not_known() -> None:
    evaluation = evaluate(Memory(SAMPLES), n=8, test_smiles=TEST)
    assert evaluation.novel is None
    assert "training set not known" in format_evaluation(evaluation)
    assert evaluate(Memory(SAMPLES, ["CCF"]), n=8, test_smiles=TEST, train_smiles=["CCC"]).novel == 5 / 6


def test_a_codec_that_makes_nothing_has_figures_all_the_same() -> None:
    evaluation = evaluate(Memory([None] * 4, []), n=4, test_smiles=["CS", "CSC"])
    assert evaluation.exact == 0
    assert evaluation.valid == 0
    assert evaluation.unique is evaluation.novel is evaluation.internal_diversity is evaluation.fcd is None
    assert "-" in format_evaluation(evaluation)


def test_the_figures_go_through_json(evaluation: Evaluation) -> None:
    figures = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert figures == dataclasses.asdict(evaluation)


def test_the_table_names_every_figure(evaluation: Evaluation) -> None:
    text = format_evaluation(evaluation)
    for part in (
        "Codec memory", "Codes of 6 test molecules", "33.33 %", "66.67 %", "not in the vocabulary (1)",
        "8 samples of the prior, seed 5", "75.00 %", "87.50 %", "85.71 %", "FCD at 7", "compare at equal numbers only",
    ):  # fmt: skip
        assert part in text


def test_progress_is_told_in_words() -> None:
    told: list[str] = []
    evaluate(Memory(SAMPLES), n=2, test_smiles=TEST, progress=told.append)
    assert told[0] == "encoding and decoding 2 test molecules"
    assert len(told) == 4


@pytest.mark.parametrize(("n", "test", "message"), [(0, TEST, "at least 1 molecule"), (1, [], "at least one molecule")])
def test_nothing_to_measure_is_said(n: int, test: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(Memory(SAMPLES), n=n, test_smiles=test)


def test_by_default_the_bundled_test_set_is_taken() -> None:
    evaluation = evaluate(Memory(SAMPLES), n=8)
    assert evaluation.n_test == 8
    assert evaluation.fcd_reference == "the MOSES test set (176,074)"
    assert "(at 1,000, real molecules have" in format_evaluation(evaluation)


def test_a_missing_test_set_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("molvae.validation.evaluate.bundled", lambda name: tmp_path / name)
    with pytest.raises(InputError, match="the bundled test set is not there"):
        evaluate(Memory(SAMPLES), n=8)


def test_fcd_is_that_of_fcd_torch() -> None:
    from fcd_torch import FCD

    test = load_test_smiles()
    ours, theirs = (
        [canonicalize(s).smiles or "" for s in test[:60]],
        [canonicalize(s).smiles or "" for s in test[60:130]],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = FCD(n_jobs=1)(theirs, ours)
    assert fcd(ours, FcdStatistics.of(theirs)) == pytest.approx(expected, rel=1e-3)
    assert fcd(ours, FcdStatistics.of(ours)) == pytest.approx(0, abs=1e-5)


def test_the_bundled_statistics_are_those_of_the_bundled_test_set() -> None:
    bundle = FcdStatistics.load(bundled(TEST_STATISTICS_FILE))
    test = load_test_smiles()
    assert bundle.n == len(test) == 176_074
    sample = FcdStatistics.of([canonicalize(s).smiles or "" for s in test[::1500]])
    error = np.sqrt(np.diag(bundle.covariance) / sample.n)
    used = error > 1e-6
    assert used.sum() > 300
    assert (np.abs(sample.mean - bundle.mean)[used] < 6 * error[used]).all()
    assert np.allclose(bundle.covariance, bundle.covariance.T)


@pytest.mark.slow
def test_fcd_of_training_molecules_is_that_published() -> None:
    """About .25 at 5,000: what every model is compared with."""
    train = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].sample(5_000, random_state=0)
    smiles = [canonicalize(s).smiles or "" for s in train]
    assert fcd(smiles, FcdStatistics.load(bundled(TEST_STATISTICS_FILE))) == pytest.approx(0.255, abs=0.02)


def test_statistics_are_written_and_read_back(tmp_path: Path) -> None:
    statistics = FcdStatistics.of(["CCO", "CCN", "c1ccccc1", "CCCC"])
    statistics.save(tmp_path / "a.npz")
    statistics.save(tmp_path / "b.npz")
    back = FcdStatistics.load(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert back.n == 4
    np.testing.assert_array_equal(back.mean, statistics.mean)
    np.testing.assert_allclose(back.covariance, statistics.covariance, rtol=1e-6, atol=1e-12)


def test_wrong_statistics_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        FcdStatistics.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="expected FCD statistics, got something else"):
        FcdStatistics.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", mean=np.zeros(3))
    with pytest.raises(InputError, match="expected FCD statistics, got something else"):
        FcdStatistics.load(tmp_path / "b.npz")
    with pytest.raises(InputError, match="at least two molecules"):
        FcdStatistics.of(["C"])


def test_torch_waits_until_a_distance_is_measured() -> None:
    script = "import sys, molvae.validation.evaluate\nassert not {'torch', 'fcd_torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ, cwd=Path(__file__).parents[2])
