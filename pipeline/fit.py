"""Stage 0: read the assay tables; hold molecules out, choose the start molecules, and fit the models of the score."""

from molvae.files import write_text
from molvae.qsar.fitting import fit_and_write
from molvae.qsar.model import AssayModel
from molvae.workers import LocalProcesses, Mapper

from . import terminal
from .assays import assay_files, needs_assays, read_assays
from .campaign import Campaign
from .log import log
from .manifest import Counts, Manifest, Outcome, Plan, file_entry
from .run_dir import RunDir

VERSION = 1


def fit(run: RunDir, mapper: Mapper | None = None) -> Manifest | None:
    """Run stage 0.

    Parameters
    ----------
    run : RunDir
        The run.
    mapper : Mapper or None
        Standardizes the molecules; None uses worker processes on this machine.

    Returns
    -------
    Manifest or None
        Counts and files of the stage; None if the campaign has no assay table.

    Raises
    ------
    InputError
        A table cannot be used, or too few molecules are left.
    """
    campaign = Campaign.load(run.campaign)
    if not needs_assays(campaign):
        return None
    settings = campaign.model_dump(mode="json", include={"hold_out", "starts"})
    settings["terms"] = {name: term.model_dump(mode="json") for name, term in campaign.assays.items()}
    inputs = {name: file_entry(path, run.path) for name, path in assay_files(campaign).items()}
    plan = Plan("fit", VERSION, run.fit, settings, campaign.seed, inputs)
    return plan.carry_out(lambda folder: _fit(run, campaign, mapper or LocalProcesses()), run.of_siblings(run.fit))


def _fit(run: RunDir, campaign: Campaign, mapper: Mapper) -> Outcome:
    assays = read_assays(campaign, mapper)
    outputs: dict[str, int | None] = {}
    counts = Counts(into=0, kept=0)
    if assays.held_out is not None:
        assays.held_out.write(run.held_out)
        outputs[run.held_out.name] = n_held_out = len(assays.held_out.table)
        counts.dropped["held out"] = n_held_out
        _show(f"{n_held_out:,} molecules are held out, {len(assays.held_out.series):,} of them in series")
    if assays.starts is not None:
        write_text(run.starts, assays.starts.to_csv(index=False, lineterminator="\n"))
        outputs[run.starts.name] = len(assays.starts)
    into = kept = 0
    for name, assay in assays.training.items():
        into, kept = into + assay.n_rows, kept + len(assay.table)
        for reason, n in assay.count_dropped().items():
            counts.dropped[reason] = counts.dropped.get(reason, 0) + n
        run.models.mkdir(exist_ok=True)
        folder = run.models / name
        model = fit_and_write(assay, folder, model=campaign.assays[name].fit, seed=campaign.seed, progress=_show)
        _show(f"{name}: {_describe(model)}")
        outputs |= {str(path.relative_to(run.fit)): None for path in sorted(folder.iterdir())}
    return Outcome(outputs, Counts(into=into, kept=kept, dropped=counts.dropped))


def _describe(model: AssayModel) -> str:
    """The error of the model for molecules with new scaffolds."""
    metrics = model.card["evaluation"]["scaffold"]
    known = [name for name in ("rmse", "baseline_rmse", "roc_auc") if metrics.get(name) is not None]
    names = {"rmse": "RMSE", "baseline_rmse": "of the mean", "roc_auc": "ROC AUC"}
    return "scaffold split: " + (", ".join(f"{names[name]} {metrics[name]:.2f}" for name in known) or "not possible")


def _show(line: str) -> None:
    log.info("%s", line)
    terminal.show(f"  {line}")
