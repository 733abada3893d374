"""The package's metadata match the code: packages, data files, extras, version."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import molvae

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETTINGS = PYPROJECT["tool"]["setuptools"]
OPTIONAL = ("cma", "dimorphite_dl", "fastapi", "fcd_torch", "prefect", "sqlalchemy", "tzlocal", "uvicorn")

BLOCKED = f"import sys\nsys.modules.update(dict.fromkeys({OPTIONAL}))\n"
"""Code after which the packages of every extra cannot be imported, as if they were not installed."""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCKED + script], cwd=folder, capture_output=True, text=True)


def test_every_package_is_listed() -> None:
    found = {
        path.parent.relative_to(ROOT).as_posix()
        for top in ("molvae", "pipeline")
        for path in (ROOT / top).rglob("__init__.py")
    }
    names = {name.replace("/", ".").replace("pipeline", "molvae.pipeline") for name in found}
    assert set(SETTINGS["packages"]) == names | {"molvae.data"}


def test_every_data_file_is_listed() -> None:
    folders = {"molvae": ROOT / "molvae", "molvae.pipeline": ROOT / "pipeline", "molvae.data": ROOT / "data"}
    for name, folder in folders.items():
        listed = {path for pattern in SETTINGS["package-data"][name] for path in folder.glob(pattern)}
        others = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert others == listed


def test_version_is_that_of_the_distribution() -> None:
    assert molvae.__version__ == version("molvae") == PYPROJECT["project"]["version"]


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(molvae, name) is not None for name in molvae.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = molvae.nonsense


def test_core_imports_without_the_extras(tmp_path: Path) -> None:
    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for top in ("molvae", "pipeline")
        for path in sorted((ROOT / top).rglob("*.py"))
    ]
    core = {name if name.startswith("molvae") else f"molvae.{name}" for name in modules}
    core -= {f"molvae.pipeline.{name}" for name in ("flow", "deploy", "publishing", "reporting", "serving")}
    names = ", ".join(sorted(core))
    done = run(f"import {names}\nassert not any(map(sys.modules.get, {OPTIONAL}))", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["design"], "molvae[pipeline]"),
        (["serve", "lead.toml", "--cron", "0 3 * * *"], "molvae[pipeline]"),
        (["evaluate"], "molvae[evaluate]"),
    ],
)
def test_command_names_the_extra_that_it_requires(arguments: list[str], extra: str, tmp_path: Path) -> None:
    done = run(f"from molvae.pipeline.cli import main\nmain({arguments})", tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert extra in done.stderr
    assert len(done.stderr.splitlines()) == 1
