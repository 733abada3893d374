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
from molvae.benchmark.evaluate import Evaluation, format_evaluation, format_file_figures
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
    """A codec whose point is a molecule's place in a list, so that every figure is known beforehand.

    It cannot read sulfur, returns alcohols written another way, and amines as methane.
    """

    name = "memory"

    def __init__(self, samples: Sequence[str | None], training: Sequence[str] | None = None) -> None:
        self.seen: list[str] = []
        self.asked: list[list[str]] = []
        self.samples = samples
        self.training = training
        self.calls: list[tuple[int, int, int]] = []

    def encode(self, molecules: Sequence[str]) -> Encoding:
        self.seen = list(molecules)
        self.asked.append(self.seen)
        ok = np.array(["S" not in smiles for smiles in molecules])
        z = np.where(ok, np.arange(len(molecules)), np.nan).astype(np.float32)[:, None]
        reason = [None if fine else f"not in the vocabulary: S in {s}" for fine, s in zip(ok, molecules, strict=True)]
        return Encoding(z, ok, reason, list(molecules))

    def decode(self, z: np.ndarray, *, beam_size: int = 1) -> list[Decoded]:
        if beam_size == 8:
            return [Decoded(self.seen[int(place)], self.seen[int(place)]) for place in z[:, 0]]
        smiles = [self.seen[int(place)] for place in z[:, 0]]
        return [
            Decoded("C", "C") if "N" in s else Decoded("O" + s[:-1], s) if s.endswith("O") else Decoded(s, s)
            for s in smiles
        ]

    def draw(self, n: int, seed: int = 0) -> np.ndarray:
        return np.arange(1, n + 1, dtype=np.float32)[:, None] * (-1) ** (np.arange(n) % 2)[:, None]

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
    assert evaluation.canonical_of_8 == 5 / 6  # and the amine; one has no code


def test_samples_are_counted_as_moses_does(evaluation: Evaluation) -> None:
    samples = evaluation.samples
    assert evaluation.n_samples == samples.n == 8
    assert evaluation.valid_first == 6 / 8
    assert samples.valid == 7 / 8
    assert samples.invalid_reasons == {"not a SMILES": 1}
    assert samples.unique_at_1k == samples.unique_at_10k == samples.unique == 6 / 7
    assert samples.novelty == 4 / 6
    assert samples.n_train == 3
    assert samples.internal_diversity == pytest.approx(internal_diversity([s for s in SAMPLES if s]))
    assert samples.filters == pytest.approx(3 / 7)
    assert samples.objections == {"MCF": 3, "an element that is not allowed": 1}
    assert list(samples.references) == ["reference"]
    assert samples.references["reference"].n == 6
    assert samples.references["reference"].origin == "the test molecules"
    assert samples.references["reference"].fcd is not None
    assert samples.references["reference"].fcd > 1
    assert samples.missing == {"scaffolds/reference": "no scaffold of two rings on one side"}


def test_units_count_as_active_where_codes_vary(evaluation: Evaluation) -> None:
    assert (evaluation.active_units, evaluation.n_latent) == (1, 1)
    still = evaluate(Memory(SAMPLES), n=8, test_smiles=["CCC"])
    assert still.active_units is None
    assert "-" in format_evaluation(still)


def test_samples_are_encoded_and_decoded_back() -> None:
    evaluation = evaluate(Memory(["CCC", "CCN", "CS", "CCCC", "CF"]), n=5, test_smiles=TEST)
    assert evaluation.n_recoded == 4  # all but the thiol
    assert evaluation.samples_reconstructed == 3 / 5  # the amine became methane
    assert evaluation.prior_cosine == pytest.approx((-1 - 1 + 1) / 3)  # codes 0, 1, 3, 4 for points 1, -2, -4, 5


def test_the_seed_reaches_the_codec_and_the_draw_of_test_molecules() -> None:
    codec = Memory(SAMPLES)
    evaluate(codec, n=3, test_smiles=TEST, seed=9)
    assert codec.calls == [(3, 9, 1), (3, 9, 3)]
    evaluate(codec, n=3, test_smiles=TEST, seed=9)
    assert codec.asked[0] == codec.asked[2]
    for seed in range(5):
        evaluate(codec, n=3, test_smiles=TEST, seed=seed)
    assert len(set(map(tuple, codec.asked[::2]))) > 2


def test_without_a_training_set_novelty_is_not_known() -> None:
    evaluation = evaluate(Memory(SAMPLES), n=8, test_smiles=TEST)
    assert evaluation.samples.novelty is None
    assert "training set not known (--train FILE)" in format_evaluation(evaluation)
    given = evaluate(Memory(SAMPLES, ["CCF"]), n=8, test_smiles=TEST, train_smiles=iter(["CCC", "CC"]))
    assert given.samples.novelty == 5 / 6


def test_a_codec_that_makes_nothing_has_figures_all_the_same() -> None:
    evaluation = evaluate(Memory([None] * 4, []), n=4, test_smiles=["CS", "CSC"])
    samples = evaluation.samples
    assert evaluation.exact == samples.valid == evaluation.n_recoded == 0
    assert evaluation.samples_reconstructed is evaluation.prior_cosine is samples.unique is samples.novelty is None
    assert samples.internal_diversity is samples.filters is None
    assert not samples.references
    assert set(samples.missing.values()) == {"no valid molecule"}
    assert "no valid molecule" in format_evaluation(evaluation)


def test_one_molecule_has_the_figures_that_one_can_have() -> None:
    evaluation = evaluate(Memory(["CCC", "CCC"], ["CC"]), n=2, test_smiles=["CCCC"])
    samples, beside = evaluation.samples, evaluation.samples.references["reference"]
    assert samples.n_valid == 2
    assert samples.internal_diversity == 0  # the molecule twice
    assert beside.fcd is None
    assert beside.snn is not None
    text = format_evaluation(evaluation)
    assert "needs two reference molecules" in text
    alone = evaluate(Memory([None, "CCC"], ["CC"]), n=2, test_smiles=TEST).samples
    assert alone.n_valid == 1
    assert alone.missing["internal_diversity"] == "one valid molecule only"
    assert alone.missing["fcd/reference"] == "needs two valid molecules"


def test_the_figures_go_through_json(evaluation: Evaluation) -> None:
    figures = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert figures == evaluation.to_dict()
    assert figures["samples"]["valid"] == figures["samples"]["moses"]["valid"] == 7 / 8
    assert figures["samples"]["moses"]["SNN/reference"] == figures["samples"]["references"]["reference"]["snn"]


def test_the_table_names_every_figure(evaluation: Evaluation) -> None:
    text = format_evaluation(evaluation)
    for part in (
        "Codec memory", "Codes of 6 test molecules", "33.33 %", "66.67 %", "not in the vocabulary (1)", "1 / 1",
        "8 samples of the prior, seed 5", "75.00 %", "87.50 %", "85.71 %", "FCD at 7", "compare at equal numbers only",
        "decoded back", "own point", "unique@1k", "unique@10k", "of the 7 valid, as there are no more", "IntDiv2",
        "refused for: MCF (3), an element that is not allowed (1)", "SNN", "Frag", "Scaf", "logP", "SA", "QED", "Da",
    ):  # fmt: skip
        assert part in text
    assert "of the MOSES training set have" not in text  # which says nothing of another reference


def test_progress_is_told_in_words() -> None:
    told: list[str] = []
    evaluate(Memory(SAMPLES), n=2, test_smiles=TEST, progress=told.append)
    assert told[0] == "encoding and decoding 2 test molecules"
    assert "drawing 2 samples" in told
    assert told[-1] == "measuring the Fréchet ChemNet distance of 2 molecules"


@pytest.mark.parametrize(("n", "test", "message"), [(0, TEST, "at least 1 molecule"), (1, [], "at least one molecule")])
def test_nothing_to_measure_is_said(n: int, test: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(Memory(SAMPLES), n=n, test_smiles=test)


def test_by_default_the_bundled_test_sets_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(name: str, mapper: Mapper | None) -> Reference:
        return Reference.of(load_test_smiles()[:9], name, f"a part of {name}", lambda step: None, mapper)

    monkeypatch.setattr("molvae.benchmark.comparison.load_moses_reference", small)
    evaluation = evaluate(Memory(SAMPLES), n=8)
    assert evaluation.n_test == 8
    assert list(evaluation.samples.references) == ["Test", "TestSF"]
    text = format_evaluation(evaluation)
    assert "1,000 of the MOSES training set have 1.28 to Test" in text
    assert "TestSF: a part of TestSF" in text
    assert {"FCD/Test", "FCD/TestSF", "Scaf/TestSF"} <= evaluation.samples.moses().keys()


def test_a_missing_test_set_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("molvae.benchmark.distribution.bundled", lambda name: tmp_path / name)
    with pytest.raises(InputError, match="this bundled set is not there"):
        evaluate(Memory(SAMPLES), n=8)


def test_a_file_has_a_table_of_its_own(evaluation: Evaluation) -> None:
    lines = format_file_figures("made.smi", evaluation.samples).splitlines()
    assert lines[:2] == ["File made.smi", "8 rows"]
    assert lines[2].split() == ["valid", "87.50", "%", "not", "a", "SMILES", "(1)"]


def test_torch_waits_until_a_distance_is_measured() -> None:
    script = "import sys, molvae.benchmark.evaluate\nassert not {'torch', 'fcd_torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ, cwd=Path(__file__).parents[2])
