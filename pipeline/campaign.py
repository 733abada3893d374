"""The settings of one run, section by section, as a campaign file and --set give them."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from molvae.bundled import bundled
from molvae.checks.settings import ChecksSettings
from molvae.errors import InputError
from molvae.features.views import FeatureSettings
from molvae.scoring.objective import ObjectiveSettings
from molvae.search.settings import SearchSettings
from molvae.settings import Settings, read_toml
from molvae.training.config import TrainConfig

BUNDLED = ("default.toml", "lead.toml")


class MoleculesSection(Settings):
    """The reference library: what candidates are compared with, and where starts are taken from.

    path: a molecule file (.csv, .tsv, .smi, each also .gz; .parquet, .sdf); without it the bundled MOSES sample.
    """

    path: Path | None = None
    smiles_column: str | None = None
    id_column: str | None = None


class CodecSection(Settings):
    """A finished codec: the name of a bundled one, or a folder; without either, the default one."""

    name: str | None = None
    folder: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.name is not None and self.folder is not None:
            raise ValueError("give name or folder, not both")
        return self


class TrainFeatures(FeatureSettings):
    """The features of a run's own codec: it learns properties, unless told otherwise."""

    labels: int = Field(250_000, ge=0)


class TrainSection(TrainConfig):
    """A codec trained on the run's own library, in place of a finished one."""

    features: TrainFeatures = TrainFeatures()


class LeadSection(Settings):
    """A molecule to start from and to stay near; a similarity term without `to` means this one."""

    smiles: str


class Campaign(Settings):
    """All the settings of one run. Two runs with equal settings give equal candidates on one machine."""

    name: str = Field("design", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    seed: int = Field(0, ge=0, lt=2**32)
    molecules: MoleculesSection = MoleculesSection()
    codec: CodecSection = CodecSection()
    train: TrainSection | None = None
    lead: LeadSection | None = None
    objective: ObjectiveSettings
    search: SearchSettings = SearchSettings()
    checks: ChecksSettings = Field(default_factory=ChecksSettings)

    @field_validator("name")
    @classmethod
    def _not_latest(cls, name: str) -> str:
        if name == "latest":
            raise ValueError("`latest` is the link to the last complete run; give another name")
        return name

    @property
    def finished_codec(self) -> str | None:
        """Name or folder of the finished codec that the campaign names; None means the default one."""
        return str(self.codec.folder) if self.codec.folder else self.codec.name

    @classmethod
    def load(cls, path: Path | None, changes: Sequence[str] = ()) -> Self:
        """The settings of a campaign file, or of the bundled default, with `section.key=value` changes applied.

        Paths in the file count from the file's folder, paths in a change from the working folder; the bundled
        campaigns may be given by their bare names (`lead.toml`).

        Raises:
            InputError: file, section, key and what was expected.
        """
        source = find(path)
        data = _absolute(read_toml(source), source.parent)
        for change in changes:
            _apply(data, change)
        where = source.name + (" with --set" if changes else "")
        campaign = cls.from_dict(_fill_lead(data), where)
        if campaign.train is not None and (campaign.codec.name or campaign.codec.folder):
            raise InputError(
                f"{where}: [codec] names a finished codec and [train] makes a new one; keep one of the two"
            )
        return campaign


def molecules_path(section: MoleculesSection) -> Path:
    """The molecule file; the bundled sample where the campaign names none."""
    return section.path or bundled("moses_sample.csv.gz")


def find(path: Path | None) -> Path:
    """The campaign file; without a path the default one. A bare name may mean a bundled one, where no file has it."""
    bundled = Path(str(files(__package__) / "campaigns"))
    if path is None:
        return bundled / BUNDLED[0]
    if not path.exists() and path.name == str(path) and path.name in BUNDLED:
        return bundled / path.name
    return path


_EITHER = ("name", "folder")


def _apply(data: dict[str, Any], change: str) -> None:
    """Apply one `section.key=value`: the value as TOML if it is TOML, else as text."""
    name, equals, text = change.partition("=")
    *sections, key = [part.strip() for part in name.split(".")]
    if not equals or not key or not all(sections):
        raise InputError(f"--set {change}: expected section.key=value, for example --set search.budget=500")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = text.strip()
    table = data
    for depth, section in enumerate(sections, 1):
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {change}: {'.'.join(sections[:depth])} is a value, not a section")
    table[key] = value
    if sections == ["codec"] and key in _EITHER:
        table.pop(next(other for other in _EITHER if other != key), None)  # what is said last takes the other's place
    _absolute({sections[0]: table} if len(sections) == 1 else {}, Path.cwd())


def _absolute(data: dict[str, Any], base: Path) -> dict[str, Any]:
    """The same settings, relative paths made absolute from `base`; what is not text is left to the later check."""
    for section, key in (("molecules", "path"), ("codec", "folder")):
        table = data.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str):
            table[key] = str((base / Path(table[key]).expanduser()).absolute())
    return data


def _fill_lead(data: dict[str, Any]) -> dict[str, Any]:
    """The same settings; a similarity term that does not say to what means the lead."""
    lead, objective = data.get("lead"), data.get("objective")
    terms = objective.get("terms") if isinstance(objective, dict) else None
    if isinstance(lead, dict) and "smiles" in lead and isinstance(terms, dict):
        for term in terms.values():
            if isinstance(term, dict) and term.get("property") == "similarity":
                term.setdefault("to", lead["smiles"])
    return data
