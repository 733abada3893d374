import json
import logging
import math
import os
import random
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
    code = "def score(smiles):\n    return [1 / (len(s) - 7) if len(s) != 4 else None for s in smiles]"
    many = [*MOLECULES, *("C" * n for n in range(4, 60))]
    one = objective(it=function(code))(many)
    table = objective(LocalProcesses(n_workers), it=function(code) | {"parallel": True})(many)
    pd.testing.assert_frame_equal(table, one)
    assert "ZeroDivisionError" in table["unscored_reason"][2]


def test_a_function_that_raises_for_one_molecule_costs_that_molecule(function):
    table = objective(it=function("def score(smiles):\n    return [1 / (len(s) - 3) for s in smiles]"))(
        ["C", "CCO", "CC"]
    )
    assert table["value_it"].isna().tolist() == [False, True, False]
    assert "my_scores.py:score: raised ZeroDivisionError" in table["unscored_reason"][1]


def test_a_function_that_always_raises_stops_the_run(function):
    scorer = objective(it=function("def score(smiles):\n    return [1 / 0 for s in smiles]"))
    with pytest.raises(MolvaeError, match=r"\.it\] 20 of 20 .*my_scores\.py:score: raised ZeroDivisionError") as caught:
        scorer(["C" * n for n in range(1, 21)])
    assert not isinstance(caught.value, InputError)


BAD = 'if "N" in smiles:'
FAILURES = {
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "killed",
    "import os; os.abort()": "crashed: Aborted",
    "import os; os._exit(3)": "exit status 3",
    "import sys; sys.exit('no licence')": "raised SystemExit: no licence",
    "raise KeyboardInterrupt": "raised KeyboardInterrupt",
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()": "raised Odd",
    "(f := lambda: f())()": "raised RecursionError",
    "bytearray(10**15)": "raised MemoryError",
    "return (1 / 0 for s in smiles)": "raised ZeroDivisionError",
    "import time; time.sleep(600)": "stopped after 0.5 s",
    "while True: pass": "stopped after 0.5 s",
}


SLOW = {
    code for code in FAILURES if any(word in code for word in ("abort", "_exit", "Keyboard", "Odd", "while", "f()"))
}


@pytest.mark.parametrize(
    "code", [pytest.param(code, marks=pytest.mark.slow) if code in SLOW else code for code in FAILURES]
)
def test_a_failure_costs_only_its_molecule(function, code):
    """The function goes on in another process, where the rest of the call is scored."""
    term = function(f"def score(smiles):\n    {BAD}\n        {code}\n    return [len(s) for s in smiles]")
    table = objective(it=term | {"seconds": 0.5})(["N", "CC"] if "600" in code or "while" in code else ["C", "N", "CC"])
    has_n = table.index == len(table) - 2
    assert table["value_it"].isna().tolist() == has_n.tolist()
    assert table["value_it"].iloc[-1] == 2
    assert FAILURES[code] in table["unscored_reason"][len(table) - 2]


HABITS = {
    "prints": "print('x' * 100_000)",
    "prints to the file descriptor": "import os; os.write(1, b'x' * 100_000)",
    "forks": "import os; os.fork()",
    "starts a process": "import subprocess; subprocess.Popen(['sleep', '600'])",
    "leaves a file open": "kept.append(open(__file__))",
    "changes the folder": "import os; os.chdir('/')",
    "changes the environment": "import os; os.environ['MOLVAE_TEST'] = '1'",
    "changes the random state": "import random, numpy; random.seed(1); numpy.random.seed(1)",
    "closes standard output": "import sys; sys.stdout and sys.stdout.close(); sys.stdout = None",
    "ignores signals": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "empties its argument": "smiles, given = list(smiles), smiles; given.clear()",
}


SLOW_HABITS = {"starts a process", "leaves a file open", "changes the environment", "ignores signals", "prints"}


@pytest.mark.parametrize(
    "habit", [pytest.param(habit, marks=pytest.mark.slow) if habit in SLOW_HABITS else habit for habit in HABITS]
)
def test_nothing_that_a_function_does_reaches_this_process(function, habit):
    code = f"kept = []\ndef score(smiles):\n    {HABITS[habit]}\n    return [len(s) for s in smiles]"
    scorer = objective(it=function(code))
    folder, environment, state = os.getcwd(), dict(os.environ), str(random.getstate())
    for _ in range(2):
        assert scorer(MOLECULES)["value_it"].tolist() == [3, 8, 7]
    assert (os.getcwd(), dict(os.environ), str(random.getstate())) == (folder, environment, state)


def test_what_a_function_prints_is_logged(function, caplog):
    with caplog.at_level(logging.INFO, "molvae.scoring"):
        scorer = objective(it=function("def score(smiles):\n    print('seen', *smiles)\n    return [1] * len(smiles)"))
        scorer(["C", "N"])
        scorer(["O"])
    assert [record.getMessage() for record in caplog.records] == [
        f"my_scores.py:score: seen {one}" for one in ("C N", "O")
    ]


def test_a_function_keeps_what_it_has_loaded(function, tmp_path):
    code = f"open({str(tmp_path / 'log')!r}, 'a').write('x')\nn = [0]\n"
    code += "def score(smiles):\n    n[0] += 1\n    return n"
    scorer = objective(it=function(code) | {"batch_size": 1})
    assert scorer(["C", "N"])["value_it"].tolist() == [1, 2]
    assert scorer(["O"])["value_it"].tolist() == [3]
    assert (tmp_path / "log").read_text() == "x"


def test_no_process_is_left(function, tmp_path):
    code = (
        f"import os\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ndef score(smiles):\n    return [1]"
    )
    scorer = objective(it=function(code))
    scorer(["C"])
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)
    del scorer
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("answer", ["[1]", "None", "'abc'", "4.0", "{'score': [1, 2]}", "[[1, 2]]", "{1, 2}", "[]"])
def test_an_answer_of_another_form_is_refused(function, answer):
    with pytest.raises(InputError, match=r"my_scores\.py:score: "):
        objective(it=function(f"def score(smiles):\n    return {answer}"))(["C", "N"])


def test_the_identity_of_a_function_contains_the_modules_of_its_folder(function, tmp_path):
    (tmp_path / "package").mkdir()
    files = {
        "near.py": "import numpy, package.deep",
        "package/__init__.py": "",
        "package/deep.py": "from . import deeper",
        "package/deeper.py": "X = 1",
        "lazy.py": "X = 1",
        "other.py": "X = 1",
        "weights.bin": "1",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    term = function("import near, sys\ndef score(smiles):\n    import lazy\n    return [1] * len(smiles)")
    term |= {"files": [str(tmp_path / "weights.bin")]}
    before = objective(it=term).identity()
    used = {"my_scores.py", *files} - {"other.py"}
    assert {str(Path(path).relative_to(tmp_path)) for path in before} == used
    for name in ("package/deeper.py", "lazy.py", "weights.bin"):
        (tmp_path / name).open("a").write(" ")
        after = objective(it=term).identity()
        assert {Path(path).name for path in after if after[path] != before[path]} == {Path(name).name}
        before = after
    with pytest.raises(InputError, match=r"files: .*gone\.bin"):
        objective(it=term | {"files": [str(tmp_path / "gone.bin")]})


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


COMMANDS = {
    "bytes that are not UTF-8": r"w(b'\xff\xfe log\n' + b''.join(b'{\"value\": %d}\n' % len(s) for s in given))",
    "CRLF": r"w(b'\r\n'.join(b'%d' % len(s) for s in given))",
    "a byte order mark": r"w(b'\xef\xbb\xbfvalue\r\n' + b''.join(b'%d\r\n' % len(s) for s in given))",
    "a line separator in JSON": r"print('\n'.join('{\"value\": %d, \"reason\": \"\u2028\"}' % len(s) for s in given))",
    "another order": r"print('smiles,value'); [print(f'{s},{len(s)}') for s in reversed(given)]",
    "SIGTERM ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN); [print(len(s)) for s in given]",
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_may_write_its_values_in_many_ways(command, kind):
    term = command(
        f"import signal, sys\nw = sys.stdout.buffer.write\ngiven = sys.stdin.read().split()\n{COMMANDS[kind]}"
    )
    assert objective(it=term)(MOLECULES)["value_it"].tolist() == [3, 8, 7]


def test_a_command_that_leaves_a_daemon_does_not_wait_for_it(command, tmp_path):
    code = f"""
import os, sys, time
given = sys.stdin.read().split()
if os.fork() == 0:
    os.setsid()
    open({str(tmp_path / "daemon")!r}, "w").write(str(os.getpid()))
    time.sleep(600)
time.sleep(0.3)
[print(len(s)) for s in given]
"""
    begin = time.monotonic()
    assert objective(it=command(code))(MOLECULES)["value_it"].tolist() == [3, 8, 7]
    assert time.monotonic() - begin < 60
    os.kill(int((tmp_path / "daemon").read_text()), 9)


def test_a_command_that_does_not_read_its_input_is_one_that_fails(command):
    table = objective(it=command("import os\nos.close(0)"))(["C" * 50] * 3)
    assert table["unscored_reason"].str.contains("got 0").all()


@pytest.mark.parametrize("stream", [1, 2])
def test_a_command_that_writes_without_end_is_stopped(command, stream):
    begin = time.monotonic()
    table = objective(it=command(f"import os\nwhile True: os.write({stream}, b'x' * 1_000_000)"))(["C"])
    assert "wrote more than 50 MB" in table["unscored_reason"][0]
    assert time.monotonic() - begin < 50


def test_a_command_writes_json_with_cells_of_any_kind(command):
    cells = ["NaN", "Infinity", "true", "null", '\\"2\\"', "[1]", "1e999", "1" + "0" * 400]
    lines = "".join(f'{{\\"value\\": {cell}, \\"pose\\": \\"a.pdb\\"}}\\n' for cell in cells)
    table = objective(it=command(f'print("{lines}")'))(["C" * n for n in range(1, 9)])
    assert table["value_it"].notna().tolist() == [False, False, True, False, False, False, False, False]
    assert "infinite" in table["unscored_reason"][1]
    assert "'2'" in table["unscored_reason"][4]
    assert "list [1]" in table["unscored_reason"][5]


@pytest.mark.parametrize("processes", [1, 3])
def test_processes_do_not_change_the_values(command, tmp_path, processes):
    code = (
        f"import os, sys, time\nopen({str(tmp_path / 'log')!r}, 'a').write('x')\nfor s in sys.stdin.read().split():\n"
    )
    code += "    if len(s) == 5: sys.exit('five')\n    print(len(s))"
    many = ["C" * n for n in range(1, 12)]
    table = objective(it=command(code, batch_size=4, processes=processes))(many)
    assert table["value_it"].fillna(0).tolist() == [0 if n == 5 else n for n in range(1, 12)]
    assert "five" in table["unscored_reason"][4]
    assert len((tmp_path / "log").read_text()) == 3 + 4


def test_a_command_that_cannot_be_started_stops_the_others(command, tmp_path):
    program = tmp_path / "broken"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(InputError, match="broken: cannot be started"):
        objective(it=SHAPE | {"command": [str(program)], "processes": 2, "batch_size": 1})(MOLECULES)


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


def test_terms_with_the_same_column_are_refused(model):
    term = {"model": str(model), "shape": "higher", "low": 0, "high": 8}
    both = objective(it=term, it_mean={"property": "qed", "shape": "higher", "low": 0, "high": 1})
    with pytest.raises(InputError, match=r"it_mean: .*value_it_mean.*rename"):
        both(["CCO"])


def test_a_molecule_outside_the_domain_of_a_model_has_a_lower_score(model):
    smiles = ["Cc1ccccc1", "FC(F)(F)C(F)(F)C(F)(F)F"]
    term = {"model": str(model), "shape": "higher", "low": 0, "high": 8}
    inside, outside = objective(it=term | {"min_similarity": 0.0})(smiles)["score_it"]
    similarity = objective(it=term)(smiles)["value_it_similarity"]
    assert similarity[0] > 0.3 > similarity[1]
    assert objective(it=term)(smiles)["score_it"].tolist() == pytest.approx([inside, outside * similarity[1] / 0.3])
    assert ObjectiveSettings.from_dict({"terms": {"it": term}}, "my.toml").domains == {"it": 0.3}


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
