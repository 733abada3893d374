"""README.md and docs/ match the code: paths exist, command lines parse, figures match, the Python example runs."""

import ast
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from molvae.pipeline.cli import GROUPS, app

from molvae.autoencoder.recipes import RECIPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
FIGURES = ROOT / "docs" / "figures.py"
PAGES = [
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")]
    if path.parent.name != ".pytest_cache"
]
WITH_COMMANDS = [
    *PAGES,
    *(ROOT / "pipeline" / "campaigns").glob("*.toml"),
    *(ROOT / "molvae" / "training" / "configs").glob("*.toml"),
]
COMMANDS = [
    (path.relative_to(ROOT).as_posix(), found[1])
    for path in WITH_COMMANDS
    for found in re.finditer(r"^(?: {4}|# {2,})(molvae [a-z].*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
]


def tree(text: str, heading: str) -> list[str]:
    """The paths of the indented tree below a heading; two or more spaces separate a name from its description."""
    block = re.search(rf"^## (?:\d+\. )?{heading}\n(?:(?!    ).*\n)*((?:(?: {{4}}.*)?\n)+)", text, re.MULTILINE)
    assert block
    parents: list[tuple[int, str]] = []
    paths = []
    for line in filter(str.strip, block[1].splitlines()):
        depth = len(line) - len(line.lstrip())
        if depth > 20:  # a continued description
            continue
        names = re.split(r" {2,}", line.strip())[0].split()
        parents = [parent for parent in parents if parent[0] < depth]
        folder = "".join(name for _, name in parents)
        paths += [folder + name for name in names]
        if names[-1].endswith("/"):
            parents.append((depth, names[-1]))
    return paths


def test_readme_lists_no_missing_path() -> None:
    paths = tree(README, "What is where")
    assert len(paths) > 15
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_design_lists_every_module_and_no_missing_path() -> None:
    paths = tree(DESIGN, "Layout")
    assert not [path for path in paths if not (ROOT / path).exists()]
    modules = [*(ROOT / "molvae").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py")]
    names = {path.relative_to(ROOT).as_posix() for path in modules if path.name != "__init__.py"}
    assert names <= set(paths), f"not in docs/design.md: {sorted(names - set(paths))}"


def test_layers_match_the_architecture_test() -> None:
    block = re.search(r"^## 3\. .*\n\n((?: {4}.*\n)+)", DESIGN, re.MULTILINE)
    assert block
    listed = {
        name.strip(): int(line.split()[0])
        for line in block[1].splitlines()
        for name in re.split(r" {2,}", line.strip())[1:]
    }
    layers = runpy.run_path(str(ROOT / "tests" / "test_architecture.py"))["LAYERS"]
    expected = {name: layer for name, layer in layers.items() if list(ROOT.glob(name.replace(".", "/") + "*"))}
    assert listed == expected


def test_recipe_table_matches_the_code() -> None:
    rows = re.findall(r"^\| (\w+)[^|]* \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", DESIGN, re.MULTILINE)
    listed = {
        name: (
            loss.startswith("masked"),
            bottleneck.split(",")[0],
            set(re.findall(r"kl_to_rate|kl|l1|contraction|similarity", terms)),
        )
        for name, loss, bottleneck, terms in rows
    }
    expected = {
        name: (recipe.scores_hidden, recipe.bottleneck, {*recipe.regularizers}) for name, recipe in RECIPES.items()
    }
    assert {name: row for name, row in listed.items() if name != "recipe"} == expected


def test_figures_match_the_cards() -> None:
    done = subprocess.run([sys.executable, FIGURES, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_figures_are_filled_in_from_the_cards() -> None:
    script = runpy.run_path(str(FIGURES))
    metrics = json.loads((ROOT / "data" / "moses" / "codec.json").read_text(encoding="utf-8"))["card"]["metrics"]
    text = "1 %<!-- moses exact_reconstruction -->, 0.000<!-- moses fcd_to_test -->, 1<!-- moses n_test -->"
    filled = re.sub(r"<!--.*?-->", "", script["fill"](text))
    assert (
        filled == f"{100 * metrics['exact_reconstruction']:.0f} %, {metrics['fcd_to_test']:.3f}, {metrics['n_test']:,}"
    )
    share = f"{100 * metrics['exact_reconstruction']:.2f} %"
    assert script["unmarked"](f"{share} of the molecules") == [share]
    assert script["unmarked"](f"{share}<!-- moses exact_reconstruction -->") == []
    for unknown in ("moses no_such_metric", "no_such_codec exact_reconstruction"):
        with pytest.raises(script["FigureError"], match=unknown.split()[unknown.startswith("moses")]):
            script["fill"](f"1 %<!-- {unknown} -->")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_resolve(page: Path) -> None:
    prose = re.sub(r"^(?: {4}.*|```(?s:.*?)^```)$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", prose)
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_command_line_parses(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is parsed but not run."""
    job: Any = app(shlex.split(line, comments=True)[1:], prog_name="molvae", standalone_mode=False)
    assert callable(job)


def test_every_command_is_shown() -> None:
    shown = {line.split()[1] for _, line in COMMANDS}
    assert shown >= {registered.callback.__name__ for registered in app.registered_commands if registered.callback}
    words = {tuple(line.split()[1:3]) for _, line in COMMANDS}
    inner = {(group.info.name, found.callback.__name__) for group in GROUPS for found in group.registered_commands}
    assert words >= inner


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One torch thread: when other jobs run, two threads that wait for each other take ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    for block in blocks:
        ast.parse(block)
        exec(compile(block, "README.md", "exec"), names)
    assert names["encoding"].z.shape == (3, names["codec"].n_latent)
    assert names["encoding"].ok.tolist() == [True, True, False]
    assert "invalid SMILES" in names["encoding"].reason[2]
    assert len(names["analogs"]) == 10
    assert len(names["new"]) == 100
    best: pd.DataFrame = names["best"]
    assert 0 < len(best) <= 200
    assert np.all(np.diff(best["score"]) <= 0)
    assert set(pd.read_csv(tmp_path / "candidates.csv")["smiles"]) == set(best["smiles"])
    assert names["model"].predict(best["smiles"]).shape == (len(best),)
