"""Ligands for docking: 3-D structures as PDBQT, docked poses as mol blocks, and coordinates of ligand files."""

import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

from molvae.chem.molecules import parse
from molvae.errors import InputError, first_line
from molvae.extras import require

_DOCKABLE = frozenset({1, 6, 7, 8, 9, 14, 15, 16, 17, 35, 53})
"""Atomic numbers of the elements in ligands that Vina has parameters for; the others are metals."""
_MAX_ITERATIONS = 500
_ATOM_TAGS = ("ATOM", "HETATM")


class Pose(NamedTuple):
    """A docked pose of a ligand.

    Parameters
    ----------
    mol_block : str
        The ligand with all hydrogens and the coordinates of the receptor, in Å; without a title.
    smiles : str
        The SMILES of the docked stereoisomer.
    value : float
        Score of the pose, kcal/mol.
    """

    mol_block: str
    smiles: str
    value: float


def list_stereoisomers(smiles: str, most: int, seed: int) -> list[str]:
    """The stereoisomers of a molecule whose stereo is not fully defined.

    Parameters
    ----------
    smiles : str
        SMILES; defined stereo is kept.
    most : int
        Largest number of stereoisomers. If there are more, they are drawn at random.
    seed : int
        Seed of this draw.

    Returns
    -------
    list of str
        SMILES in alphabetical order; the molecule itself if its stereo is defined, or if `most` is 1.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> list_stereoisomers("CC(N)C(=O)O", most=4, seed=1)
    ['C[C@@H](N)C(=O)O', 'C[C@H](N)C(=O)O']
    """
    mol = parse(smiles)
    if most == 1:
        return [smiles]
    options = StereoEnumerationOptions(onlyUnassigned=True, unique=True, maxIsomers=most, rand=random.Random(seed))
    return sorted(Chem.MolToSmiles(isomer) for isomer in EnumerateStereoisomers(mol, options=options))


def write_pdbqt(smiles: str, seed: int) -> str:
    """A ligand as PDBQT, with rotatable bonds.

    The 3-D structure is embedded with ETKDGv3 [1]_ and minimized with MMFF94s where it has parameters. Hydrogens are
    added to the SMILES as it is: no other protonation state or tautomer is made. Undefined stereo becomes one of the
    stereoisomers, the same in every call with the same seed. meeko assigns atom types and rotatable bonds; macrocycles
    are flexible.

    Parameters
    ----------
    smiles : str
        SMILES.
    seed : int
        Seed of the embedding.

    Returns
    -------
    str
        PDBQT of the ligand.

    Raises
    ------
    InputError
        The SMILES is invalid, has several fragments or an element without parameters, or has no 3-D structure.
    MissingPackageError
        meeko is not installed.

    References
    ----------
    .. [1] Wang et al. 2020, doi:10.1021/acs.jcim.0c00025.
    """
    require("meeko", "docking")
    mol = Chem.AddHs(parse(smiles))
    if len(Chem.GetMolFrags(mol)) > 1:
        raise InputError("several fragments: expected one molecule")
    unknown = sorted({atom.GetSymbol() for atom in mol.GetAtoms() if atom.GetAtomicNum() not in _DOCKABLE})
    if unknown:
        raise InputError(f"element: Vina has no parameters for {', '.join(unknown)} in a ligand")
    if not any(atom.GetAtomicNum() > 1 for atom in mol.GetAtoms()):
        raise InputError("element: no heavy atom to dock")
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed
    parameters.useRandomCoords = False
    if rdDistGeom.EmbedMolecule(mol, parameters) != 0:
        parameters.useRandomCoords = True  # slower, but succeeds for some cages and macrocycles
        if rdDistGeom.EmbedMolecule(mol, parameters) != 0:
            raise InputError("no 3-D structure: the embedding failed")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol, mmffVariant="MMFF94s", maxIters=_MAX_ITERATIONS)
    return _write_with_meeko(mol)


def read_poses(pdbqt: str, values: list[float]) -> list[Pose]:
    """The poses that Vina writes.

    Parameters
    ----------
    pdbqt : str
        One model per pose, of a ligand from `write_pdbqt`.
    values : list of float
        Score of each pose.

    Returns
    -------
    list of Pose
        In order.

    Raises
    ------
    MissingPackageError
        meeko is not installed.
    """
    require("meeko", "docking")
    from meeko import PDBQTMolecule, RDKitMolCreate

    _leave_logs_to_rdkit()
    mol = RDKitMolCreate.from_pdbqt_mol(PDBQTMolecule(pdbqt, skip_typing=True))[0]
    poses = []
    for conformer, value in zip(mol.GetConformers(), values, strict=True):
        one = Chem.Mol(mol, confId=conformer.GetId())
        Chem.AssignStereochemistryFrom3D(one)
        for name in one.GetPropNames():
            one.ClearProp(name)
        one.SetProp("_Name", "")
        poses.append(Pose(Chem.MolToMolBlock(one), Chem.MolToSmiles(Chem.RemoveHs(one)), value))
    return poses


def read_coordinates(path: Path) -> np.ndarray:
    """The coordinates of a ligand in a 3-D structure file.

    Parameters
    ----------
    path : Path
        .sdf or .mol (the first molecule), .pdb or .pdbqt (all atoms).

    Returns
    -------
    ndarray of shape (atoms, 3)
        In Å.

    Raises
    ------
    InputError
        The file cannot be read, has no atom, or has 2-D coordinates.
    """
    kind = path.suffix.lower()
    if kind not in (".sdf", ".mol", ".pdb", ".pdbqt"):
        raise InputError(f"{path}: expected a ligand as .sdf, .mol, .pdb or .pdbqt")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    found = _mol_coordinates(text) if kind in (".sdf", ".mol") else _pdb_coordinates(text)
    if found is None or not len(found) or not np.isfinite(found).all():
        raise InputError(f"{path}: expected the coordinates of a ligand, found none")
    if len(found) > 1 and not found[:, 2].any():
        raise InputError(f"{path}: the coordinates are 2-D; expected the ligand as it is bound in the receptor")
    return found


def _mol_coordinates(text: str) -> np.ndarray | None:
    with rdBase.BlockLogs():
        mol = Chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
    return None if mol is None or not mol.GetNumConformers() else np.asarray(mol.GetConformer().GetPositions())


def _pdb_coordinates(text: str) -> np.ndarray | None:
    lines = [line for line in text.splitlines() if line.startswith(_ATOM_TAGS)]
    try:
        return np.array([[float(line[begin : begin + 8]) for begin in (30, 38, 46)] for line in lines])
    except ValueError:
        return None


def _write_with_meeko(mol: Chem.Mol) -> str:
    from meeko import MoleculePreparation, PDBQTWriterLegacy

    _leave_logs_to_rdkit()
    try:
        (setup,) = MoleculePreparation()(mol)
        text, is_written, problem = PDBQTWriterLegacy.write_string(setup)
    except (ValueError, RuntimeError, KeyError, IndexError) as error:
        raise InputError(f"PDBQT: meeko cannot prepare the ligand: {first_line(error)}") from None
    if not is_written:
        raise InputError(f"PDBQT: meeko cannot prepare the ligand: {problem.strip().splitlines()[0]}")
    return text


def _leave_logs_to_rdkit() -> None:
    """Undo what the import of meeko does to RDKit: its log would go to the logging of Python."""
    rdBase.LogToCppStreams()
