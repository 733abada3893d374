"""What each part of the recipe is worth: one thing changed at a time, each trained from scratch; prints one table.

    python benchmarks/ablation.py --rows base,no_noise           # ten CPU-minutes of training for each row
    python benchmarks/ablation.py --rows all                     # about five hours on one core
    python benchmarks/ablation.py --quick                        # every row for seconds: does it run?
    python benchmarks/ablation.py --show                         # the table of the rows that are done

Rows are kept in a file (--results) and never made twice, so a table may grow over several evenings. Each row is
trained on 600,000 molecules of the MOSES training set (seed 0) for the same CPU seconds of one thread, whatever a step
costs; the learning rate falls to zero over that time, which a first minute of timing tells. All is free-running.
exact: test molecules that come back exactly (2,000, greedy); valid, unique, FCD: 10,000 samples of the row's own prior
at noise 0.6 and temperature 0.7, the first try alone; floor: real molecules have FCD 0.14 at that size; logp: R2 of a
ridge on the codes of 400 molecules, on 2,000 others; nearest: mean Tanimoto similarity (Morgan radius 2, 1,024 bits) of
500 samples to the nearest of 20,000 training molecules.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV

from molvae.bundled import bundled
from molvae.chem.fingerprints import morgan_bits, tanimoto
from molvae.chem.properties import compute
from molvae.codec import Codec, SamplingSettings, fit_prior
from molvae.features import FeatureSettings, FeatureStore, FeatureWriter, learn_featurizer
from molvae.latent import PriorSettings
from molvae.training import TrainConfig, train
from molvae.validation.fcd import FcdStatistics, fcd

LABELS = ("logp", "tpsa", "weight", "qed", "sa_score", "rings")
MOLECULAR: dict[str, Any] = {
    "recipe": "molecular",
    "n_latent": 64,
    "encoder": {"kind": "gru", "embedding": 256, "hidden": 256, "heads": 4},
    "decoder": {"kind": "gru", "hidden": 512},
}
WEIGHTS = {"noised_reconstruction": 0.8, "kl": 0.12, "properties": 5.0}
ROWS: dict[str, dict[str, Any]] = {
    "base": {},
    "no_noise": {"model": {"changes": {"tells_noise": False}}},
    "noise_weight_2": {"weights": {"noised_reconstruction": 2.0}},
    "noise_draws_2": {"model": {"noise_draws": 2}},
    "kl_0.05": {"weights": {"kl": 0.05}},
    "kl_0.3": {"weights": {"kl": 0.3}},
    "free_0.3_nats": {"model": {"free_nats": 0.3}},
    "no_properties": {"weights": {"properties": 0.0}},
    "similarity_20": {"features": {"label_bits": 1024}, "weights": {"similarity": 20.0}},
    "latent_32": {"model": {"n_latent": 32}},
    "latent_128": {"model": {"n_latent": 128}},
    "atoms": {"features": {"vocabulary_size": 40}},
    "vocabulary_1000": {"features": {"vocabulary_size": 1000}},
    "vocabulary_2000": {"features": {"vocabulary_size": 2000}},
    "selfies": {"features": {"rebuilt": "selfies"}},
    "random_smiles_in": {"features": {"view": "random_smiles"}},
    "bits_in": {"features": {"view": "bits", "n_bits": 2048}, "model": {"encoder": None}},
    "graph_in": {"features": {"view": "graph"}, "model": {"encoder": None}},
    "tokens_dropped": {"model": {"changes": {"corrupts": True}, "corruption_level": 0.1}},
    "decoder_tokens_dropped": {"model": {"token_dropout": 0.1}},
}
"""Row -> what it has otherwise than the base."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="base", help="names of rows, with commas, or all")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes of training for each row")
    parser.add_argument("--results", type=Path, default=Path("ablation.jsonl"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = list(ROWS) if options.rows == "all" or options.quick else options.rows.split(",")
    results = Path(tempfile.mkdtemp(), "quick.jsonl") if options.quick else options.results
    minutes, n_train, n = (0.05, 3_000, 200) if options.quick else (options.minutes, 600_000, 10_000)
    done = {row["row"] for row in read(results)}
    for name in names if not options.show else []:
        if name not in done:
            row = {"row": name, **row_of(ROWS[name], minutes, n_train, n)}
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    print(pd.DataFrame(read(results)).to_string(index=False))


def read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def row_of(changes: dict[str, Any], minutes: float, n_train: int, n: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    corpus = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].to_numpy()
    corpus = corpus[random.permutation(len(corpus))[:n_train]].tolist()
    test = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].to_numpy()
    test = test[random.permutation(len(test))[:4_400]].tolist()
    settings = FeatureSettings.model_validate(changes.get("features", {}))
    featurizer = learn_featurizer(settings.rebuilt, settings, lambda: corpus[:200_000])
    view = learn_featurizer(settings.view, settings, lambda: corpus[:200_000]) if settings.view else None
    model = {**MOLECULAR, **changes.get("model", {})}
    weights = {**WEIGHTS, **changes.get("weights", {})}
    with tempfile.TemporaryDirectory() as folder:
        features = Path(folder, "features")
        write_features(features, featurizer, view, corpus, settings.label_bits)
        rate = timed(features, Path(folder, "timing"), model, weights, max(2_048, int(n_train / 30)))
        trained = train(config_of(model, weights, int(rate * minutes * 60)), features, Path(folder, "work"))
        prior = fit_prior(trained.model, FeatureStore.open(features), PriorSettings(n_codes=100_000))
    trained.model.requires_grad_(False)
    parts = config_of(model, weights, 1)
    codec = Codec("row", featurizer, trained.model, parts.model, prior, SamplingSettings(), {}, view)
    figures = measure(codec, corpus, test, n)
    held = trained.validation
    return {
        "molecules": trained.n_molecules,
        "per_cpu_s": round(rate),
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "kl": round(held.get("kl_nats", float("nan")), 1),
        "active": int(held["active_units"]),
        **figures,
    }


def write_features(folder: Path, featurizer: Any, view: Any, corpus: list[str], n_bits: int) -> None:
    folder.mkdir()
    with FeatureWriter(folder, featurizer.spec, LABELS, view.spec if view else None, n_bits) as writer:
        for begin in range(0, len(corpus), 20_000):
            chunk = corpus[begin : begin + 20_000]
            x, seen = featurizer.encode(chunk), view.encode(chunk) if view else None
            ok = x.ok if seen is None else x.ok & seen.ok
            y = np.full((len(chunk), len(LABELS)), np.nan, np.float32)
            bits = np.zeros((len(chunk), n_bits), np.uint8)
            if begin == 0:
                y[:] = compute(chunk, LABELS).to_numpy(np.float32)
                bits = morgan_bits(chunk, n_bits=n_bits) if n_bits else bits
            writer.write(x.x[ok], y[ok], seen.x[ok] if seen else None, bits[ok])


def config_of(model: dict[str, Any], weights: dict[str, float], n_molecules: int) -> TrainConfig:
    training = {
        "n_molecules": n_molecules,
        "n_processes": 1,
        "decay_from": 0.2,
        "evaluate_every": 10**9,
        "n_held_out": 2_000,
        "weights": weights,
    }
    return TrainConfig.from_dict({"model": model, "training": training}, "ablation")


def timed(features: Path, work: Path, model: dict[str, Any], weights: dict[str, float], n: int) -> float:
    """Molecules per CPU second of training; the validation at the end is part of what it costs."""
    begin = time.process_time()
    train(config_of(model, weights, n), features, work)
    return n / (time.process_time() - begin)


def measure(codec: Codec, corpus: list[str], test: list[str], n: int) -> dict[str, Any]:
    encoding = codec.encode(test)
    back = codec.decode(encoding.z[:2_000])
    exact = np.mean([a is not None and a == b.smiles for a, b in zip(encoding.smiles, back, strict=False)])
    drawn = codec.decode(codec.draw(n, 1), noise=0.6 if codec.model.is_noise_told else 0.0, temperature=0.7, seed=1)
    valid = [molecule.smiles for molecule in drawn if molecule.smiles is not None]
    (distance,) = fcd(valid, FcdStatistics.load(bundled("moses_test_fcd.npz")))
    logp = compute(test[2_000:], ["logp"])["logp"].to_numpy()
    codes, ok = encoding.z[2_000:], encoding.ok[2_000:]
    ridge = RidgeCV(np.logspace(-3, 3, 13)).fit(codes[:400][ok[:400]], logp[:400][ok[:400]])
    return {
        "exact": round(float(exact), 4),
        "valid": round(len(valid) / n, 4),
        "unique": round(len(set(valid)) / max(1, len(valid)), 4),
        "fcd": round(distance, 3) if distance is not None else None,
        "logp": round(float(ridge.score(codes[400:][ok[400:]], logp[400:][ok[400:]])), 2),
        "nearest": round(float(np.mean([tanimoto(text, corpus[:20_000]).max() for text in valid[:500]])), 3),
    }


if __name__ == "__main__":
    main()
