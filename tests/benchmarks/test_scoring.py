"""The benchmark of the objective, part pareto: hypervolumes, NSGA-II, and runs that are not repeated."""

import csv
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from molvae.codec import ToyCodec

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, which imports the modules next to it."""
    monkeypatch.syspath_prepend(SCRIPTS)
    for name in ("scoring", "scoring_pareto"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import scoring  # type: ignore[import-not-found]

    return scoring  # type: ignore[no-any-return]


@pytest.fixture
def pareto(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The part of several goals, with the toy codec in place of a trained one."""

    class Codec(ToyCodec):
        name = "toy"

    part: ModuleType = sys.modules["scoring_pareto"]
    monkeypatch.setattr(part, "load_codec", lambda name: Codec())
    return part


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0.0),
        ([[0.5, 0.4]], 0.2),
        ([[0.5, 0.4], [0.5, 0.4], [0.2, 0.3]], 0.2),
        ([[0.2, 1.0], [1.0, 0.2], [0.5, 0.5]], 0.2 * 1 + 0.3 * 0.5 + 0.5 * 0.2),
        ([[0.5, 0.4], [np.nan, 1.0], [-1.0, 9.0]], 0.2),
    ],
)
def test_the_hypervolume_is_the_dominated_area(pareto: ModuleType, values: list[list[float]], expected: float) -> None:
    assert pareto.hypervolume(np.array(values).reshape(-1, 2)) == pytest.approx(expected)


@pytest.mark.skipif(not find_spec("pymoo"), reason="needs pymoo")
def test_the_hypervolume_is_that_of_pymoo(pareto: ModuleType) -> None:
    from pymoo.indicators.hv import HV

    for seed in range(20):
        values = np.random.default_rng(seed).random((1 + 3 * seed, 2)).round(2)
        assert pareto.hypervolume(values) == pytest.approx(HV(ref_point=np.zeros(2))(-values))


def test_runs_are_written_and_not_repeated(
    script: ModuleType, pareto: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "pareto.csv"
    options = ["pareto", "--pairs", "osimertinib_qed", "--seeds", "0", "1", "--calls", "40", "--out", str(path)]
    assert script.main([*options, "--methods", "prior"]) == 0
    assert script.main([*options, "--methods", "prior", "geometric_mean"]) == 0
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["seed"], row["calls"]) for row in rows] == [
        ("prior", "0", "40"), ("prior", "1", "40"), ("geometric_mean", "0", "40"), ("geometric_mean", "1", "40"),
    ]  # fmt: skip
    assert all(0 < float(row["hypervolume"]) < 1 for row in rows)
    last = capsys.readouterr().out.splitlines()
    mean = np.mean([float(row["hypervolume"]) for row in rows[:2]])
    assert last[-1].startswith(f"| prior |  | {mean:.3f} ± ")


@pytest.mark.skipif(not find_spec("pymoo"), reason="needs pymoo")
def test_nsga2_scores_each_molecule_once(pareto: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[str] = []
    make = pareto._objective

    def recorded(pair: str, combine: str) -> object:
        objective = make(pair, combine)
        return lambda smiles: (scored.extend(smiles), objective(smiles))[1]

    monkeypatch.setattr(pareto, "_objective", recorded)
    values, n_decoded = pareto.search_nsga2(ToyCodec(), "osimertinib_qed", 20, 0, 70)
    assert len(scored) == len(set(scored)) == len(values) == 70
    assert n_decoded >= 70
    again, _ = pareto.search_nsga2(ToyCodec(), "osimertinib_qed", 20, 0, 70)
    np.testing.assert_array_equal(values, again)


def test_nsga2_without_pymoo_is_one_sentence(
    script: ModuleType,
    pareto: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pareto, "find_spec", lambda name: None)
    assert script.main(["pareto", "--methods", "nsga2_20", "--out", str(tmp_path / "a.csv")]) == 2
    assert "pip install pymoo" in capsys.readouterr().err
    assert not (tmp_path / "a.csv").exists()
