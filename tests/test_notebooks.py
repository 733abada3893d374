"""The notebooks run, and their committed outputs are those of the bundled codec."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from molvae.codec import load_codec

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def output_kinds(notebook: nbformat.NotebookNode) -> list[list[tuple[str, ...]]]:
    """The kinds of output of each code cell; the content may differ between CPUs."""
    return [
        [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def printed_text(notebook: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    committed = nbformat.read(path, as_version=4)
    fresh = nbformat.from_dict(committed)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert output_kinds(fresh) == output_kinds(committed)
    assert not [kinds for kinds in output_kinds(fresh) if ("stream", "stderr") in kinds]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_the_bundled_codec(path: Path) -> None:
    """After a change of the codec, run the notebook again and check its text:

    jupyter execute --inplace --NotebookClient.record_timing=False notebooks/*.ipynb
    """
    assert path.stat().st_size < 1_000_000
    assert load_codec().sha256[:12] in printed_text(nbformat.read(path, as_version=4))
