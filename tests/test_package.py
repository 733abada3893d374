"""What is installed is what is there: a package that pyproject.toml forgets is missing only once it is installed."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_every_package_is_listed() -> None:
    found = {
        path.parent.relative_to(ROOT).as_posix()
        for top in ("molvae", "pipeline")
        for path in (ROOT / top).rglob("__init__.py")
    }
    names = {name.replace("/", ".").replace("pipeline", "molvae.pipeline") for name in found}
    assert set(SETTINGS["packages"]) == names | {"molvae.data"}


def test_every_other_file_is_taken_along() -> None:
    folders = {"molvae": ROOT / "molvae", "molvae.pipeline": ROOT / "pipeline", "molvae.data": ROOT / "data"}
    for name, folder in folders.items():
        taken = {path for pattern in SETTINGS["package-data"][name] for path in folder.glob(pattern)}
        others = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert others == taken
