"""Ablation of the molecular recipe: each row changes one setting and is trained from scratch; prints one table.

    molvae featurize data/moses_train.csv.gz -o features --config molvae/training/configs/moses.toml
    python benchmarks/ablation.py --features features --rows "base;no_noise"  # about 20 CPU-minutes per row
    python benchmarks/ablation.py --features features --rows all              # a night on one core
    python benchmarks/ablation.py --features features --rows all --speed      # training speed of each row
    python benchmarks/ablation.py --features features --quick                 # every row for seconds, as a test
    python benchmarks/ablation.py --show                                      # the table of the finished rows

Finished rows are stored in a file (--results) and not computed again. Each row is trained on 1.3 million molecules,
drawn from 400,000 of the MOSES training set (seed 0), one in six of them with properties, in batches of 512; the
learning rate falls from 1.4e-3 to zero.

exact: reconstruction rate of 2,000 test molecules, greedy. valid, unique, prior_cosine, fcd: of 10,000 draws from the
row's own prior at noise 0.6 and temperature 0.7, first attempts only. prior_cosine: mean cosine similarity of a draw,
before noise, and the latent vector of its molecule (1,500 molecules). fcd: real molecules have 0.14 at this sample
size. logp: R2 of a ridge regression on the latent vectors of 400 molecules, on 2,000 others. recall: fraction of the
ten nearest neighbors by Morgan fingerprint (radius 2, 1,024 bits) that are among the ten nearest in latent space, 2,400
test molecules. nearest: mean Tanimoto similarity of 500 draws to the nearest of 20,000 training molecules.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV

from molvae.autoencoder import Autoencoder
from molvae.benchmark.fcd import FcdStatistics, fcd
from molvae.bundled import bundled
from molvae.chem.fingerprints import morgan_bits
from molvae.chem.properties import compute
from molvae.codec import Codec, SamplingSettings, fit_prior
from molvae.features import FeatureSettings, FeatureStore, FeatureWriter, learn_featurizer
from molvae.features.tokens import TokenFeaturizer
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, load_featurizer
from molvae.latent import PriorSettings
from molvae.training import TrainConfig, train

MOLECULAR: dict[str, Any] = {
    "recipe": "molecular",
    "n_latent": 64,
    "encoder": {"kind": "gru", "embedding": 256, "hidden": 256, "heads": 4},
    "decoder": {"kind": "gru", "hidden": 512},
}
WEIGHTS = {"noised_reconstruction": 0.8, "kl": 0.12, "properties": 5.0}
ROWS: dict[str, dict[str, Any]] = {
    "base": {},
    "base, another seed": {"training": {"seed": 1}},
    "no_noise": {"model": {"changes": {"noise_conditioned": False}}},
    "noise_weight_2": {"weights": {"noised_reconstruction": 2.0}},
    "noise_draws_2": {"model": {"noise_draws": 2}},
    "noised_half": {"model": {"noised_share": 0.5}},
    "noised_quarter": {"model": {"noised_share": 0.25}},
    "kl_0.05": {"weights": {"kl": 0.05}},
    "kl_0.3": {"weights": {"kl": 0.3}},
    "free_0.3_nats": {"model": {"free_nats": 0.3}},
    "no_properties": {"weights": {"properties": 0.0}},
    "similarity_20": {"features": {"label_bits": 1024, "labels": 250_000}, "weights": {"similarity": 20.0}},
    "latent_32": {"model": {"n_latent": 32}},
    "latent_128": {"model": {"n_latent": 128}},
    "atoms": {"features": {"vocabulary_size": 40}},
    "vocabulary_250": {"features": {"vocabulary_size": 250}},
    "vocabulary_1000": {"features": {"vocabulary_size": 1000}},
    "vocabulary_2000": {"features": {"vocabulary_size": 2000}},
    "selfies": {"features": {"decoder_output": "selfies"}},
    "random_smiles_in": {"features": {"encoder_input": "random_smiles"}},
    "bits_in": {"features": {"encoder_input": "bits", "n_bits": 2048}, "model": {"encoder": None}},
    "graph_in": {"features": {"encoder_input": "graph"}, "model": {"encoder": None}},
    "tokens_dropped": {"model": {"changes": {"corrupts": True}, "corruption_level": 0.1}},
}
"""Row -> its differences from the base."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, help="folder of tokens with properties, from `molvae featurize`")
    parser.add_argument("--rows", default="base", help="names of rows, separated by semicolons, or all")
    parser.add_argument("--molecules", type=int, default=1_300_000, help="molecules shown in the training of each row")
    parser.add_argument("--results", type=Path, default=Path("ablation.jsonl"), help="file of finished rows")
    parser.add_argument("--speed", action="store_true", help="measure the training speed only")
    parser.add_argument("--quick", action="store_true", help="few molecules, as a test")
    parser.add_argument("--show", action="store_true", help="print the table of finished rows only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = list(ROWS) if options.rows == "all" or options.quick else options.rows.split(";")
    if options.show:
        print(pd.DataFrame(read(options.results)).to_string(index=False))
        return
    if options.features is None:
        parser.error("--features: expected a folder made by `molvae featurize`")
    results = Path(tempfile.mkdtemp(), "rows.jsonl") if options.quick or options.speed else options.results
    n_molecules, n_train, n = (4_000, 3_000, 200) if options.quick else (options.molecules, 400_000, 10_000)
    done = {row["row"] for row in read(results)}
    for name in [name for name in names if name not in done]:
        with tempfile.TemporaryDirectory() as folder:
            features = Path(folder, "features")
            write_features(features, name, options.features, 40_000 if options.speed else n_train)
            row = speed_of(name, features, Path(folder)) if options.speed else row_of(name, features, n_molecules, n)
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    print(pd.DataFrame(read(results)).to_string(index=False))


def read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def row_of(name: str, features: Path, n_molecules: int, n: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        trained = train(config_of(name, n_molecules), features, Path(folder, "work"))
    return {
        "row": name,
        "molecules": trained.n_molecules,
        **evaluate_row(name, trained.model, trained.validation, features, n),
    }


def speed_of(name: str, features: Path, folder: Path) -> dict[str, Any]:
    """Molecules per CPU second of training, without the first steps and the validation at the end."""
    seconds = []
    for n in (8_192, 24_576):
        begin = time.process_time()
        train(config_of(name, n), features, folder / f"{n}")
        seconds.append(time.process_time() - begin)
    store = FeatureStore.open(features)
    return {
        "row": name,
        "tokens": round(float(store.lengths.mean()), 1),
        "per_cpu_s": round(16_384 / (seconds[1] - seconds[0])),
    }


def write_features(folder: Path, name: str, source: Path, n_train: int) -> None:
    """Write the features of a row: a random part of the source molecules in the row's representation, with labels."""
    settings = FeatureSettings.model_validate(ROWS[name].get("features", {}))
    store, source_featurizer = FeatureStore.open(source), TokenFeaturizer.load(source / FEATURIZER_NAME)
    rows = np.random.default_rng(0).permutation(len(store))[:n_train]
    parts = [rows[begin : begin + 20_000] for begin in range(0, len(rows), 20_000)]
    corpus = [smiles for part in parts for smiles in source_featurizer.decode(store.rows(part))]
    featurizer = learn_featurizer(settings.decoder_output, settings, lambda: corpus[:200_000])
    view = None
    if settings.encoder_input:
        view = learn_featurizer(settings.encoder_input, settings, lambda: corpus[:200_000])
    n_bits = settings.label_bits
    folder.mkdir()
    featurizer.save(folder / FEATURIZER_NAME)
    if view:
        view.save(folder / VIEW_NAME)
    with FeatureWriter(folder, featurizer.spec, store.label_names, view.spec if view else None, n_bits) as writer:
        for part in parts:
            chunk, y = source_featurizer.decode(store.rows(part)), store.labels(part)
            x, viewed = featurizer.encode(chunk), view.encode(chunk) if view else None
            ok = x.ok if viewed is None else x.ok & viewed.ok
            bits = np.zeros((len(chunk), n_bits), np.uint8)
            labelled = np.flatnonzero(~np.isnan(y).all(1)) if n_bits else np.zeros(0, np.int64)
            if len(labelled):
                bits[labelled] = morgan_bits([chunk[row] for row in labelled], n_bits=n_bits)
            writer.write(x.x[ok], y[ok], viewed.x[ok] if viewed else None, bits[ok])


def config_of(name: str, n_molecules: int) -> TrainConfig:
    training = {
        "n_molecules": n_molecules,
        "n_processes": 1,
        "decay_from": 0.2,
        "evaluate_every": 10**9,
        "n_held_out": 2_000,
        "weights": {**WEIGHTS, **ROWS[name].get("weights", {})},
        **ROWS[name].get("training", {}),
    }
    model = {**MOLECULAR, **ROWS[name].get("model", {})}
    return TrainConfig.from_dict({"model": model, "training": training}, "ablation")


def evaluate_row(name: str, model: Autoencoder, validation: dict[str, float], features: Path, n: int) -> dict[str, Any]:
    """The figures of a trained row; validation: those of the trainer on held-out molecules."""
    store, featurizer = FeatureStore.open(features), TokenFeaturizer.load(features / FEATURIZER_NAME)
    view = load_featurizer(features / VIEW_NAME) if store.view_spec else None
    prior = fit_prior(model, store, PriorSettings(n_molecules=100_000))
    model.requires_grad_(False)
    codec = Codec("row", featurizer, model, config_of(name, 1).model, prior, SamplingSettings(), {}, view)
    training_smiles = featurizer.decode(store.rows(np.arange(min(20_000, len(store)))))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "kl": round(validation.get("kl_nats", float("nan")), 1),
        "active": int(validation["active_units"]),
        **measure(codec, training_smiles, n),
    }


def measure(codec: Codec, training_smiles: Sequence[str], n: int) -> dict[str, Any]:
    test = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].to_numpy()
    test = test[np.random.default_rng(0).permutation(len(test))[:4_400]].tolist()
    encoding = codec.encode(test)
    reconstructed = codec.decode(encoding.z[:2_000])
    exact = np.mean([a is not None and a == b.smiles for a, b in zip(encoding.smiles, reconstructed, strict=False)])
    draws = codec.draw(n, seed=1)
    decoded = codec.decode(draws, noise=0.6 if codec.model.is_noise_conditioned else 0.0, temperature=0.7, seed=1)
    rows = [row for row, molecule in enumerate(decoded) if molecule.smiles is not None]
    valid = [decoded[row].smiles or "" for row in rows]
    reencoded = codec.encode(valid[:1_500])
    a, b = draws[rows[:1_500]][reencoded.ok], reencoded.z[reencoded.ok]
    (distance,) = fcd(valid, FcdStatistics.load(bundled("moses_test_fcd.npz")))
    logp = compute(test[2_000:], ["logp"])["logp"].to_numpy()
    z, ok = encoding.z[2_000:], encoding.ok[2_000:]
    ridge = RidgeCV(np.logspace(-3, 3, 13)).fit(z[:400][ok[:400]], logp[:400][ok[:400]])
    return {
        "exact": round(float(exact), 4),
        "valid": round(len(valid) / n, 4),
        "unique": round(len(set(valid)) / max(1, len(valid)), 4),
        "prior_cosine": round(float(np.mean(cosine(a, b))), 3),
        "fcd": round(distance, 3) if distance is not None else None,
        "logp": round(float(ridge.score(z[400:][ok[400:]], logp[400:][ok[400:]])), 2),
        "recall": round(recall(z[ok], [smiles for smiles, is_ok in zip(test[2_000:], ok, strict=True) if is_ok]), 3),
        "nearest": round(mean_nearest_similarity(valid[:500], training_smiles), 3),
    }


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine similarity of corresponding rows, (n,)."""
    result: np.ndarray = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return result


def mean_nearest_similarity(smiles: Sequence[str], training_smiles: Sequence[str]) -> float:
    a, b = (morgan_bits(list(s), n_bits=1024).astype(np.float32) for s in (smiles, training_smiles))
    return float(tanimoto(a, b).max(1).mean())


def tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tanimoto similarity (n, m) of bits."""
    common = a @ b.T
    result: np.ndarray = common / (a.sum(1)[:, None] + b.sum(1) - common)
    return result


def recall(z: np.ndarray, smiles: Sequence[str]) -> float:
    bits = morgan_bits(list(smiles), n_bits=1024).astype(np.float32)
    by_bits = tanimoto(bits, bits)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    by_z = unit @ unit.T
    np.fill_diagonal(by_bits, -1)
    np.fill_diagonal(by_z, -2)
    tenth = np.sort(by_bits, axis=1)[:, -10]
    found = np.argpartition(-by_z, 10, axis=1)[:, :10]
    return float((np.take_along_axis(by_bits, found, 1) >= tenth[:, None]).mean())  # ties with the tenth count


if __name__ == "__main__":
    main()
