"""Matplotlib figures that scripts, pyplot and notebooks each show once."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

MISSING_COLOR = "#9a9a9a"
"""Color of molecules without a value."""


class _ShownFigure(Figure):
    """A figure of pyplot that a notebook shows once, also if it is the last value of a cell.

    A notebook shows the last value of a cell, and then every figure of pyplot that is still open. This figure is closed
    in pyplot when it is shown; it can still be saved.
    """

    def _ipython_display_(self) -> None:
        """Show the figure, and close it in pyplot if the notebook would show it again."""
        import matplotlib.pyplot as plt
        from IPython.display import display

        display({"image/png": self._png(), "text/plain": repr(self)}, raw=True)
        if "inline" in plt.get_backend().lower():
            plt.close(self)

    def _png(self) -> bytes:
        from io import BytesIO

        picture = BytesIO()
        self.savefig(picture, format="png", bbox_inches="tight")
        return picture.getvalue()


def new_figure(n_axes: int, width: float, height: float) -> "tuple[Figure, list[Axes]]":
    """Open a figure with axes side by side, like `matplotlib.pyplot.subplots`.

    Parameters
    ----------
    n_axes : int
        Number of axes.
    width, height : float
        Size in inches.

    Returns
    -------
    figure : Figure
        The figure, open in pyplot.
    axes : list of Axes
        Its axes, from left to right.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, n_axes, figsize=(width, height), layout="constrained", squeeze=False, FigureClass=_ShownFigure
    )
    return figure, list(axes[0])


def scatter_values(axis: "Axes", xy: np.ndarray, values: np.ndarray | None, size: float) -> "PathCollection | None":
    """Draw dots, colored by a value; those without a value are gray and lie below the others.

    Parameters
    ----------
    axis : Axes
        The axes to draw on.
    xy : ndarray of shape (n, 2)
        Coordinates; rows with NaN are not drawn.
    values : ndarray of shape (n,), optional
        Values, shown in the color map viridis, which color-blind readers can distinguish.
    size : float
        Area of a dot, in points squared.

    Returns
    -------
    PathCollection or None
        The colored dots, for a color bar; None without values.
    """
    if values is None:
        axis.scatter(xy[:, 0], xy[:, 1], s=size, linewidths=0, alpha=0.8)
        return None
    known = np.isfinite(values)
    if not known.all():
        axis.scatter(
            xy[~known, 0],
            xy[~known, 1],
            s=size,
            facecolors="none",
            edgecolors=MISSING_COLOR,
            linewidths=0.6,
            label="no value",
        )
    return axis.scatter(
        xy[:, 0], xy[:, 1], s=size, c=np.where(known, values, np.nan), cmap="viridis", linewidths=0, alpha=0.85
    )
