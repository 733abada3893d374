"""From a molecule file to features: standardized molecules, labels, and a reason for each dropped row."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.codec.description import StoredFeaturizers, find_codec, read_featurizers
from molvae.datasets import MoleculeFile, is_held_out, open_molecules, standardize_file
from molvae.errors import InputError
from molvae.features.featurizer import Featurizer
from molvae.features.parallel import Labels, encode_chunks, label
from molvae.features.store import DECODER_OUTPUT, ENCODER_INPUT, FeatureWriter
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, FeatureSettings, learn_featurizer
from molvae.folders import new_folder
from molvae.seeds import generator
from molvae.tables import Kinds, TableWriter, kind_of, writing
from molvae.training.feature_source import write_source
from molvae.training.progress import Notify, Progress, Report, ignore
from molvae.workers import LocalProcesses, Mapper

if TYPE_CHECKING:
    from molvae.training.config import TrainConfig

LABELS = (
    "qed", "sa_score", "logp", "tpsa", "mol_weight", "hbd", "hba", "rings", "aromatic_rings", "rotatable_bonds",
    "fraction_csp3",
)  # fmt: skip
"""The properties that a codec learns to predict."""

MOLECULES, DROPPED, HELD_OUT = "molecules.parquet", "dropped.csv", "held_out.csv"
_DRAFT = "standardized.parquet"
_KEPT_COLUMNS: Kinds = {"row": int, "id": str, "smiles": str, "warning": str}
_DROPPED_COLUMNS: Kinds = {"row": int, "id": str, "raw": str, "reason": str}
_HELD_OUT_COLUMNS: Kinds = {"row": int, "id": str, "smiles": str}
_HELD_OUT_REASON = "held out: for testing"
_EXCLUDED_REASON = "held out: in a series that is held out of the run, or similar to it"
_VOCABULARY_ROWS = 300_000  # molecules from which a vocabulary is learned
_CHUNK_ROWS = 20_000
_ARRAYS = (f"{DECODER_OUTPUT}.npy", f"{ENCODER_INPUT}.npy")


@dataclass(frozen=True)
class FeaturePlan:
    """How molecules become features.

    Parameters
    ----------
    settings : FeatureSettings
        Representations, vocabulary size, labels and held-out molecules.
    like : StoredFeaturizers or None
        Featurizers of an existing codec, used in place of the representations and the vocabulary of `settings`.
    """

    settings: FeatureSettings
    like: StoredFeaturizers | None = None


@dataclass
class Featurized:
    """Counts of the rows of a molecule file, and the files that were written.

    Parameters
    ----------
    n_rows : int
        Rows of the file.
    n_kept : int
        Rows that were kept.
    dropped : Counter of str
        Kind of reason -> number of rows dropped for it.
    notes : Counter of str
        Kind of warning -> number of kept rows with it.
    files : dict of str to int or None
        File name -> its rows; None for a file that is not a table.
    """

    n_rows: int = 0
    n_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    files: dict[str, int | None] = field(default_factory=dict)


def featurize(
    source: str | Path,
    out: str | Path,
    settings: "FeatureSettings | TrainConfig | str | Path | None" = None,
    *,
    like: str | Path | None = None,
    smiles_column: str | None = None,
    id_column: str | None = None,
    seed: int = 0,
    mapper: Mapper | None = None,
    progress: Report | None = None,
    notify: Notify | None = None,
) -> Featurized:
    """Standardize a molecule file and write it as features that a codec can be trained on.

    Molecules are standardized in worker processes, and duplicates are dropped. The folder `out` holds the kept
    molecules in molecules.parquet, and every other row with its reason in dropped.csv.

    Parameters
    ----------
    source : str or Path
        The molecule file, of any format that `molvae.datasets.open_molecules` reads.
    out : str or Path
        The new features folder; it appears when it is complete.
    settings : FeatureSettings, TrainConfig, str, Path or None
        The settings of the features, or a training configuration (object, TOML file or bundled name), of which only
        [features] is used. None takes the defaults, which compute no labels.
    like : str, Path or None
        A codec, by name or folder, whose featurizers are used; needed to refit it or to continue from its weights.
    smiles_column : str or None
        Column of the SMILES; None detects it.
    id_column : str or None
        Column of the identifiers; None detects it.
    seed : int, default=0
        Seed of the random choice of molecules for the vocabulary and the labels.
    mapper : Mapper or None
        Runs the work per molecule; None uses worker processes on this machine.
    progress : callable or None
        Called with the progress after each chunk.
    notify : callable or None
        Called with each note as it occurs.

    Returns
    -------
    Featurized
        How many rows were kept, and why the others were dropped.

    Raises
    ------
    InputError
        The file cannot be read, none of its rows can be used, or `out` is not empty.

    Examples
    --------
    >>> import molvae
    >>> counts = molvae.featurize("library.csv", "features", "small.toml")  # doctest: +SKIP
    >>> counts.n_rows, counts.n_kept, counts.dropped.most_common(1)  # doctest: +SKIP
    (120000, 118342, [('duplicate', 1203)])
    """
    plan = FeaturePlan(_feature_settings(settings), None if like is None else read_featurizers(find_codec(like)))
    file = open_molecules(Path(source), smiles_column, id_column, mapper=mapper)
    with new_folder(Path(out)) as folder:
        return write_library(file, folder, plan, seed=seed, mapper=mapper, progress=progress, notify=notify)


def write_library(
    file: MoleculeFile,
    folder: Path,
    plan: FeaturePlan | None = None,
    *,
    seed: int = 0,
    mapper: Mapper | None = None,
    is_excluded: Callable[[Sequence[str]], np.ndarray] | None = None,
    progress: Report | None = None,
    notify: Notify | None = None,
) -> Featurized:
    """Write the molecules of a file to an existing folder: standardized and, with a plan, as features.

    Parameters
    ----------
    file : MoleculeFile
        The molecules.
    folder : Path
        An existing, empty folder.
    plan : FeaturePlan or None
        How molecules become features; None writes only molecules.parquet and dropped.csv.
    seed : int, default=0
        Seed of the random choice of molecules for the vocabulary and the labels.
    mapper : Mapper or None
        Runs the work per molecule; None uses worker processes on this machine.
    is_excluded : callable or None
        Takes canonical SMILES and returns a mask (n,) of the molecules to drop as held out.
    progress : callable or None
        Called with the progress after each chunk.
    notify : callable or None
        Called with each note as it occurs.

    Returns
    -------
    Featurized
        How many rows were kept, and why the others were dropped.

    Raises
    ------
    InputError
        The file cannot be read, or none of its rows can be used.
    """
    writer = _Writer(
        file,
        folder,
        seed=seed,
        mapper=mapper or LocalProcesses(),
        is_excluded=is_excluded,
        progress=progress or ignore,
        notify=notify or ignore,
    )
    return writer.write(plan)


def _feature_settings(settings: "FeatureSettings | TrainConfig | str | Path | None") -> FeatureSettings:
    if settings is None or isinstance(settings, FeatureSettings):
        return settings or FeatureSettings()
    from molvae.training.config import read_config  # needs torch

    return read_config(settings).features


class _Writer:
    """Writes one molecule file to one folder, and counts its rows."""

    def __init__(
        self,
        file: MoleculeFile,
        folder: Path,
        *,
        seed: int,
        mapper: Mapper,
        is_excluded: Callable[[Sequence[str]], np.ndarray] | None,
        progress: Report,
        notify: Notify,
    ) -> None:
        self._file, self._folder, self._seed, self._mapper = file, folder, seed, mapper
        self._is_excluded = is_excluded
        self._progress, self._notify = progress, notify
        self._counts = Featurized()

    def write(self, plan: FeaturePlan | None) -> Featurized:
        counts = self._counts
        one_in = plan.settings.hold_out if plan else 0
        draft = self._folder / (MOLECULES if plan is None else _DRAFT)
        with ExitStack() as stack:
            dropped = stack.enter_context(writing(self._folder / DROPPED, _DROPPED_COLUMNS))
            held_out = stack.enter_context(writing(self._folder / HELD_OUT, _HELD_OUT_COLUMNS)) if one_in else None
            self._standardize(draft, dropped, held_out, one_in)
            for note in self._file.notes:
                self._notify(f"note: {self._file.path.name}: {note}")
            if not counts.n_kept:
                reasons = ", ".join(f"{reason} ({count:,})" for reason, count in counts.dropped.most_common(3))
                raise InputError(f"{self._file.path}: none of its {counts.n_rows:,} rows can be used: {reasons}")
            features = self._write_features(draft, plan, dropped) if plan else {}
        counts.files = {MOLECULES: counts.n_kept, DROPPED: counts.n_rows - counts.n_kept, **features}
        if one_in:
            counts.files[HELD_OUT] = counts.dropped[kind_of(_HELD_OUT_REASON)]
        return counts

    def _standardize(self, draft: Path, dropped: TableWriter, held_out: TableWriter | None, one_in: int) -> None:
        """Write the standardized molecules to a draft, and the dropped and held-out rows to their files."""
        counts = self._counts
        self._progress(Progress("featurize", 0, None))
        with writing(draft, _KEPT_COLUMNS) as kept:
            for chunk in standardize_file(self._file, self._mapper):
                if self._is_excluded is not None:
                    chunk = _exclude(chunk, self._is_excluded)
                if held_out is not None:
                    chunk = _hold_out(chunk, one_in, held_out)
                is_kept = chunk["smiles"].notna()
                kept.write(chunk[is_kept])
                dropped.write(chunk[~is_kept])
                counts.n_rows += len(chunk)
                counts.n_kept += int(is_kept.sum())
                counts.dropped.update(map(kind_of, chunk["reason"][~is_kept]))
                for warning in chunk["warning"][is_kept].dropna():
                    counts.notes.update(map(kind_of, warning.split("; ")))
                fraction = min(self._file.fraction_read, 1.0)
                estimate = round(counts.n_rows / fraction) if fraction > 0 else None
                self._progress(Progress("featurize", counts.n_rows, estimate))

    def _write_features(self, draft: Path, plan: FeaturePlan, dropped: TableWriter) -> dict[str, int | None]:
        """Write features and labels of the kept molecules, row for row with molecules.parquet.

        Molecules that a featurizer cannot encode are dropped with the reason.
        """
        folder, counts = self._folder, self._counts
        n = pq.ParquetFile(draft).metadata.num_rows
        n_labels, n_bits = plan.settings.labels, plan.settings.label_bits
        featurizer, view = self._featurizers(draft, n, plan)
        featurizer.save(folder / FEATURIZER_NAME)
        if view is not None:
            view.save(folder / VIEW_NAME)
        labelled = _draw(n, n_labels, self._seed, "labels")
        all_smiles = (chunk["smiles"].tolist() for chunk, _ in _chunks(draft, labelled))
        rows = encode_chunks(all_smiles, featurizer, view, self._mapper)
        labelled_smiles = (chunk["smiles"][mask].tolist() for chunk, mask in _chunks(draft, labelled))
        label_one = partial(label, properties=LABELS, n_bits=n_bits)
        answers = self._mapper(label_one, labelled_smiles) if n_labels else None
        step, done = "features and labels" if n_labels else "features", 0
        self._progress(Progress(step, 0, n))
        with (
            writing(folder / MOLECULES, _KEPT_COLUMNS) as kept,
            FeatureWriter(
                folder, featurizer.spec, LABELS if n_labels else (), view.spec if view else None, n_bits
            ) as features,
        ):
            for (chunk, mask), (encoded, encoded_view) in zip(_chunks(draft, labelled), rows, strict=True):
                ok = encoded.ok if encoded_view is None else encoded.ok & encoded_view.ok
                reasons = [*zip(encoded.reason, (encoded_view or encoded).reason, strict=True)]
                y = np.full((len(chunk), len(LABELS)), np.nan, np.float32)
                bits = np.zeros((len(chunk), n_bits), np.uint8)
                for row, answer in zip(np.flatnonzero(mask), next(answers) if answers else (), strict=bool(answers)):
                    if isinstance(answer, Labels):
                        y[row], bits[row] = answer.properties, np.unpackbits(answer.bits, count=n_bits)
                view_x = encoded_view.x[ok] if encoded_view else None
                features.write(encoded.x[ok], y[ok] if n_labels else None, view_x, bits[ok])
                kept.write(chunk[ok])
                not_encoded = chunk[~ok].assign(
                    raw=chunk["smiles"][~ok],
                    reason=[f"cannot be featurized: {a or b}" for a, b in reasons if a or b],
                )
                dropped.write(not_encoded)
                counts.n_kept -= len(not_encoded)
                counts.dropped.update(map(kind_of, not_encoded["reason"]))
                done += len(chunk)
                self._progress(Progress(step, done, n))
        draft.unlink()
        write_source(folder, self._file.path)
        names = sorted(path.name for path in folder.iterdir() if path.suffix in (".json", ".npy"))
        return {name: counts.n_kept if name in _ARRAYS else None for name in names}

    def _featurizers(self, draft: Path, n: int, plan: FeaturePlan) -> tuple[Featurizer, Featurizer | None]:
        """The featurizer of the decoder output, and that of the encoder input if it differs."""
        if plan.like is not None:
            return plan.like.featurizer, plan.like.view

        def corpus() -> Iterator[str]:
            self._notify("learning the vocabulary")
            chosen = _draw(n, _VOCABULARY_ROWS, self._seed, "vocabulary")
            return (smiles for chunk, mask in _chunks(draft, chosen) for smiles in chunk["smiles"][mask])

        settings = plan.settings
        featurizer = learn_featurizer(settings.decoder_output, settings, corpus)
        if settings.encoder_input in (None, settings.decoder_output):
            return featurizer, None
        return featurizer, learn_featurizer(settings.encoder_input, settings, corpus)


def _exclude(chunk: pd.DataFrame, is_excluded: Callable[[Sequence[str]], np.ndarray]) -> pd.DataFrame:
    """The chunk without the excluded molecules, which get a reason."""
    known = chunk["smiles"].notna().to_numpy()
    mask = known.copy()
    mask[known] = is_excluded(chunk["smiles"][known].tolist())
    return chunk.assign(smiles=chunk["smiles"].mask(mask, None), reason=chunk["reason"].mask(mask, _EXCLUDED_REASON))


def _hold_out(chunk: pd.DataFrame, one_in: int, held_out: TableWriter) -> pd.DataFrame:
    """The chunk without its held-out molecules, which are written to their own file."""
    mask = np.array([smiles is not None and is_held_out(smiles, one_in) for smiles in chunk["smiles"]], bool)
    held_out.write(chunk[mask])
    return chunk.assign(smiles=chunk["smiles"].mask(mask, None), reason=chunk["reason"].mask(mask, _HELD_OUT_REASON))


def _draw(n: int, at_most: int, seed: int, name: str) -> np.ndarray:
    """A mask (n,) of at most `at_most` rows, drawn at random."""
    mask = np.zeros(n, bool)
    mask[generator(seed, name).permutation(n)[:at_most]] = True
    return mask


def _chunks(path: Path, mask: np.ndarray) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """The rows of a table in chunks, each with its part of a mask."""
    start = 0
    for batch in pq.ParquetFile(path).iter_batches(_CHUNK_ROWS):
        yield batch.to_pandas(), mask[start : start + len(batch)]
        start += len(batch)
