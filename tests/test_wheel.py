"""The built wheel works in a new environment outside the repository, without the checkout."""

import shutil
import site
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
PLUGIN = """
from molvae.checks.check import CheckEntry
from molvae.chem.properties import Property
from molvae.search.optimizers.prior_draws import PriorDraws

class Wander(PriorDraws):
    pass

def count(mol):
    return sum(atom.GetSymbol() in ("F", "Cl", "Br") for atom in mol.GetAtoms())

def few(limit, context):
    return lambda molecules: [f"{count(m.mol)} halogens" if count(m.mol) > limit else None for m in molecules]

HALOGENS = Property("halogens", count, "", (0, 3), "number of halogen atoms")
FEW = CheckEntry(few, 3, int, "at most this many halogens")
"""
PLUGIN_PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "halogens"
version = "1.0"

[project.entry-points."molvae.properties"]
halogens = "halogens:HALOGENS"

[project.entry-points."molvae.checks"]
few_halogens = "halogens:FEW"

[project.entry-points."molvae.optimizers"]
wander = "halogens:Wander"

[tool.setuptools]
py-modules = ["halogens"]
"""
HOSTILE = "raise SystemExit('a module of the working folder was imported')\n"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel, and a working folder with modules named like those of the wheel."""

    home: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    def run(self, *command: str | Path) -> str:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(self.folder)}
        environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def molvae(self, *arguments: str) -> str:
        return self.run(self.python.with_name("molvae"), *arguments)


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True, capture_output=True)


def install(environment: Path, source: Path) -> None:
    pip(
        "--python", environment / "bin" / "python", "install", "--no-deps", "--no-index", "--no-build-isolation", source
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves files in its source folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("molvae", "pipeline", "data"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out, source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The installed wheel; its dependencies are those of the running environment, not from the network."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if Path(path).name == "site-packages"] or site.getsitepackages()
    (packages / "shared.pth").write_text("\n".join(shared) + "\n")
    install(home, wheel)

    folder = tmp_path_factory.mktemp("hostile")
    (folder / "pipeline.py").write_text(HOSTILE)
    for name in ("pipeline", "data"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(HOSTILE)
    for name in ("moses", "druglike"):
        (folder / "data" / name).mkdir()
        (folder / "data" / name / "codec.json").write_text("not a codec")
    return Environment(home, folder)


def test_wheel_has_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"molvae"}


def test_installed_package_is_not_the_checkout(installed: Environment) -> None:
    where = installed.run(installed.python, "-c", "import molvae.pipeline.cli as cli; print(cli.__file__)")
    assert Path(where.strip()).is_relative_to(installed.home)


def test_version_command(installed: Environment) -> None:
    assert installed.molvae("--version").splitlines()[0] == f"molvae {version('molvae')}"


def test_encode_command(installed: Environment) -> None:
    (installed.folder / "in.smi").write_text("CC(=O)Nc1ccc(O)cc1\nnot a SMILES\n")
    installed.molvae("encode", "in.smi", "-o", "out.parquet")
    assert pd.read_parquet(installed.folder / "out.parquet")["ok"].tolist() == [True, False]


def test_design_command_with_plugins(installed: Environment, tmp_path: Path) -> None:
    (tmp_path / "halogens.py").write_text(PLUGIN)
    (tmp_path / "pyproject.toml").write_text(PLUGIN_PROJECT)
    install(installed.home, tmp_path)

    term = {"property": "halogens", "shape": "lower", "low": 0, "high": 5}
    changes = [f"objective.terms.halogens.{key}={value}" for key, value in term.items()]
    changes += ["search.budget=40", "starts.n=20", "checks.few_halogens=0"]  # the assay is in the wheel
    installed.molvae("design", "--out", "run", *(part for change in changes for part in ("--set", change)))
    candidates = pd.read_parquet(installed.folder / "run" / "candidates.parquet")
    assert len(candidates) == 40
    assert candidates["smiles"].is_unique
    assert candidates["score"].between(0, 1).all()
    assert candidates["value_potency_mean"].between(4, 11).all()
    n_halogens = candidates["smiles"].str.count("F|Cl|Br")
    assert (candidates["value_halogens"] == n_halogens).all()
    assert n_halogens.nunique() > 1
    assert ((candidates["check_few_halogens"] == "pass") == (n_halogens == 0)).all()

    search = "molvae.optimize(lambda smiles: [len(s) for s in smiles], budget=20, settings={'method': 'wander'})"
    assert installed.run(installed.python, "-c", f"import molvae; print(len({search}.table))") == "20\n"
