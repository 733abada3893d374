"""The examples of docs/scoring.md: the terms are valid, and the function and the commands score molecules."""

import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from molvae.chem.functional_groups import FUNCTIONAL_GROUPS
from molvae.chem.rules import RULES
from molvae.scoring.objective import Objective, ObjectiveSettings

PAGE = (Path(__file__).parent.parent / "docs" / "scoring.md").read_text(encoding="utf-8")
MOLECULES = ["CCCO", "c1ccncc1", "CN(C)CCCl"]


def block(section: str, language: str) -> str:
    """The first block of code of a language in a section."""
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    code = re.search(rf"^```{language}\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)
    assert code
    return code[1]


def objective_settings(section: str, **changes: object) -> ObjectiveSettings:
    """The settings of the term in a section."""
    terms = tomllib.loads(block(section, "toml"))["objective"]["terms"]
    (name,) = terms
    return ObjectiveSettings.from_dict({"terms": {name: terms[name] | changes}}, "docs/scoring.md")


def objective(section: str, **changes: object) -> Objective:
    """The objective of the term in a section."""
    return Objective(objective_settings(section, **changes))


def test_the_terms_on_structures(tmp_path: Path) -> None:
    terms = tomllib.loads(block("Structures", "toml"))["objective"]["terms"]
    for term in terms.values():
        for key in ("to_file", "of_file"):
            if key in term:
                path = tmp_path / term[key]
                path.write_text("SMILES\nO=C1c2ccccc2CC1CC1CCN(Cc2ccccc2)CC1\n")
                term[key] = str(path)
    molecules = [terms["core"]["of"], "O=C1c2ccccc2CC1CC1CCN(Cc2ccccc2)CC1", "CCN(CC)CC(=O)O"]
    table = Objective(ObjectiveSettings.from_dict({"terms": terms}, "docs/scoring.md"))(molecules)
    assert {f"score_{name}" for name in terms} <= set(table)
    assert table["value_known"].tolist() == table["value_actives"].tolist()
    assert table["value_known"][1] == 1
    assert table["score_core"].tolist() == [1, 1, 0]
    assert table["score_others"].tolist() == [0, 0, 1]
    assert table["score_acid"].tolist() == [1, 1, 0]
    assert table["score_amine"].tolist() == [1, 1, 1]
    assert table["value_rings"].tolist() == [0, 0, 0]


def test_the_functional_groups_and_rules_are_listed() -> None:
    found = re.search(r"The names of `group` are:\n\n((?:[-\s].*\n)+)", PAGE)
    assert found
    assert re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", found[1])) == list(FUNCTIONAL_GROUPS)
    rows = dict(re.findall(r'^\| `"(\w+)"` \| [^|]+ \| (.+) \|$', PAGE, re.MULTILINE))
    assert rows == {name: f"{rule.title}: {rule.source}" for name, rule in RULES.items()}


@pytest.mark.skipif(find_spec("dimorphite_dl") is None, reason="needs the extra charge")
def test_the_charge() -> None:
    assert objective("Charge at a pH")(["CCO", "CCN", "CC(=O)O"])["score"].tolist() == [1, 1, 0]


def test_the_function(tmp_path: Path) -> None:
    path = tmp_path / "my_scores.py"
    path.write_text(block("A Python function", "python"))
    table = objective("A Python function", python=f"{path}:score")(MOLECULES)
    assert table["value_chain"].tolist() == [3, 0, 2]
    assert table["value_chain_n_runs"].tolist() == [1, 0, 3]


@pytest.mark.parametrize(("section", "name"), [("Docking", "dock"), ("ADMET", "herg")])
def test_the_terms_of_optional_packages_are_valid(section: str, name: str) -> None:
    term = objective_settings(section).terms[name]
    assert term.score(np.array([-12.0, 0.1, 0.7]))[1:].tolist() == ([0, 0] if name == "dock" else [1, 0])


@pytest.mark.parametrize(
    ("language", "name", "program", "values"),
    [("python", "chain.py", sys.executable, [3, 0, 5]), ("sh", "length.sh", "sh", [4, 8, 9])],
)
def test_the_commands(tmp_path: Path, language: str, name: str, program: str, values: list[float]) -> None:
    path = tmp_path / name
    path.write_text(block("A command", language))
    table = objective("A command", command=[program, str(path)])([*MOLECULES, "C.C"])
    assert table["value_chain"].tolist()[:3] == values
    if language == "python":
        assert table["unscored_reason"].tolist()[3] == "chain: several fragments"


def test_the_objective_in_python() -> None:
    names: dict[str, object] = {}
    exec(compile(block("From Python", "python"), "docs/scoring.md", "exec"), names)
    assert names["objective"](["CC(=O)Nc1ccncc1", "CCO"])["score"].gt(0).tolist() == [True, False]  # type: ignore[operator]
