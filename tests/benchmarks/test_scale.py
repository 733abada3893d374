"""The table of costs in docs/scale.md: its fit, and that a stage is measured."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "scale.py"

ROWS = """stage,n,cpu_s,peak_mb,mb,machine,rdkit
encode,1000,3.0,100,0.5,one,2026.9.1
encode,2000,5.0,120,1.0,one,2026.9.1
encode,10000,22.0,150,5.0,one,2026.9.1
decode,1000,1.0,100,0.5,one,2026.9.1
"""


@pytest.fixture
def scale() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("benchmark_scale", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_scale"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["benchmark_scale"]


def test_a_line_through_two_sizes_is_checked_at_the_third(
    scale: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scale.csv"
    path.write_text(ROWS)
    monkeypatch.setattr(scale, "RESULTS", path)
    _, _, encode, _, machine = scale.scale_table().splitlines()
    assert encode == "| encode | 1,000; 2,000 | 2 | 1.0 | 150 | 500 | 10,000: 22 s, expected 21 s |"
    assert machine == "Machine: one, RDKit 2026.9.1."


@pytest.mark.parametrize("stage", ["page", "standardize"])
def test_a_stage_is_measured(scale: ModuleType, stage: str) -> None:
    row = scale.measure(stage, 30)
    assert row["stage"] == stage
    assert row["n"] == 30
    assert row["cpu_s"] >= 0
    assert row["mb"] > 0
