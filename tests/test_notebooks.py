"""The notebooks run, and their committed outputs are those of the bundled codec."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from molvae.codec import load_codec

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FAST = "02_map"
"""The notebook that the default suite runs; `make check` runs the others, too."""


def output_kinds(notebook: nbformat.NotebookNode) -> list[list[tuple[str, ...]]]:
    """The kinds of output of each code cell; the content may differ between CPUs."""
    return [
        [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def shown_text(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem == FAST else pytest.mark.slow, id=path.stem) for path in NOTEBOOKS],
)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    committed = nbformat.read(path, as_version=4)
    fresh = nbformat.from_dict(committed)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert output_kinds(fresh) == output_kinds(committed)
    assert not [kinds for kinds in output_kinds(fresh) if ("stream", "stderr") in kinds]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_its_outputs(path: Path) -> None:
    """After a change, run the notebooks again in an empty folder, and check their text:

    jupyter execute --inplace --NotebookClient.record_timing=False notebooks/*.ipynb
    """
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < 1_500_000
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert "<svg" in "".join(str(cell.get("outputs", "")) for cell in notebook.cells)


def test_outputs_are_those_of_the_bundled_codec() -> None:
    assert load_codec().sha256[:8] in shown_text(nbformat.read(FOLDER / "01_similarity.ipynb", as_version=4))
