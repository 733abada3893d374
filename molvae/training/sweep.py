"""How large a code must be: one recipe trained at several sizes, beside PCA and the dimension of the data."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter
from scipy.sparse import csr_array
from sklearn.decomposition import PCA

from molvae.autoencoder import Autoencoder, build
from molvae.autoencoder.recipes import RECIPES
from molvae.errors import InputError
from molvae.feature_spec import PAD, FeatureSpec
from molvae.features.store import Rows
from molvae.files import replacing, write_text
from molvae.latent.dimension import knee, two_nearest_neighbors
from molvae.seeds import generator, integer_seed
from molvae.training.config import TrainConfig
from molvae.training.keepers import LogEntry
from molvae.training.trainer import train_in_memory

COLUMNS = ("size", "rebuilt", "rebuilt_pca", "loss", "exact", "codes_dimension", "stopped", "seconds")
TABLE_NAME = "sweep.csv"

_LARGEST_SIZE = 1024  # of ModelSettings.n_latent
_LEAST_ROWS = 20
_N_JUDGED, _N_DIMENSION, _N_PCA = 2_000, 4_000, 10_000  # rows at most
_N_VALIDATED = 1_000  # the trainer's validation chooses weights here, it reports nothing
_N_VALIDATIONS = 10
_PCA_NUMBERS = 40_000_000  # rows times columns of the PCA's training table, at most
_BLOCK_NUMBERS = 20_000_000
_NO_SPREAD = 1e-12  # of the sum of squares: what rounding leaves of equal rows
_DENSE_COLUMNS = 2_048  # up to here PCA comes from the whole covariance

Rebuild = Callable[[np.ndarray], np.ndarray]
"""Row numbers to those rows as they came back."""


@dataclass(frozen=True, eq=False)
class SweepResult:
    """Reconstruction against the size of the code.

    table: one row a size, ascending: `size`; `rebuilt` and `rebuilt_pca`, by the model and by PCA, see sweep(); `loss`
        of the validation (nats, weighted as in training); `exact`, share of rows that come back whole (NaN for numbers
        of any value); `codes_dimension`, the intrinsic dimension of the codes (NaN where there is none to tell);
        `stopped`, why training ended; `seconds`, of training and judging.
    unit: of what `rebuilt` is a share: "variance" or "tokens".
    dimension: the intrinsic dimension of the data; NaN where there is none, for a `reason` in words.
    dimension_of: of what it was measured.
    knee: the size beyond which a larger one brings little more; None where there is no such size.
    """

    table: pd.DataFrame
    unit: str
    dimension: float
    dimension_of: str
    reason: str | None
    knee: int | None
    config: TrainConfig
    n_rows: int
    n_judged: int

    def text(self) -> str:
        """The table, the dimension and the knee, to be read on a terminal."""
        shown = pd.DataFrame({"size": self.table["size"]})
        for name, title in (("rebuilt", f"{self.unit} rebuilt"), ("rebuilt_pca", "by PCA"), ("exact", "exact")):
            shown[title] = [_percent(value) for value in self.table[name]]
        shown["loss"] = [f"{value:,.3f}" for value in self.table["loss"]]
        shown["codes fill"] = ["" if np.isnan(value) else f"{value:.1f} dim" for value in self.table["codes_dimension"]]
        shown["seconds"] = [f"{value:,.0f}" for value in self.table["seconds"]]
        return "\n".join([shown.to_string(index=False), "", self.dimension_sentence(), self.knee_sentence()])

    def dimension_sentence(self) -> str:
        """The intrinsic dimension in words."""
        if self.reason is not None:
            return f"intrinsic dimension of {self.dimension_of}: none ({self.reason})"
        return f"intrinsic dimension of {self.dimension_of}: {self.dimension:.1f} (two nearest neighbours)"

    def knee_sentence(self) -> str:
        """Where the knee is, in words."""
        if self.knee is None:
            return "knee: none among these sizes"
        row = self.table[self.table["size"] == self.knee].iloc[0]
        model, pca = _percent(row["rebuilt"]), _percent(row["rebuilt_pca"])
        return f"knee: size {self.knee}, where {model} of the {self.unit} come back ({pca} by PCA)"

    def figure(self) -> Figure:
        """Both curves over the size, the dimension and the knee marked."""
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        sizes = self.table["size"].to_numpy()
        axes.plot(sizes, self.table["rebuilt"], "o-", color="#1f5fa8", label=f"{self.config.model.recipe} autoencoder")
        axes.plot(sizes, self.table["rebuilt_pca"], "s--", color="#8a8a8a", markerfacecolor="white", label="PCA")
        if self.knee is not None:
            height = self.table["rebuilt"][sizes == self.knee]
            axes.plot([self.knee], height, "o", markersize=14, color="#c8501e", fillstyle="none", label="knee")
        if self.reason is None and self.dimension > 0:
            label = f"intrinsic dimension of {self.dimension_of}, {self.dimension:.1f}"
            axes.axvline(self.dimension, color="#3c8c50", linestyle=":", label=label)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([str(size) for size in sizes])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("size of the code")
        axes.set_ylabel(f"{self.unit} rebuilt, of {self.n_judged:,} held-out rows")
        axes.grid(color="#e4e4e4")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        return figure

    def save(self, folder: Path) -> None:
        """Write sweep.csv, sweep.json, sweep.svg and sweep.png."""
        write_table(self.table, folder / TABLE_NAME)
        content = {
            "intrinsic_dimension": None if self.reason else self.dimension,
            "intrinsic_dimension_of": self.dimension_of,
            "intrinsic_dimension_missing": self.reason,
            "knee": self.knee,
            "rebuilt_is_share_of": self.unit,
            "seed": self.config.training.seed,
            "rows": self.n_rows,
            "rows_judged": self.n_judged,
            "sizes": self.table["size"].tolist(),
            "settings": self.config.model_dump(mode="json", exclude={"model": {"n_latent"}}),
        }
        write_text(folder / "sweep.json", json.dumps(content, indent=1) + "\n")
        figure = self.figure()
        with mpl.rc_context({"svg.hashsalt": "molvae"}):
            for ending, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
                with replacing(folder / f"sweep.{ending}") as part:
                    figure.savefig(part, format=ending, dpi=150, metadata=metadata)


def read_sizes(text: str) -> tuple[int, ...]:
    """The sizes of a text such as "2,4,8".

    Raises:
        InputError: one of them is not a whole number, or they are no sizes of a sweep; see check_sizes().
    """
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not part.removeprefix("-").isdecimal()]
    if wrong:
        raise InputError(
            f"sizes {text!r}: expected whole numbers and commas between them, such as 2,4,8; got {wrong[0]!r}"
        )
    return check_sizes([int(part) for part in parts])


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes of a sweep, ascending.

    Raises:
        InputError: there are none, one stands twice, or one lies outside 1 to 1024.
    """
    if not len(sizes):
        raise InputError("sizes: expected at least one size of the code, got none")
    for size in sizes:
        if not 1 <= size <= _LARGEST_SIZE:
            raise InputError(f"size {size}: expected a size of the code between 1 and {_LARGEST_SIZE}")
        if list(sizes).count(size) > 1:
            raise InputError(f"size {size}: stands twice among the sizes; name each size once")
    return tuple(sorted(int(size) for size in sizes))


def small(config: TrainConfig, n_molecules: int | None = None) -> TrainConfig:
    """The settings with which every size is trained: those given, with fewer molecules shown, if so asked.

    Validation, which here only chooses the weights, is made ten times and on at most 1,000 rows.

    Raises:
        InputError: fewer than one molecule.
    """
    shown = config.training.n_molecules if n_molecules is None else n_molecules
    if shown < 1:
        raise InputError(f"molecules: expected at least 1 to be shown at each size, got {shown}")
    changes = {
        "n_molecules": shown,
        "evaluate_every": max(1, min(config.training.evaluate_every, shown // _N_VALIDATIONS)),
        "n_held_out": min(config.training.n_held_out, _N_VALIDATED),
    }
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def sweep(
    config: TrainConfig,
    rows: Rows,
    sizes: Sequence[int],
    n_molecules: int | None = None,
    finished: pd.DataFrame | None = None,
    report: Callable[[int, LogEntry], None] | None = None,
    keep: Callable[[pd.DataFrame], None] | None = None,
) -> SweepResult:
    """Reconstruction by a recipe at each size of the code, beside PCA's, and the size that the data suggest.

    What comes back is judged on at most 2,000 rows (a tenth), drawn by the seed, which neither training nor the choice
    of the best weights sees. Of numbers: 1 - squared error / variance about the mean of the other rows, so that 0 is
    what a model without a code would reach; of bits the model's probabilities and of counts its rates are compared. Of
    tokens: the share, END among them, that stands in its place when the code is decoded greedily and freely. PCA is
    judged in the same way: fitted on at most 10,000 of the other rows, tokens one-hot for each place, the largest
    number taken. PCA reads what is rebuilt, also where the model reads another view, and has no more components than
    rows or columns.
    The intrinsic dimension is that of at most 4,000 rows (bits by Jaccard distance), for tokens that of the codes of
    the largest size. Everything is trained in this process.

    config: its n_latent is not read. n_molecules: shown at each size; None: as in config.
    finished: the table of a sweep with the same settings and rows; its sizes are not trained again.
    report: is given the size and each entry of its training's log; keep: the table so far, after each size.

    Raises:
        InputError: sizes that are none, parts that cannot be put together, a linear code larger than the number of
            columns, fewer than 20 rows, or rows that are all alike.
    """
    sizes = check_sizes(sizes)
    config = small(config, n_molecules)
    _check_recipe(config, rows, sizes)
    if len(rows) < _LEAST_ROWS:
        raise InputError(f"a sweep holds rows out to judge by and needs at least {_LEAST_ROWS}, got {len(rows)}")
    seed = config.training.seed
    shuffled = generator(seed, "sweep").permutation(len(rows))
    n_judged = min(_N_JUDGED, len(rows) // 10)
    judged, others = _by_length(rows, shuffled[:n_judged]), np.sort(shuffled[n_judged:])
    sampled = _by_length(rows, np.sort(generator(seed, "dimension").permutation(len(rows))[:_N_DIMENSION]))
    table = pd.DataFrame(columns=list(COLUMNS)) if finished is None else finished
    missing = [size for size in sizes if size not in set(table["size"])]
    if missing:
        pca = _Pca(rows, generator(seed, "pca").permutation(others), max(missing), seed)
        mean = pca.mean
    for size in missing:
        begin = time.monotonic()
        rebuilt_pca, _ = _share(rows, judged, mean, pca.at(size))
        at_size = config.model_copy(update={"model": config.model.model_copy(update={"n_latent": size})})
        trained = train_in_memory(at_size, _Part(rows, others), report and _told(report, size))
        rebuilt, exact = _share(rows, judged, mean, _by_model(trained.model, rows))
        codes = np.concatenate([_encoded(trained.model, rows, block) for block in _blocks(sampled, rows)])
        entry = {
            "size": size,
            "rebuilt": rebuilt,
            "rebuilt_pca": rebuilt_pca,
            "loss": trained.validation["loss"],
            "exact": exact,
            "codes_dimension": _dimension(codes.astype(np.float64), "array")[0],
            "stopped": trained.stop_reason,
            "seconds": round(time.monotonic() - begin, 2),
        }
        row = pd.DataFrame([entry], columns=list(COLUMNS))
        table = pd.concat([table, row], ignore_index=True) if len(table) else row
        if keep is not None:
            keep(table)
    table = table[table["size"].isin(sizes)].sort_values("size", ignore_index=True)
    of, dimension, reason = f"the codes of size {sizes[-1]}", float(table["codes_dimension"].iloc[-1]), None
    if rows.spec.kind != "tokens":
        of = "the data"
        dimension, reason = _dimension(_numbers(rows, sampled), rows.spec.kind)
    elif np.isnan(dimension):
        reason = "too few distinct codes"
    place = knee(np.log2(table["size"].to_numpy(np.float64)), table["rebuilt"].to_numpy())
    return SweepResult(
        table=table,
        unit="tokens" if rows.spec.kind == "tokens" else "variance",
        dimension=dimension,
        dimension_of=of,
        reason=reason,
        knee=None if place is None else int(table["size"][place]),
        config=config,
        n_rows=len(rows),
        n_judged=n_judged,
    )


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table of a sweep as CSV, whole or not at all."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path: Path) -> pd.DataFrame:
    """The table of a sweep that write_table() wrote.

    Raises:
        InputError: it is no such table.
    """
    try:
        table = pd.read_csv(io.StringIO(path.read_text(encoding="utf-8")), float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); remove it") from None
    if tuple(table) != COLUMNS or table["size"].duplicated().any():
        raise InputError(f"{path}: not the table of a sweep (columns {', '.join(COLUMNS)}); remove it")
    return table


def _check_recipe(config: TrainConfig, rows: Rows, sizes: tuple[int, ...]) -> None:
    """Refuse, before anything is trained, what could not be trained at one of the sizes.

    Raises:
        InputError: naming the size where it lies in the size.
    """
    for size in reversed(sizes):
        settings = config.model.model_copy(update={"n_latent": size})
        try:
            build(settings, rows.spec, len(rows.label_names), rows.view_spec, rows.n_bits)
        except InputError as error:
            raise InputError(str(error) if size == sizes[-1] else f"size {size}: {error}") from None
    columns = min(spec.width for spec in (rows.spec, rows.view_spec) if spec is not None)
    if RECIPES[config.model.recipe].is_linear and sizes[-1] > columns:
        raise InputError(
            f"size {sizes[-1]}: larger than the {columns} columns, of which a linear code needs no more; "
            f"give sizes up to {columns}"
        )


@dataclass(frozen=True)
class _Part:
    """Some of the rows, renumbered from 0, as Rows: what training may see."""

    whole: Rows
    chosen: np.ndarray

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def spec(self) -> FeatureSpec:
        return self.whole.spec

    @property
    def view_spec(self) -> FeatureSpec | None:
        return self.whole.view_spec

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.whole.label_names

    @property
    def labelled(self) -> np.ndarray:
        return np.flatnonzero(np.isin(self.chosen, self.whole.labelled))

    @property
    def lengths(self) -> np.ndarray:
        lengths: np.ndarray = self.whole.lengths[self.chosen]
        return lengths

    def rows(self, rows: np.ndarray) -> np.ndarray:
        return self.whole.rows(self.chosen[rows])

    def views(self, rows: np.ndarray) -> np.ndarray | None:
        return self.whole.views(self.chosen[rows])

    def labels(self, rows: np.ndarray) -> np.ndarray:
        return self.whole.labels(self.chosen[rows])

    @property
    def n_bits(self) -> int:
        return self.whole.n_bits

    def fingerprints(self, rows: np.ndarray) -> np.ndarray | None:
        return self.whole.fingerprints(self.chosen[rows])


class _Pca:
    """The components of rows of numbers, or of tokens one-hot for each place; fitted once, cut off at each size.

    mean: (F,), of the rows that it was fitted on.
    """

    def __init__(self, rows: Rows, candidates: np.ndarray, largest: int, seed: int) -> None:
        self._rows = rows
        self._length = int(rows.lengths.max())
        width = self._length * rows.spec.width
        n = max(100, _PCA_NUMBERS // width) if rows.spec.kind == "array" else _N_PCA
        table = self._table(np.sort(candidates[: min(n, _N_PCA)]))
        is_dense = width <= _DENSE_COLUMNS
        solver = PCA(
            n_components=min(largest, min(table.shape) - (not is_dense)),
            svd_solver="covariance_eigh" if is_dense else "arpack",
            random_state=integer_seed(seed, "pca"),
        )
        with np.errstate(invalid="ignore"):  # rows all alike have no shares of variance; _share() refuses them
            fit = solver.fit(table.toarray() if is_dense and isinstance(table, csr_array) else table)
        self._components, self.mean = fit.components_.astype(np.float32), fit.mean_.astype(np.float32)

    def at(self, size: int) -> Rebuild:
        """Rows as they come back from `size` components: numbers (b, F), or token ids (b, L)."""
        components = self._components[:size]

        def rebuild(block: np.ndarray) -> np.ndarray:
            codes = np.asarray(self._table(block) @ components.T) - self.mean @ components.T
            back: np.ndarray = codes @ components + self.mean
            if self._rows.spec.kind == "tokens":
                back = back.reshape(len(block), self._length, -1).argmax(2)
            return back

        return rebuild

    def _table(self, block: np.ndarray) -> Any:
        """Rows as columns of numbers: (b, F), sparse unless any number may come."""
        x = self._rows.rows(block)
        if self._rows.spec.kind == "array":
            return x
        if self._rows.spec.kind != "tokens":
            return csr_array(x)
        ids = np.full((len(x), self._length), PAD)
        ids[:, : x.shape[1]] = x
        columns = ids + np.arange(self._length) * self._rows.spec.width
        starts = np.arange(len(x) + 1) * self._length
        shape = len(x), self._length * self._rows.spec.width
        return csr_array((np.ones(columns.size, np.float32), columns.ravel(), starts), shape=shape)


def _share(rows: Rows, chosen: np.ndarray, mean: np.ndarray, rebuild: Rebuild) -> tuple[float, float]:
    """The share that comes back of chosen rows, as sweep() says, and that of whole rows (NaN for any numbers)."""
    right, total, power, n_exact = 0.0, 0.0, 0.0, 0
    for block in _blocks(chosen, rows):
        x, back = rows.rows(block), rebuild(block)
        if rows.spec.kind == "tokens":
            ids = np.full_like(x, PAD)
            ids[:, : back.shape[1]] = back[:, : x.shape[1]]
            there, is_right = x != PAD, ids == x
            right, total = right + float((is_right & there).sum()), total + float(there.sum())
            n_exact += int((is_right | ~there).all(1).sum())
        else:
            spread = float(((x - mean).astype(np.float64) ** 2).sum())
            right += spread - float(((x - back).astype(np.float64) ** 2).sum())
            total, power = total + spread, power + float((x.astype(np.float64) ** 2).sum())
            n_exact += int((np.rint(back) == x).all(1).sum())
    if total <= _NO_SPREAD * power:
        raise InputError("the rows are all alike: there is nothing to rebuild; give rows that differ")
    return right / total, np.nan if rows.spec.kind == "array" else n_exact / len(chosen)


def _by_model(model: Autoencoder, rows: Rows) -> Rebuild:
    """Rows as a model gives them back from their codes: tokens decoded freely; of numbers those expected."""

    @torch.no_grad()
    def rebuild(block: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(_encoded(model, rows, block))
        if rows.spec.kind != "bits":
            written: np.ndarray = model.decode(z).numpy()
            return written
        logits: torch.Tensor = model.decoder(z, torch.zeros(len(z)))
        probabilities: np.ndarray = torch.sigmoid(logits.float()).numpy()
        return probabilities

    return rebuild


def _encoded(model: Autoencoder, rows: Rows, block: np.ndarray) -> np.ndarray:
    view = rows.views(block)
    codes: np.ndarray = model.encode(torch.from_numpy(rows.rows(block) if view is None else view)).numpy()
    return codes


def _numbers(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    x = rows.rows(chosen)
    return x > 0 if rows.spec.kind == "bits" else x.astype(np.float64)


def _dimension(x: np.ndarray, kind: str) -> tuple[float, str | None]:
    """The intrinsic dimension of rows (n, F), or NaN and why there is none."""
    try:
        return two_nearest_neighbors(x, metric="jaccard" if kind == "bits" else "euclidean"), None
    except InputError as error:
        return np.nan, str(error)


def _by_length(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Rows of like length beside each other, so that a block of them holds little PAD."""
    ordered: np.ndarray = chosen[np.argsort(rows.lengths[chosen], kind="stable")]
    return ordered


def _blocks(chosen: np.ndarray, rows: Rows) -> Iterator[np.ndarray]:
    """Row numbers in pieces that fit into memory, also one-hot."""
    size = max(1, min(500, _BLOCK_NUMBERS // (int(rows.lengths.max()) * rows.spec.width)))
    for begin in range(0, len(chosen), size):
        yield chosen[begin : begin + size]


def _told(report: Callable[[int, LogEntry], None], size: int) -> Callable[[LogEntry], None]:
    return lambda entry: report(size, entry)


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.1%}"
