"""A candidate table with what the folder of its run also holds: settings, latent vectors, units of the terms."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from molvae.candidates.columns import CANDIDATE_COLUMNS, check_table
from molvae.candidates.files import arrange, find_candidates, read_candidates
from molvae.chem.properties import list_properties
from molvae.errors import InputError, first_line

CAMPAIGN = "campaign.toml"
LATENT = Path("3-search") / "latent.npy"
SEARCH_MANIFEST = Path("3-search") / "manifest.json"
MODELS = Path("0-fit") / "models"
MODEL = "model.json"
TRAINING = "training.csv"


@dataclass(frozen=True, eq=False)
class RunData:
    """A candidate table, and what its run folder also holds.

    Parameters
    ----------
    name : str
        Name of the run folder or of the file.
    table : DataFrame
        Candidate table.
    latent : ndarray of shape (m, D) or None, default=None
        Latent vectors; the column `latent_row` of the table gives the row.
    campaign : mapping, optional
        Settings of the campaign, as in its TOML file; empty if they are not known.
    inputs : mapping of str to str, optional
        SHA-256 of each file and model that the search used, by its name.
    units : mapping of str to str, optional
        Unit of the value of each term; "" for a plain number.
    measured : mapping of str to DataFrame, optional
        Training molecules of the model of each term that has one: `smiles` and `value`.
    notes : tuple of str, default=()
        What is missing, one sentence each.
    """

    name: str
    table: pd.DataFrame
    latent: np.ndarray | None = None
    campaign: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def objective(self) -> Mapping[str, Any]:
        """The section `[objective]` of the campaign; empty if it is not known."""
        found: Mapping[str, Any] = self.campaign.get("objective", {})
        return found


def read_run(source: Path | str | pd.DataFrame) -> RunData:
    """Read a candidate table, and what its run folder also holds.

    Parameters
    ----------
    source : Path, str or DataFrame
        Folder of a run, a candidates.csv or candidates.parquet, or a candidate table. Settings and latent vectors are
        read if the file is at the top of the folder of a run.

    Returns
    -------
    RunData
        Files of the run that are missing or unreadable are listed in `notes`.

    Raises
    ------
    InputError
        The table does not exist, or is not a candidate table.
    """
    if isinstance(source, pd.DataFrame):
        table = arrange(check_table(source, CANDIDATE_COLUMNS, "candidates", may_hold_more=True))
        others = source.drop(columns=list(table)).reset_index(drop=True)
        return RunData("table", pd.concat([table, others], axis=1))
    path = Path(source)
    table = read_candidates(path, may_hold_more=True)
    folder = find_candidates(path).resolve().parent
    name = folder.name if path.is_dir() or (folder / CAMPAIGN).is_file() else path.name
    if not (folder / CAMPAIGN).is_file():
        return RunData(name, table, notes=("not in a run folder: without settings and latent vectors",))
    campaign, problem = _read_campaign(folder / CAMPAIGN)
    latent, missing = _read_latent(folder / LATENT, table)
    terms = campaign.get("objective", {}).get("terms", {})
    units = {term: _unit(settings, folder / MODELS / term / MODEL) for term, settings in terms.items()}
    measured = {
        term: _read_measured(_model_folders(settings, folder / MODELS / term)) for term, settings in terms.items()
    }
    notes = tuple(note for note in (problem, missing) if note)
    known = {term: molecules for term, molecules in measured.items() if molecules is not None}
    return RunData(name, table, latent, campaign, _read_inputs(folder / SEARCH_MANIFEST), units, known, notes)


def _read_campaign(path: Path) -> tuple[dict[str, Any], str]:
    """The settings of the campaign, or why they cannot be used."""
    try:
        campaign = tomllib.loads(path.read_text(encoding="utf-8"))
        terms = campaign.get("objective", {}).get("terms", {})
        if not all(isinstance(term, dict) for term in terms.values()):
            raise ValueError("[objective.terms] has values; expected tables")
        if any(not isinstance(term.get("weight", 1.0), int | float) for term in terms.values()):
            raise ValueError("a weight in [objective.terms] is not a number")
    except (RecursionError, OSError, ValueError, AttributeError) as error:
        return {}, f"{path.name} is not readable ({first_line(error)}), so the settings of the run are not known"
    return campaign, ""


def _read_latent(path: Path, table: pd.DataFrame) -> tuple[np.ndarray | None, str]:
    """The latent vectors, or why they cannot be used."""
    try:
        latent = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        return None, f"{path.name} is missing, so there are no neighbors by latent distance"
    except (OSError, ValueError) as error:
        return None, f"{path.name} is not readable ({first_line(error)}), so there are no neighbors by latent distance"
    if latent.ndim != 2 or (len(table) and not table["latent_row"].between(0, len(latent) - 1).all()):
        return None, f"{path.name} does not belong to this table, so there are no neighbors by latent distance"
    return latent, ""


def _read_inputs(path: Path) -> dict[str, str]:
    """The SHA-256 of each input of the search, from its manifest."""
    try:
        inputs = json.loads(path.read_text(encoding="utf-8")).get("inputs", {})
        return {str(name): str(entry["sha256"]) for name, entry in inputs.items()}
    except (RecursionError, OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def _unit(settings: Mapping[str, Any], model: Path) -> str:
    """The unit of a term: of its property, or of the model that the run has fitted for it."""
    known = list_properties()
    if str(settings.get("property")) in known:
        return known[str(settings["property"])].unit
    for folder in _model_folders(settings, model.parent):
        try:
            return str(json.loads((folder / MODEL).read_text(encoding="utf-8")).get("unit", ""))
        except (RecursionError, OSError, ValueError, AttributeError):
            continue
    return ""


def _model_folders(settings: Mapping[str, Any], fitted: Path) -> list[Path]:
    """Where the model of a term can be: fitted in the run, or given by its settings."""
    given = settings.get("model")
    return [fitted, Path(str(given))] if given else [fitted]


def _read_measured(folders: Sequence[Path]) -> pd.DataFrame | None:
    """The training molecules of a model; None if there are none that can be read."""
    for folder in folders:
        try:
            table = pd.read_csv(folder / TRAINING)
        except (OSError, ValueError):
            continue
        if {"smiles", "value"} <= set(table) and len(table) and is_numeric_dtype(table["value"]):
            return table[["smiles", "value"]].dropna()
    return None


def require_rows(run: RunData) -> None:
    """Refuse a run without candidates.

    Parameters
    ----------
    run : RunData
        The run.

    Raises
    ------
    InputError
        The table has no rows.
    """
    if run.table.empty:
        raise InputError(f"{run.name}: the candidate table has no rows; give a run that has scored molecules")
