"""How many latent dimensions a model needs: one recipe at several latent sizes, compared with PCA."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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

COLUMNS = ("size", "reconstructed", "reconstructed_pca", "loss", "exact", "latent_dimension", "stopped", "seconds")
TABLE_NAME = "sweep.csv"

_LARGEST_SIZE = 1024  # of ModelSettings.n_latent
_MIN_ROWS = 20
_N_TEST, _N_DIMENSION, _N_PCA = 2_000, 4_000, 10_000  # rows at most
_N_VALIDATED = 1_000  # validation only selects the best weights here
_N_VALIDATIONS = 10
_PCA_NUMBERS = 40_000_000  # rows times columns of the PCA's training table at most
_BLOCK_NUMBERS = 20_000_000
_NO_VARIANCE = 1e-12  # relative to the sum of squares; equal rows have less, from rounding errors
_DENSE_COLUMNS = 2_048  # up to here, PCA decomposes the full covariance

Reconstruct = Callable[[np.ndarray], np.ndarray]
"""Row numbers -> the reconstructed rows."""


@dataclass(frozen=True, eq=False)
class SweepResult:
    """Reconstruction as a function of the latent size.

    Parameters
    ----------
    table : DataFrame
        One row per size, ascending: `size`; `reconstructed` and `reconstructed_pca`, the shares that the model and PCA
        reconstruct (see `sweep`); `loss` of the validation (nats, weighted as in training); `exact`, the share of rows
        reconstructed exactly (NaN for real numbers); `latent_dimension`, the intrinsic dimension of the latent vectors
        (NaN if it cannot be estimated); `stopped`, why the training ended; `seconds` of training and evaluation.
    unit : str
        The quantity of which `reconstructed` is a share: "variance" or "tokens".
    dimension : float
        Intrinsic dimension of the data; NaN if it cannot be estimated.
    dimension_of : str
        The data from which the intrinsic dimension was estimated.
    reason : str or None
        Why there is no intrinsic dimension; None if there is one.
    knee : int or None
        The size beyond which larger sizes add little; None if there is none.
    config : TrainConfig
        The settings of every size, except `n_latent`.
    n_rows : int
        Rows of the features.
    n_test : int
        Rows that reconstruction was measured on.
    """

    table: pd.DataFrame
    unit: str
    dimension: float
    dimension_of: str
    reason: str | None
    knee: int | None
    config: TrainConfig
    n_rows: int
    n_test: int

    def text(self) -> str:
        """The table, the intrinsic dimension and the knee as text.

        Returns
        -------
        str
            Several lines.
        """
        shown = pd.DataFrame({"size": self.table["size"]})
        for name, title in (
            ("reconstructed", f"{self.unit} reconstructed"),
            ("reconstructed_pca", "by PCA"),
            ("exact", "exact"),
        ):
            shown[title] = [_percent(value) for value in self.table[name]]
        shown["loss"] = [f"{value:,.3f}" for value in self.table["loss"]]
        shown["latent dim"] = ["" if np.isnan(value) else f"{value:.1f}" for value in self.table["latent_dimension"]]
        shown["seconds"] = [f"{value:,.0f}" for value in self.table["seconds"]]
        return "\n".join([shown.to_string(index=False), "", self.dimension_sentence(), self.knee_sentence()])

    def dimension_sentence(self) -> str:
        """The intrinsic dimension in a sentence.

        Returns
        -------
        str
            One line.
        """
        if self.reason is not None:
            return f"intrinsic dimension of {self.dimension_of}: none ({self.reason})"
        return f"intrinsic dimension of {self.dimension_of}: {self.dimension:.1f} (two nearest neighbors)"

    def knee_sentence(self) -> str:
        """The knee in a sentence.

        Returns
        -------
        str
            One line.
        """
        if self.knee is None:
            return "knee: none among these sizes"
        row = self.table[self.table["size"] == self.knee].iloc[0]
        model, pca = _percent(row["reconstructed"]), _percent(row["reconstructed_pca"])
        return f"knee: size {self.knee}, with {model} of the {self.unit} reconstructed ({pca} by PCA)"

    def figure(self) -> Figure:
        """Plot reconstruction against latent size, with the intrinsic dimension and the knee.

        Returns
        -------
        Figure
            A matplotlib figure.
        """
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        sizes = self.table["size"].to_numpy()
        axes.plot(
            sizes, self.table["reconstructed"], "o-", color="#1f5fa8", label=f"{self.config.model.recipe} autoencoder"
        )
        axes.plot(sizes, self.table["reconstructed_pca"], "s--", color="#8a8a8a", markerfacecolor="white", label="PCA")
        if self.knee is not None:
            height = self.table["reconstructed"][sizes == self.knee]
            axes.plot([self.knee], height, "o", markersize=14, color="#c8501e", fillstyle="none", label="knee")
        if self.reason is None and self.dimension > 0:
            label = f"intrinsic dimension of {self.dimension_of}, {self.dimension:.1f}"
            axes.axvline(self.dimension, color="#3c8c50", linestyle=":", label=label)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([str(size) for size in sizes])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("latent size")
        axes.set_ylabel(f"{self.unit} reconstructed, {self.n_test:,} held-out rows")
        axes.grid(color="#e4e4e4")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        return figure

    def save(self, folder: Path) -> None:
        """Write sweep.csv, sweep.json, sweep.svg and sweep.png.

        Parameters
        ----------
        folder : Path
            An existing folder.
        """
        write_table(self.table, folder / TABLE_NAME)
        content = {
            "intrinsic_dimension": None if self.reason else self.dimension,
            "intrinsic_dimension_of": self.dimension_of,
            "intrinsic_dimension_missing": self.reason,
            "knee": self.knee,
            "reconstructed_is_share_of": self.unit,
            "seed": self.config.training.seed,
            "rows": self.n_rows,
            "rows_tested": self.n_test,
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
    """Parse latent sizes.

    Parameters
    ----------
    text : str
        Sizes separated by commas, such as "2,4,8".

    Returns
    -------
    tuple of int
        The sizes, ascending.

    Raises
    ------
    InputError
        One of them is not a whole number, or `check_sizes` refuses them.
    """
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not part.removeprefix("-").isdecimal()]
    if wrong:
        raise InputError(f"sizes {text!r}: expected whole numbers separated by commas, such as 2,4,8; got {wrong[0]!r}")
    return check_sizes([int(part) for part in parts])


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Check the latent sizes of a sweep.

    Parameters
    ----------
    sizes : sequence of int
        The sizes.

    Returns
    -------
    tuple of int
        The sizes, ascending.

    Raises
    ------
    InputError
        There are none, one is given twice, or one is outside 1 to 1024.
    """
    if not len(sizes):
        raise InputError("sizes: expected at least one latent size, got none")
    for size in sizes:
        if not 1 <= size <= _LARGEST_SIZE:
            raise InputError(f"size {size}: expected a latent size between 1 and {_LARGEST_SIZE}")
        if list(sizes).count(size) > 1:
            raise InputError(f"size {size}: given twice; give each size once")
    return tuple(sorted(int(size) for size in sizes))


def small(config: TrainConfig, n_molecules: int | None = None) -> TrainConfig:
    """The settings of each training run of a sweep.

    Validation, which only selects the best weights here, is done at least ten times, on at most 1,000 rows.

    Parameters
    ----------
    config : TrainConfig
        The settings of a full training run.
    n_molecules : int or None
        Molecules shown at each size; None: as in `config`.

    Returns
    -------
    TrainConfig
        Settings with `n_molecules`, more frequent validations and fewer held-out rows.

    Raises
    ------
    InputError
        `n_molecules` is less than 1.
    """
    shown = config.training.n_molecules if n_molecules is None else n_molecules
    if shown < 1:
        raise InputError(f"molecules: expected at least 1 at each size, got {shown}")
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
    *,
    n_molecules: int | None = None,
    finished: pd.DataFrame | None = None,
    report: Callable[[int, LogEntry], None] | None = None,
    keep: Callable[[pd.DataFrame], None] | None = None,
) -> SweepResult:
    """Train one recipe at each latent size, and compare its reconstruction with that of PCA.

    Reconstruction is measured on a tenth of the rows, at most 2,000, drawn with the seed. Neither the training nor the
    selection of the best weights uses these rows. For numbers, reconstruction is 1 - squared error / variance around
    the mean of the other rows; a model without latent dimensions reaches 0. Bits are compared as predicted
    probabilities, counts as predicted rates. For tokens, reconstruction is the share of tokens, END included, that are
    at their position after greedy decoding.

    PCA is measured in the same way. It is fitted to at most 10,000 of the other rows, with tokens one-hot at each
    position; the largest value is decoded. PCA reads the features that the decoder outputs, even if the encoder reads
    others, and has at most as many components as rows or columns.

    The intrinsic dimension is that of at most 4,000 rows (bits by Jaccard distance); for tokens, that of the latent
    vectors of the largest size. All training happens in this process.

    Parameters
    ----------
    config : TrainConfig
        The settings; `n_latent` is not used.
    rows : Rows
        The features.
    sizes : sequence of int
        Latent sizes.
    n_molecules : int or None
        Molecules shown at each size; None: as in `config`.
    finished : DataFrame or None
        The table of an interrupted sweep with the same settings and rows; its sizes are not trained again.
    report : callable or None
        Called with the size and each entry of the log of its training.
    keep : callable or None
        Called with the table so far, after each size.

    Returns
    -------
    SweepResult
        The table, the intrinsic dimension and the knee.

    Raises
    ------
    InputError
        The sizes are invalid, the parts of the model do not fit together, a linear model has more latent dimensions
        than columns, there are fewer than 20 rows, or all rows are equal.
    """
    sizes = check_sizes(sizes)
    config = small(config, n_molecules)
    _check_recipe(config, rows, sizes)
    if len(rows) < _MIN_ROWS:
        raise InputError(f"a sweep needs at least {_MIN_ROWS} rows, some of them held out; got {len(rows)}")
    seed = config.training.seed
    shuffled = generator(seed, "sweep").permutation(len(rows))
    n_test = min(_N_TEST, len(rows) // 10)
    test, others = _by_length(rows, shuffled[:n_test]), np.sort(shuffled[n_test:])
    sampled = _by_length(rows, np.sort(generator(seed, "dimension").permutation(len(rows))[:_N_DIMENSION]))
    table = pd.DataFrame(columns=list(COLUMNS)) if finished is None else finished
    missing = [size for size in sizes if size not in set(table["size"])]
    if missing:
        pca = _Pca(rows, generator(seed, "pca").permutation(others), max(missing), seed)
        mean = pca.mean
    for size in missing:
        begin = time.monotonic()
        reconstructed_pca, _ = _share(rows, test, mean, pca.at(size))
        at_size = config.model_copy(update={"model": config.model.model_copy(update={"n_latent": size})})
        trained = train_in_memory(at_size, _Part(rows, others), report and partial(report, size))
        reconstructed, exact = _share(rows, test, mean, _by_model(trained.model, rows))
        z = np.concatenate([_encode(trained.model, rows, block) for block in _blocks(sampled, rows)])
        entry = {
            "size": size,
            "reconstructed": reconstructed,
            "reconstructed_pca": reconstructed_pca,
            "loss": trained.validation["loss"],
            "exact": exact,
            "latent_dimension": _dimension(z.astype(np.float64), "array")[0],
            "stopped": trained.stop_reason,
            "seconds": round(time.monotonic() - begin, 2),
        }
        row = pd.DataFrame([entry], columns=list(COLUMNS))
        table = pd.concat([table, row], ignore_index=True) if len(table) else row
        if keep is not None:
            keep(table)
    table = table[table["size"].isin(sizes)].sort_values("size", ignore_index=True)
    dimension_of, reason = f"the latent vectors of size {sizes[-1]}", None
    dimension = float(table["latent_dimension"].iloc[-1])
    if rows.spec.kind != "tokens":
        dimension_of = "the data"
        dimension, reason = _dimension(_numbers(rows, sampled), rows.spec.kind)
    elif np.isnan(dimension):
        reason = "too few unique latent vectors"
    knee_row = knee(np.log2(table["size"].to_numpy(np.float64)), table["reconstructed"].to_numpy())
    return SweepResult(
        table=table,
        unit="tokens" if rows.spec.kind == "tokens" else "variance",
        dimension=dimension,
        dimension_of=dimension_of,
        reason=reason,
        knee=None if knee_row is None else int(table["size"][knee_row]),
        config=config,
        n_rows=len(rows),
        n_test=n_test,
    )


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table of a sweep as CSV, completely or not at all.

    Parameters
    ----------
    table : DataFrame
        The table; see `SweepResult`.
    path : Path
        The CSV file.
    """
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path: Path) -> pd.DataFrame:
    """Read the table of a sweep.

    Parameters
    ----------
    path : Path
        A file that `write_table` wrote.

    Returns
    -------
    DataFrame
        The table; see `SweepResult`.

    Raises
    ------
    InputError
        The file is not the table of a sweep.
    """
    try:
        table = pd.read_csv(io.StringIO(path.read_text(encoding="utf-8")), float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); remove it") from None
    if tuple(table) != COLUMNS or table["size"].duplicated().any():
        raise InputError(f"{path}: not the table of a sweep (columns {', '.join(COLUMNS)}); remove it")
    return table


def _check_recipe(config: TrainConfig, rows: Rows, sizes: tuple[int, ...]) -> None:
    """Refuse, before the first training, a model that cannot be built at one of the sizes."""
    for size in reversed(sizes):
        settings = config.model.model_copy(update={"n_latent": size})
        try:
            build(settings, rows.spec, len(rows.label_names), rows.view_spec, rows.n_bits)
        except InputError as error:
            raise InputError(str(error) if size == sizes[-1] else f"size {size}: {error}") from None
    columns = min(spec.width for spec in (rows.spec, rows.view_spec) if spec is not None)
    if RECIPES[config.model.recipe].is_linear and sizes[-1] > columns:
        raise InputError(
            f"size {sizes[-1]}: a linear model has at most as many latent dimensions as the {columns} columns; "
            f"give sizes up to {columns}"
        )


@dataclass(frozen=True)
class _Part:
    """Some rows, renumbered from 0: those that the training uses."""

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
    """PCA of rows of numbers, or of tokens one-hot at each position; fitted once and truncated at each size."""

    def __init__(self, rows: Rows, shuffled: np.ndarray, largest: int, seed: int) -> None:
        self._rows = rows
        self._length = int(rows.lengths.max())
        width = self._length * rows.spec.width
        n = max(100, _PCA_NUMBERS // width) if rows.spec.kind == "array" else _N_PCA
        table = self._table(np.sort(shuffled[: min(n, _N_PCA)]))
        is_dense = width <= _DENSE_COLUMNS
        solver = PCA(
            n_components=min(largest, min(table.shape) - (not is_dense)),
            svd_solver="covariance_eigh" if is_dense else "arpack",
            random_state=integer_seed(seed, "pca"),
        )
        with np.errstate(invalid="ignore"):  # equal rows have no variance; _share refuses them
            fit = solver.fit(table.toarray() if is_dense and isinstance(table, csr_array) else table)
        self._components, self.mean = fit.components_.astype(np.float32), fit.mean_.astype(np.float32)

    def at(self, size: int) -> Reconstruct:
        """Reconstruct rows from the first `size` components: numbers (b, F), or token ids (b, L)."""
        components = self._components[:size]

        def reconstruct(block: np.ndarray) -> np.ndarray:
            scores = np.asarray(self._table(block) @ components.T) - self.mean @ components.T
            x: np.ndarray = scores @ components + self.mean
            if self._rows.spec.kind == "tokens":
                x = x.reshape(len(block), self._length, -1).argmax(2)
            return x

        return reconstruct

    def _table(self, block: np.ndarray) -> np.ndarray | csr_array:
        """Rows as a table of numbers (b, F), sparse except for real numbers."""
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


def _share(rows: Rows, chosen: np.ndarray, mean: np.ndarray, reconstruct: Reconstruct) -> tuple[float, float]:
    """The share of chosen rows that is reconstructed (see `sweep`), and the share of exact rows (NaN for arrays)."""
    reconstructed, total, power, n_exact = 0.0, 0.0, 0.0, 0
    for block in _blocks(chosen, rows):
        x, output = rows.rows(block), reconstruct(block)
        if rows.spec.kind == "tokens":
            ids = np.full_like(x, PAD)
            ids[:, : output.shape[1]] = output[:, : x.shape[1]]
            is_token, is_equal = x != PAD, ids == x
            reconstructed += float((is_equal & is_token).sum())
            total += float(is_token.sum())
            n_exact += int((is_equal | ~is_token).all(1).sum())
        else:
            variance = float(((x - mean).astype(np.float64) ** 2).sum())
            reconstructed += variance - float(((x - output).astype(np.float64) ** 2).sum())
            total, power = total + variance, power + float((x.astype(np.float64) ** 2).sum())
            n_exact += int((np.rint(output) == x).all(1).sum())
    if total <= _NO_VARIANCE * power:
        raise InputError("all rows are equal, so there is nothing to reconstruct; give rows that differ")
    return reconstructed / total, np.nan if rows.spec.kind == "array" else n_exact / len(chosen)


def _by_model(model: Autoencoder, rows: Rows) -> Reconstruct:
    """Reconstruct rows with a model: tokens by greedy decoding, numbers by their expected values."""

    @torch.no_grad()
    def reconstruct(block: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(_encode(model, rows, block))
        if rows.spec.kind != "bits":
            decoded: np.ndarray = model.decode(z).numpy()
            return decoded
        logits: torch.Tensor = model.decoder(z, torch.zeros(len(z)))
        probabilities: np.ndarray = torch.sigmoid(logits.float()).numpy()
        return probabilities

    return reconstruct


def _encode(model: Autoencoder, rows: Rows, block: np.ndarray) -> np.ndarray:
    view = rows.views(block)
    z: np.ndarray = model.encode(torch.from_numpy(rows.rows(block) if view is None else view)).numpy()
    return z


def _numbers(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    x = rows.rows(chosen)
    return x > 0 if rows.spec.kind == "bits" else x.astype(np.float64)


def _dimension(x: np.ndarray, kind: str) -> tuple[float, str | None]:
    """The intrinsic dimension of rows (n, F), or NaN and the reason."""
    try:
        return two_nearest_neighbors(x, metric="jaccard" if kind == "bits" else "euclidean"), None
    except InputError as error:
        return np.nan, str(error)


def _by_length(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Row numbers sorted by length, so that a block holds little padding."""
    ordered: np.ndarray = chosen[np.argsort(rows.lengths[chosen], kind="stable")]
    return ordered


def _blocks(chosen: np.ndarray, rows: Rows) -> Iterator[np.ndarray]:
    """Row numbers in blocks that fit into memory when they are one-hot."""
    size = max(1, min(500, _BLOCK_NUMBERS // (int(rows.lengths.max()) * rows.spec.width)))
    for begin in range(0, len(chosen), size):
        yield chosen[begin : begin + size]


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.1%}"
