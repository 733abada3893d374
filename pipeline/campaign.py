"""The settings of one run, section by section, from a campaign file and --set."""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, InstanceOf, SerializeAsAny, field_validator, model_validator
from pydantic_core import PydanticCustomError

from molvae.bundled import bundled
from molvae.checks.settings import ChecksSettings
from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.qsar.hold_out import MIN_SERIES, SIMILARITY
from molvae.scoring.objective import ObjectiveSettings
from molvae.scoring.scorers.assay_table import AssayTableTerm
from molvae.search.optimizers import find_optimizer
from molvae.search.settings import SearchSettings
from molvae.settings import Settings, parse_toml, read_toml

if TYPE_CHECKING:
    from .train_section import TrainSection

    TrainField = TrainSection | None
else:
    TrainField = SerializeAsAny[InstanceOf[Settings]] | None

DEFAULT = "default.toml"
_FOLDER = Path(str(files(__package__) / "campaigns"))
BUNDLED = tuple(sorted(path.name for path in _FOLDER.glob("*.toml")))
"""File names of the bundled campaigns."""


class MoleculesSection(Settings):
    """The reference library: candidates are compared with it, and the search can start from its molecules.

    Parameters
    ----------
    path : Path or None, default=None
        A molecule file (.csv, .tsv, .smi, .txt, .sdf, each also .gz; .parquet); None: the bundled MOSES sample.
    smiles_column : str or None, default=None
        The column with the SMILES; None: found by name.
    id_column : str or None, default=None
        The column with ids; None: found by name, if there is one.
    """

    path: Path | None = None
    smiles_column: str | None = None
    id_column: str | None = None


class CodecSection(Settings):
    """An existing codec; the default codec if neither `name` nor `folder` is given.

    Parameters
    ----------
    name : str or None, default=None
        Name of a bundled codec.
    folder : Path or None, default=None
        A codec folder.
    """

    name: str | None = None
    folder: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.name is not None and self.folder is not None:
            raise ValueError("give name or folder, not both")
        return self


class LeadSection(Settings):
    """The lead: the search starts from it, and similarity and scaffold terms without references compare with it.

    Parameters
    ----------
    smiles : str
        The SMILES of the lead.
    """

    smiles: str


class StartsSection(Settings):
    """Start molecules of the search, drawn at random from measured molecules.

    Parameters
    ----------
    n : int, default=100
        Number of molecules. Those that the codec cannot encode are replaced by others.
    below, above : float or "median", optional
        Only molecules with a value below or above this; "median" is the median of the measured values.
    term : str or None, default=None
        The term with the assay (`assay = "..."`); None: the only one.
    path : Path or None, default=None
        Another table of measured molecules, instead of the assay of a term.
    column : str or None, default=None
        Column of the measured values in `path`; None: found by its name.
    """

    n: int = Field(100, ge=1)
    below: float | Literal["median"] | None = None
    above: float | Literal["median"] | None = None
    term: str | None = None
    path: Path | None = None
    column: str | None = None

    @field_validator("below", "above", mode="before")
    @classmethod
    def _is_limit(cls, limit: object) -> object:
        if isinstance(limit, str) and limit != "median":
            raise PydanticCustomError("limit", 'expected a number or "median"')
        return limit

    @model_validator(mode="after")
    def _one_table(self) -> Self:
        if self.term is not None and self.path is not None:
            raise ValueError("give term or path, not both")
        if self.column is not None and self.path is None:
            raise ValueError("column belongs to path; the column of an assay is a key of its term")
        return self


class HoldOutSection(Settings):
    """The most potent scaffold series of an assay are held out of the whole run, as a test of the search.

    A series is the molecules with the same Bemis-Murcko scaffold. Models, start molecules and reference library do not
    contain its molecules, nor those that are similar to one of them. The report says how many were found again.

    Parameters
    ----------
    n_series : int, default=1
        Number of series: those with the best mean value.
    min_molecules : int, default=10
        Smallest number of molecules of a series.
    similarity : float, default=0.6
        Tanimoto similarity (Morgan fingerprints, radius 2, 2,048 bits) to a molecule of a series from which a molecule
        is held out, too, and from which a molecule of the search counts as similar.
    term : str or None, default=None
        The term with the assay (`assay = "..."`); None: the only one.
    """

    n_series: int = Field(1, ge=1)
    min_molecules: int = Field(MIN_SERIES, ge=2)
    similarity: float = Field(SIMILARITY, gt=0, le=1)
    term: str | None = None


class ControlsSection(Settings):
    """Other methods that get the same start molecules, the same number of calls and the same seed as the search.

    Parameters
    ----------
    methods : tuple of str, default=("random_directions", "prior")
        Their names; the method of the search is left out. The settings of a method are in the section
        `[search.<method>]`.
    """

    methods: tuple[str, ...] = ("random_directions", "prior")

    @field_validator("methods")
    @classmethod
    def _are_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            try:
                find_optimizer(name)
            except InputError as error:
                raise PydanticCustomError("method", "{problem}", {"problem": str(error)}) from None
            if methods.count(name) > 1:
                raise PydanticCustomError("method", "{name} is given more than once", {"name": name})
        return methods


class NotifySection(Settings):
    """When a run is reported to be starved: an event in Prefect, for notifications. Changes no result.

    Parameters
    ----------
    min_passed : int, default=24
        Number of candidates asked for; a run is starved if fewer pass every check.
    """

    min_passed: int = Field(24, ge=0)


class RunnerSection(Settings):
    """Where the work per molecule is done; the candidates do not depend on it.

    Parameters
    ----------
    kind : {"local", "dask"}, default="local"
        "local": worker processes on this machine; "dask": the workers of an existing Dask cluster.
    workers : int or None, default=None
        Number of local worker processes; None: one per core.
    address : str or None, default=None
        Address of the Dask scheduler, such as `tcp://10.0.0.5:8786`; None: the environment variable
        DASK_SCHEDULER_ADDRESS.
    wait_seconds : float, default=60.0
        How long to wait for the Dask scheduler, and for a worker while the cluster has none.
    """

    kind: Literal["local", "dask"] = Field("local", description="local worker processes, or an existing Dask cluster")
    workers: int | None = Field(None, ge=1, le=10_000, description="number of local worker processes")
    address: str | None = Field(
        None, pattern=r"^(tcp|tls|ws|wss)://\S+:\d+$", description="address of the Dask scheduler"
    )
    wait_seconds: float = Field(60.0, gt=0, le=86_400, description="how long to wait for the cluster, in seconds")

    @property
    def scheduler(self) -> str:
        """The address of the Dask scheduler.

        Raises
        ------
        InputError
            Neither `address` nor the environment variable gives it.
        """
        address = self.address or os.environ.get(_ADDRESS)
        if not address:
            raise InputError(
                f'[runner] kind = "dask" needs address = "tcp://HOST:PORT", or the environment variable {_ADDRESS}'
            )
        return address

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.kind == "local" and self.address is not None:
            raise PydanticCustomError("runner", 'address belongs to kind = "dask"; add it, or remove address')
        if self.kind == "dask" and self.workers is not None:
            raise PydanticCustomError("runner", 'workers belongs to kind = "local"; a Dask cluster has its own workers')
        return self


_ADDRESS = "DASK_SCHEDULER_ADDRESS"


class RunSection(Settings):
    """How a run follows the earlier runs of its campaign, which are in the same folder `runs`.

    Parameters
    ----------
    continue_from : "last" or None, default=None
        "last": the search continues that of the last complete run, with all molecules that it scored. `budget` is then
        the number of further molecules. If codec, objective, seed or another setting of the search changed, the
        search starts anew, with a note. None: every run starts anew.
    total_budget : int or None, default=None
        Largest number of molecules to score in all runs together; None: no limit.
    """

    continue_from: Literal["last"] | None = None
    total_budget: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _has_a_total(self) -> Self:
        if self.total_budget is not None and self.continue_from is None:
            raise ValueError('total_budget needs continue_from = "last"; the budget of one run is [search] budget')
        return self


class Campaign(Settings):
    """All settings of one run; equal settings give equal candidates on the same machine.

    Parameters
    ----------
    name : str, default="design"
        Name of the campaign, part of the names of its run folders.
    seed : int, default=0
        The random seed.
    molecules : MoleculesSection
        The reference library.
    codec : CodecSection
        An existing codec.
    train : TrainSection or None, default=None
        Settings of a codec to train in the run; None uses `codec`.
    lead : LeadSection or None, default=None
        A molecule to start from and to compare with.
    objective : ObjectiveSettings
        The score.
    search : SearchSettings
        Budget and method of the search.
    starts : StartsSection or None, default=None
        Start molecules from an assay table.
    hold_out : HoldOutSection or None, default=None
        Series of an assay that are held out of the run.
    controls : ControlsSection or None, default=None
        Methods that the search is compared with.
    checks : ChecksSettings
        The checks of the candidates.
    notify : NotifySection
        When a run is reported to be starved.
    runner : RunnerSection
        Where the work per molecule is done.
    run : RunSection or None, default=None
        How a run follows the earlier ones.
    """

    name: str = Field("design", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    seed: int = Field(0, ge=0, lt=2**32)
    molecules: MoleculesSection = MoleculesSection()
    codec: CodecSection = CodecSection()
    train: TrainField = None
    lead: LeadSection | None = None
    objective: ObjectiveSettings
    search: SearchSettings = SearchSettings()
    starts: StartsSection | None = None
    hold_out: HoldOutSection | None = None
    controls: ControlsSection | None = None
    checks: ChecksSettings = Field(default_factory=ChecksSettings)
    notify: NotifySection = NotifySection()
    runner: RunnerSection = RunnerSection()
    run: RunSection | None = None

    @classmethod
    def section_class(cls, name: str) -> type[Settings] | None:
        """The class of [train], which is imported only for campaigns that have it; see `Settings.section_class`.

        Parameters
        ----------
        name : str
            Name of the section.

        Returns
        -------
        type or None
        """
        if name != "train":
            return super().section_class(name)
        from .train_section import TrainSection  # imports torch

        return TrainSection

    @field_validator("train", mode="before")
    @classmethod
    def _read_train(cls, section: object) -> object:
        if section is None:
            return None
        from .train_section import TrainSection  # imports torch

        return TrainSection.model_validate(section)

    @field_validator("name")
    @classmethod
    def _not_latest(cls, name: str) -> str:
        if name == "latest":
            raise ValueError("`latest` is the link to the last complete run; choose another name")
        return name

    @property
    def control_methods(self) -> tuple[str, ...]:
        """Methods that the search is compared with; its own method is left out."""
        methods = self.controls.methods if self.controls else ()
        return tuple(name for name in methods if name != self.search.method)

    @property
    def assays(self) -> dict[str, AssayTableTerm]:
        """The terms whose model is fitted in the run, by name."""
        return {name: term for name, term in self.objective.terms.items() if isinstance(term, AssayTableTerm)}

    @property
    def continues(self) -> bool:
        """Whether the search continues that of the last run of the campaign."""
        return self.run is not None and self.run.continue_from is not None

    @property
    def finished_codec(self) -> str | None:
        """Name or folder of the existing codec that the campaign uses; None: the default codec."""
        return str(self.codec.folder) if self.codec.folder else self.codec.name

    @classmethod
    def load(cls, path: Path | None, changes: Sequence[str] = ()) -> Self:
        """Read a campaign file and apply changes.

        Paths in the file are relative to the folder of the file, paths in a change to the working folder.

        Parameters
        ----------
        path : Path or None
            The campaign file, or the name of a bundled one (`lead.toml`); None: the bundled default.toml.
        changes : sequence of str, default=()
            Changes to its settings, as `section.key=value`.

        Returns
        -------
        Campaign
            The settings.

        Raises
        ------
        InputError
            The file or a change is invalid. The message contains file, section, key and expected value.
        """
        source = find_campaign(path)
        data = _absolute(read_toml(source), source.parent)
        for change in changes:
            _apply(data, change)
        where = source.name + (" with --set" if changes else "")
        _check_lead(data, where)
        campaign = cls.from_dict(_fill_lead(data), where)
        if campaign.train is not None and (campaign.codec.name or campaign.codec.folder):
            raise InputError(
                f"{where}: [codec] names an existing codec and [train] trains a new one; remove one of the sections"
            )
        if campaign.search.goals:
            raise InputError(
                f"{where}: [search] goals: remove this key; a campaign has several goals if its objective has "
                'combine = "pareto"'
            )
        return campaign


def complete(sections: dict[str, object], base: Path) -> dict[str, object]:
    """Make relative paths of a campaign absolute, and fill in what its lead determines.

    Parameters
    ----------
    sections : dict
        The sections, not yet validated; they are changed.
    base : Path
        Folder that relative paths start from.

    Returns
    -------
    dict
        The sections.
    """
    return _fill_lead(_absolute(sections, base))


def molecules_path(section: MoleculesSection) -> Path:
    """The path of the reference library.

    Parameters
    ----------
    section : MoleculesSection
        The section of a campaign.

    Returns
    -------
    Path
        The file in the section, or else the bundled sample.
    """
    return section.path or bundled("moses_sample.csv.gz")


def find_campaign(path: Path | None) -> Path:
    """Find a campaign file.

    Parameters
    ----------
    path : Path or None
        A file, or the name of a bundled campaign; None: the bundled default.toml.

    Returns
    -------
    Path
        The file; a file in the working folder takes precedence over a bundled one of the same name.
    """
    if path is None:
        return _FOLDER / DEFAULT
    if not path.exists() and path.name == str(path) and path.name in BUNDLED:
        return _FOLDER / path.name
    return path


_EITHER = ("name", "folder")
_Table = dict[str, object]
"""A TOML table, not yet validated."""


def _apply(data: _Table, change: str) -> None:
    """Apply one `section.key=value`; a value that is not TOML is a string."""
    name, equals, text = change.partition("=")
    *sections, key = [part.strip() for part in name.split(".")]
    if not equals or not key or not all(sections):
        raise InputError(f"--set {change}: expected section.key=value, for example --set search.budget=500")
    try:
        value = parse_toml(f"value = {text}", "--set")["value"]
    except (InputError, KeyError):
        value = text.strip()
    table = data
    for depth, section in enumerate(sections, 1):
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set {change}: {'.'.join(sections[:depth])} is a value, not a section")
        table = inner
    table[key] = value
    if sections == ["codec"] and key in _EITHER:
        table.pop(next(other for other in _EITHER if other != key), None)  # the later of the two replaces the other
    if len(sections) == 1:
        _absolute({sections[0]: table}, Path.cwd())
    elif sections[:2] == ["objective", "terms"] and len(sections) == 3:
        _absolute_term(table, Path.cwd())


def _absolute(data: _Table, base: Path) -> _Table:
    """Make relative paths absolute, from `base`; values that are not strings are validated later."""
    for section, key in (("molecules", "path"), ("starts", "path"), ("codec", "folder")):
        table = data.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str):
            table[key] = str(_find_file(table[key], base))
    objective = data.get("objective")
    if isinstance(objective, dict) and isinstance(objective.get("cache"), str):
        objective["cache"] = str((base / _home(objective["cache"])).absolute())
    terms = objective.get("terms") if isinstance(objective, dict) else None
    for term in terms.values() if isinstance(terms, dict) else ():
        if isinstance(term, dict):
            _absolute_term(term, base)
    return data


def _absolute_term(term: _Table, base: Path) -> None:
    """Make the paths of a term absolute; of a command, those of the arguments that are files."""
    keys = ("python", "model", "assay", "sklearn", "to_file", "of_file", "reference_file", "dock", "ligand", "config")
    for key in keys:
        path = term.get(key)
        if isinstance(path, str):
            term[key] = str(_find_file(path, base))
    files = term.get("files")
    if isinstance(files, list):
        term["files"] = [str((base / _home(one)).absolute()) if isinstance(one, str) else one for one in files]
    command = term.get("command")
    if isinstance(command, list):
        term["command"] = [
            str((base / part).absolute()) if isinstance(part, str) and part and os.path.isfile(base / part) else part
            for part in command
        ]


def _check_lead(data: _Table, where: str) -> None:
    """Refuse a lead that is no molecule before it is used in other sections."""
    lead = data.get("lead")
    smiles = lead.get("smiles") if isinstance(lead, dict) else None
    if isinstance(smiles, str) and (reason := standardize(smiles).reason):
        raise InputError(f"{where} [lead] smiles: {reason}")


def _home(name: str) -> Path:
    """A path whose `~` is the home folder; the name of an unknown user stays."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _find_file(name: str, base: Path) -> Path:
    """A path from `base`; if nothing is there and the name is that of a bundled file, the bundled file."""
    path = (base / _home(name)).absolute()
    is_name = Path(name).name == name and name not in ("", ".", "..")
    return bundled(name) if is_name and not os.path.exists(path) and bundled(name).is_file() else path


def _fill_lead(data: _Table) -> _Table:
    """Let similarity and scaffold terms without references compare with the lead."""
    lead, objective = data.get("lead"), data.get("objective")
    terms = objective.get("terms") if isinstance(objective, dict) else None
    if isinstance(lead, dict) and "smiles" in lead and isinstance(terms, dict):
        for term in terms.values():
            key = _LEAD_KEYS.get(str(term.get("property"))) if isinstance(term, dict) else None
            if key is not None and key not in term and f"{key}_file" not in term:
                term[key] = lead["smiles"]
    return data


_LEAD_KEYS = {"similarity": "to", "scaffold": "of"}
