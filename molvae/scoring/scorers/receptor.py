"""The receptor of a docking and the box around its binding site: read from files, and checked before Vina reads them.

Vina ends the whole process at some malformed files, so every line of a receptor is checked here.
"""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from molvae.chem.ligands import read_coordinates
from molvae.errors import InputError
from molvae.extras import require
from molvae.files import sha256_of

MIN_EDGE, MAX_EDGE = 5.0, 50.0
"""Smallest and largest edge of a box, in Å."""

_N_MEGABYTES = 50
_ATOM_TAGS = ("ATOM", "HETATM")
_OTHER_TAGS = ("TER", "REMARK", "WARNING", "END")
_FLEXIBLE_TAGS = ("ROOT", "BRANCH", "TORSDOF", "BEGIN_RES")
_TYPES = frozenset(
    {"A", "At", "Br", "C", "Ca", "Cl", "F", "Fe", "HD", "H", "I", "Mg", "Mn", "N", "NA", "O", "OA", "P", "S", "SA"}
    | {"Si", "Zn", "Cd", "Co", "Cu", "Hg", "K", "Na", "Ni", "U"}
)
"""Atom types that Vina knows in a receptor."""
_HOW = "mk_prepare_receptor.py of meeko makes a PDBQT from a PDB file"
_BOX_KEY = re.compile(r"^\s*((?:center|size)_[xyz])\s*=\s*([^#\s]+)", re.MULTILINE)


class Box(NamedTuple):
    """The search space of a docking: a box with edges along the axes.

    Parameters
    ----------
    center : tuple of float
        x, y and z of the center, in Å.
    size : tuple of float
        Length of the edges, in Å.
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]


class Receptor(NamedTuple):
    """A rigid receptor with its box.

    Parameters
    ----------
    name : str
        Name of the target, or of the file.
    path : Path
        PDBQT file.
    sha256 : str
        Hash of the file, so that a changed receptor is another one.
    box : Box
        The search space.
    """

    name: str
    path: Path
    sha256: str
    box: Box


def list_targets() -> dict[str, tuple[Path, Path]]:
    """The prepared targets of the package dockstring.

    Returns
    -------
    dict of str to (Path, Path)
        PDBQT file and box file by name; the package itself is not imported.

    Raises
    ------
    MissingPackageError
        dockstring is not installed.
    """
    require("dockstring", "a target of docking")
    spec = find_spec("dockstring")
    places = spec.submodule_search_locations if spec else None
    folders = [Path(folder) / "resources" / "targets" for folder in places or ()]
    files = sorted(path for folder in folders for path in folder.glob("*_target.pdbqt"))
    names = [path.name.removesuffix("_target.pdbqt") for path in files]
    return {name: (path, path.with_name(f"{name}_conf.txt")) for name, path in zip(names, files, strict=True)}


def make_box(center: Sequence[float], size: Sequence[float], where: str) -> Box:
    """Check a box.

    Parameters
    ----------
    center, size : sequence of float
        Center and edges, in Å.
    where : str
        Where they come from, for error messages.

    Returns
    -------
    Box

    Raises
    ------
    InputError
        A number is missing or not finite, or an edge is too short or too long.
    """
    x, y, z = _three(center, f"{where}: center")
    a, b, c = _three(size, f"{where}: size")
    for edge in (a, b, c):
        if not MIN_EDGE <= edge <= MAX_EDGE:
            raise InputError(
                f"{where}: size: expected {MIN_EDGE:g} to {MAX_EDGE:g} Å per edge, got {edge:g}; 20 to 30 are usual"
            )
    return Box((x, y, z), (a, b, c))


def read_box(path: Path) -> Box:
    """Read the box from a configuration file of Vina; other lines of the file are ignored.

    Parameters
    ----------
    path : Path
        Text with ``center_x = 1.0`` and likewise `center_y`, `center_z`, `size_x`, `size_y` and `size_z`.

    Returns
    -------
    Box

    Raises
    ------
    InputError
        The file cannot be read, a key is missing, or the box is too small or too large.
    """
    found = dict(_BOX_KEY.findall(_read(path)))
    names = [f"{part}_{axis}" for part in ("center", "size") for axis in "xyz"]
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"{path}: expected lines such as center_x = 1.0; {', '.join(missing)} missing")
    try:
        numbers = [float(found[name]) for name in names]
    except ValueError as error:
        raise InputError(f"{path}: expected numbers for the box: {error}") from None
    return make_box(numbers[:3], numbers[3:], str(path))


def box_around(path: Path, margin: float) -> Box:
    """The box around a ligand in the binding site.

    Parameters
    ----------
    path : Path
        Ligand with the coordinates of the receptor: .sdf, .mol, .pdb or .pdbqt.
    margin : float
        Distance from the outermost atoms to the sides of the box, in Å.

    Returns
    -------
    Box

    Raises
    ------
    InputError
        The file cannot be read, or the box is too small or too large.
    """
    atoms = read_coordinates(path)
    low, high = atoms.min(axis=0), atoms.max(axis=0)
    center, size = ((low + high) / 2).round(3), (high - low + 2 * margin).round(3)
    return make_box(center.tolist(), size.tolist(), f"{path} with a margin of {margin:g} Å")


def read_receptor(path: Path, box: Box, name: str | None = None) -> Receptor:
    """Check a receptor.

    Parameters
    ----------
    path : Path
        PDBQT file of a rigid receptor.
    box : Box
        The search space.
    name : str, optional
        Name; default: that of the file.

    Returns
    -------
    Receptor

    Raises
    ------
    InputError
        The file cannot be read, is not the PDBQT of a rigid receptor, or has no atom inside the box.
    """
    text = _read(path)
    if path.suffix.lower() != ".pdbqt":
        raise InputError(
            f"{path}: expected a receptor as .pdbqt; mk_prepare_receptor of meeko makes one from a PDB file"
        )
    atoms = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(_ATOM_TAGS):
            atoms.append(_read_atom(line, f"{path}, line {number}"))
        elif line.startswith(_FLEXIBLE_TAGS):
            raise InputError(
                f"{path}, line {number}: expected a rigid receptor, got {line.split()[0]}, as in the PDBQT of a ligand"
            )
        elif line.strip() and not line.startswith(_OTHER_TAGS):
            raise InputError(f"{path}, line {number}: expected ATOM, HETATM, TER or REMARK, got {line[:20].strip()!r}")
    if not atoms:
        raise InputError(f"{path}: expected a receptor as PDBQT, found no atom")
    found = np.array(atoms)
    is_inside = (np.abs(found - box.center) <= np.array(box.size) / 2).all(axis=1)
    if not is_inside.any():
        span = ", ".join(
            f"{axis} {low:.0f} to {high:.0f}"
            for axis, low, high in zip("xyz", found.min(axis=0), found.max(axis=0), strict=True)
        )
        raise InputError(
            f"{path}: no atom of the receptor is inside the box around {_show(box.center)}; its atoms have {span} Å"
        )
    return Receptor(name or path.name, path, sha256_of(path), box)


def _read_atom(line: str, where: str) -> list[float]:
    """The coordinates of an atom; charge and type are checked."""
    try:
        coordinates = [float(line[begin : begin + 8]) for begin in (30, 38, 46)]
        float(line[69:76])
    except ValueError:
        raise InputError(
            f"{where}: expected an atom with coordinates and a charge as in PDBQT, got {line.rstrip()!r}; {_HOW}"
        ) from None
    kind = line[77:79].strip()
    if kind not in _TYPES:
        raise InputError(f"{where}: expected an AutoDock atom type in columns 78 and 79, got {kind or 'none'!r}")
    if not np.isfinite(coordinates).all():
        raise InputError(f"{where}: expected finite coordinates, got {coordinates}")
    return coordinates


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _N_MEGABYTES * 1_000_000:
            raise InputError(f"{path}: expected at most {_N_MEGABYTES} MB")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _three(numbers: Sequence[float], where: str) -> tuple[float, float, float]:
    given = tuple(float(one) for one in numbers)
    if len(given) != 3 or not np.isfinite(given).all():
        raise InputError(f"{where}: expected three finite numbers, for x, y and z, got {_show(given)}")
    return given


def _show(numbers: Sequence[float]) -> str:
    return "(" + ", ".join(f"{one:g}" for one in numbers) + ")"
