"""`molvae query` over several runs, and the examples of docs/query.md."""

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import write_candidates

PAGE = Path(__file__).parent.parent.parent / "docs" / "query.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = [
    example.replace("\\\n", " ") for block in BLOCKS for example in re.split(r"\n(?=molvae )", block) if example.strip()
]


_written: list[Path] = []


@pytest.fixture(autouse=True)
def runs(candidates: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs in the folder runs, and the link latest; the same for all tests."""
    if not _written:
        _written.append(tmp_path_factory.mktemp("work"))
        table = candidates.assign(value_potency=[8.1, 6.0, 7.9, 9.0], value_potency_std=[0.3, 0.7, 0.9, 0.4])
        for number, name in enumerate(("lead-1", "lead-2"), start=1):
            folder = _written[0] / "runs" / name
            (folder / "4-validate").mkdir(parents=True)
            (folder / "campaign.toml").write_text('name = "lead"\n')
            (folder / "4-validate" / "manifest.json").write_text("{}")
            write_candidates(folder, table.assign(score=[0.9 / number, 0.7, float("nan"), 0.1]))
        (_written[0] / "runs" / "latest").symlink_to("lead-2")
    monkeypatch.chdir(_written[0])


def run(*arguments: str) -> int:
    return cli._run(["query", *arguments])


def test_damaged_settings_of_a_run_are_a_note(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree("runs/lead-1", tmp_path / "lead-1"))
    (folder / "campaign.toml").write_text("name = ", encoding="utf-8")
    assert run(str(folder), "select count(*) from candidates") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == "4"
    assert "campaign.toml" in err


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["latest"], ["C000002"]),
        (["lead-1"], ["C000001", "C000002"]),
        (["runs/lead-1", "runs/lead-2"], ["C000001", "C000002", "C000002"]),
        (["runs/lead-*"], ["C000001", "C000002", "C000002"]),
        (["runs"], ["C000001", "C000002", "C000002"]),
        (["runs/lead-2/candidates.csv"], ["C000002"]),
    ],
)
def test_runs_are_named_as_in_other_commands(
    words: list[str], rows: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "score > 0.5 order by run, candidate_id") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    names = header.split(",")
    assert [line.split(",")[names.index("candidate_id")] for line in lines] == rows
    assert (names[:3] == ["run", "campaign", "date"]) == (len(rows) == 3)


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        ([], "Missing argument"),
        (["latest"], "Missing argument"),
        (["score > 0", "runs/latest"], "last argument"),
        (["score > 0", "latest"], "last argument"),
        (["lead-3", "score > 0"], "lead-2"),
        (["runs/other-*", "score > 0"], "no file or folder matches"),
        (["latest", "@missing.sql"], "@missing.sql"),
        (["latest", "@runs"], "@runs"),
        (["latest", "@runs/lead-1/candidates.parquet"], "UTF-8"),
        (["latest", "score > 0", "--seconds", "0"], "more than 0"),
        (["latest", "score > 0", "--memory", "-1"], "more than 0"),
    ],
)
def test_mistakes_are_explained_in_one_line(
    arguments: list[str], fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert fact in error
    assert error.count("\n") == 1


def test_a_query_is_read_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "amides.sql"
    path.write_text("-- with characters that a shell interprets\nhas('[$(C=O)]N')\n  and has('[!#6]')\n", "utf-8-sig")
    assert run("latest", f"@{path}") == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["C000001", "C000002"]


def test_functions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--functions") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("similar_to('SMILES')") for line in lines)
    assert any(line.startswith("mol_weight()") for line in lines)


def test_a_wide_result_says_what_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    assert run("latest", "score > 0.1 order by value_potency_std") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split()[:4] == ["candidate_id", "smiles", "score", "value_potency_std"]
    assert max(map(len, shown.out.splitlines())) <= 100
    assert "more columns; -o FILE writes all" in shown.err


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 9


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_of_the_page_run(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(example)
    codec = ["--codec", "moses"] if "domain()" in example else []
    assert cli._run([*words[1:], *codec]) == 0, capsys.readouterr().err


def test_the_python_example_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, pd.DataFrame] = {}
    exec(code, names)
    assert names["best"]["candidate_id"].tolist() == ["C000002", "C000001"]
    assert set(names["both"]["run"]) == {"lead-1", "lead-2"}
