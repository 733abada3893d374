"""The subcommand `qsar` of scoring.py: the models of molvae.qsar on sets of MoleculeACE; errors and times.

DIR holds tables of MoleculeACE (*.csv with smiles, `y [pEC50/pKi]`, cliff_mol and split). Each model learns from the
training molecules of a set; the errors are those on its test molecules: all, and those at activity cliffs
(cliff_mol = 1). `within 1 std` is the share of the errors below one predicted standard deviation. The times are CPU
seconds: fit includes the choice of hyperparameters; predict is that of 10,000 molecules of the MOSES test set, from
standardized SMILES and with the similarity to the training molecules. `latent_svr` and `latent_linear` are pipelines of
scikit-learn on latent vectors of the codec `druglike`, as in README; they predict no standard deviation.

Published means over 30 sets (van Tilborg et al. 2022, doi:10.1021/acs.jcim.2c01073): SVM on ECFP 0.671 and GP with a
Tanimoto kernel 0.659. The sets here are others if DIR has not all 30.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scoring_pareto import BenchmarkError
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR

from molvae.bundled import bundled
from molvae.chem.fingerprints import tanimoto_matrix
from molvae.chem.molecules import standardize
from molvae.estimators import CodecTransformer
from molvae.qsar.evaluation import regression_metrics
from molvae.qsar.fingerprints import forget_fingerprints, morgan_bits
from molvae.qsar.registry import MODELS, make_model

VALUE = "y [pEC50/pKi]"
RESULTS = Path(__file__).parent / "results" / "qsar.csv"

PIPELINES = {"latent_svr": SVR(C=10), "latent_linear": Ridge()}


def read_set(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    missing = {"smiles", VALUE, "cliff_mol", "split"} - set(table)
    if missing:
        raise BenchmarkError(f"{path}: expected a table of MoleculeACE; missing columns: {', '.join(sorted(missing))}")
    table["smiles"] = [standardize(raw).smiles for raw in table["smiles"]]
    return table.dropna(subset=["smiles"]).reset_index(drop=True)


def measure(name: str, table: pd.DataFrame, others: list[str]) -> dict[str, float]:
    train, test = (table[table["split"] == label] for label in ("train", "test"))
    smiles = train["smiles"].tolist()
    forget_fingerprints()
    begin = time.process_time()
    model = make(name).fit(smiles, train[VALUE].to_numpy())
    fitted = time.process_time()
    mean, std = predict(model, test["smiles"].tolist())
    known = np.isfinite(mean)
    test, mean, std = test[known], mean[known], std[known]
    found = regression_metrics(test[VALUE].to_numpy(), mean, std, np.full(len(test), train[VALUE].mean()))
    error = test[VALUE].to_numpy() - mean
    forget_fingerprints()
    start = time.process_time()
    predict(model, others)
    tanimoto_matrix(morgan_bits(others), morgan_bits(smiles)).max(axis=1)
    return {
        "unpredicted": int((~known).sum()),
        "r2": float(r2_score(test[VALUE], mean)),
        "rmse": found["rmse"] or 0.0,
        "rmse_cliffs": float(np.sqrt((error[(test["cliff_mol"] == 1).to_numpy()] ** 2).mean())),
        "baseline_rmse": found["baseline_rmse"] or 0.0,
        "within_1_std": (found["within_1_std"] or 0.0) if np.isfinite(std).all() else np.nan,
        "within_2_std": (found["within_2_std"] or 0.0) if np.isfinite(std).all() else np.nan,
        "fit_s": fitted - begin,
        "predict_10000_s": time.process_time() - start,
    }


def make(name: str) -> Any:
    if name in MODELS:
        return make_model(name)
    return make_pipeline(CodecTransformer("druglike", on_error="nan"), SimpleImputer(), PIPELINES[name])


def predict(model: Any, smiles: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (n,); NaN for a model without the latter."""
    if isinstance(model, BaseEstimator) and hasattr(model, "steps"):
        return model.predict(smiles), np.full(len(smiles), np.nan)
    mean, std = model.predict(smiles, return_std=True)
    return mean, std


def print_table(table: pd.DataFrame) -> None:
    print(f"| {' | '.join(str(name) for name in table)} |")
    print(f"|{'---|' * table.shape[1]}")
    for row in table.itertuples(index=False):
        print(f"| {' | '.join(f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in row)} |")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the subcommand."""
    parser.add_argument("data", type=Path, metavar="DIR", help="folder with tables of MoleculeACE")
    parser.add_argument("--model", nargs="+", choices=[*MODELS, *PIPELINES], default=["gaussian_process", "ridge"])
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="table of all results")


def run(given: argparse.Namespace) -> None:
    """Measure each model on each set, print and write the tables."""
    paths = sorted(given.data.glob("*.csv"))
    if not paths:
        raise BenchmarkError(f"{given.data}: expected tables of MoleculeACE (*.csv)")
    moses = pd.read_csv(bundled("moses_test.csv.gz"), nrows=10_000)
    others = [standardize(raw).smiles or "C" for raw in moses.iloc[:, 0]]
    rows = []
    for path in paths:
        table = read_set(path)
        n_train = int((table["split"] == "train").sum())
        for name in given.model:
            rows.append({"set": path.stem, "model": name, "train": n_train, **measure(name, table, others)})
            print(*rows[-1].values(), flush=True)
    results = pd.DataFrame(rows)
    results.to_csv(given.out, index=False, float_format="%.4g", lineterminator="\n")
    print()
    print_table(results)
    print()
    print_table(results.drop(columns=["set", "train"]).groupby("model", sort=False).mean().reset_index())
