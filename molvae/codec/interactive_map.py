"""Interactive maps of molecules: one HTML page without links, for notebooks and as a file."""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from molvae.errors import cannot_write
from molvae.files import write_text

_WIDTH, _HEIGHT = 180, 120  # of a structure, in pixels
_N_COLORS = 32  # of the color bar


@dataclass(frozen=True, eq=False)
class Panel:
    """One of the maps of a page.

    Parameters
    ----------
    title : str
        Title of the map.
    x_label, y_label : str
        Labels of the axes.
    xy : ndarray of shape (n, 2)
        Coordinates of the molecules; NaN for a molecule that is not on the map.
    """

    title: str
    x_label: str
    y_label: str
    xy: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class InteractiveMap:
    """Maps of molecules as a page that shows structures.

    Parameters
    ----------
    page : str
        The HTML page, complete and without links.
    n_molecules : int
        Number of molecules on the page.
    n_drawn : int
        Number of molecules with a structure.
    """

    page: str
    n_molecules: int
    n_drawn: int

    def save(self, path: Path | str) -> Path:
        """Write the page as an HTML file, which works offline in any browser.

        Parameters
        ----------
        path : Path or str
            The file; an existing one is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        path = Path(path)
        try:
            write_text(path, self.page)
        except OSError as error:
            raise cannot_write(path, error) from error
        return path

    def __repr__(self) -> str:
        size = len(self.page) / 1e6
        return f"InteractiveMap({self.n_molecules:,} molecules, {self.n_drawn:,} structures, {size:.1f} MB)"

    def _repr_html_(self) -> str:
        """The page in its own frame, so that its scripts and styles do not mix with those of the notebook."""
        return (
            f'<iframe srcdoc="{escape(self.page)}" title="{escape(repr(self))}" '
            'style="width:100%;min-width:700px;height:640px;border:0"></iframe>'
        )


def make_map(
    panels: Sequence[Panel],
    smiles: Sequence[str | None],
    names: Sequence[str],
    values: np.ndarray | None,
    label: str,
    *,
    n_structures: int,
) -> InteractiveMap:
    """Make the page of one or several maps of the same molecules.

    Parameters
    ----------
    panels : sequence of Panel
        The maps, from left to right.
    smiles : sequence of str or None
        Canonical SMILES of the molecules.
    names : sequence of str
        Their names.
    values : ndarray of shape (n,), optional
        Their values, shown as color; NaN is gray.
    label : str
        Name of the values.
    n_structures : int
        Number of molecules that are drawn; these are the first ones.

    Returns
    -------
    InteractiveMap
        The page.
    """
    from molvae.chem.drawing import draw_colored_svg

    on_map = [row for row in range(len(smiles)) if np.isfinite(panels[0].xy[row]).all()]
    drawings = [draw_colored_svg(smiles[row], _WIDTH, _HEIGHT) for row in on_map[:n_structures]]
    kept = None if values is None else values[on_map]
    colors, bar = _colors(kept, len(on_map))
    content = {
        "names": [names[row] for row in on_map],
        "smiles": [smiles[row] for row in on_map],
        "values": None if kept is None else [float(f"{value:.4g}") if np.isfinite(value) else None for value in kept],
        "colors": colors,
        "bar": bar,
        "label": label,
        "panels": [
            {
                "title": panel.title,
                "x": panel.x_label,
                "y": panel.y_label,
                "xy": [[float(f"{number:.4g}") for number in panel.xy[row].tolist()] for row in on_map],
            }
            for panel in panels
        ],
        "note": f"{len(on_map):,} of {len(smiles):,} molecules are on the map"
        + ("." if len(drawings) == len(on_map) else f", {len(drawings):,} of them with a structure."),
    }
    # the content comes last: a name may contain one of these words
    page = _PAGE.replace("@POLICY@", _policy(_PAGE)).replace("@DRAWINGS@", _pack(drawings))
    page = page.replace("@CONTENT@", json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))
    return InteractiveMap(page, len(on_map), len(drawings))


def _policy(page: str) -> str:
    """The security policy: only the script of the page, and nothing from the network."""
    script = page.split("<script>", 1)[1].split("</script>", 1)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def _pack(drawings: Sequence[str]) -> str:
    """Drawings as JSON, compressed by raw DEFLATE, in base64: a fifth of their size."""
    compressor = zlib.compressobj(9, wbits=-15)
    packed = compressor.compress(json.dumps(drawings).encode()) + compressor.flush()
    return base64.b64encode(packed).decode()


def _colors(values: np.ndarray | None, n: int) -> tuple[list[str], dict[str, object] | None]:
    """The color of each molecule, and the color bar: its colors from low to high, and its ends."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    from molvae.figures import MISSING_COLOR  # imports matplotlib

    palette = colormaps["viridis"]
    if values is None or not np.isfinite(values).any():
        return ["#2c6fbb" if values is None else MISSING_COLOR] * n, None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    shares = (values - low) / ((high - low) or 1.0)
    colors = [to_hex(palette(share)) if np.isfinite(share) else MISSING_COLOR for share in shares.tolist()]
    bar = [to_hex(palette(share)) for share in np.linspace(0, 1, _N_COLORS)]
    return colors, {"colors": bar, "low": f"{low:.4g}", "high": f"{high:.4g}"}


_PAGE = (Path(__file__).parent / "interactive_map.html").read_text(encoding="utf-8")
