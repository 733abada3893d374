"""`molvae qsar`: models of assay data, with the subcommands fit and predict."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import terminal
from .declaration import IdColumn, MoleculeFileArgument, SmilesColumn, TableOut, command

if TYPE_CHECKING:
    from molvae.qsar import AssayModel

_SHOWN = {
    "regression": ("rmse", "mae", "r2", "spearman", "within_1_std", "within_2_std", "baseline_rmse"),
    "classification": ("roc_auc", "pr_auc", "brier", "baseline_pr_auc", "baseline_brier"),
}
_NAMES = {
    "rmse": "RMSE", "mae": "MAE", "r2": "R2", "spearman": "Spearman", "within_1_std": "within 1 std",
    "within_2_std": "within 2 std", "baseline_rmse": "RMSE of the mean", "roc_auc": "ROC-AUC", "pr_auc": "PR-AUC",
    "brier": "Brier score", "baseline_pr_auc": "PR-AUC of chance", "baseline_brier": "Brier score of the mean",
}  # fmt: skip

group = typer.Typer(name="qsar", no_args_is_help=True, rich_markup_mode=None)


@group.callback()
def qsar() -> None:
    """Fit a model to assay data, and predict molecules with it.

    \b
    Examples:
      molvae qsar fit assay.csv --target pIC50 -o model
      molvae qsar predict model molecules.csv -o out.csv
    """


@group.command()
@command
def fit(
    *,
    assay: Annotated[
        Path, typer.Argument(metavar="ASSAY", help="Measured molecules: .csv, .tsv, .sdf (also .gz) or .parquet.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="New folder for the model.")],
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="Column with the values. Default: found by name.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="gaussian_process, ridge, forest or latent.")
    ] = "gaussian_process",
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            metavar="UNIT",
            help="pM, nM, uM, mM or M: converted to -log10(mol/L). none: not converted. Default: found by name.",
        ),
    ] = None,
    smiles_column: SmilesColumn = None,
    relation_column: Annotated[
        str | None,
        typer.Option("--relation-column", metavar="NAME", help="Column with =, < and >. Default: found by name."),
    ] = None,
    split_column: Annotated[
        str | None,
        typer.Option("--split-column", metavar="NAME", help="Column with train or test, for a further evaluation."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="COLUMN=VALUE",
            help="Use only rows with this value; may be repeated: another value, or another column.",
        ),
    ] = None,
    max_spread: Annotated[
        float | None,
        typer.Option(
            "--max-spread",
            min=0,
            metavar="STD",
            help="Drop molecules whose measurements have a larger standard deviation. Default: 1 log unit.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the model; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the folds of the evaluation.")] = 0,
) -> None:
    """Fit a model to an assay table and evaluate it.

    Concentrations are converted to -log10(mol/L), repeated measurements are replaced by their median, and censored
    values (<, >, ~) are not used. For a target with two classes, the model predicts the probability of class 1. The
    folder has the model, card.json (data and evaluation), report.html, out_of_fold.csv and dropped.csv (rows that are
    not used, with the reason).

    \b
    Examples:
      molvae qsar fit assay.csv --target pIC50 -o model
      molvae qsar fit assay.csv --target "IC50 (nM)" -o model
      molvae qsar fit chembl.csv --where standard_type=Ki -o model
      molvae qsar fit assay.sdf --target IC50 --unit uM --model forest
        --set n_trees=500 -o model
    """
    from molvae.qsar import fit_assay
    from molvae.qsar.fitting import parse_settings, parse_where
    from molvae.workers import LocalProcesses

    with terminal.showing():
        fitted = fit_assay(
            assay,
            out,
            target,
            model=model,
            settings=parse_settings(changes or []),
            smiles_column=smiles_column,
            unit=unit,
            relation_column=relation_column,
            split_column=split_column,
            where=parse_where(where or []),
            max_spread=max_spread,
            seed=seed,
            mapper=LocalProcesses(),
            progress=lambda line: terminal.show(f"  {line}"),
        )
    _report(fitted)
    terminal.report(f"model: {out}; report: {out / 'report.html'}")


@group.command()
@command
def predict(
    *,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that molvae qsar fit has written.")],
    source: MoleculeFileArgument,
    out: TableOut,
    smiles_column: SmilesColumn = None,
    id_column: IdColumn = None,
) -> None:
    """Predict the target of molecules with a fitted model.

    Writes one row for each row of the input, in the same order. Columns: id (if the input has ids), smiles
    (standardized), value, std (standard deviation; what it includes depends on the model), similarity (highest Tanimoto
    similarity to a training molecule), and the reason if the SMILES is invalid. For classes, value is the probability
    of class 1.

    \b
    Examples:
      molvae qsar predict model molecules.csv -o out.csv
      molvae qsar predict model library.sdf.gz -o out.parquet
    """
    import pandas as pd

    from molvae.datasets import open_molecules, standardize_file
    from molvae.qsar import load_model
    from molvae.tables import Kinds, kind_of, writing
    from molvae.workers import LocalProcesses

    from ..tables import LATENT_ENDINGS, check_ending

    check_ending(out, LATENT_ENDINGS)
    mapper = LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    loaded = load_model(model)
    kinds: Kinds = {"id": str} if file.id_column else {}
    kinds |= {"smiles": str, "value": float, "std": float, "similarity": float, "reason": str}
    n, invalid, warnings = 0, Counter[str](), Counter[str]()
    with terminal.showing(), terminal.bar("predict", None, "molecules") as bar, writing(out, kinds) as writer:
        for chunk in standardize_file(file, mapper, drop_duplicates=False):
            predicted = loaded.predict_standardized(chunk["smiles"].tolist())
            writer.write(pd.concat([chunk[["id", "smiles", "reason"]].reset_index(drop=True), predicted], axis=1))
            invalid.update(map(kind_of, chunk["reason"].dropna()))
            for warning in chunk["warning"].dropna():
                warnings.update({kind_of(part) for part in warning.split("; ")})
            n += len(chunk)
            bar.advance(len(chunk))
            bar.expect(file.fraction_read)
    for note in file.notes:
        terminal.report(f"note: {note}")
    unit = f" in {loaded.unit}" if loaded.unit else ""
    terminal.report(f"{n:,} rows, {n - invalid.total():,} predicted, {loaded.target}{unit}: {out}")
    for kind, count in invalid.most_common():
        terminal.report(f"  {count:,} not predicted: {kind}")
    for kind, count in warnings.most_common():
        terminal.report(f"  {count:,} with a warning: {kind}")


def _report(fitted: "AssayModel") -> None:
    """Print what was used, what was not, and the metrics."""
    card = fitted.card
    for note in card["notes"]:
        terminal.report(f"note: {note}")
    for warning in card["warnings"]:
        terminal.report(f"warning: {warning}")
    data = card["data"]
    unit = f" in {fitted.unit}" if fitted.unit else ""
    terminal.report(f"{data['n_rows']:,} rows, {data['n_molecules']:,} molecules, {fitted.target}{unit}")
    for kind, count in data["dropped"].items():
        terminal.report(f"  {count:,} rows not used: {kind}")
    for split, metrics in card["evaluation"].items():
        known = [name for name in _SHOWN[fitted.task] if metrics.get(name) is not None]
        if known:
            line = ", ".join(f"{_NAMES[name]} {metrics[name]:.2f}" for name in known)
            terminal.report(f"{split} split: {line}")
