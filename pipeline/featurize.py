"""Stage 1: read a molecule file; write its standardized molecules, and the dropped rows with the reasons.

If the campaign trains a codec on the molecules, they are also written as features and property labels.
"""

from pathlib import Path

from molvae.datasets import MoleculeFile, open_molecules
from molvae.qsar.hold_out import HeldOut
from molvae.training.featurizing import LABELS, FeaturePlan, write_library
from molvae.workers import LocalProcesses, Mapper

from . import terminal
from .log import log
from .manifest import Counts, Entry, Manifest, Outcome, Plan, file_entry
from .progress import bars
from .run_dir import RunDir

VERSION = 2


def featurize(run: RunDir, mapper: Mapper | None = None) -> Manifest:
    """Write the reference library to 1-featurize, and its features if the campaign trains a codec.

    Parameters
    ----------
    run : RunDir
        The run.
    mapper : Mapper or None
        Runs the work per molecule; None uses worker processes on this machine.

    Returns
    -------
    Manifest
        The manifest of the stage.

    Raises
    ------
    InputError
        The file cannot be read, or none of its rows can be used.
    """
    from .assays import read_held_out
    from .campaign import Campaign, molecules_path  # imports torch

    mapper = mapper or LocalProcesses()
    campaign = Campaign.load(run.campaign)
    section = campaign.molecules
    features = FeaturePlan(campaign.train.features) if campaign.train else None
    file = open_molecules(molecules_path(section), section.smiles_column, section.id_column, mapper=mapper)
    inputs, held_out = {}, read_held_out(run, campaign)
    if held_out is not None:
        inputs = {"held out": file_entry(run.held_out, run.path)}
    return _featurize(
        file,
        run.featurize,
        features,
        seed=campaign.seed,
        base=run.path,
        mapper=mapper,
        inputs=inputs,
        held_out=held_out,
    )


def featurize_file(
    source: Path,
    folder: Path,
    *,
    smiles_column: str | None,
    id_column: str | None,
    plan: FeaturePlan,
    seed: int = 0,
    mapper: Mapper | None = None,
) -> Manifest:
    """Write a features folder with a manifest, with progress on the terminal; see `molvae.featurize`.

    Parameters
    ----------
    source : Path
        The molecule file.
    folder : Path
        The folder to write to.
    smiles_column : str or None
        Column of the SMILES; None detects it.
    id_column : str or None
        Column of the identifiers; None detects it.
    plan : FeaturePlan
        How molecules are converted to features.
    seed : int, default=0
        Seed of the random choice of molecules for the vocabulary and the labels.
    mapper : Mapper or None
        Runs the work per molecule; None uses worker processes on this machine.

    Returns
    -------
    Manifest
        The manifest of the folder.

    Raises
    ------
    InputError
        The file cannot be read, or none of its rows can be used.
    """
    mapper = mapper or LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    return _featurize(file, folder, plan, seed=seed, base=folder, mapper=mapper)


def _featurize(
    file: MoleculeFile,
    folder: Path,
    features: FeaturePlan | None,
    *,
    seed: int,
    base: Path,
    mapper: Mapper,
    inputs: dict[str, Entry] | None = None,
    held_out: HeldOut | None = None,
) -> Manifest:
    settings: dict[str, object] = {"smiles_column": file.smiles_column, "id_column": file.id_column}
    if features is not None:
        settings |= {"features": features.settings.model_dump(mode="json"), "properties": LABELS}
        settings |= {"like": features.like.sha256} if features.like else {}
    if held_out is not None:
        settings["similarity"] = held_out.similarity
    inputs = {"molecules": file_entry(file.path, base)} | (inputs or {})
    plan = Plan("featurize", VERSION, folder, settings, seed, inputs)
    is_excluded = None if held_out is None else held_out.covers

    def body(folder: Path) -> Outcome:
        with bars() as show:
            result = write_library(
                file,
                folder,
                features,
                seed=seed,
                mapper=mapper,
                is_excluded=is_excluded,
                progress=show,
                notify=_show_note,
            )
        counts = Counts(into=result.n_rows, kept=result.n_kept, dropped=dict(result.dropped), notes=dict(result.notes))
        return Outcome(result.files, counts)

    return plan.carry_out(body)


def _show_note(note: str) -> None:
    log.info("%s", note)
    terminal.show(f"  {note}")
