"""Each recipe of the autoencoder family on digits and on Morgan fingerprints; prints one table.

    OMP_NUM_THREADS=1 python benchmarks/family.py                         # about five minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/family.py --fingerprints 4000     # a quick look

Digits of scikit-learn: 1,400 for training and 397 held out. Fingerprints: radius 2, 1,024 bits, of molecules drawn from
the bundled MOSES training set, and 2,000 held out. Default settings of AutoencoderTransformer unless stated otherwise.
"""

import argparse
import gzip
import time

import numpy as np
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from molvae import AutoencoderTransformer
from molvae.bundled import bundled
from molvae.chem.fingerprints import morgan_bits

DIGITS = load_digits().data[np.random.default_rng(0).permutation(1797)]
TRAIN, TEST = DIGITS[:1400], DIGITS[1400:]
_start = time.process_time()


def print_row(recipe: str, quantity: str, value: str) -> None:
    print(f"| {recipe} | {quantity} | {value} | {time.process_time() - _start:.0f} |", flush=True)


def fitted(recipe: str, n: int, table: np.ndarray = TRAIN, **given: object) -> AutoencoderTransformer:
    return AutoencoderTransformer(recipe, n, random_state=0, **given).fit(table)


def degrees_from_pca(table: np.ndarray, n: int) -> float:
    model = fitted("linear", n, table)
    spanned = model.inverse_transform(np.eye(n)) - model.inverse_transform(np.zeros((1, n)))
    components = PCA(n, svd_solver="full").fit(table).components_
    return float(np.degrees(subspace_angles(spanned.T, components.T)).max())


def errors_of_plain_and_pca(n: int, train: np.ndarray, test: np.ndarray, **given: object) -> str:
    pca = PCA(n, svd_solver="full").fit(train)
    pca_error = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
    plain_error = -fitted("plain", n, train, **given).score_samples(test).mean()
    return f"{plain_error:.4g} (PCA {pca_error:.4g})"


def corrupted(kind: str, level: float) -> np.ndarray:
    random, centered = np.random.default_rng(1), TRAIN - TRAIN.mean(0)
    if kind == "gaussian":
        return TEST + level * centered.std() * random.normal(size=TEST.shape)
    return np.where(random.random(TEST.shape) < level, TRAIN.mean(0), TEST)


def error(model: AutoencoderTransformer, read: np.ndarray) -> float:
    return float(((model.inverse_transform(model.transform(read)) - TEST) ** 2).mean())


def relative_change(model: AutoencoderTransformer) -> float:
    z, noise = model.transform(TEST), np.random.default_rng(2).normal(size=TEST.shape)
    moved = model.transform(TEST + 0.1 * (TRAIN - TRAIN.mean(0)).std() * noise)
    return float(((moved - z) ** 2).sum(1).mean() / z.var(0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fingerprints", type=int, default=20_000, help="training molecules of fingerprints")
    n_prints = parser.parse_args().fingerprints
    with gzip.open(bundled("moses_train.csv.gz"), "rt", encoding="utf-8") as lines:
        smiles = [line.rstrip("\n") for line in lines][1:]
    chosen = np.random.default_rng(0).permutation(len(smiles))[: n_prints + 2_000]
    prints = morgan_bits([smiles[row] for row in chosen], 2, 1024).astype(float)
    print("| recipe | quantity | value | CPU seconds so far |\n|---|---|---|---|")
    print_row("linear", "largest angle to PCA, digits, 4 dimensions", f"{degrees_from_pca(DIGITS, 4):.2f} degrees")
    print_row(
        "linear",
        "largest angle to PCA, 5,000 fingerprints, 6 dimensions",
        f"{degrees_from_pca(prints[:5000], 6):.2f} degrees",
    )
    print_row("plain", "squared error, digits, 8 dimensions", errors_of_plain_and_pca(8, TRAIN, TEST))
    print_row(
        "plain",
        "squared error, fingerprints, 16 dimensions",
        errors_of_plain_and_pca(16, prints[:n_prints], prints[n_prints:]),
    )
    plain = fitted("plain", 32)
    for kind, levels in (("gaussian", (0.3, 0.6, 1.0)), ("zero", (0.1, 0.3, 0.5))):
        for level in levels:
            model, read = fitted("denoising", 32, corruption=kind, corruption_level=level), corrupted(kind, level)
            figure = f"{error(model, read):.2f} (plain {error(plain, read):.2f})"
            print_row("denoising", f"squared error with {kind} {level}, 32 dimensions", figure)
    for weight in (0.0, 0.1, 0.3, 1.0):
        model = fitted("sparse", 16, weight=weight)
        figure = f"{(model.transform(TEST) == 0).mean():.1%} zeros, error {error(model, TEST):.2f}"
        print_row("sparse", f"weight {weight}, 16 units", figure)
    for rate in (0.1, 0.3):
        model = fitted("sparse_rate", 16, weight=30.0, active_rate=rate)
        figure = f"mean activity {model.transform(TEST).mean():.3f}, error {error(model, TEST):.2f}"
        print_row("sparse_rate", f"target {rate}, weight 30, 16 units", figure)
    model = fitted("sparse_topk", 16, k=3)
    active = model.transform(TEST) != 0
    figure = f"{active.sum(1).min()} to {active.sum(1).max()} active units per row, {active.any(0).sum()} over all rows"
    print_row("sparse_topk", "k 3, 16 units", f"{figure}, error {error(model, TEST):.2f}")
    plain = fitted("plain", 8)
    for weight in (0.1, 1.0):
        model = fitted("contractive", 8, weight=weight)
        figure = f"{relative_change(model):.4f} (plain {relative_change(plain):.4f}), error {error(model, TEST):.2f}"
        print_row(
            "contractive", f"weight {weight}: squared change with noise relative to variance, 8 dimensions", figure
        )
    outliers = np.random.default_rng(0).permuted(TEST, axis=1)
    both, is_known = np.vstack([TEST, outliers]), np.repeat([1, 0], len(TEST))
    forest = roc_auc_score(is_known, IsolationForest(random_state=0).fit(TRAIN).score_samples(both))
    ours = roc_auc_score(is_known, plain.score_samples(both))
    print_row("plain", "ROC-AUC, digits with shuffled pixels", f"{ours:.4f} (isolation forest {forest:.4f})")


if __name__ == "__main__":
    main()
