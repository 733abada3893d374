"""Stage 1: a molecule file in, standardized molecules out, each of the others with the reason why it was dropped.

Where a codec is to be trained on them, they are also written as features and property labels.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.codec.description import StoredFeaturizers
from molvae.datasets import MoleculeFile, is_held_out, open_molecules, standardize_file
from molvae.errors import InputError
from molvae.features.featurizer import Featurizer
from molvae.features.pooled import Labels, encode_chunks, label
from molvae.features.store import DECODER_OUTPUT, ENCODER_INPUT, FeatureWriter
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, FeatureSettings, learn_featurizer
from molvae.seeds import generator
from molvae.tables import Kinds, TableWriter, kind_of, writing
from molvae.workers import LocalProcesses, Mapper

from . import terminal
from .log import log
from .manifest import Counts, Manifest, Outcome, Plan, file_entry
from .run_dir import RunDir

VERSION = 2
LABELS = (
    "qed", "sa_score", "logp", "tpsa", "mol_weight", "hbd", "hba", "rings", "aromatic_rings", "rotatable_bonds",
    "fraction_csp3",
)  # fmt: skip
"""The properties that a codec learns to read off its codes."""

MOLECULES, DROPPED, HELD_OUT = "molecules.parquet", "dropped.csv", "held_out.csv"
_DRAFT = "standardized.parquet"
_KEPT: Kinds = {"row": int, "id": str, "smiles": str, "warning": str}
_LOST: Kinds = {"row": int, "id": str, "raw": str, "reason": str}
_APART: Kinds = {"row": int, "id": str, "smiles": str}
_HELD_OUT_REASON = "held out: to test with"
_LEARNT_FROM = 300_000  # molecules of which a vocabulary is learnt
_CHUNK_ROWS = 20_000
_ARRAYS = (f"{DECODER_OUTPUT}.npy", f"{ENCODER_INPUT}.npy")


@dataclass(frozen=True)
class FeaturePlan:
    """How molecules are written as features.

    like: a codec whose featurizers are taken, in place of what settings say of them.
    """

    settings: FeatureSettings
    like: StoredFeaturizers | None = None


def featurize(run: RunDir, mapper: Mapper | None = None) -> Manifest:
    """The library in 1-featurize; as features, too, where the campaign trains a codec."""
    mapper = mapper or LocalProcesses()
    from .campaign import Campaign, molecules_path  # which brings torch

    campaign = Campaign.load(run.campaign)
    section = campaign.molecules
    wanted = FeaturePlan(campaign.train.features) if campaign.train else None
    file = open_molecules(molecules_path(section), section.smiles_column, section.id_column, mapper=mapper)
    return _featurize(file, run.featurize, wanted, campaign.seed, run.path, mapper)


def featurize_file(
    source: Path,
    folder: Path,
    smiles_column: str | None,
    id_column: str | None,
    wanted: FeaturePlan,
    seed: int = 0,
    mapper: Mapper | None = None,
) -> Manifest:
    """A features folder of a molecule file, ready for training.

    Raises:
        InputError: the file cannot be read, or none of its molecules can be used.
    """
    mapper = mapper or LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    return _featurize(file, folder, wanted, seed, folder, mapper)


def _featurize(
    file: MoleculeFile, folder: Path, wanted: FeaturePlan | None, seed: int, base: Path, mapper: Mapper
) -> Manifest:
    settings: dict[str, Any] = {"smiles_column": file.smiles_column, "id_column": file.id_column}
    if wanted is not None:
        settings |= {"features": wanted.settings.model_dump(mode="json"), "properties": LABELS}
        settings |= {"like": wanted.like.sha256} if wanted.like else {}
    plan = Plan("featurize", VERSION, folder, settings, seed, {"molecules": file_entry(file.path, base)})
    return plan.carry_out(lambda folder: _write(file, folder, wanted, seed, mapper))


def _write(file: MoleculeFile, folder: Path, wanted: FeaturePlan | None, seed: int, mapper: Mapper) -> Outcome:
    counts = _Counter()
    one_in = wanted.settings.hold_out if wanted else 0
    with ExitStack() as files:
        lost = files.enter_context(writing(folder / DROPPED, _LOST))
        apart = files.enter_context(writing(folder / HELD_OUT, _APART)) if one_in else None
        draft = folder / (MOLECULES if wanted is None else _DRAFT)
        with writing(draft, _KEPT) as kept, terminal.bar("featurize", None, "molecules") as bar:
            for chunk in standardize_file(file, mapper):
                if apart is not None:
                    chunk = _hold_out(chunk, one_in, apart)
                is_kept = chunk["smiles"].notna()
                kept.write(chunk[is_kept])
                lost.write(chunk[~is_kept])
                counts.add(chunk[is_kept], chunk[~is_kept])
                bar.advance(len(chunk))
                bar.expect(file.fraction_read)
        for note in file.notes:
            log.info("%s: %s", file.path, note)
            terminal.say(f"  note: {file.path.name}: {note}")
        if not counts.n_kept:
            reasons = ", ".join(f"{reason} ({count:,})" for reason, count in counts.dropped.most_common(3))
            raise InputError(f"{file.path}: none of its {counts.n:,} rows holds a molecule that can be used: {reasons}")
        if wanted is None:
            return counts.outcome({})
        rows = _write_features(folder, wanted, seed, lost, counts, mapper)
    draft.unlink()
    if one_in:
        rows[HELD_OUT] = counts.dropped[kind_of(_HELD_OUT_REASON)]
    return counts.outcome(rows)


def _hold_out(chunk: pd.DataFrame, one_in: int, apart: TableWriter) -> pd.DataFrame:
    """The chunk without its held-out molecules, which are written to a file of their own."""
    mask = np.array([text is not None and is_held_out(text, one_in) for text in chunk["smiles"]], bool)
    apart.write(chunk[mask])
    return chunk.assign(smiles=chunk["smiles"].mask(mask, None), reason=chunk["reason"].mask(mask, _HELD_OUT_REASON))


def _write_features(
    folder: Path, wanted: FeaturePlan, seed: int, lost: TableWriter, counts: "_Counter", mapper: Mapper
) -> dict[str, int | None]:
    """The kept molecules as rows of features and labels, row for row with the final molecules.parquet.

    One that a featurizer cannot write is dropped, with the reason.
    """
    draft = folder / _DRAFT
    n, n_labels, n_bits = pq.ParquetFile(draft).metadata.num_rows, wanted.settings.labels, wanted.settings.label_bits
    featurizer, view = _featurizers(draft, n, wanted, seed)
    featurizer.save(folder / FEATURIZER_NAME)
    if view is not None:
        view.save(folder / VIEW_NAME)
    labelled = _draw(n, n_labels, seed, "labels")
    rows = encode_chunks((chunk["smiles"].tolist() for chunk, _ in _chunks(draft, labelled)), featurizer, view, mapper)
    texts = (chunk["smiles"][mask].tolist() for chunk, mask in _chunks(draft, labelled))
    labels = mapper(partial(label, properties=LABELS, n_bits=n_bits), texts) if n_labels else None
    with (
        writing(folder / MOLECULES, _KEPT) as kept,
        FeatureWriter(
            folder, featurizer.spec, LABELS if n_labels else (), view.spec if view else None, n_bits
        ) as features,
        terminal.bar("features and labels" if n_labels else "features", n, "molecules") as bar,
    ):
        for (chunk, mask), (encoded, seen) in zip(_chunks(draft, labelled), rows, strict=True):
            ok = encoded.ok if seen is None else encoded.ok & seen.ok
            reasons = [*zip(encoded.reason, seen.reason if seen else encoded.reason, strict=True)]
            y, bits = np.full((len(chunk), len(LABELS)), np.nan, np.float32), np.zeros((len(chunk), n_bits), np.uint8)
            for row, answer in zip(np.flatnonzero(mask), next(labels) if labels else (), strict=labels is not None):
                if isinstance(answer, Labels):
                    y[row], bits[row] = answer.properties, np.unpackbits(answer.bits, count=n_bits)
            features.write(encoded.x[ok], y[ok] if labels else None, seen.x[ok] if seen else None, bits[ok])
            kept.write(chunk[ok])
            unwritten = chunk[~ok].assign(
                raw=chunk["smiles"][~ok],
                reason=[f"cannot be written as features: {a or b}" for a, b in reasons if a or b],
            )
            lost.write(unwritten)
            counts.take_back(unwritten)
            bar.advance(len(chunk))
    outputs = sorted(path.name for path in folder.iterdir() if path.suffix in (".json", ".npy"))
    return {name: counts.n_kept if name in _ARRAYS else None for name in outputs}


def _featurizers(draft: Path, n: int, wanted: FeaturePlan, seed: int) -> tuple[Featurizer, Featurizer | None]:
    """The featurizer of the decoder output, and that of the encoder input where it differs."""
    if wanted.like is not None:
        return wanted.like.featurizer, wanted.like.view

    def corpus() -> Iterator[str]:
        terminal.say("  learning which symbols there are")
        chosen = _draw(n, _LEARNT_FROM, seed, "vocabulary")
        return (text for chunk, mask in _chunks(draft, chosen) for text in chunk["smiles"][mask])

    settings = wanted.settings
    featurizer = learn_featurizer(settings.decoder_output, settings, corpus)
    if settings.encoder_input in (None, settings.decoder_output):
        return featurizer, None
    return featurizer, learn_featurizer(settings.encoder_input, settings, corpus)


def _draw(n: int, at_most: int, seed: int, name: str) -> np.ndarray:
    """A mask (n,) of at most so many rows, drawn at random."""
    mask = np.zeros(n, bool)
    mask[generator(seed, name).permutation(n)[:at_most]] = True
    return mask


def _chunks(path: Path, mask: np.ndarray) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """The rows of a table in chunks, each with its part of a mask."""
    begin = 0
    for batch in pq.ParquetFile(path).iter_batches(_CHUNK_ROWS):
        yield batch.to_pandas(), mask[begin : begin + len(batch)]
        begin += len(batch)


class _Counter:
    """Counts rows by what became of them."""

    def __init__(self) -> None:
        self.n = self.n_kept = 0
        self.dropped: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def add(self, kept: pd.DataFrame, lost: pd.DataFrame) -> None:
        self.n += len(kept) + len(lost)
        self.n_kept += len(kept)
        self.dropped.update(map(kind_of, lost["reason"]))
        for warning in kept["warning"].dropna():
            self.notes.update(map(kind_of, warning.split("; ")))

    def take_back(self, lost: pd.DataFrame) -> None:
        """Drop rows that were counted as kept."""
        self.n_kept -= len(lost)
        self.dropped.update(map(kind_of, lost["reason"]))

    def outcome(self, rows: dict[str, int | None]) -> Outcome:
        outputs = {MOLECULES: self.n_kept, DROPPED: self.n - self.n_kept, **rows}
        counts = Counts(into=self.n, kept=self.n_kept, dropped=dict(self.dropped), notes=dict(self.notes))
        return Outcome(outputs, counts)
