"""Stage 1: read a molecule file; write its standardized molecules, and the dropped rows with the reasons.

If the campaign trains a codec on the molecules, they are also written as features and property labels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from molvae.datasets import MoleculeFile, open_molecules
from molvae.files import sha256_of
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
    inputs, held_out = {}, read_held_out(run, campaign)
    if held_out is not None:
        inputs = {"held out": file_entry(run.held_out, run.path)}
    library = molecules_path(section)
    before = Manifest.read(run.featurize)
    if before is not None and (change := _find_change(before, library, run)):
        columns = {name: getattr(section, name) or before.settings.get(name) for name in ("smiles_column", "id_column")}
        settings = _settings(columns, features, held_out)
        read = {"molecules": before.inputs["molecules"]} | inputs
        plan = Plan("featurize", VERSION, run.featurize, settings, campaign.seed, read)
        if (kept := plan.finished()) is not None:
            _warn(f"{library}: {change}; the run keeps the {kept.counts.kept:,} molecules that it read before")
            return kept.model_copy(update={"reused": True})
    file = open_molecules(library, section.smiles_column, section.id_column, mapper=mapper)
    return _featurize(
        file,
        run.featurize,
        features,
        seed=campaign.seed,
        base=run.path,
        mapper=mapper,
        inputs=inputs,
        held_out=held_out,
        others=run.of_siblings(run.featurize),
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
    others: Sequence[Path] = (),
) -> Manifest:
    settings = _settings({"smiles_column": file.smiles_column, "id_column": file.id_column}, features, held_out)
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

    return plan.carry_out(body, others, uses_seed=features is not None)


def _settings(
    columns: Mapping[str, object], features: FeaturePlan | None, held_out: HeldOut | None
) -> dict[str, object]:
    settings = dict(columns)
    if features is not None:
        settings |= {"features": features.settings.model_dump(mode="json"), "properties": LABELS}
        settings |= {"like": features.like.sha256} if features.like else {}
    if held_out is not None:
        settings["similarity"] = held_out.similarity
    return settings


def _find_change(before: Manifest, library: Path, run: RunDir) -> str:
    """What has become of a library since the stage was completed; "" if nothing, or if it was another file."""
    entry = before.inputs.get("molecules")
    if entry is None or (run.path / entry.path).resolve() != library.resolve():
        return ""
    try:
        now = sha256_of(library)
    except OSError as error:
        return f"{(error.strerror or str(error)).lower()}, but no stage needs it any more"
    if now == entry.sha256:
        return ""
    hashes = f"sha256 {entry.sha256[:12]}, now {now[:12]}"
    return f"changed since the run read it ({hashes}; start a new run to use the new file)"


def _warn(line: str) -> None:
    log.warning("%s", line)
    terminal.show(f"  note: {line}")


def _show_note(note: str) -> None:
    log.info("%s", note)
    terminal.show(f"  {note}")
