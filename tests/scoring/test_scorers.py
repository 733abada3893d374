import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.codec import ToyCodec
from molvae.errors import InputError, MolvaeError
from molvae.qsar import fit_assay
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.scoring.scorers.answers import read_answer
from molvae.workers import LocalProcesses

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)O"]
SHAPE = {"shape": "higher", "low": 0, "high": 10}


def objective(mapper=None, **terms):
    return Objective(ObjectiveSettings.from_dict({"terms": terms}, "campaign.toml"), mapper)


@pytest.fixture
def function(tmp_path):
    """Write a Python file, and return the keys of a term that calls its function `score`."""

    def write(code, name="my_scores.py"):
        path = tmp_path / name
        path.write_text(code)
        return SHAPE | {"python": f"{path}:score"}

    return write


@pytest.fixture
def command(tmp_path):
    """Write a Python program, and return the keys of a term that runs it."""

    def write(code, name="program.py", **keys):
        path = tmp_path / name
        path.write_text(code)
        return SHAPE | {"command": [sys.executable, str(path)]} | keys

    return write


# Answers


@pytest.mark.parametrize(
    "answer",
    [
        [1, None, 3.5],
        np.array([1, np.nan, 3.5]),
        {"value": [1, None, 3.5]},
        pd.DataFrame({"value": [1, math.inf, 3.5], "smiles": ["C", "N", "O"]}),
        {"value": [3.5, None, 1], "smiles": ["O", "N", "C"]},
        {"value": [3.5, 1], "smiles": ["O", "C"]},
    ],
)
def test_an_answer_is_one_number_per_molecule(answer):
    found = read_answer(answer, ["C", "N", "O"], "it")
    np.testing.assert_array_equal(found.value, [1, np.nan, 3.5])
    assert [bool(reason) for reason in found.reasons] == [False, True, False]
    assert not found.extra


def test_a_table_may_have_reasons_and_further_columns():
    found = read_answer({"value": [1, None], "reason": ["x", "no pose"], "pose": [4, 5]}, ["C", "N"], "it")
    assert found.reasons == [None, "no pose"]
    assert found.extra["pose"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        ([1, 2], "expected 2 numbers|expected 3 numbers.*got 2"),
        ("abc", "'abc'"),
        (None, "NoneType"),
        (4.0, "float 4.0"),
        ({1, 2, 3}, "set"),
        ({"value": [1, 2, 3], "smiles": ["C", "N", "[OH2]"]}, r"smiles, row 2.*'\[OH2\]'"),
        ({"value": [1, 2, 3], "smiles": ["C", "N", None]}, "smiles, row 2.*None"),
        ({"value": [1, 2, 3], "smiles": ["C", "N", "N"]}, "two of N"),
        ({"value": [1, 2, 3], "smiles": ["C", "N"]}, "value: .*got 3"),
        (np.zeros((3, 1)), r"\(3, 1\)"),
        ({"score": [1, 2, 3]}, "value.*got score"),
        ({"value": [1, 2, 3], "pose": [1]}, "pose: .*got 1"),
        ({"value": [1, 2, 3], "reason": [None]}, "reason: .*got 1"),
    ],
)
def test_another_answer_is_refused(answer, fact):
    with pytest.raises(InputError, match=f"my.py: .*{fact}" if "value.*" not in fact else fact):
        read_answer(answer, ["C", "N", "O"], "my.py")


@pytest.mark.parametrize("cell", ["2", "", b"2", "failed", [1.0], 1 + 2j, np.complex64(1), object(), 10**400, pd.NaT])
def test_a_cell_that_is_not_a_number_is_a_reason_that_shows_it(cell):
    found = read_answer({"value": [1, cell], "pose": [cell, 2]}, ["C", "N"], "it")
    np.testing.assert_array_equal(found.value, [1, np.nan])
    np.testing.assert_array_equal(found.extra["pose"], [np.nan, 2])
    assert found.reasons[0] is None
    assert found.reasons[1] == "no value" if cell == "" else repr(cell)[:40] in found.reasons[1]


@pytest.mark.parametrize("cell", [True, np.bool_(True), np.float32(1), np.int8(1), 1])
def test_a_cell_may_be_any_kind_of_number(cell):
    assert read_answer([cell], ["C"], "it").value.tolist() == [1.0]


# Functions


def test_a_function_gives_values_and_columns(function):
    code = "def score(smiles):\n    return {'value': [len(s) for s in smiles], 'n_c': [s.count('C') for s in smiles]}"
    table = objective(it=function(code))(MOLECULES)
    assert list(table) == ["value_it", "value_it_n_c", "score_it", "score", "unscored_reason"]
    assert table["value_it"].tolist() == [3, 8, 7]
    assert table["score"].tolist() == pytest.approx([0.3, 0.8, 0.7])
    assert table["value_it_n_c"].tolist() == [2, 0, 2]
    assert table["unscored_reason"].isna().all()


def test_a_function_may_import_its_neighbors(function, tmp_path):
    (tmp_path / "helper_of_score.py").write_text("FACTOR = 2")
    code = "from helper_of_score import FACTOR\ndef score(smiles):\n    return [FACTOR * len(s) for s in smiles]"
    assert objective(it=function(code))(["C"])["value_it"].tolist() == [2]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_parallel_function_gives_the_same_values_in_order(function, n_workers):
    code = "def score(smiles):\n    return [1 / (len(s) - 3) if len(s) != 4 else None for s in smiles]"
    many = [*MOLECULES[1:], *("C" * n for n in range(4, 60))]
    one = objective(it=function(code))(many)
    table = objective(LocalProcesses(n_workers), it=function(code) | {"parallel": True})(many)
    pd.testing.assert_frame_equal(table, one)
    failed = objective(LocalProcesses(n_workers), it=function(code) | {"parallel": True})(["CCC", "CCCCC"])
    assert failed["value_it"].isna().tolist() == [True, False]
    assert "ZeroDivisionError" in failed["unscored_reason"][0]


def test_a_function_that_raises_stops_the_run(function):
    scorer = objective(it=function("def score(smiles):\n    return [1 / 0 for s in smiles]"))
    with pytest.raises(MolvaeError, match=r"my_scores\.py:score: .*ZeroDivisionError"):
        scorer(MOLECULES)


def test_the_identity_of_a_function_is_its_file(function):
    one = objective(it=function("def score(smiles):\n    return [1] * len(smiles)")).identity()
    two = objective(it=function("def score(smiles):\n    return [2] * len(smiles)")).identity()
    assert one.keys() == two.keys()
    assert one != two


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        ("def other(smiles): ...", r"my_scores\.py: .*score"),
        ("score = 3", r"my_scores\.py: .*score"),
        ("import no_such_module_here", "cannot be imported.*no_such_module_here"),
        ("def score(:", "cannot be imported.*SyntaxError"),
        ("raise SystemExit('no licence')", "cannot be imported.*SystemExit.*no licence"),
    ],
)
def test_a_file_without_the_function_is_refused(function, code, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=function(code))


@pytest.mark.parametrize("python", ["my_scores.py", ":score", "my_scores.py:", "my_scores.py:1a", 3])
def test_an_invalid_name_of_a_function_is_refused(python):
    with pytest.raises(InputError, match=r"\[terms\.it\] python: "):
        objective(it=SHAPE | {"python": python})


# Commands

OUTPUTS = {
    "numbers": "print(len(s))",
    "json": "print(json.dumps({'value': len(s), 'pose': 2 * len(s)}))",
    "csv": "print(('value,pose\\n' if first else '') + f'{len(s)},{2 * len(s)}')",
    "json among other lines": "print('docking', s); print(json.dumps({'value': len(s), 'pose': 2 * len(s)}))",
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("batch_size", [2, 32])
def test_a_command_reads_smiles_and_writes_values(command, kind, batch_size):
    code = f"import json, sys\nfirst = True\nfor s in sys.stdin.read().split():\n    {OUTPUTS[kind]}\n    first = False"
    table = objective(it=command(code, batch_size=batch_size))(MOLECULES)
    assert table["value_it"].tolist() == [3, 8, 7]
    assert table["score"].tolist() == pytest.approx([0.3, 0.8, 0.7])
    if kind != "numbers":
        assert table["value_it_pose"].tolist() == [6, 16, 14]


def test_a_molecule_without_a_value_has_the_reason_of_the_command(command):
    line = "{'value': None, 'reason': 'no pose'} if s == 'CCO' else {'value': 1}"
    table = objective(
        it=command(f"import json, sys\nfor s in sys.stdin.read().split():\n    print(json.dumps({line}))")
    )
    found = table(MOLECULES)
    assert found["score"].isna().tolist() == [True, False, False]
    assert found["unscored_reason"].tolist()[0] == "it: no pose"


def test_a_crash_costs_only_its_molecule(command):
    code = (
        "import sys\nfor s in sys.stdin.read().split():\n    if s == 'CCO': sys.exit('bad molecule')\n    print(len(s))"
    )
    table = objective(it=command(code))(["C", "CCO", "CC"])
    assert table["value_it"].tolist()[::2] == [1, 2]
    assert "exit status 1" in table["unscored_reason"][1]
    assert "bad molecule" in table["unscored_reason"][1]


@pytest.mark.parametrize("code", ["os.kill(os.getpid(), 9)", "os.abort()"])
def test_a_killed_command_costs_only_its_molecule(command, code):
    program = f"import os, sys\nfor s in sys.stdin.read().split():\n    if s == 'CCO': {code}\n    print(len(s))"
    table = objective(it=command(program))(["C", "CCO"])
    assert table["value_it"].isna().tolist() == [False, True]
    assert "exit status -" in table["unscored_reason"][1]


def test_a_command_that_hangs_is_stopped_with_its_children(command, tmp_path):
    code = f"""
import os, sys, time
if os.fork() == 0:
    open({str(tmp_path / "child")!r}, "w").write(str(os.getpid()))
    time.sleep(600)
for s in sys.stdin.read().split():
    if s == "CCO":
        time.sleep(600)
    print(len(s))
"""
    begin = time.monotonic()
    table = objective(it=command(code, seconds=1))(["CCO"])
    assert time.monotonic() - begin < 30
    assert "stopped after 1 s" in table["unscored_reason"][0]
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    else:
        pytest.fail("the child process still runs")


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        ("print(1)", "expected 2 numbers, one per molecule, got 1"),
        ("pass", "got 0"),
        ("print('hello')", "hello"),
        ("print('value')", "got 0"),
        (
            "import sys; print('value\\n' + 'failed\\n' * len(sys.stdin.read().split()))",
            "expected a number, got 'failed'",
        ),
        ("import sys; print('1.0\\n' + 'failed\\n' * (len(sys.stdin.read().split()) - 1))", "'failed'"),
        ("print('{broken')", "{broken"),
    ],
)
def test_an_output_that_cannot_be_read_is_a_reason(command, code, fact):
    table = objective(it=command(code))(["C", "CC"])
    if "1.0" in code:
        assert table["value_it"].isna().tolist() == [False, True]
        assert fact in table["unscored_reason"][1]
    elif code == "print(1)":  # each molecule is tried by itself, and one number is right for one molecule
        assert table["value_it"].tolist() == [1, 1]
    else:
        assert table["unscored_reason"].str.contains(fact, regex=False).all()


def test_a_command_that_fails_too_often_stops_the_run(command):
    scorer = objective(it=command("print('x')", batch_size=100, max_failed=0.5))
    with pytest.raises(MolvaeError, match=r"20 of 20 .*max_failed = 0\.5.*'x'"):
        scorer(["C" * n for n in range(1, 21)])


def test_an_argument_may_be_longer_than_a_file_name(command):
    term = command("print(3)")
    assert objective(it=term | {"command": [*term["command"], "x" * 5000]})(["C"])["value_it"].tolist() == [3]
    long = objective(it=term | {"command": [*term["command"], "x" * 5000]})
    assert long.identity() == objective(it=term).identity()


def test_the_identity_of_a_command_contains_its_files(command):
    one, two = (objective(it=command(f"print({n})")).identity() for n in (1, 2))
    assert one.keys() == two.keys()
    assert any(path.endswith("program.py") for path in one)
    assert one != two


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({"command": []}, r"\[terms\.it\] command: "),
        ({"command": "dock.py"}, r"\[terms\.it\] command: "),
        ({"command": ["no-such-program-here"]}, "no-such-program-here: no such program"),
        ({"command": ["true"], "seconds": 0}, r"\[terms\.it\] seconds: "),
        ({"command": ["true"], "python": "a.py:f"}, "python and command"),
        ({}, "none of them"),
        ({"command": ["true"], "smarts": "C"}, r"smarts: .*its keys: batch_size, cache, command"),
    ],
)
def test_an_invalid_command_is_refused(keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=SHAPE | keys)


# Similarity to a file


def test_similarity_to_a_file_of_molecules_can_be_a_reason_to_stay_away(tmp_path):
    path = tmp_path / "patent.smi"
    path.write_text("OCC ethanol\nC1CC broken\nc1ccccc1 benzene\n")
    away = {"property": "similarity", "to_file": str(path), "shape": "lower", "low": 0.4, "high": 0.8}
    scorer = objective(away=away)
    assert scorer(["CCO", "c1ccccc1", "CC(=O)O"])["score"].tolist() == [0.0, 0.0, 1.0]
    before = scorer.identity()
    path.write_text("OCC ethanol\n")
    assert objective(away=away).identity() != before
    with pytest.raises(InputError, match=r"nothing\.smi"):
        objective(away=away | {"to_file": str(tmp_path / "nothing.smi")})


# Models of assays


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of the number of aromatic carbons, fitted to the molecules of the toy codec."""
    folder = tmp_path_factory.mktemp("assay")
    molecules = ToyCodec().molecules[:120]
    table = pd.DataFrame({"smiles": molecules, "pIC50": [4 + 0.5 * one.count("c") for one in molecules]})
    table.to_csv(folder / "assay.csv", index=False)
    fit_assay(folder / "assay.csv", folder / "model", target="pIC50")
    return folder / "model"


@pytest.mark.parametrize(("shape", "sign"), [("higher", -1), ("lower", 1), ("window", 0)])
def test_a_model_is_pessimistic(model, shape, sign):
    term = {"model": str(model), "shape": shape, "low": 4, "high": 8, "pessimism": 2}
    table = objective(it=term)(["Cc1ccccc1", "CCO", "C1CC", "FC(F)(F)C(F)(F)C(F)(F)F"])
    mean, std = table["value_it_mean"], table["value_it_std"]
    np.testing.assert_allclose(table["value_it"], mean + sign * 2 * std)
    assert table["value_it"].isna().tolist() == [False, False, True, False]
    assert table["unscored_reason"].notna().tolist() == [False, False, True, False]
    assert mean[0] > mean[1]
    assert std[3] > std[0]  # unlike the training set
    assert table["value_it_similarity"][3] < table["value_it_similarity"][0]


def test_the_identity_of_a_model_is_its_digest(model):
    scorer = objective(it=SHAPE | {"model": str(model)})
    assert list(scorer.identity()) == [str(model)]
    with pytest.raises(InputError, match=r"no_model"):
        objective(it=SHAPE | {"model": str(model.parent / "no_model")})


# Plug-ins

PLUGIN = """
import numpy as np
from molvae.scoring.scorer import Values
from molvae.scoring.term import ShapedTerm

class LengthTerm(ShapedTerm):
    scorer: str
    factor: float = 1.0

class Length:
    Settings = LengthTerm

    def __init__(self, settings):
        self.factor = settings.factor

    def identity(self):
        return {}

    def __call__(self, smiles, mapper):
        return Values(np.array([self.factor * len(one) for one in smiles]), [None] * len(smiles))
"""


def test_a_scorer_of_another_package_can_be_a_term(install_plugin):
    install_plugin("lengths", "molvae.scorers", PLUGIN, length="Length")
    scorer = objective(it=SHAPE | {"scorer": "length", "factor": 2})
    assert scorer(MOLECULES)["value_it"].tolist() == [6, 16, 14]
    with pytest.raises(InputError, match=r"\[terms\.it\] facto: .*factor\?"):
        objective(it=SHAPE | {"scorer": "length", "facto": 2})
    with pytest.raises(InputError, match=r"'lenght'; known: length"):
        objective(it=SHAPE | {"scorer": "lenght"})


def test_saved_terms_are_read_back(tmp_path, function, command):
    terms = {"one": function("def score(smiles): ..."), "two": command("print(1)") | {"weight": 2.0}}
    settings = ObjectiveSettings.from_dict({"terms": terms}, "campaign.toml")
    path = tmp_path / "objective.toml"
    path.write_text(settings.to_toml())
    assert ObjectiveSettings.from_toml(path) == settings
    assert json.loads(json.dumps(settings.model_dump(mode="json")))["terms"]["two"]["batch_size"] == 32
