"""The report of a model: one self-contained HTML file with its data, its errors and its calibration."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from scipy.stats import norm

from molvae.files import write_text

_TEMPLATE = "report.html.j2"
_SIZE, _LEFT, _BOTTOM, _TOP = 320.0, 44.0, 284.0, 10.0
_WIDTH = 300.0  # of a plot without its axis
_MAX_DOTS = 3000
_N_BINS = 24
_N_GROUPS, _MIN_IN_GROUP = 10, 10
_LABELS = {
    "n": "molecules", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "spearman": "Spearman",
    "within_1_std": "within 1 std", "within_2_std": "within 2 std", "baseline_rmse": "RMSE of the mean",
    "baseline_mae": "MAE of the mean", "n_positive": "class 1", "roc_auc": "ROC-AUC", "pr_auc": "PR-AUC",
    "brier": "Brier score", "baseline_pr_auc": "PR-AUC of chance", "baseline_brier": "Brier score of the mean",
}  # fmt: skip


@dataclass(frozen=True)
class _Axis:
    """A linear axis from values to positions."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        return self.begin + (self.end - self.begin) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels of round numbers, at most seven."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / 6))
        step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if span / step <= 6 + 1e-9)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(self(i * step), f"{i * step:.6g}") for i in range(first, last + 1)]


@dataclass(frozen=True)
class _Plot:
    """A plot as SVG paths: dots, lines by class, ticks, and the labels of the axes."""

    title: str
    dots: str
    lines: list[tuple[str, str]]
    bars: list[tuple[float, float, float, float]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    x_label: str
    y_label: str


def write_report(path: Path, card: dict[str, Any], predictions: pd.DataFrame) -> None:
    """Write the report of a model; the file loads nothing from the network.

    Parameters
    ----------
    path : Path
        File to write.
    card : dict
        The content of `card.json`.
    predictions : DataFrame
        Predictions of the evaluation; see `Evaluation`.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    splits = [name for name, metrics in card["evaluation"].items() if metrics["n"]]
    names = list(dict.fromkeys(metric for metrics in card["evaluation"].values() for metric in metrics))
    label = f"{card['target']} ({card['unit']})" if card["unit"] else card["target"]
    is_regression = card["task"] == "regression"
    text = environment.get_template(_TEMPLATE).render(
        card=card,
        label=label,
        metrics=[(_LABELS[name], [card["evaluation"][split].get(name) for split in splits]) for name in names],
        splits=splits,
        plots=[
            *(_scatter(predictions, split, label) for split in splits if is_regression),
            *(_reliability(predictions, split) for split in splits if not is_regression),
            *([_calibration(predictions, splits)] if is_regression else []),
            *([_errors_by_std(predictions, splits, card["unit"])] if is_regression and _varies(predictions) else []),
            _histogram(predictions["measured"].to_numpy(float), label),
        ],
        box={"left": _LEFT, "right": _LEFT + _WIDTH, "top": _TOP, "bottom": _BOTTOM},
    )
    write_text(path, text.encode("utf-8", "replace").decode() + "\n")


def _tested(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    columns = ["measured", f"{split}_predicted", f"{split}_std"]
    return predictions[columns].dropna().set_axis(["measured", "predicted", "std"], axis=1)


def _axes(x: tuple[float, float], y: tuple[float, float]) -> tuple[_Axis, _Axis]:
    return _Axis(*x, _LEFT, _LEFT + _WIDTH), _Axis(*y, _BOTTOM, _TOP)


def _scatter(predictions: pd.DataFrame, split: str, label: str) -> _Plot:
    rows = _tested(predictions, split)
    shown = rows.iloc[:: math.ceil(len(rows) / _MAX_DOTS)]
    values = rows[["measured", "predicted"]].to_numpy()
    margin = 0.03 * (float(np.ptp(values)) or 1.0)
    limits = float(values.min()) - margin, float(values.max()) + margin
    x, y = _axes(limits, limits)
    dots = "".join(f"M{x(a):.1f} {y(b):.1f}h0" for a, b in zip(shown["measured"], shown["predicted"], strict=True))
    diagonal = f"M{x(limits[0]):.1f} {y(limits[0]):.1f}L{x(limits[1]):.1f} {y(limits[1]):.1f}"
    title = f"Predicted and measured, {split} split"
    return _Plot(title, dots, [("rest", diagonal)], [], x.ticks(), y.ticks(), f"measured {label}", "predicted")


def _calibration(predictions: pd.DataFrame, splits: list[str]) -> _Plot:
    """Share of measurements inside central intervals of the predicted normal distributions."""
    x, y = _axes((0, 1), (0, 1))
    lines = [("rest", f"M{x(0)} {y(0)}L{x(1)} {y(1)}")]
    expected = np.linspace(0, 1, 41)[:-1]
    widths = norm.ppf((1 + expected) / 2)
    for split in splits:
        rows = _tested(predictions, split)
        errors = (rows["measured"] - rows["predicted"]).abs().to_numpy()
        found = [(errors <= width * rows["std"].to_numpy()).mean() for width in widths]
        vertices = [f"{x(a):.1f} {y(b):.1f}" for a, b in zip(expected, found, strict=True)]
        lines.append((split, "M" + "L".join(vertices)))
    title = "Calibration of the standard deviations"
    return _Plot(title, "", lines, [], x.ticks(), y.ticks(), "predicted share within an interval", "measured share")


def _varies(predictions: pd.DataFrame) -> bool:
    """Whether molecules have different standard deviations; those of ridge regression differ between folds only."""
    return predictions["random_std"].nunique() > _N_GROUPS


def _errors_by_std(predictions: pd.DataFrame, splits: list[str], unit: str) -> _Plot:
    """Errors of molecules with similar standard deviations."""
    found = {}
    for split in splits:
        rows = _tested(predictions, split).sort_values("std")
        squares = np.column_stack([rows["std"] ** 2, (rows["measured"] - rows["predicted"]) ** 2])
        groups = np.array_split(squares, max(1, min(_N_GROUPS, len(rows) // _MIN_IN_GROUP)))
        found[split] = np.sqrt([group.mean(axis=0) for group in groups])  # (n_groups, 2)
    highest = 1.05 * (max(float(vertices.max()) for vertices in found.values()) or 1.0)
    x, y = _axes((0, highest), (0, highest))
    lines = [("rest", f"M{x(0)} {y(0)}L{x(highest)} {y(highest)}")]
    for split, vertices in found.items():
        lines.append((split, "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in vertices)))
    label = f", {unit}" if unit else ""
    title = "Error and standard deviation, groups of molecules"
    return _Plot(title, "", lines, [], x.ticks(), y.ticks(), f"predicted standard deviation{label}", "RMSE")


def _reliability(predictions: pd.DataFrame, split: str) -> _Plot:
    """Share of class 1 among molecules with similar predicted probabilities."""
    rows = _tested(predictions, split).sort_values("predicted")
    x, y = _axes((0, 1), (0, 1))
    groups = np.array_split(
        rows[["predicted", "measured"]].to_numpy(), max(1, min(_N_GROUPS, len(rows) // _MIN_IN_GROUP))
    )
    vertices = [f"{x(group[:, 0].mean()):.1f} {y(group[:, 1].mean()):.1f}" for group in groups]
    lines = [("rest", f"M{x(0)} {y(0)}L{x(1)} {y(1)}"), (split, "M" + "L".join(vertices))]
    title = f"Calibration of the probabilities, {split} split"
    return _Plot(title, "", lines, [], x.ticks(), y.ticks(), "predicted probability", "share of class 1")


def _histogram(values: np.ndarray, label: str) -> _Plot:
    counts, edges = np.histogram(values, bins=_N_BINS)
    x, y = _axes((float(edges[0]), float(edges[-1])), (0, float(counts.max())))
    bars = [
        (x(begin), y(n), x(end) - x(begin) - 1, _BOTTOM - y(n))
        for n, begin, end in zip(counts, edges[:-1], edges[1:], strict=True)
    ]
    return _Plot("Distribution of the measured values", "", [], bars, x.ticks(), y.ticks(), label, "molecules")
