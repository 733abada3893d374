"""What each member of the family shows on tables: digits, and Morgan fingerprints; one line a figure.

    OMP_NUM_THREADS=1 python benchmarks/family.py                   # some five minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/family.py --prints 4000     # a quick look

Digits: scikit-learn's, 1,400 to learn from and 397 held out. Fingerprints: radius 2, 1,024 bits, of molecules drawn
from the bundled MOSES training set, 2,000 more held out. Default settings of AutoencoderTransformer unless said.
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
_begun = time.process_time()


def say(member: str, what: str, figure: str) -> None:
    print(f"| {member} | {what} | {figure} | {time.process_time() - _begun:.0f} |", flush=True)


def fitted(recipe: str, n: int, table: np.ndarray = TRAIN, **given: object) -> AutoencoderTransformer:
    return AutoencoderTransformer(recipe, n, random_state=0, **given).fit(table)


def degrees(table: np.ndarray, n: int) -> float:
    model = fitted("linear", n, table)
    written = model.inverse_transform(np.eye(n)) - model.inverse_transform(np.zeros((1, n)))
    components = PCA(n, svd_solver="full").fit(table).components_
    return float(np.degrees(subspace_angles(written.T, components.T)).max())


def share_of_pca(n: int, train: np.ndarray, test: np.ndarray, **given: object) -> str:
    pca = PCA(n, svd_solver="full").fit(train)
    theirs = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
    ours = -fitted("plain", n, train, **given).score_samples(test).mean()
    return f"{ours:.4g} against {theirs:.4g}"


def damaged(kind: str, level: float) -> np.ndarray:
    random, centred = np.random.default_rng(1), TRAIN - TRAIN.mean(0)
    if kind == "gaussian":
        return TEST + level * centred.std() * random.normal(size=TEST.shape)
    return np.where(random.random(TEST.shape) < level, TRAIN.mean(0), TEST)


def error(model: AutoencoderTransformer, read: np.ndarray) -> float:
    return float(((model.inverse_transform(model.transform(read)) - TEST) ** 2).mean())


def movement(model: AutoencoderTransformer) -> float:
    codes, noise = model.transform(TEST), np.random.default_rng(2).normal(size=TEST.shape)
    moved = model.transform(TEST + 0.1 * (TRAIN - TRAIN.mean(0)).std() * noise)
    return float(((moved - codes) ** 2).sum(1).mean() / codes.var(0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prints", type=int, default=20_000, help="fingerprints to learn from")
    n_prints = parser.parse_args().prints
    with gzip.open(bundled("moses_train.csv.gz"), "rt", encoding="utf-8") as lines:
        smiles = [line.rstrip("\n") for line in lines][1:]
    chosen = np.random.default_rng(0).permutation(len(smiles))[: n_prints + 2_000]
    prints = morgan_bits([smiles[row] for row in chosen], 2, 1024).astype(float)
    print("| member | what | figure | CPU seconds so far |\n|---|---|---|---|")
    say("linear", "largest angle to PCA, digits, 4", f"{degrees(DIGITS, 4):.2f} degrees")
    say("linear", "largest angle to PCA, 5,000 fingerprints, 6", f"{degrees(prints[:5000], 6):.2f} degrees")
    say("plain", "squared error against PCA's, digits, 8", share_of_pca(8, TRAIN, TEST))
    say("plain", "the same, fingerprints, 16", share_of_pca(16, prints[:n_prints], prints[n_prints:]))
    plain = fitted("plain", 32)
    for kind, levels in (("gaussian", (0.3, 0.6, 1.0)), ("zero", (0.1, 0.3, 0.5))):
        for level in levels:
            model, read = fitted("denoising", 32, corruption=kind, corruption_level=level), damaged(kind, level)
            figure = f"{error(model, read):.2f} against {error(plain, read):.2f}"
            say("denoising", f"clean from {kind} {level}, error against plain's, 32", figure)
    for weight in (0.0, 0.1, 0.3, 1.0):
        model = fitted("sparse", 16, weight=weight)
        figure = f"{(model.transform(TEST) == 0).mean():.1%} zeros, error {error(model, TEST):.2f}"
        say("sparse", f"weight {weight}, 16 units", figure)
    for rate in (0.1, 0.3):
        model = fitted("sparse_rate", 16, weight=30.0, active_rate=rate)
        figure = f"mean activity {model.transform(TEST).mean():.3f}, error {error(model, TEST):.2f}"
        say("sparse_rate", f"target {rate}, weight 30, 16 units", figure)
    model = fitted("sparse_topk", 16, k=3)
    codes = model.transform(TEST) != 0
    figure = f"{codes.sum(1).min()} to {codes.sum(1).max()} speak, {codes.any(0).sum()} for any"
    say("sparse_topk", "k 3, 16 units", f"{figure}, error {error(model, TEST):.2f}")
    plain = fitted("plain", 8)
    for weight in (0.1, 1.0):
        model = fitted("contractive", 8, weight=weight)
        figure = f"{movement(model):.4f} against {movement(plain):.4f}, error {error(model, TEST):.2f}"
        say("contractive", f"weight {weight}: codes' movement over their spread, against plain's, 8", figure)
    odd = np.random.default_rng(0).permuted(TEST, axis=1)
    both, is_known = np.vstack([TEST, odd]), np.repeat([1, 0], len(TEST))
    forest = roc_auc_score(is_known, IsolationForest(random_state=0).fit(TRAIN).score_samples(both))
    ours = roc_auc_score(is_known, plain.score_samples(both))
    say("plain", "ROC-AUC of score_samples, digits with shuffled pixels, against a forest", f"{ours:.4f}, {forest:.4f}")


if __name__ == "__main__":
    main()
