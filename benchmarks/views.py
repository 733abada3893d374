"""Encoder inputs compared: small codecs that differ in their representations only; prints one table.

    OMP_NUM_THREADS=1 python benchmarks/views.py                          # about 20 minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/views.py --molecules 20000        # a quick look

Trained on molecules of the bundled MOSES training set, evaluated on 2,000 of its test set by greedy decoding of their
latent vectors. exact: the same canonical SMILES. similarity: Tanimoto similarity of valid reconstructions to the
original. Speeds are molecules per CPU second of one thread.
"""

import argparse
import gzip
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from molvae.bundled import bundled
from molvae.chem.fingerprints import tanimoto
from molvae.codec import Codec, SamplingSettings, fit_prior
from molvae.features import FeatureSettings, FeatureStore, FeatureWriter, learn_featurizer
from molvae.latent import PriorSettings
from molvae.training import TrainConfig, train

REPRESENTATIONS = [
    ("smiles", None),
    ("smiles", "random_smiles"),
    ("smiles", "graph"),
    ("smiles", "counts"),
    ("smiles", "bits"),
    ("selfies", None),
]
GRU = {"kind": "gru", "embedding": 128, "hidden": 192, "heads": 4}
ENCODERS = {"graph": {"kind": "graph", "hidden": 128, "message_passing_steps": 3, "heads": 4}}
NUMBERS = {"kind": "mlp", "widths": [1024, 768]}


def molecules(name: str, n: int) -> list[str]:
    with gzip.open(bundled(name), "rt", encoding="utf-8") as lines:
        smiles = [line.rstrip("\n") for line in lines][1:]
    return [smiles[row] for row in np.random.default_rng(0).permutation(len(smiles))[:n]]


def row_of(
    decoder_output: str, encoder_input: str | None, corpus: list[str], test: list[str], n_molecules: int
) -> dict[str, object]:
    settings = FeatureSettings(decoder_output=decoder_output, encoder_input=encoder_input, n_bits=2048)
    started = time.process_time()
    featurizer = learn_featurizer(decoder_output, settings, lambda: corpus)
    view = learn_featurizer(encoder_input, settings, lambda: corpus) if encoder_input else None
    encoded, viewed = featurizer.encode(corpus), view.encode(corpus) if view else None
    featurizing = time.process_time() - started
    ok = encoded.ok if viewed is None else encoded.ok & viewed.ok
    encoder = NUMBERS if encoder_input in ("bits", "counts") else ENCODERS.get(encoder_input or "", GRU)
    model = {"recipe": "variational", "n_latent": 64, "encoder": encoder, "decoder": {"kind": "gru", "hidden": 384}}
    training = {
        "n_molecules": n_molecules,
        "batch_size": 256,
        "evaluate_every": n_molecules,
        "n_held_out": 500,
        "n_processes": 1,
        "weights": {"kl": 0.02},
    }
    config = TrainConfig.from_dict({"model": model, "training": training}, "benchmark")
    with tempfile.TemporaryDirectory() as folder:
        with FeatureWriter(Path(folder), featurizer.spec, (), view.spec if view else None) as writer:
            writer.write(encoded.x[ok], None, viewed.x[ok] if viewed else None)
        started = time.process_time()
        trained = train(config, Path(folder), Path(folder, "work"))
        learning = time.process_time() - started
        prior = fit_prior(trained.model, FeatureStore.open(Path(folder)), PriorSettings(n_molecules=20_000))
    trained.model.requires_grad_(False)
    codec = Codec("view", featurizer, trained.model, config.model, prior, SamplingSettings(), {}, view)
    encoding = codec.encode(test)
    decoded = [molecule.smiles for molecule in codec.decode(encoding.z)]
    pairs = [(a, b) for a, b in zip(encoding.smiles, decoded, strict=True) if a and b]
    return {
        "encoder input": encoder_input or decoder_output,
        "decoder output": decoder_output,
        "exact": np.mean([a == b for a, b in zip(encoding.smiles, decoded, strict=True)]),
        "valid": np.mean([smiles is not None for smiles in decoded]),
        "similarity": np.mean([tanimoto(a, [b])[0] for a, b in pairs]) if pairs else np.nan,
        "parameters": f"{sum(p.numel() for p in trained.model.parameters()) / 1e6:.1f} M",
        "featurized per second": round(len(corpus) / featurizing),
        "trained per second": round(n_molecules / learning),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--molecules", type=int, default=400_000, help="molecules shown in the training of each model")
    parser.add_argument("--corpus", type=int, default=100_000, help="unique training molecules")
    given = parser.parse_args()
    corpus, test = molecules("moses_train.csv.gz", given.corpus), molecules("moses_test.csv.gz", 2_000)
    rows = []
    for decoder_output, encoder_input in REPRESENTATIONS:
        rows.append(row_of(decoder_output, encoder_input, corpus, test, given.molecules))
        print(rows[-1], flush=True)
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.precision", 3):
        print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
