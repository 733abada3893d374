"""Evaluates a model on held-out molecules: random and scaffold splits, calibration, a baseline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from molvae.datasets.folds import split
from molvae.qsar.assay import Assay, Task, training_arrays
from molvae.qsar.protocol import MoleculeRegressor

N_FOLDS = 5
"""Number of folds of the random and the scaffold split."""

Metrics = dict[str, float | int | None]
"""Name -> value; None where a metric is not defined."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of held-out molecules, and their metrics.

    Parameters
    ----------
    metrics : dict of str to dict
        Name of a split (random, scaffold, given) -> its metrics.
    predictions : DataFrame
        One row per molecule: smiles, measured, and for each split `<split>_predicted` and `<split>_std`; NaN for
        molecules that the split does not hold out.
    """

    metrics: dict[str, Metrics]
    predictions: pd.DataFrame


def evaluate(
    make: Callable[[], MoleculeRegressor], assay: Assay, seed: int = 0, progress: Callable[[str], None] | None = None
) -> Evaluation:
    """Evaluate a model by 5-fold cross-validation, with random folds and with folds of scaffolds.

    If the molecules are labeled train and test, a model fitted to the training molecules is also evaluated on the test
    molecules.

    Parameters
    ----------
    make : callable
        Returns a new model.
    assay : Assay
        The molecules and their values.
    seed : int, default=0
        Seed of the folds.
    progress : callable, optional
        Called with a line of text before each split.

    Returns
    -------
    Evaluation
    """
    smiles, y = training_arrays(assay)
    tests = {method: _folds(smiles, method, seed) for method in ("random", "scaffold")}
    labels = assay.table["split"].to_numpy(object)
    has_labels = bool(pd.notna(labels).any())
    if has_labels:
        tests["given"] = [np.flatnonzero(labels == "test")]
    metrics: dict[str, Metrics] = {}
    table = pd.DataFrame({"smiles": smiles, "measured": y})
    for name, folds in tests.items():
        if progress is not None:
            progress(f"{name} split: {len(folds)} fold{'s' if len(folds) > 1 else ''}")
        mean, std, baseline = (np.full(len(y), np.nan) for _ in range(3))
        for test in folds:
            train = np.flatnonzero(labels == "train") if name == "given" else np.setdiff1d(np.arange(len(y)), test)
            model = make().fit([smiles[row] for row in train], y[train])
            mean[test], std[test] = model.predict([smiles[row] for row in test], return_std=True)
            baseline[test] = y[train].mean()
        mean = clip(mean, assay.task)
        table[f"{name}_predicted"], table[f"{name}_std"] = mean, std
        tested = np.isfinite(mean)
        measure = classification_metrics if assay.task == "classification" else regression_metrics
        metrics[name] = measure(y[tested], mean[tested], std[tested], baseline[tested])
    return Evaluation(metrics, table)


def clip(mean: np.ndarray, task: Task) -> np.ndarray:
    """Limit predicted classes to [0, 1].

    Parameters
    ----------
    mean : ndarray of shape (n,)
        Predictions.
    task : {"regression", "classification"}
        Kind of target.

    Returns
    -------
    ndarray of shape (n,)
    """
    return np.clip(mean, 0, 1) if task == "classification" else mean


def regression_metrics(y: np.ndarray, mean: np.ndarray, std: np.ndarray, baseline: np.ndarray) -> Metrics:
    """Compute the errors of predictions, and the calibration of their standard deviations.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Measured values.
    mean, std : ndarray of shape (n,)
        Predictions and their standard deviations.
    baseline : ndarray of shape (n,)
        Predictions of the baseline, the mean of the training molecules.

    Returns
    -------
    dict
        n, rmse, mae, r2, spearman, within_1_std and within_2_std (shares of the errors within one and two standard
        deviations; 0.68 and 0.95 for a calibrated normal distribution), baseline_rmse and baseline_mae.
    """
    error = np.abs(y - mean)
    from scipy.stats import spearmanr  # takes half a second

    if not len(y):
        return {"n": 0}
    variance = float(((y - y.mean()) ** 2).mean())
    return {
        "n": len(y),
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(error.mean()),
        "r2": 1 - float((error**2).mean()) / variance if variance else None,
        "spearman": float(spearmanr(y, mean).statistic) if np.ptp(y) and np.ptp(mean) else None,
        "within_1_std": float((error <= std).mean()),
        "within_2_std": float((error <= 2 * std).mean()),
        "baseline_rmse": float(np.sqrt(((y - baseline) ** 2).mean())),
        "baseline_mae": float(np.abs(y - baseline).mean()),
    }


def classification_metrics(y: np.ndarray, mean: np.ndarray, std: np.ndarray, baseline: np.ndarray) -> Metrics:
    """Compute the ranking metrics and the error of predicted probabilities.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Classes, 0 or 1.
    mean : ndarray of shape (n,)
        Predicted probabilities of class 1.
    std : ndarray of shape (n,)
        Not used.
    baseline : ndarray of shape (n,)
        Predictions of the baseline, the share of class 1 among the training molecules.

    Returns
    -------
    dict
        n, n_positive, roc_auc, pr_auc (average precision), brier, baseline_pr_auc (share of class 1) and
        baseline_brier.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes half a second

    if not len(y):
        return {"n": 0}
    has_both = bool(np.ptp(y))
    return {
        "n": len(y),
        "n_positive": int(y.sum()),
        "roc_auc": float(roc_auc_score(y, mean)) if has_both else None,
        "pr_auc": float(average_precision_score(y, mean)) if has_both else None,
        "brier": float(((y - mean) ** 2).mean()),
        "baseline_pr_auc": float(y.mean()),
        "baseline_brier": float(((y - baseline) ** 2).mean()),
    }


def _folds(smiles: list[str], method: Literal["random", "scaffold"], seed: int) -> list[np.ndarray]:
    """The rows of each fold; none if all molecules have the same scaffold."""
    names = split(smiles, method, {str(fold): 1 / N_FOLDS for fold in range(N_FOLDS)}, seed)
    folds = [np.flatnonzero(names == str(fold)) for fold in range(N_FOLDS)]
    return [rows for rows in folds if 0 < len(rows) < len(smiles) - 1]
