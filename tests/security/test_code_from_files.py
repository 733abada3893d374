"""No file from outside is run as code: no pickle, no shell, no eval, no modules of the working folder."""

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.features.store import FeatureStore
from molvae.shards import ShardStore

ROOT = Path(__file__).parents[2]

ALLOWED = {
    # what a process of molvae sends to a process that it has started, through a socket that only these two hold
    "molvae/workers.py": {"pickle.loads", "pickle.dumps"},
    "molvae/query/engine.py": {"recv"},
    "molvae/query/process.py": {"recv"},
    "molvae/scoring/scorers/function_process.py": {"recv", "exec_module"},  # the function that the campaign names
    # results from and for the workers of a Dask cluster, which runs code by design
    "molvae/cluster.py": {"pickle.loads", "pickle.dumps"},
    # stored results: read by a loader that creates only types of results
    "molvae/shards.py": {"pickle.UnpicklingError"},
    # a file of RDKit's own package
    "molvae/chem/properties.py": {"pickle.load"},
    # an empty string
    "pipeline/cli.py": {"exec"},
}
ALLOWED["molvae/workers.py"] |= {"recv"}

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle", "yaml", "xmlrpc"}
CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "exec_module", "read_pickle", "to_pickle", "recv"}
OWN = {"re.compile", "smarts.compile"}


def _calls(path: Path) -> Iterator[tuple[str, str]]:
    """What a file does that can run code from data, and why."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            for name in names:
                if name.split(".")[0] in MODULES - {"pickle"}:
                    yield name, "import"
            if isinstance(node, ast.ImportFrom) and node.module == "pickle":
                yield "pickle", "import from"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {one.arg: ast.unparse(one.value) for one in node.keywords if one.arg}
        if name.startswith("pickle."):
            yield name, "pickle"
        if name in ("np.load", "numpy.load", "np.lib.format.open_memmap") and options.get("allow_pickle") != "False":
            yield name, "allow_pickle=False is missing"
        if name == "torch.load" and options.get("weights_only") != "True":
            yield name, "weights_only=True is missing"
        if options.get("shell", "False") != "False":
            yield name, "shell"
        last = name.split(".")[-1]
        if last in CALLS and (last == name or last not in ("eval", "compile")):
            yield last, "runs code"
        if last in ("query", "eval") and isinstance(node.func, ast.Attribute) and node.args and "table" in name:
            yield name, "pandas runs code in its queries"


def test_no_module_runs_code_from_data() -> None:
    wrong = []
    for folder in ("molvae", "pipeline"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            wrong += [f"{name}: {call} ({why})" for call, why in _calls(path) if call not in ALLOWED.get(name, set())]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("import pickle\npickle.load(f)", "pickle.load"),
        ("import joblib", "joblib"),
        ("from dill import loads", "dill"),
        ("np.load(path)", "np.load"),
        ("np.load(path, allow_pickle=True)", "np.load"),
        ("torch.load(path)", "torch.load"),
        ("subprocess.run('x', shell=True)", "subprocess.run"),
        ("os.system('x')", "system"),
        ("eval(text)", "eval"),
        ("table.query(text)", "table.query"),
    ],
)
def test_the_check_finds(code: str, call: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(code)
    assert call in {found for found, _ in _calls(tmp_path / "a.py")}


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    """Such a file holds a pickle."""

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "features.json").write_text(
        '{"n": 1, "properties": [], "encoder_input": null, "decoder_output": {"kind": "counts", "width": 1}}'
    )
    np.save(tmp_path / "decoder_output.npy", np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(InputError):
        FeatureStore.open(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["json.py", "molvae.py", "socket.py", "pickle.py"])
def test_modules_in_the_working_folder_are_not_run(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    code = (
        "import sys; sys.path = [one for one in sys.path if one]\n"
        "from molvae.workers import LocalProcesses\n"
        "print(list(LocalProcesses(1)(len, [['CCO', 'C']])))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[[3, 1]]\n", done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (Path.touch, "path"),
        (subprocess.run, ["touch", "path"]),
        (eval, "open('path', 'w')"),
        (np.save, "path"),
        (getattr, "path"),
    ],
)
def test_stored_results_of_workers_run_no_code(function: Any, arguments: Any, tmp_path: Path) -> None:
    """These files are pickles, which a loader reads that creates numbers, arrays and results of molvae only."""
    ran = str(tmp_path / "ran")

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return function, (json.loads(json.dumps(arguments).replace("path", ran)),)

    store = ShardStore(tmp_path / "shards")
    store.write("ab" * 32, pickle.dumps([1.5, "CCO", np.arange(3)]))
    assert store.read("ab" * 32)[:2] == [1.5, "CCO"]
    store.write("ab" * 32, pickle.dumps([Bomb()]))
    assert store.read("ab" * 32) is None
    assert not (tmp_path / "ran").exists()


def test_a_pickled_model_is_refused_before_it_is_read(tmp_path: Path) -> None:
    from molvae.scoring.scorers.sklearn_model import load_sklearn

    for name in ("model.pkl", "model.joblib", "model.skops"):
        (tmp_path / name).write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match="a pickle can run any code"):
        load_sklearn(tmp_path / "model.pkl")
    with pytest.raises(InputError, match="a pickle can run any code"):
        load_sklearn(tmp_path / "model.joblib")
