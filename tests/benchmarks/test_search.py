"""The benchmark of the search: areas, tables, runs that resume, and lead optimization."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from molvae.codec import ToyCodec

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
TOLUENE = "Cc1ccccc1"
LEAD = "CCNC(=O)c1ccc(F)cc1"  # of the toy codec


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; it imports the modules next to it."""
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.delitem(sys.modules, "search", raising=False)
    import search  # type: ignore[import-not-found]

    return search  # type: ignore[no-any-return]


@pytest.fixture
def tables(search: ModuleType) -> ModuleType:
    """The module of the tables."""
    return sys.modules["search_tables"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A file of SMILES."""
    path = tmp_path / "library.smi"
    path.write_text("".join(f"{'C' * n}O name{n}\n" for n in range(1, 200)) + "C( broken\n")
    return path


def make_run(search: ModuleType, **changes: Any) -> Any:
    run = search.Run("evolution", "evolution", "qed", 0, "prior", 60, "toy", {"proposals": 20})
    return run._replace(**changes)


def write_run(folder: Path, **changes: Any) -> None:
    """A finished run of 1,000 calls with a constant score."""
    run: dict[str, Any] = {
        "method": "evolution",
        "label": "evolution",
        "task": "qed",
        "seed": 0,
        "start": "prior",
        "budget": 1000,
        "codec": {"name": "druglike", "sha256": "0" * 64},
        "machine": {"cpu": "fast", "precision": "float32"},
        "code": "abc",
        "cpu_s": {"500": 10.0, "1000": 50.0},
        "wall_s": {"500": 10.0, "1000": 50.0},
        "best": {n: [["CCO", 0.5], ["CCC=O", 0.4]] for n in ("500", "1000")},
        "score": 0.5,
    }
    run |= changes
    run["scores"] = [run.pop("score")] * 1000
    folder.mkdir(exist_ok=True)
    (folder / f"{run['label']}-{run['task']}-{run['seed']}.json").write_text(json.dumps(run))


# Areas


def test_area_is_a_sum_of_trapezoids(tables: ModuleType) -> None:
    # levels: 0 at no call, 1 at 100 calls, 1 at 200
    assert tables.area([1.0] * 200, 200) == pytest.approx((100 * 0.5 + 100 * 1.0) / 200)
    # the ten best of 0, 1, ..., 199: 94.5 after 100 calls, 194.5 after 200
    assert tables.area(list(range(200)), 200) == pytest.approx((100 * 94.5 / 2 + 100 * (94.5 + 194.5) / 2) / 200)


def test_area_of_fewer_calls_ignores_the_later_ones(tables: ModuleType) -> None:
    scores = [0.1] * 100 + [0.9] * 100
    assert tables.area(scores, 100) == pytest.approx(0.05)


def test_the_last_level_counts_after_an_early_end(tables: ModuleType) -> None:
    # 150 calls: levels 1 at 100 and 150, then flat to 300; three scores: their mean
    assert tables.area([1.0] * 150, 300) == pytest.approx((50 + 50 + 150) / 300)
    assert tables.area([0.0, 0.3, 0.6], 6) == pytest.approx((3 * 0.3 / 2 + 3 * 0.3) / 6)


def test_the_groups_hold_every_task_once(search: ModuleType, tables: ModuleType) -> None:
    assert sorted(tables.TUNING + tables.UNTOUCHED) == sorted(search.tasks())
    assert len(tables.TUNING) == 6


# Tables


def test_tables_of_a_half_full_benchmark(
    search: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, score in enumerate((0.4, 0.6)):
        write_run(tmp_path / "runs", seed=seed, score=score)
        write_run(tmp_path / "runs", seed=seed, score=score, task="median2")
    write_run(tmp_path / "runs", label="mol_ga", method="mol_ga", codec=None, score=0.25)
    assert search.main(["table", str(tmp_path / "runs"), "--calls", "1000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "**Not complete: 5 of 102 runs.**" in lines
    # constant scores: area 0.95 times the score; one of the two best is clean
    assert "| evolution | all | 0.95 ± 0.27 (2 of 20 tasks) | 2.00 (1 of 20 tasks) | 50 % | 50 | 4 of 60 |" in lines
    assert "| evolution | tuning | 0.47 ± 0.13 (1 of 6 tasks) |  | 50 % | 50 | 2 of 18 |" in lines
    assert "| mol_ga | untouched | 0.24 (1 of 14 tasks) | 1.00 (1 of 14 tasks) | 50 % | 50 | 1 of 42 |" in lines
    assert "| qed | 0.475 ± 0.134 (2 of 3) | 0.237 (1 of 3) |" in lines
    assert lines.index("| *tuning* |  |  |") < lines.index("| *untouched* |  |  |")


def test_a_complete_table_has_no_note(tables: ModuleType) -> None:
    row = {f"{name}_500": "0.5" for name in ("auc", "clean", "cpu")} | {"start": "prior", "budget": "500"}
    row |= {"method": "evolution", "label": "evolution"}
    rows = [row | {"task": task, "seed": str(seed)} for task in tables.TUNING for seed in range(3)]
    text = tables.search_tables(rows, 500, "prior")
    assert "complete" not in text
    assert "| evolution | tuning | 3.00 ± 0.00 |  | 50 % | 1 | 18 of 18 |" in text
    assert tables.ablation_table(rows, 500, "prior") == tables.search_tables(rows, 1000, "prior")  # no run


def test_rows_with_a_label_are_ablations(tables: ModuleType) -> None:
    row = {f"{name}_500": "0.5" for name in ("auc", "clean", "cpu")} | {"start": "prior", "budget": "500"}
    row |= {"method": "evolution", "label": "evolution", "task": "median2", "seed": "0"}
    rows = [row, row | {"label": "no_surrogate", "auc_500": "0.4"}]
    assert "no_surrogate" not in tables.search_tables(rows, 500, "prior")
    text = tables.ablation_table(rows, 500, "prior")
    assert "**Not complete: 2 of 36 runs.**" in text
    assert "| no_surrogate | tuning | 0.40 (1 of 6 tasks) | 0.80 (1 of 6 tasks) | 50 % | 1 | 1 of 18 |" in text


def test_csv_rows_replace_older_ones(search: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", score=0.4)
    write_run(tmp_path / "runs", seed=10)
    runs = [json.loads(path.read_text()) for path in (tmp_path / "runs").iterdir()]
    path = tmp_path / "new" / "search.csv"
    tables.add_rows(path, [tables.to_row(run, search.clean_shares(run)) for run in runs])
    write_run(tmp_path / "runs", score=0.6)
    run = json.loads((tmp_path / "runs" / "evolution-qed-0.json").read_text())
    rows = tables.add_rows(path, [tables.to_row(run, search.clean_shares(run))])
    assert [(row["seed"], row["auc_1000"], row["auc_3000"]) for row in tables.read_rows(path)] == [
        ("0", "0.5700", ""),
        ("10", "0.4750", ""),
    ]
    assert len(rows) == 2


# Runs


def test_a_run_is_written_once(search: ModuleType, tmp_path: Path) -> None:
    run = make_run(search)
    assert not search.is_finished(run, tmp_path)
    assert "60 calls" in search.execute(run, tmp_path, float("inf"), ToyCodec())
    assert search.is_finished(run, tmp_path)
    record = json.loads((tmp_path / f"{run.name}.json").read_text())
    assert len(record["scores"]) == 60
    assert len(record["best"]["60"]) == 60
    assert record["best"]["60"][0][1] == max(record["scores"])
    assert record["codec"] == {"name": "toy", "sha256": ToyCodec().sha256}
    assert record["machine"]["precision"] in ("bfloat16", "float32")
    assert record["stop_reason"] == "budget"
    assert not any((tmp_path / "unfinished").iterdir())
    with pytest.raises(search.BenchmarkError, match="other settings"):
        search.is_finished(run._replace(settings={}), tmp_path)


def test_a_run_resumes_within_its_search(search: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, legs = tmp_path / "whole", tmp_path / "legs"
    whole.mkdir()
    legs.mkdir()
    run = make_run(search)
    search.execute(run, whole, float("inf"), ToyCodec())
    times = iter([0.0, *range(100)])  # one round of 10 calls a second
    monkeypatch.setattr(search.time, "time", lambda: float(next(times)))
    assert search.execute(run, legs, 2.5, ToyCodec()) is None
    assert not search.is_finished(run, legs)
    clock = next((legs / "unfinished").iterdir()) / "clock.json"
    spent = json.loads(clock.read_text())["now"][0]
    assert spent > 0
    assert search.execute(run, legs, 1000.0, ToyCodec())
    first, second = (json.loads((folder / f"{run.name}.json").read_text()) for folder in (whole, legs))
    assert first["scores"] == second["scores"]
    assert second["cpu_s"]["60"] > spent


def test_no_run_starts_after_the_deadline(search: ModuleType, tmp_path: Path) -> None:
    assert search.execute(make_run(search), tmp_path, 0.0) is None
    assert not list(tmp_path.iterdir())


def test_start_molecules_depend_on_the_seed_alone(search: ModuleType, library: Path) -> None:
    first = search.draw_start(library, 0)
    assert first == search.draw_start(library, 0)
    assert first != search.draw_start(library, 1)
    assert len(set(first)) == 100


def test_plan_expands_groups_of_tasks(search: ModuleType) -> None:
    given = ["run", "--out", "runs", "--tasks", "tuning", "qed", "--methods", "evolution", "prior", "--seeds", "0", "1"]
    runs = search.plan(search.read_arguments(given))
    assert len(runs) == 7 * 2 * 2
    assert len({run.name for run in runs}) == len(runs)
    assert [run.seed for run in runs] == [0] * 14 + [1] * 14


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["--tasks", "qde"], "unknown: qde"),
        (["--start", "missing.smi"], "missing.smi"),
        (["--methods", "evolution", "prior", "--label", "both"], "one method"),
        (["--settings", "pyproject.toml"], "needs --label"),
    ],
)
def test_bad_options_are_reported(
    search: ModuleType, given: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(SCRIPTS.parent / one) if one.endswith(".toml") else one for one in given]
    assert search.main(["run", "--out", "runs", *given]) == 2
    assert problem in capsys.readouterr().err


def test_mol_ga_is_optional(search: ModuleType, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    with pytest.raises(search.BenchmarkError, match="pip install mol_ga"):
        search.check_methods(["mol_ga"], str(library))
    monkeypatch.setattr(search, "find_spec", lambda name: object())
    with pytest.raises(search.BenchmarkError, match="--start"):
        search.check_methods(["mol_ga"], "prior")
    search.check_methods(["mol_ga"], str(library))


def test_mol_ga_counts_distinct_molecules(
    search: ModuleType, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def default_ga(*, starting_population_smiles: list[str], scoring_function: Any, **settings: Any) -> None:
        assert (settings["population_size"], settings["offspring_size"]) == (500, 5)
        scoring_function(starting_population_smiles)
        scoring_function(["OCC", "CCO", "C("])
        for n in range(1000):
            scoring_function([f"N{'C' * n}"])

    package = ModuleType("mol_ga")
    package.default_ga = default_ga  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mol_ga", package)
    run = make_run(search, method="mol_ga", label="mol_ga", start=str(library), budget=150)
    assert "150 calls" in search.execute(run, tmp_path, float("inf"))
    record = json.loads((tmp_path / "mol_ga-qed-library-150-0.json").read_text())
    assert len(record["scores"]) == 150
    assert record["codec"] is None
    assert record["machine"]["precision"] == ""


# Lead optimization


def make_lead(search: ModuleType, **changes: Any) -> Any:
    run = search.LeadRun("evolution", "evolution", "library", 7, LEAD, 800, 0, 60, "toy", {"proposals": 20})
    return run._replace(**changes)


def test_a_lead_stops_at_the_first_success(search: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    run = make_lead(search)
    line = search.execute_lead(run, tmp_path, float("inf"), ToyCodec(), search.Goal(qed=0.85, similarity=0.2))
    assert "success" in line
    record = json.loads((tmp_path / f"{run.name}.json").read_text())
    assert record["success"]
    assert 1 < record["calls"] <= 60
    row = tables.to_lead_row(record)
    assert (row["success"], row["lead"], row["library"]) == ("1", "7", "library")
    assert "smiles" not in row


def test_a_failed_lead_is_counted(search: ModuleType, tables: ModuleType, tmp_path: Path) -> None:
    impossible = make_lead(search)
    search.execute_lead(impossible, tmp_path, float("inf"), ToyCodec(), search.Goal(qed=1.1, similarity=0.01))
    unread = make_lead(search, lead=8, smiles="[Fe]")
    search.execute_lead(unread, tmp_path, float("inf"), ToyCodec())
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    assert [(one["success"], one["calls"]) for one in records] == [(False, 60), (False, 0)]
    assert [bool(one["reason"]) for one in records] == [True, True]
    rows = [tables.to_lead_row(one) for one in records] + [tables.to_lead_row(records[0] | {"success": True})]
    text = tables.lead_table(rows)
    assert "**Not complete: 3 of 800 leads.**" in text
    assert "| evolution | 33.3 % |" in text
    assert text.splitlines()[-1].endswith("| 60 | 0 | 3 of 800 |")


def test_the_score_of_a_lead_is_1_for_a_success(search: ModuleType) -> None:
    target = search._FINGERPRINTS.GetFingerprint(search.Chem.MolFromSmiles(TOLUENE))
    is_success, score = search.measure(TOLUENE, target, search.Goal(qed=0.3))
    assert (is_success, score) == (True, 1.0)
    is_success, score = search.measure(TOLUENE, target, search.Goal(qed=0.9))
    assert not is_success
    assert score == pytest.approx((search.QED.qed(search.Chem.MolFromSmiles(TOLUENE)) / 0.9 + 1) / 2)


def test_leads_have_a_qed_of_a_fixed_range(search: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "library.smi"
    path.write_text("CCO\nCC(=O)Nc1ccc(O)cc1\nCCN(CC)CC(=O)Nc1c(C)cccc1C\nCc1ccc(C(=O)NC2CC2)cc1\n")
    leads = search.draw_leads(path)
    assert leads
    assert all(0.7 <= search.QED.qed(search.Chem.MolFromSmiles(lead)) <= 0.8 for lead in leads)
