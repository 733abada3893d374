"""A complete run of the tiny campaign, the library that injects faults, and a folder to work in."""

import subprocess
import sys
from pathlib import Path

import pytest
from molvae.pipeline import runs
from molvae.pipeline.campaign import Campaign
from molvae.pipeline.run_dir import RunDir

from .harness import Lab, complete


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    library = tmp_path_factory.mktemp("faulty") / "faulty.so"
    source = Path(__file__).with_name("faulty.c")
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("needs a C compiler, cc")
    return library


@pytest.fixture
def lab(tmp_path: Path, faulty: Path) -> Lab:
    return Lab(tmp_path, faulty)


def started(folder: Path, *changes: str) -> RunDir:
    library = folder / "library.smi"
    library.write_text("CCO a\nc1ccccc1O b\nCC(=O)Nc1ccc(O)cc1 c\nO=C(O)c1ccccc1 d\nnonsense e\nCCO f\n")
    changes = (f"molecules.path={library}", "checks.in_training=false", *changes)
    run = runs.start(Campaign.load(Path("lead_like.toml"), changes), folder / "complete")
    complete(run)
    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A complete run of 60 molecules."""
    changes = ("search.budget=60", "search.proposals=40", "search.batch_size=20")
    return started(tmp_path_factory.mktemp("small"), *changes)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A complete run whose output files, except those of the first stage, are larger than 300 kB."""
    changes = ("search.budget=2800", "search.proposals=400", "search.batch_size=400", "search.surrogate.name=none")
    run = started(tmp_path_factory.mktemp("large"), *changes)
    for path in (run.proposals, run.latent, *run.published):
        assert path.stat().st_size > 300_000, path
    return run
