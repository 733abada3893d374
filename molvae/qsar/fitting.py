"""From an assay table to the folder of an evaluated model."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from molvae.errors import InputError
from molvae.files import sha256_of
from molvae.folders import check_new_folder, new_folder
from molvae.qsar import model as folder_of
from molvae.qsar.assay import Assay, read_assay, training_arrays
from molvae.qsar.evaluation import Evaluation, evaluate
from molvae.qsar.fingerprints import morgan_bits
from molvae.qsar.model import FORMAT, AssayModel, write_json, write_training
from molvae.qsar.protocol import MoleculeRegressor
from molvae.qsar.registry import make_model
from molvae.qsar.report import write_report
from molvae.tables import writing
from molvae.workers import Mapper

_PACKAGES = ("molvae", "rdkit", "scikit-learn", "numpy", "scipy")
_MAX_LISTED = 100


def fit_assay(
    path: Path | str,
    out: Path | str,
    target: str | None = None,
    *,
    model: str = "gaussian_process",
    settings: dict[str, object] | None = None,
    smiles_column: str | None = None,
    unit: str | None = None,
    relation_column: str | None = None,
    split_column: str | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
    max_spread: float | None = None,
    seed: int = 0,
    mapper: Mapper | None = None,
    progress: Callable[[str], None] | None = None,
) -> AssayModel:
    """Fit a model to an assay table, evaluate it, and write it to a new folder.

    The folder has `model.json` and `training.csv` (the model), `card.json` and `report.html` (data and evaluation),
    `out_of_fold.csv` (every prediction of the evaluation) and `dropped.csv` (every row that is not used, with the
    reason). The model is fitted to all molecules that are used.

    Parameters
    ----------
    path : Path or str
        The assay table; see `read_assay`.
    out : Path or str
        The new folder.
    target : str or None, default=None
        Target column; None looks for the usual names.
    model : {"gaussian_process", "ridge", "forest", "latent"}, default="gaussian_process"
        Name of the model.
    settings : dict of str to object, optional
        Settings of the model that differ from the defaults.
    smiles_column, unit, relation_column, split_column, where, max_spread
        As for `read_assay`.
    seed : int, default=0
        Seed of the folds of the evaluation.
    mapper : Mapper or None, default=None
        Standardizes the molecules; None takes LocalProcesses().
    progress : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    AssayModel

    Raises
    ------
    InputError
        The file, a column or a setting cannot be used, or the folder exists.

    Examples
    --------
    >>> from molvae.qsar import fit_assay
    >>> model = fit_assay("assay.csv", "model", target="pIC50")  # doctest: +SKIP
    >>> model.predict(["CCN(CC)CC(=O)Nc1c(C)cccc1C"])  # doctest: +SKIP
    """
    path, out = Path(path), Path(out)
    make_model(model, settings)
    check_new_folder(out)
    if progress is not None:
        progress(f"reading {path}")
    assay = read_assay(
        path, target, smiles_column=smiles_column, unit=unit, relation_column=relation_column,
        split_column=split_column, where=where, max_spread=max_spread, mapper=mapper,
    )  # fmt: skip
    return fit_and_write(assay, out, model=model, settings=settings, seed=seed, progress=progress)


def fit_and_write(
    assay: Assay,
    out: Path,
    *,
    model: str = "gaussian_process",
    settings: dict[str, object] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> AssayModel:
    """Fit a model to an assay that has been read, evaluate it, and write it to a new folder; see `fit_assay`.

    Parameters
    ----------
    assay : Assay
        The assay.
    out : Path
        The new folder.
    model, settings, seed, progress
        As for `fit_assay`.

    Returns
    -------
    AssayModel

    Raises
    ------
    InputError
        A setting cannot be used, or the folder exists.
    """
    begin = time.perf_counter()
    regressor = make_model(model, settings)
    report = progress or (lambda line: None)
    _check_size(model, regressor, assay)
    evaluation = evaluate(lambda: make_model(model, settings), assay, seed, report)
    if not evaluation.metrics["scaffold"]["n"]:
        assay.warnings.append("all molecules have the same scaffold: there is no scaffold split")
    n_unpredicted = int(evaluation.predictions["random_predicted"].isna().sum())
    if n_unpredicted:
        assay.warnings.append(f"{n_unpredicted:,} molecules are not used: the codec cannot encode them")
    report(f"fitting {model} to {len(assay.table):,} molecules")
    smiles, y = training_arrays(assay)
    regressor.fit(smiles, y)
    with new_folder(out) as draft:
        training_sha256 = write_training(draft, smiles, y)
        write_json(draft / folder_of.MODEL_FILE, _describe(model, assay, regressor, training_sha256))
        card = _make_card(model, assay, regressor, evaluation, seed)
        card["seconds"] = round(time.perf_counter() - begin, 1)
        write_json(draft / folder_of.CARD_FILE, card)
        _write_tables(draft, assay, evaluation)
        write_report(draft / folder_of.REPORT_FILE, card, evaluation.predictions)
    sha256 = sha256_of(out / folder_of.MODEL_FILE)
    return AssayModel(model, assay.target, assay.unit, assay.task, sha256, card, regressor, morgan_bits(smiles))


def fit_in_memory(
    assay: Assay, model: str = "gaussian_process", settings: dict[str, object] | None = None
) -> AssayModel:
    """Fit a model to an assay without an evaluation and without a folder.

    Parameters
    ----------
    assay : Assay
        The assay.
    model, settings
        As for `fit_assay`.

    Returns
    -------
    AssayModel
        Gives the same predictions as `fit_assay`; its `sha256` is that of the assay table, its card is empty.

    Raises
    ------
    InputError
        A setting cannot be used.
    """
    smiles, y = training_arrays(assay)
    regressor = make_model(model, settings)
    _check_size(model, regressor, assay)
    regressor.fit(smiles, y)
    sha256 = sha256_of(assay.path)
    return AssayModel(model, assay.target, assay.unit, assay.task, sha256, {}, regressor, morgan_bits(smiles))


def _check_size(name: str, regressor: MoleculeRegressor, assay: Assay) -> None:
    """Refuse too many molecules before the evaluation, whose folds are smaller."""
    limit = getattr(regressor.settings, "max_molecules", None)
    if limit is not None and len(assay.table) > limit:
        raise InputError(
            f"{assay.path}: {len(assay.table):,} molecules; the model {name} supports at most {limit:,}: use --model "
            "ridge or forest"
        )


def _describe(name: str, assay: Assay, regressor: MoleculeRegressor, training_sha256: str) -> dict[str, Any]:
    """What determines the predictions, together with the training molecules."""
    return {
        "format": FORMAT,
        "model": name,
        "settings": regressor.settings.model_dump(mode="json"),
        "hyperparameters": regressor.hyperparameters,
        "target": assay.target,
        "unit": assay.unit,
        "task": assay.task,
        "n_molecules": len(assay.table),
        "training_sha256": training_sha256,
        "source_sha256": sha256_of(assay.path),
        "versions": {package: version(package) for package in _PACKAGES},
    }


def _make_card(
    name: str, assay: Assay, regressor: MoleculeRegressor, evaluation: Evaluation, seed: int
) -> dict[str, Any]:
    values = assay.table["value"]
    wide = assay.wide.astype(object).where(assay.wide.notna(), None)
    return {
        "source": assay.path.name,
        "target": assay.target,
        "unit": assay.unit,
        "task": assay.task,
        "model": name,
        "settings": regressor.settings.model_dump(mode="json"),
        "hyperparameters": regressor.hyperparameters,
        "seed": seed,
        "data": {
            "n_rows": assay.n_rows,
            "n_rows_used": int(assay.table["n"].sum()),
            "n_molecules": len(assay.table),
            "n_dropped": len(assay.dropped),
            "dropped": assay.count_dropped(),
            "n_with_several_measurements": int((assay.table["n"] > 1).sum()),
            "median_spread": _round(assay.table["spread"].median()),
            "n_wide": len(assay.wide),
            "wide": wide.head(_MAX_LISTED).to_dict("records"),
            "mean": _round(values.mean()),
            "std": _round(values.std()),
            "min": _round(values.min()),
            "max": _round(values.max()),
        },
        "evaluation": {
            split: {metric: _round(value) for metric, value in metrics.items()}
            for split, metrics in evaluation.metrics.items()
        },
        "warnings": assay.warnings,
        "notes": assay.notes,
    }


def _round(value: float | int | None) -> float | int | None:
    if value is None or value != value:
        return None
    if isinstance(value, int):
        return value
    return round(float(value), 4) if abs(value) >= 0.1 else float(f"{value:.4g}")


def _write_tables(folder: Path, assay: Assay, evaluation: Evaluation) -> None:
    kinds: dict[str, type] = {"row": int, "id": str, "smiles": str, "value": str, "reason": str}
    with writing(folder / folder_of.DROPPED_FILE, kinds) as writer:
        writer.write(assay.dropped.astype(object).where(assay.dropped.notna(), None))
    predictions: pd.DataFrame = evaluation.predictions.copy()
    predictions.insert(2, "n", assay.table["n"].to_numpy())
    predictions.insert(3, "spread", assay.table["spread"].to_numpy())
    kinds = {str(name): {"smiles": str, "n": int}.get(str(name), float) for name in predictions}
    with writing(folder / folder_of.EVALUATION_FILE, kinds) as writer:
        writer.write(predictions)


def parse_where(conditions: Sequence[str]) -> dict[str, list[str]]:
    """Read the selection of rows from the command line.

    Parameters
    ----------
    conditions : sequence of str
        ``column=value``.

    Returns
    -------
    dict of str to list of str
        Column -> values.

    Raises
    ------
    InputError
        A condition has no ``=``, or no column.
    """
    found: dict[str, list[str]] = {}
    for condition in conditions:
        column, sign, value = condition.partition("=")
        if not sign or not column.strip():
            raise InputError(f"--where {condition}: expected COLUMN=VALUE, e.g. standard_type=Ki")
        found.setdefault(column.strip(), []).append(value.strip())
    return found


def parse_settings(changes: list[str]) -> dict[str, object]:
    """Read settings of a model from the command line.

    Parameters
    ----------
    changes : list of str
        ``key=value``, with the value as in TOML.

    Returns
    -------
    dict of str to object

    Raises
    ------
    InputError
        A change has no ``=``, or its value is not valid.
    """
    import tomllib

    found: dict[str, object] = {}
    for change in changes:
        key, sign, value = change.partition("=")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"] if sign else None
        except (RecursionError, ValueError):
            sign = ""
        if not sign or not key.strip():
            raise InputError(f"--set {change}: expected KEY=VALUE, e.g. n_trees=500")
    return found
