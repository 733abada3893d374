"""A figure is open after it is drawn, and a notebook shows it exactly once."""

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from matplotlib.colors import to_rgba
from nbclient import NotebookClient

from molvae.figures import MISSING_COLOR, new_figure, scatter_values

DRAW = "from molvae.figures import new_figure\nfigure, axes = new_figure(1, 1, 1)\n"
CELLS = {
    "figure": 1,
    "": 1,
    "import matplotlib.pyplot as plt\nplt.show()": 1,
    "figure.savefig('figure.png')": 1,
    "import matplotlib.pyplot as plt\nplt.close(figure)\nfigure": 1,
    "import matplotlib.pyplot as plt\nplt.close(figure)": 0,
}
"""The end of a cell that draws a figure -> how often a notebook shows the figure."""


def test_a_notebook_shows_a_figure_once(tmp_path):
    cells = [nbformat.v4.new_code_cell(DRAW + end) for end in CELLS]
    cells.append(nbformat.v4.new_code_cell("figure"))  # in another cell, when it is no longer open
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in notebook.cells]
    assert shown == [*CELLS.values(), 1]
    assert all(len(cell.outputs) == n for cell, n in zip(notebook.cells, shown, strict=True))
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_is_open_in_pyplot():
    figure, axes = new_figure(2, 3, 2)
    assert plt.figure(figure.number) is figure
    assert figure.axes == axes
    plt.close(figure)


def test_dots_without_a_value_are_gray_rings():
    figure, (axis,) = new_figure(1, 3, 2)
    drawn = scatter_values(axis, np.arange(6.0).reshape(3, 2), np.array([1.0, np.nan, 2.0]), 5)
    gray, colored = axis.collections
    assert colored is drawn
    assert gray.get_offsets().tolist() == [[2, 3]]
    np.testing.assert_allclose(gray.get_edgecolor()[0], to_rgba(MISSING_COLOR))
    assert np.ma.compressed(colored.get_array()).tolist() == [1, 2]
    assert scatter_values(axis, np.zeros((2, 2)), None, 5) is None
    plt.close(figure)
