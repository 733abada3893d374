"""The assay tables of a campaign: what is held out of the run, what the models learn, and where the search starts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from molvae.errors import InputError
from molvae.qsar.assay import Assay, read_assay
from molvae.qsar.hold_out import HeldOut, hold_out_series, leave_out
from molvae.scoring.objective import ObjectiveSettings
from molvae.scoring.scorers.assay_table import AssayTableTerm
from molvae.seeds import generator
from molvae.workers import Mapper

from .campaign import Campaign, StartsSection
from .run_dir import RunDir


@dataclass(frozen=True, eq=False)
class Assays:
    """The assay tables of a campaign, read and divided.

    Parameters
    ----------
    training : dict of str to Assay
        Name of a term -> its assay, without the held-out molecules.
    held_out : HeldOut or None
        The held-out molecules; None if the campaign holds none out.
    starts : DataFrame or None
        Molecules that the search may start from, in random order: smiles, value. None without a section `[starts]`.
    """

    training: dict[str, Assay]
    held_out: HeldOut | None
    starts: pd.DataFrame | None


def needs_assays(campaign: Campaign) -> bool:
    """Whether a campaign has assay tables.

    Parameters
    ----------
    campaign : Campaign
        The settings.

    Returns
    -------
    bool
        True if it fits a model, holds molecules out, or starts from measured molecules.
    """
    return bool(campaign.assays or campaign.starts or campaign.hold_out)


def assay_files(campaign: Campaign) -> dict[str, Path]:
    """The files of the assay tables.

    Parameters
    ----------
    campaign : Campaign
        The settings.

    Returns
    -------
    dict of str to Path
        Name of a term, or `starts` -> its file.
    """
    files = {f"assay {name}": term.assay for name, term in campaign.assays.items()}
    return files | ({"starts": campaign.starts.path} if campaign.starts and campaign.starts.path else {})


def read_assays(campaign: Campaign, mapper: Mapper | None = None) -> Assays:
    """Read the assay tables, hold molecules out, and choose the start molecules.

    Parameters
    ----------
    campaign : Campaign
        The settings.
    mapper : Mapper, optional
        Standardizes the molecules; default: worker processes.

    Returns
    -------
    Assays

    Raises
    ------
    InputError
        A table, a column or a term cannot be used, too few molecules are left, or no molecule is left to start from.
    """
    found = {name: term.read(mapper) for name, term in campaign.assays.items()}
    held_out = None
    section = campaign.hold_out
    if section is not None:
        name = _find_term(campaign, section.term, "hold_out")
        term = campaign.assays[name]
        held_out = hold_out_series(
            found[name],
            lambda values: goodness(term, values),
            n_series=section.n_series,
            min_molecules=section.min_molecules,
            similarity=section.similarity,
        )
        found = {name: leave_out(assay, held_out) for name, assay in found.items()}
    starts = None
    if campaign.starts is not None:
        starts = _choose_starts(campaign.starts, _start_assay(campaign, found, held_out, mapper), campaign.seed)
    return Assays(found, held_out, starts)


def fitted_objective(run: RunDir, campaign: Campaign) -> ObjectiveSettings:
    """The objective of a campaign with the models that stage 0 has fitted.

    Parameters
    ----------
    run : RunDir
        The run; stage 0 is complete.
    campaign : Campaign
        The settings.

    Returns
    -------
    ObjectiveSettings
        Terms with `assay` are replaced by terms with `model`.
    """
    fitted = {name: term.with_model(run.models / name) for name, term in campaign.assays.items()}
    return campaign.objective.model_copy(update={"terms": campaign.objective.terms | fitted})


def model_files(run: RunDir, campaign: Campaign) -> dict[str, Path]:
    """The files that determine the predictions of the models that stage 0 has fitted.

    Parameters
    ----------
    run : RunDir
        The run.
    campaign : Campaign
        The settings.

    Returns
    -------
    dict of str to Path
        Name, for a manifest -> the file.
    """
    from molvae.qsar.model import MODEL_FILE  # imports scikit-learn

    return {f"model {name}": run.models / name / MODEL_FILE for name in campaign.assays}


def read_held_out(run: RunDir, campaign: Campaign) -> HeldOut | None:
    """The molecules that stage 0 has held out.

    Parameters
    ----------
    run : RunDir
        The run; stage 0 is complete.
    campaign : Campaign
        The settings.

    Returns
    -------
    HeldOut or None
        None if the campaign holds none out.
    """
    return None if campaign.hold_out is None else HeldOut.read(run.held_out, campaign.hold_out.similarity)


def _find_term(campaign: Campaign, name: str | None, section: str) -> str:
    """The name of the term with the assay of a section."""
    known = list(campaign.assays)
    if name is None and len(known) == 1:
        return known[0]
    if name in campaign.assays:
        return str(name)
    if not known:
        hint = " or give path" if section == "starts" else ""
        raise InputError(f'[{section}] needs a term with an assay table, e.g. assay = "assay.csv"; add one{hint}')
    got = "none" if name is None else name
    raise InputError(f"[{section}] term: expected a term with an assay table ({', '.join(known)}), got {got}")


def goodness(term: AssayTableTerm, values: np.ndarray) -> np.ndarray:
    """Numbers of which higher is better: the values, their negatives, or for a window their desirabilities.

    Parameters
    ----------
    term : AssayTableTerm
        The term.
    values : ndarray
        Measured values.

    Returns
    -------
    ndarray
        One per value.
    """
    return {"higher": values, "lower": -values}.get(term.shape, term.score(values))


def _start_assay(
    campaign: Campaign, assays: dict[str, Assay], held_out: HeldOut | None, mapper: Mapper | None
) -> Assay:
    """The assay with the start molecules, without those that are held out."""
    section = campaign.starts or StartsSection()
    if section.path is None:
        return assays[_find_term(campaign, section.term, "starts")]
    assay = read_assay(section.path, section.column, mapper=mapper)
    return assay if held_out is None else leave_out(assay, held_out)


def _choose_starts(section: StartsSection, assay: Assay, seed: int) -> pd.DataFrame:
    """The molecules within the limits, in random order."""
    table = assay.table[["smiles", "value"]]
    values, median = table["value"], float(table["value"].median())
    limits = {"below": section.below, "above": section.above}
    given = {name: median if limit == "median" else float(limit) for name, limit in limits.items() if limit is not None}
    chosen = (values < given.get("below", np.inf)) & (values > given.get("above", -np.inf))
    if not chosen.any():
        named = " and ".join(f"{name} {limits[name]}" for name in given)
        raise InputError(
            f"[starts]: no molecule of {assay.path} has a value {named}; its values are {values.min():.4g} to "
            f"{values.max():.4g}, with median {median:.4g}"
        )
    order = generator(seed, "starts").permutation(int(chosen.sum()))
    return table[chosen].iloc[order].reset_index(drop=True)
