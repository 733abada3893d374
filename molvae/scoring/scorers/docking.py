"""A term that AutoDock Vina computes: the docking score of a molecule in a receptor."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from molvae.chem.ligands import Pose, list_stereoisomers, read_poses, write_pdbqt
from molvae.errors import InputError, MolvaeError, first_line
from molvae.extras import require
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import failed, join
from molvae.scoring.scorers.checks import check_name
from molvae.scoring.scorers.receptor import Receptor, box_around, list_targets, make_box, read_box, read_receptor
from molvae.scoring.term import CostlyTerm, Term
from molvae.workers import Mapper, WorkerFailure

_N_KEPT = 20  # poses that Vina refines and ranks; its default
_ENERGY_RANGE = 10.0  # kcal/mol; of the poses that are returned
_MARGIN = 6.0
_PACKAGES = ("vina", "meeko", "rdkit")

Numbers = tuple[float, float, float]


class DockingTerm(CostlyTerm):
    """The docking score of AutoDock Vina, kcal/mol: the lower, the better.

    The receptor is a PDBQT file with a box (`center` and `size`, `ligand` or `config`), or a target of dockstring.
    Molecules are docked as their SMILES is written: without protonation, and with neutral groups after standardization.

    Parameters
    ----------
    dock : Path, optional
        PDBQT file of a rigid receptor. A relative path starts at the campaign file.
    target : str, optional
        Instead of `dock`: a prepared target of the package dockstring, such as "DRD2", with its box.
    center, size : tuple of float, optional
        Center and edges of the box, in Å.
    ligand : Path, optional
        Instead of them: a ligand in the binding site (.sdf, .mol, .pdb, .pdbqt); the box surrounds it.
    margin : float, optional
        Distance from `ligand` to the sides of the box, in Å; default 6.
    config : Path, optional
        Instead of them: a configuration file of Vina with the box.
    exhaustiveness : int, default=8
        Number of independent searches; time is proportional to it.
    stereoisomers : int, default=1
        Largest number of stereoisomers that are docked if stereo is undefined; the best one counts. With 1, an
        arbitrary stereoisomer is docked, the same in every run.
    seed : int, default=1
        Seed of the search and of the 3-D structure; the score does not depend on the other molecules.
    seconds : float, default=600.0
        Limit of CPU time for one molecule.
    n_saved : int, default=20
        Number of best candidates whose poses are written to poses.sdf.
    n_poses : int, default=1
        Number of poses per candidate in poses.sdf.
    """

    dock: Path | None = Field(None, description="PDBQT file of a rigid receptor")
    target: str | None = Field(None, description="prepared target of dockstring")
    center: Numbers | None = Field(None, description="center of the box, in Å")
    size: Numbers | None = Field(None, description="edges of the box, in Å")
    ligand: Path | None = Field(None, description="ligand that the box surrounds")
    margin: float | None = Field(None, ge=0, le=20, description="distance from the ligand to the sides of the box")
    config: Path | None = Field(None, description="configuration file of Vina with the box")
    exhaustiveness: int = Field(8, ge=1, le=256, description="number of independent searches")
    stereoisomers: int = Field(1, ge=1, le=64, description="largest number of stereoisomers per molecule")
    seed: int = Field(1, ge=1, lt=2**31, description="seed of the search and of the 3-D structure")
    seconds: float = Field(600.0, gt=0, description="limit of CPU time for one molecule")
    n_saved: int = Field(20, ge=0, le=10_000, description="candidates whose poses are written")
    n_poses: int = Field(1, ge=1, le=_N_KEPT, description="poses per candidate")

    has_poses: ClassVar[bool] = True
    not_in_scores: ClassVar[frozenset[str]] = CostlyTerm.not_in_scores | {"n_saved", "n_poses"}
    not_in_values: ClassVar[frozenset[str]] = CostlyTerm.not_in_values | {"seconds"}

    @property
    def n_per_step(self) -> int:
        """Largest number of molecules between two writes to the cache."""
        return 64

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Lower is better, from -12 to -5 kcal/mol."""
        return {"shape": "lower", "low": -12.0, "high": -5.0}

    @field_validator("target")
    @classmethod
    def _is_a_target(cls, target: str | None) -> str | None:
        if target is None or find_spec("dockstring") is None:  # the scorer reports a missing package
            return target
        return check_name(target, list(list_targets()), "target", "targets")

    @model_validator(mode="after")
    def _has_one_box(self) -> Self:
        keys = ("center", "size", "ligand", "config")
        given = [key for key in keys if getattr(self, key) is not None]
        if self.target is not None:
            if given:
                message = "a target has its own box; remove {given}, or give a receptor with dock"
                raise PydanticCustomError("box", message, {"given": " and ".join(given)})
        elif given not in (["center", "size"], ["ligand"], ["config"]):
            message = "the box: expected center and size, or ligand, or config; got {given}"
            raise PydanticCustomError("box", message, {"given": " and ".join(given) or "none of them"})
        if self.margin is not None and self.ligand is None:
            raise PydanticCustomError("box", "margin belongs to a ligand; remove it, or give a ligand")
        return self


class DockingScorer:
    """Docks molecules with AutoDock Vina.

    Parameters
    ----------
    settings : DockingTerm
        Settings.

    Raises
    ------
    MissingPackageError
        Vina or meeko is not installed.
    InputError
        A file cannot be read, or the receptor or the box cannot be used.
    """

    Settings: ClassVar[type[Term]] = DockingTerm

    def __init__(self, settings: DockingTerm) -> None:
        for package in ("vina", "meeko", "gemmi"):
            require(package, "docking")
        self._settings = settings
        self._receptor, self._box_file = _find_receptor(settings)

    @property
    def receptor(self) -> str:
        """Name of the receptor."""
        return self._receptor.name

    @property
    def n_saved(self) -> int:
        """Number of best candidates whose poses are written."""
        return self._settings.n_saved

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the receptor, of the file of its box, and of the versions in use; see `Scorer.identity`."""
        versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
        files = {str(path): sha256_of(path) for path in (self._receptor.path, self._box_file) if path}
        return files | {versions: hashlib.sha256(versions.encode()).hexdigest()}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Dock molecules, each in one process; see `Scorer.__call__`."""
        rows = self._dock(smiles, mapper, n_poses=0)
        return join([_read(row) for row in rows])

    def poses(self, smiles: Sequence[str], mapper: Mapper) -> list[list[Pose]]:
        """Dock molecules, and return their best poses; the value of the first one is the value of the molecule.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.
        mapper : Mapper
            Applies a function to rows.

        Returns
        -------
        list of list of Pose
            For each molecule, in order, up to `n_poses` poses, the best one first; none if it cannot be docked.
        """
        rows = self._dock(smiles, mapper, self._settings.n_poses)
        return [read_poses(row.pdbqt, row.values) if isinstance(row, _Docked) else [] for row in rows]

    def _dock(
        self, smiles: Sequence[str], mapper: Mapper, n_poses: int
    ) -> list["_Docked | _NotDocked | WorkerFailure"]:
        one = self._settings
        call = _Call(self._receptor, one.exhaustiveness, one.stereoisomers, one.seed, n_poses)
        chunks = [[molecule] for molecule in smiles]  # a docking takes seconds: each worker takes the next molecule
        return [row for part in mapper(call, chunks, seconds_per_row=one.seconds) for row in part]


class _Docked(NamedTuple):
    """The result for one molecule: the values of its best poses, and their PDBQT."""

    values: list[float]
    pdbqt: str

    @property
    def value(self) -> float:
        """The value of the best pose."""
        return self.values[0]


@dataclass(frozen=True)
class _NotDocked:
    """The reason why a molecule cannot be docked, also at another attempt."""

    reason: str


@dataclass(frozen=True)
class _Call:
    """A docking of one molecule, for a `Mapper`; the result depends only on these settings and on the SMILES."""

    receptor: Receptor
    exhaustiveness: int
    stereoisomers: int
    seed: int
    n_poses: int

    def __call__(self, smiles: str) -> _Docked | _NotDocked:
        try:
            found = [self._dock(isomer) for isomer in list_stereoisomers(smiles, self.stereoisomers, self.seed)]
        except InputError as error:
            return _NotDocked(str(error))
        except (TypeError, RuntimeError) as error:  # Vina raises these for a ligand that it cannot read
            return _NotDocked(f"Vina: {first_line(error)}")
        return min(found, key=lambda one: one.value)

    def _dock(self, smiles: str) -> _Docked:
        pdbqt = write_pdbqt(smiles, self.seed)
        vina = _prepare_vina(self.receptor, self.seed)
        vina.set_ligand_from_string(pdbqt)
        vina.dock(exhaustiveness=self.exhaustiveness, n_poses=_N_KEPT)
        energies = vina.energies(n_poses=max(self.n_poses, 1), energy_range=_ENERGY_RANGE)
        values = [float(row[0]) for row in energies]
        if not values or not np.isfinite(values[0]):
            raise InputError("no pose: the ligand does not fit into the box")
        return _Docked(values, vina.poses(n_poses=self.n_poses, energy_range=_ENERGY_RANGE) if self.n_poses else "")


@lru_cache(maxsize=2)
def _prepare_vina(receptor: Receptor, seed: int) -> Any:
    """Vina with its grid maps, which take seconds to compute; once per process and receptor.

    A docking starts its random generator from the seed, so the earlier ligands of a process do not matter.
    """
    from vina import Vina

    if sha256_of(receptor.path) != receptor.sha256:
        raise MolvaeError(f"{receptor.path}: differs from the receptor of the same path on the machine of the run")
    vina = Vina(sf_name="vina", cpu=1, seed=seed, verbosity=0)
    vina.set_receptor(str(receptor.path))
    vina.compute_vina_maps(center=list(receptor.box.center), box_size=list(receptor.box.size))
    return vina


def _read(row: _Docked | _NotDocked | WorkerFailure) -> Values:
    """The value of one molecule; a timeout or a crash is not final."""
    if isinstance(row, WorkerFailure):
        return failed(1, row.reason)
    if isinstance(row, _NotDocked):
        return Values(np.array([np.nan]), [row.reason])
    return Values(np.array([row.value]), [None])


def _find_receptor(settings: DockingTerm) -> tuple[Receptor, Path | None]:
    """The receptor of a term with its box, and the file that the box is from."""
    if settings.target is not None:
        path, box_file = list_targets()[settings.target]
        return read_receptor(path, read_box(box_file), settings.target), box_file
    if settings.ligand is not None:
        box = box_around(settings.ligand, _MARGIN if settings.margin is None else settings.margin)
    elif settings.config is not None:
        box = read_box(settings.config)
    else:
        box = make_box(settings.center or (), settings.size or (), "the box")
    return read_receptor(Path(settings.dock or ""), box), settings.ligand or settings.config
