"""Structure drawings: inline SVG for reports and notebooks, and mol blocks with 2-D coordinates for SDF files."""

import re
from collections.abc import Collection, Mapping, Sequence
from html import escape

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdCoordGen, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Geometry import Point3D

from molvae.chem.molecules import parse

_EMPTY_RECORD = "\n     RDKit          2D\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n"


def mol_block(smiles: str | None, title: str = "") -> str:
    """Write a mol block with 2-D coordinates: V2000, or V3000 if it is required.

    The same SMILES gives the same bytes.

    Parameters
    ----------
    smiles : str or None
        Canonical SMILES. An invalid SMILES gives a record without atoms, so that no row is lost.
    title : str, default=""
        First line of the mol block.

    Returns
    -------
    str

    Examples
    --------
    >>> mol_block("CO", title="C7").splitlines()[3][:6]
    '  2  1'
    """
    mol = _mol_2d(smiles)
    if mol is None:
        return title + _EMPTY_RECORD
    block = Chem.MolToMolBlock(mol)
    with rdBase.BlockLogs():
        back = Chem.MolFromMolBlock(block)
    if back is None or Chem.MolToSmiles(back) != smiles:
        # The drawing of a crowded cage can lose stereo; a slower layout keeps it.
        rdCoordGen.AddCoords(mol)
        block = Chem.MolToMolBlock(mol)
    return title + block


def sdf_record(smiles: str | None, title: str, fields: Mapping[str, str]) -> str:
    """Write a molecule as a record of an SDF, with 2-D coordinates and data fields.

    Parameters
    ----------
    smiles : str or None
        Canonical SMILES; see `mol_block`.
    title : str
        First line of the record.
    fields : mapping of str to str
        Data fields by name. Text is written on one line, and names without angle brackets.

    Returns
    -------
    str

    Examples
    --------
    >>> sdf_record("CO", "C7", {"score": "0.5"}).splitlines()[-4:]
    ['>  <score>', '0.5', '', '$$$$']
    """
    lines = (
        f">  <{_one_line(name.replace('<', '_').replace('>', '_'))}>\n{_one_line(text)}\n\n"
        for name, text in fields.items()
    )
    return f"{mol_block(smiles, title=_one_line(title))}{''.join(lines)}$$$$\n"


def _one_line(text: str) -> str:
    """The text on one line; a space precedes text that an SDF reader would read as a field or the end of a record."""
    line = " ".join(text.splitlines())
    return " " + line if line.startswith(("$$$$", ">")) else line


def draw_svg(
    smiles: str | None,
    width: int = 240,
    height: int = 180,
    highlighted: Collection[int] = (),
    like: tuple[str, Sequence[tuple[int, int]]] | None = None,
) -> str:
    """Draw a molecule as an inline SVG element for HTML, without URLs.

    The page sets colors and line widths by CSS: each path and letter has a class for its element (`eC` carbon and
    bonds, `eN`, `eO`, `eS`, `eP`, `eX` halogens, `eZ` all others); wedges also have the class `w`, and the marks of
    highlighted atoms and bonds the class `mark`.

    Parameters
    ----------
    smiles : str or None
        SMILES.
    width, height : int, default=240, 180
        Size of the view box, in pixels.
    highlighted : collection of int, default=()
        Positions of atoms in the SMILES; they are marked, and so are the bonds between them.
    like : (str, sequence of (int, int)), optional
        SMILES of a molecule whose drawing this one is turned to, and the pairs of atoms that the two share: positions
        in that SMILES and in this one.

    Returns
    -------
    str
        The element; "" if the SMILES is invalid.

    Examples
    --------
    >>> draw_svg("CCO")[:42]
    '<svg class="mol" viewBox="0 0 240 180" rol'
    """
    mol = _mol_2d(smiles)
    if mol is None:
        return ""
    reference = _mol_2d(like[0]) if like else None
    if like is not None and reference is not None:
        _turn(mol, reference, like[1])
    canvas = rdMolDraw2D.MolDraw2DSVG(width, height, -1, -1, True)  # True: letters as text, not as outlines
    options = canvas.drawOptions()
    options.clearBackground = False
    options.padding = 0.06
    options.fixedBondLength = 26.0
    options.setAtomPalette(_PALETTE)
    drawn = rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False)
    canvas.DrawMolecule(drawn)
    canvas.FinishDrawing()
    label = escape(f"Structure of {smiles}")
    frame = f'<svg class="mol" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    return f"{frame}{_marks(drawn, canvas, set(highlighted))}{_compact(canvas.GetDrawingText())}</svg>"


def draw_png(smiles: str | None, width: int = 240, height: int = 180) -> bytes:
    """Draw a molecule as a PNG image with a white background.

    Parameters
    ----------
    smiles : str or None
        SMILES.
    width, height : int, default=240, 180
        Size, in pixels.

    Returns
    -------
    bytes
        The image; empty if the SMILES is invalid.

    Examples
    --------
    >>> draw_png("CCO")[1:4], draw_png("C1CC")
    (b'PNG', b'')
    """
    mol = _mol_2d(smiles)
    if mol is None:
        return b""
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    canvas.drawOptions().padding = 0.06
    canvas.drawOptions().fixedBondLength = 26.0
    canvas.DrawMolecule(rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False))
    canvas.FinishDrawing()
    return bytes(canvas.GetDrawingText())


def draw_colored_svg(smiles: str | None, width: int = 200, height: int = 150) -> str:
    """Draw a molecule as an inline SVG element that needs no CSS: its colors are attributes.

    Bonds and carbon atoms have the color of the text around the drawing, so that they are visible on dark pages.

    Parameters
    ----------
    smiles : str or None
        SMILES.
    width, height : int, default=200, 150
        Size of the drawing, in pixels.

    Returns
    -------
    str
        The element; "" if the SMILES is invalid.

    Examples
    --------
    >>> draw_colored_svg("CCO").count('fill="#d0342c"')  # the letters O and H
    2
    """
    svg = draw_svg(smiles, width, height)
    size = (
        f'<svg width="{width}" height="{height}" fill="none" stroke="currentColor" stroke-width="1.5" '
        'stroke-linecap="round" font-family="Arial,Helvetica,sans-serif"'
    )
    return _CLASS.sub(_color_attributes, svg.replace('<svg class="mol"', size, 1))


def _color_attributes(match: re.Match[str]) -> str:
    """The attributes that replace a class of `draw_svg`."""
    tag, name, wedge = match.groups()
    color = _DISPLAY_COLORS[name]
    if tag == "text":
        return f'<text fill="{color}" stroke="none"'
    fill = f' fill="{color}" stroke-width=".5"' if wedge else ""
    stroke = "" if name == "C" else f' stroke="{color}"'
    return f"<path{stroke}{fill}"


def _mol_2d(smiles: str | None) -> Chem.Mol | None:
    """The molecule with 2-D coordinates; None if the SMILES is invalid."""
    try:
        mol = parse(smiles or "")
    except ValueError:
        return None
    rdDepictor.Compute2DCoords(mol, canonOrient=True, useRingTemplates=True)
    return mol


def _turn(mol: Chem.Mol, reference: Chem.Mol, shared: Sequence[tuple[int, int]]) -> None:
    """Turn, and where that fits better flip, the drawing of a molecule to that of another."""
    if len(shared) < 2:
        return
    there, here = (m.GetConformer().GetPositions()[:, :2] for m in (reference, mol))
    target = there[[i for i, _ in shared]]
    source = here[[j for _, j in shared]]
    left, _, right = np.linalg.svd((source - source.mean(axis=0)).T @ (target - target.mean(axis=0)))
    placed = (here - source.mean(axis=0)) @ (left @ right) + target.mean(axis=0)  # orthogonal Procrustes
    conformer = mol.GetConformer()
    for atom, (x, y) in enumerate(placed.tolist()):
        conformer.SetAtomPosition(atom, Point3D(x, y, 0.0))


def _marks(mol: Chem.Mol, canvas: rdMolDraw2D.MolDraw2DSVG, atoms: Collection[int]) -> str:
    """The marks of highlighted atoms and of the bonds between them; to be drawn before the atoms."""
    position = {atom: canvas.GetDrawCoords(atom) for atom in atoms if atom < mol.GetNumAtoms()}
    marks = [f'<circle class="mark" cx="{at.x:.1f}" cy="{at.y:.1f}" r="9"/>' for at in position.values()]
    for bond in mol.GetBonds():
        begin, end = position.get(bond.GetBeginAtomIdx()), position.get(bond.GetEndAtomIdx())
        if begin and end:
            marks.append(f'<path class="mark line" d="M{begin.x:.1f} {begin.y:.1f}L{end.x:.1f} {end.y:.1f}"/>')
    return f"<g>{''.join(marks)}</g>" if marks else ""


def _compact(svg: str) -> str:
    """Shorten RDKit's drawing to a third: bonds of one color in one path, letters as text.

    Only numbers, path commands and single letters are copied from the input.
    """
    lines: dict[str, list[str]] = {}
    wedges: dict[str, list[str]] = {}
    letters: list[str] = []
    for tag, attributes, content in _ELEMENT.findall(svg):
        style = attributes.partition("style=")[2]
        name = _COLOR_NAMES.get(_color(style), "Z")
        if tag == "path":
            steps = _PATH.search(attributes)
            if steps:
                kind = lines if "fill:none" in style else wedges
                kind.setdefault(name, []).append(_shorten_path(steps[1]))
        else:
            x, y = (_number(attributes, axis) for axis in "xy")
            size = re.search(r"font-size:(\d+)", style)
            letters.append(
                f'<text class="e{name}" x="{x}" y="{y}" font-size="{size[1] if size else 12}">{escape(content)}</text>'
            )
    paths = [f'<path class="e{name}" d="{"".join(parts)}"/>' for name, parts in lines.items()]
    paths += [f'<path class="e{name} w" d="{"".join(parts)}"/>' for name, parts in wedges.items()]
    return "".join(paths + letters)


def _shorten_path(steps: str) -> str:
    return re.sub(r" ?([MLQCZ]) ?", r"\1", steps.replace(",", " ")).strip()


def _color(style: str) -> str:
    found = re.search(r"(?:stroke|fill):#([0-9A-F]{6})", style)
    return found[1] if found else ""


def _number(attributes: str, name: str) -> str:
    found = re.search(rf"\b{name}='(-?[\d.]+)'", attributes)
    return found[1] if found else "0"


_CLASS = re.compile(r'<(path|text) class="e([A-Z])( w)?"')
_DISPLAY_COLORS = {
    "C": "currentColor",
    "N": "#3b6fd4",
    "O": "#d0342c",
    "S": "#a88400",
    "P": "#c26a00",
    "X": "#2a8a3c",
    "Z": "#2a8a8a",
}
"""Colors of the elements that are legible on light and on dark pages."""
_ELEMENT = re.compile(r"<(path|text)\s([^>]*?)/?>(?:([^<>])</text>)?")
_PATH = re.compile(r"\bd='([MLQCZ\d., -]+)'")

_COLORS = {
    "C": (0, 0, 0),
    "N": (0, 0, 1),
    "O": (1, 0, 0),
    "S": (1, 1, 0),
    "P": (1, 0, 1),
    "X": (0, 1, 0),
    "Z": (0, 1, 1),
}
_ELEMENTS = {"C": (1, 6), "N": (7,), "O": (8,), "S": (16,), "P": (15,), "X": (9, 17, 35, 53)}
_COLOR_NAMES = {"".join(f"{255 * part:02X}" for part in color): name for name, color in _COLORS.items()}
_PALETTE = {-1: _COLORS["Z"]} | {number: _COLORS[name] for name, numbers in _ELEMENTS.items() for number in numbers}
"""Seven colors that distinguish the classes in RDKit's drawing; the page sets the visible colors."""
