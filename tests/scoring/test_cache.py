"""Values on disk: exact, shared by processes, and never wrong, whatever happens to the files."""

import json
import logging
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError, MolvaeError
from molvae.scoring.cache import Result, ScoreCache
from molvae.scoring.evaluation import Evaluation
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.scoring.scorer import Values
from molvae.scoring.term import CostlyTerm

ROOT = Path(__file__).parents[2]
SHAPE = {"shape": "higher", "low": 0, "high": 10}
RESULTS = {
    "C": Result(0.1 + 0.2, None),
    "CC": Result(-0.0, None, {"pose": 1e-320, "std": math.nan}),
    "CCC": Result(math.nan, "no pose:\t\n\u2028 \u00e9"),
    "C/C=C/C": Result(1.7976931348623157e308, None),
}


def cache(tmp_path: Path, **scorer: Any) -> ScoreCache:
    return ScoreCache(tmp_path / "scores", scorer)


def as_text(results: dict[str, Result]) -> str:
    """Every float with all its digits; NaN equals NaN."""
    return repr({one: (result.value, result.reason, dict(result.extra)) for one, result in sorted(results.items())})


def files(store: ScoreCache) -> list[Path]:
    return sorted(store.path.glob("*.tsv"))


def test_results_are_restored_exactly(tmp_path: Path) -> None:
    cache(tmp_path).add(RESULTS)
    found = cache(tmp_path).find([*RESULTS, "N"])
    assert as_text(found) == as_text(RESULTS)
    assert math.copysign(1, found["CC"].value) == -1


def test_each_scorer_has_its_own_results(tmp_path: Path) -> None:
    cache(tmp_path, name="a").add(RESULTS)
    assert not cache(tmp_path, name="b").find(["C"])
    described = [json.loads(path.read_text()) for path in tmp_path.glob("scores/*/scorer.json")]
    assert sorted(one["name"] for one in described) == ["a", "b"]


def test_a_stored_result_stays(tmp_path: Path) -> None:
    store, other = cache(tmp_path), cache(tmp_path)
    store.add({"C": Result(1.0, None)})
    other.find([])
    other.add({"C": Result(2.0, None)})
    assert not [path for path in files(other) if "2.0" in path.read_text()]
    assert cache(tmp_path).find(["C"])["C"].value == 1.0


def test_the_results_of_another_process_are_found_while_it_runs(tmp_path: Path) -> None:
    one, two = cache(tmp_path), cache(tmp_path)
    for n in range(1, 4):
        one.add({"C" * n: Result(float(n), None)})
        two.add({"N" * n: Result(float(n), None)})
        assert two.find(["C" * n])["C" * n].value == n
        assert one.find(["N" * n])["N" * n].value == n


def test_a_file_that_ends_anywhere_gives_no_wrong_value(tmp_path: Path) -> None:
    """As after kill -9 or a full disk; the remaining results are found, and new ones can be added."""
    store = cache(tmp_path)
    store.add(RESULTS)
    (path,) = files(store)
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for n in range(len(content) + 1):
        path.write_bytes(content[:n])
        found = cache(tmp_path).find(list(RESULTS))
        assert as_text(found) == as_text({one: RESULTS[one] for one in found})
        assert len(found) == sum(end <= n for end in ends)
    path.write_bytes(content[:-3])
    after = cache(tmp_path)
    after.find([])
    after.add(RESULTS)
    assert as_text(cache(tmp_path).find(list(RESULTS))) == as_text(RESULTS)


def test_a_damaged_file_is_named_and_gives_no_wrong_value(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = cache(tmp_path)
    store.add(RESULTS)
    (path,) = files(store)
    content = path.read_bytes()
    for n in range(0, len(content), 3):
        path.write_bytes(content[:n] + bytes([content[n] ^ 0x15]) + content[n + 1 :])
        found = cache(tmp_path).find(list(RESULTS))
        assert as_text(found) == as_text({one: RESULTS[one] for one in found})
        assert len(found) < len(RESULTS)
    path.write_bytes(content[:40] + b"X" + content[41:])
    with caplog.at_level(logging.WARNING, "molvae.scoring"):
        caplog.clear()
        again = cache(tmp_path)
        assert len(again.find(list(RESULTS))) == len(again.find(list(RESULTS))) == len(RESULTS) - 1
    assert [record.getMessage().count(path.name) for record in caplog.records] == [1]


@pytest.mark.parametrize("content", [b"\n\n\n", b"\x00" * 5000, b"hello\tC\t{}\n", os.urandom(3000) + b"\n"])
def test_a_foreign_file_is_ignored(tmp_path: Path, content: bytes) -> None:
    store = cache(tmp_path)
    store.add(RESULTS)
    (store.path / "foreign.tsv").write_bytes(content)
    (store.path / "folder.tsv").mkdir()
    assert as_text(cache(tmp_path).find(list(RESULTS))) == as_text(RESULTS)


WRITER = """
import sys
from pathlib import Path
from molvae.scoring.cache import Result, ScoreCache
store = ScoreCache(Path(sys.argv[1]), {})
for n in range(1, 100_000):
    store.add({f"{'C' * n}": Result(n / 7, None)})
    print(n, flush=True)
"""


def test_processes_that_are_killed_while_they_write_lose_nothing_that_was_stored(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "scores")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(3)]
    stored = 0
    for n_lines, process in enumerate(processes, 20):
        assert process.stdout is not None
        for _ in range(n_lines):
            stored = max(stored, int(process.stdout.readline()))
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    found = cache(tmp_path).find(["C" * n for n in range(1, stored + 1)])
    assert {len(one): result.value for one, result in found.items()} == {n: n / 7 for n in range(1, stored + 1)}


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write to any folder")
def test_a_folder_that_cannot_be_written_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir(mode=0o500)
    with pytest.raises(InputError, match="scores"):
        cache(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("")
    with pytest.raises(InputError, match="scores"):
        cache(tmp_path)


# In an objective


class Recorder:
    """A scorer that counts its calls; `tries` of each molecule, values by the number of atoms."""

    Settings = CostlyTerm

    def __init__(self, version: str = "1", crashes: int = 0, dies_at: str = "") -> None:
        self.tried: Counter[str] = Counter()
        self.version, self.crashes, self.dies_at = version, crashes, dies_at

    def identity(self) -> dict[str, str]:
        return {"code": self.version}

    def __call__(self, smiles: Any, mapper: Any) -> Values:
        if self.dies_at in smiles:
            raise KeyboardInterrupt
        self.tried.update(smiles)
        crashed = [len(one) == 4 and self.tried[one] <= self.crashes for one in smiles]
        no_value = [bad or len(one) == 3 for bad, one in zip(crashed, smiles, strict=True)]
        value = np.array([math.nan if bad else len(one) / 3 for bad, one in zip(no_value, smiles, strict=True)])
        reasons = ["crash" if bad else "too short" if why else None for bad, why in zip(crashed, no_value, strict=True)]
        return Values(value, reasons, {"n": np.array([1.0 * len(one) for one in smiles])}, [not bad for bad in crashed])


TERM = CostlyTerm(shape="higher", low=0, high=1)
MANY = ["C" * n for n in range(1, 8)]


def values_of(found: Values) -> str:
    return repr((found.value.tolist(), list(found.reasons), {name: one.tolist() for name, one in found.extra.items()}))


def test_a_molecule_is_computed_once(tmp_path: Path) -> None:
    first, second = Recorder(), Recorder()
    one = Evaluation("it", TERM, first, tmp_path)
    assert values_of(one(MANY[:4], None)) == values_of(Recorder()(MANY[:4], None))
    two = Evaluation("it", TERM.model_copy(update={"low": 0.5, "weight": 3.0, "max_failed": 0.9}), second, tmp_path)
    assert values_of(two([*MANY, "CC", "CC"], None)) == values_of(Recorder()([*MANY, "CC", "CC"], None))
    assert first.tried == Counter(MANY[:4])
    assert second.tried == Counter(MANY[4:])
    assert (one.n_cached, one.n_computed, two.n_cached, two.n_computed) == (0, 4, 4, 3)


@pytest.mark.parametrize("change", ["scorer", "term", "no cache"])
def test_another_scorer_does_not_use_the_values(tmp_path: Path, change: str) -> None:
    class Other(CostlyTerm):
        model: str = "a"

    term = Other(shape="higher", low=0, high=1)
    Evaluation("it", term, Recorder(), tmp_path)(MANY, None)
    again = Recorder("2" if change == "scorer" else "1")
    update = {"scorer": {}, "term": {"model": "b"}, "no cache": {"cache": False}}[change]
    Evaluation("it", term.model_copy(update=update), again, tmp_path)(MANY, None)
    assert again.tried == Counter(MANY)


def test_a_crash_is_not_stored(tmp_path: Path) -> None:
    scorer = Recorder(crashes=1)
    found = [Evaluation("it", TERM, scorer, tmp_path)(MANY, None).reasons for _ in range(3)]
    assert [reasons[2:4] for reasons in found] == [["too short", "crash"], ["too short", None], ["too short", None]]
    assert scorer.tried["CCC"] == 1
    assert scorer.tried["CCCC"] == 2


def test_values_are_stored_after_every_step(tmp_path: Path) -> None:
    class Steps(CostlyTerm):
        @property
        def n_per_step(self) -> int:
            return 2

    term = Steps(shape="higher", low=0, high=1)
    with pytest.raises(KeyboardInterrupt):
        Evaluation("it", term, Recorder(dies_at="CCCCC"), tmp_path)(MANY, None)
    again = Recorder()
    Evaluation("it", term, again, tmp_path)(MANY, None)
    assert again.tried == Counter(MANY[4:])


def test_too_many_failures_stop_any_costly_scorer(tmp_path: Path) -> None:
    class Fails(Recorder):
        def __call__(self, smiles: Any, mapper: Any) -> Values:
            return Values(np.full(len(smiles), np.nan), ["no licence"] * len(smiles))

    few = ["C" * n for n in range(1, 20)]
    evaluation = Evaluation("potency", TERM, Fails(), tmp_path)
    assert np.isnan(evaluation(few, None).value).all()
    with pytest.raises(MolvaeError, match=r"potency.* 20 of 20 .*max_failed = 0\.8.*no licence") as caught:
        evaluation(["N"], None)
    assert not isinstance(caught.value, InputError)  # exit code 1
    every = Evaluation("it", TERM.model_copy(update={"max_failed": 1.0}), Fails())
    assert np.isnan(every([*few, "N", "O"], None).value).all()


def test_an_objective_with_a_cache_gives_the_same_table(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    log = tmp_path / "log"
    program.write_text(
        f"import json, sys\nfor line in sys.stdin:\n    s = line.strip()\n    print(s, file=open({str(log)!r}, 'a'))\n"
        "    print(json.dumps({'value': len(s) / 7 if len(s) != 3 else None, 'reason': 'three', 'n': len(s)}))"
    )
    terms = {"it": SHAPE | {"command": [sys.executable, str(program)]}, "qed": {"property": "qed", "shape": "higher"}}
    plain = Objective(ObjectiveSettings.from_dict({"terms": terms}, "it"))
    stored = ObjectiveSettings.from_dict({"terms": terms, "cache": str(tmp_path / "scores")}, "it")
    assert plain.n_from_cache == {}
    expected = plain(MANY)
    for n_first, from_cache in ((3, (3, 10)), (7, (14, 14))):
        objective = Objective(stored)
        pd.testing.assert_frame_equal(objective(MANY[:n_first]), expected[:n_first], check_exact=True)
        pd.testing.assert_frame_equal(objective(MANY), expected, check_exact=True)
        assert objective.n_from_cache == {"it": from_cache}
    assert Counter(log.read_text().split()) == dict.fromkeys(MANY, 2)  # once without the cache, once with it
