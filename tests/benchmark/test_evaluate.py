import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from molvae.benchmark import evaluate as evaluation_module
from molvae.benchmark.distribution import Reference, load_test_smiles
from molvae.benchmark.evaluate import Evaluation
from molvae.benchmark.tables import format_evaluation, format_file_metrics
from molvae.chem.metrics import internal_diversity
from molvae.errors import InputError
from molvae.workers import Mapper, Serial

evaluate = partial(evaluation_module.evaluate, mapper=Serial())


class Decoded(NamedTuple):
    raw_smiles: str
    smiles: str | None
    reason: str | None = None


class Encoding(NamedTuple):
    z: np.ndarray
    ok: np.ndarray
    reason: list[str | None]
    smiles: list[str | None]


class Memory:
    """A codec with known metrics: the latent vector of a molecule is its index in the list that was encoded last.

    It cannot encode sulfur. It decodes alcohols to another SMILES of the same molecule, and amines to methane.
    """

    name = "memory"

    def __init__(self, samples: Sequence[str | None], training: Sequence[str] | None = None) -> None:
        self.seen: list[str] = []
        self.encoded: list[list[str]] = []
        self.samples = samples
        self.training = training
        self.calls: list[tuple[int, int, int]] = []

    def encode(self, molecules: Sequence[str]) -> Encoding:
        self.seen = list(molecules)
        self.encoded.append(self.seen)
        ok = np.array(["S" not in smiles for smiles in molecules])
        z = np.where(ok, np.arange(len(molecules)), np.nan).astype(np.float32)[:, None]
        reason = [None if good else f"not in the vocabulary: S in {s}" for good, s in zip(ok, molecules, strict=True)]
        return Encoding(z, ok, reason, list(molecules))

    def decode(self, z: np.ndarray, *, beam_size: int = 1) -> list[Decoded]:
        if beam_size == 8:
            return [Decoded(self.seen[int(index)], self.seen[int(index)]) for index in z[:, 0]]
        smiles = [self.seen[int(index)] for index in z[:, 0]]
        return [
            Decoded("C", "C") if "N" in s else Decoded("O" + s[:-1], s) if s.endswith("O") else Decoded(s, s)
            for s in smiles
        ]

    def draw(self, n: int, seed: int = 0) -> np.ndarray:
        return np.arange(1, n + 1, dtype=np.float32)[:, None] * (-1) ** (np.arange(n) % 2)[:, None]

    def sample(self, n: int, seed: int = 0, tries: int = 3) -> list[Decoded]:
        self.calls.append((n, seed, tries))
        samples = list(self.samples[:n])
        if tries == 1:
            samples[0] = None
        return [Decoded(smiles or "C(", smiles, None if smiles else "invalid SMILES: C(") for smiles in samples]

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
    assert evaluation.canonical_of_8 == 5 / 6  # and the amine; one molecule is not encoded


def test_samples_have_the_metrics_of_moses(evaluation: Evaluation) -> None:
    samples = evaluation.samples
    assert evaluation.n_samples == samples.n == 8
    assert evaluation.valid_first == 6 / 8
    assert samples.valid == 7 / 8
    assert samples.invalid_reasons == {"invalid SMILES": 1}
    assert samples.unique_at_1k == samples.unique_at_10k == samples.unique == 6 / 7
    assert samples.novelty == 4 / 6
    assert samples.n_train == 3
    assert samples.internal_diversity == pytest.approx(internal_diversity([s for s in SAMPLES if s]))
    assert samples.filters == pytest.approx(3 / 7)
    assert samples.failed_filters == {"MCF": 3, "element not allowed": 1}
    assert list(samples.references) == ["reference"]
    assert samples.references["reference"].n == 6
    assert samples.references["reference"].origin == "the test molecules"
    assert samples.references["reference"].fcd is not None
    assert samples.references["reference"].fcd > 1
    assert samples.missing == {"scaffolds/reference": "one set has no scaffold of two rings"}


def test_latent_dimensions_that_vary_are_active(evaluation: Evaluation) -> None:
    assert (evaluation.active_units, evaluation.n_latent) == (1, 1)
    constant = evaluate(Memory(SAMPLES), n=8, test_smiles=["CCC"])
    assert constant.active_units is None
    assert "-" in format_evaluation(constant)


def test_samples_are_reconstructed() -> None:
    evaluation = evaluate(Memory(["CCC", "CCN", "CS", "CCCC", "CF"]), n=5, test_smiles=TEST)
    assert evaluation.n_recoded == 4  # all but the thiol
    assert evaluation.samples_reconstructed == 3 / 5  # the amine became methane
    assert evaluation.prior_cosine == pytest.approx((-1 - 1 + 1) / 3)  # latent vectors 0, 1, 3, 4 of draws 1, -2, -4, 5


def test_the_seed_determines_samples_and_test_molecules() -> None:
    codec = Memory(SAMPLES)
    evaluate(codec, n=3, test_smiles=TEST, seed=9)
    assert codec.calls == [(3, 9, 1), (3, 9, 3)]
    evaluate(codec, n=3, test_smiles=TEST, seed=9)
    assert codec.encoded[0] == codec.encoded[2]
    for seed in range(5):
        evaluate(codec, n=3, test_smiles=TEST, seed=seed)
    assert len(set(map(tuple, codec.encoded[::2]))) > 2


def test_without_a_training_set_the_novelty_is_unknown() -> None:
    evaluation = evaluate(Memory(SAMPLES), n=8, test_smiles=TEST)
    assert evaluation.samples.novelty is None
    assert "--train FILE" in format_evaluation(evaluation)
    given = evaluate(Memory(SAMPLES, ["CCF"]), n=8, test_smiles=TEST, train_smiles=iter(["CCC", "CC"]))
    assert given.samples.novelty == 5 / 6


def test_a_codec_without_valid_samples_can_be_evaluated() -> None:
    evaluation = evaluate(Memory([None] * 4, []), n=4, test_smiles=["CS", "CSC"])
    samples = evaluation.samples
    assert evaluation.exact == samples.valid == evaluation.n_recoded == 0
    assert evaluation.samples_reconstructed is evaluation.prior_cosine is samples.unique is samples.novelty is None
    assert samples.internal_diversity is samples.filters is None
    assert not samples.references
    assert set(samples.missing.values()) == {"no valid molecule"}
    assert "no valid molecule" in format_evaluation(evaluation)


def test_metrics_that_need_two_molecules_are_missing_for_one() -> None:
    evaluation = evaluate(Memory(["CCC", "CCC"], ["CC"]), n=2, test_smiles=["CCCC"])
    samples, comparison = evaluation.samples, evaluation.samples.references["reference"]
    assert samples.n_valid == 2
    assert samples.internal_diversity == 0  # the molecule twice
    assert comparison.fcd is None
    assert comparison.snn is not None
    text = format_evaluation(evaluation)
    assert "needs two reference molecules" in text
    alone = evaluate(Memory([None, "CCC"], ["CC"]), n=2, test_smiles=TEST).samples
    assert alone.n_valid == 1
    assert alone.missing["internal_diversity"] == "only one valid molecule"
    assert alone.missing["fcd/reference"] == "needs two valid molecules"


def test_the_metrics_are_json(evaluation: Evaluation) -> None:
    metrics = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert metrics == evaluation.to_dict()
    assert metrics["samples"]["valid"] == metrics["samples"]["moses"]["valid"] == 7 / 8
    assert metrics["samples"]["moses"]["SNN/reference"] == metrics["samples"]["references"]["reference"]["snn"]


def test_the_table_holds_every_metric(evaluation: Evaluation) -> None:
    text = format_evaluation(evaluation)
    for part in (
        "Codec memory", "6 test molecules", "33.33 %", "66.67 %", "not in the vocabulary (1)", "1 / 1",
        "8 samples", "seed 5", "75.00 %", "87.50 %", "85.71 %", "FCD of 7", "reconstructed", "prior cosine",
        "unique@1k", "unique@10k", "of all 7", "IntDiv2", "MCF (3), element not allowed (1)", "SNN", "Frag",
        "Scaf", "logP", "SA", "QED", "Da",
    ):  # fmt: skip
        assert part in text
    assert "MOSES training set" not in text  # its FCD is known for the MOSES test set only


def test_progress_is_called_with_each_step() -> None:
    steps: list[str] = []
    evaluate(Memory(SAMPLES), n=2, test_smiles=TEST, progress=steps.append)
    assert "2 test molecules" in steps[0]
    assert "drawing 2 samples" in steps
    assert "ChemNet" in steps[-1]


@pytest.mark.parametrize(("n", "test", "argument"), [(0, TEST, "n"), (1, [], "test_smiles")])
def test_empty_arguments_are_refused(n: int, test: list[str], argument: str) -> None:
    with pytest.raises(InputError, match=f"^{argument}: "):
        evaluate(Memory(SAMPLES), n=n, test_smiles=test)


def test_the_bundled_test_sets_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(name: str, mapper: Mapper | None) -> Reference:
        return Reference.of(load_test_smiles()[:9], name, f"a part of {name}", mapper=mapper)

    monkeypatch.setattr("molvae.benchmark.comparison.load_moses_reference", small)
    evaluation = evaluate(Memory(SAMPLES), n=8)
    assert evaluation.n_test == 8
    assert list(evaluation.samples.references) == ["Test", "TestSF"]
    text = format_evaluation(evaluation)
    assert "1,000 molecules of the MOSES training set have an FCD of 1.28" in text
    assert "TestSF: a part of TestSF" in text
    assert {"FCD/Test", "FCD/TestSF", "Scaf/TestSF"} <= evaluation.samples.moses().keys()


def test_a_missing_test_set_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("molvae.benchmark.distribution.bundled", lambda name: tmp_path / name)
    with pytest.raises(InputError, match=r"moses_test\.csv\.gz"):
        evaluate(Memory(SAMPLES), n=8)


def test_a_file_has_a_table(evaluation: Evaluation) -> None:
    lines = format_file_metrics("made.smi", evaluation.samples).splitlines()
    assert lines[:2] == ["File made.smi", "8 rows"]
    assert lines[2].split() == ["valid", "87.50", "%", "invalid", "SMILES", "(1)"]


def test_torch_is_imported_only_for_the_fcd() -> None:
    script = "import sys, molvae.benchmark.evaluate\nassert not {'torch', 'fcd_torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ, cwd=Path(__file__).parents[2])
