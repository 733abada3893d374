"""What a model reads, and what comes back: one small codec for each view of a molecule, alike in all else; one table.

    OMP_NUM_THREADS=1 python benchmarks/views.py                          # about 20 minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/views.py --molecules 20000        # a quick look

Trained on molecules of the bundled MOSES training set; judged by 2,000 of its test set, decoded greedily from their
codes. Exact: the same canonical SMILES. Alike: Tanimoto similarity to the molecule that was read, where one came back.
Speeds are molecules a CPU-second of one thread.
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

FORMS = [
    ("smiles", None),
    ("smiles", "random_smiles"),
    ("smiles", "graph"),
    ("smiles", "counts"),
    ("smiles", "bits"),
    ("selfies", None),
]
GRU = {"kind": "gru", "embedding": 128, "hidden": 192, "heads": 4}
ENCODERS = {"graph": {"kind": "graph", "hidden": 128, "steps": 3, "heads": 4}}
NUMBERS = {"kind": "mlp", "widths": [1024, 768]}


def molecules(name: str, n: int) -> list[str]:
    with gzip.open(bundled(name), "rt", encoding="utf-8") as lines:
        smiles = [line.rstrip("\n") for line in lines][1:]
    return [smiles[row] for row in np.random.default_rng(0).permutation(len(smiles))[:n]]


def row_of(rebuilt: str, view: str | None, corpus: list[str], test: list[str], n_molecules: int) -> dict[str, object]:
    settings = FeatureSettings(decoder_output=rebuilt, encoder_input=view, n_bits=2048)
    started = time.process_time()
    featurizer = learn_featurizer(settings.decoder_output, settings, lambda: corpus)
    seen = learn_featurizer(settings.encoder_input, settings, lambda: corpus) if settings.encoder_input else None
    encoded, views = featurizer.encode(corpus), seen.encode(corpus) if seen else None
    featurizing = time.process_time() - started
    ok = encoded.ok if views is None else encoded.ok & views.ok
    encoder = NUMBERS if view in ("bits", "counts") else ENCODERS.get(view or "", GRU)
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
        with FeatureWriter(Path(folder), featurizer.spec, (), seen.spec if seen else None) as writer:
            writer.write(encoded.x[ok], None, views.x[ok] if views else None)
        started = time.process_time()
        trained = train(config, Path(folder), Path(folder, "work"))
        learning = time.process_time() - started
        prior = fit_prior(trained.model, FeatureStore.open(Path(folder)), PriorSettings(n_codes=20_000))
    trained.model.requires_grad_(False)
    codec = Codec("view", featurizer, trained.model, config.model, prior, SamplingSettings(), {}, seen)
    encoding = codec.encode(test)
    back = [molecule.smiles for molecule in codec.decode(encoding.z)]
    pairs = [(a, b) for a, b in zip(encoding.smiles, back, strict=True) if a and b]
    return {
        "reads": view or rebuilt,
        "rebuilds": rebuilt,
        "exact": np.mean([a == b for a, b in zip(encoding.smiles, back, strict=True)]),
        "valid": np.mean([text is not None for text in back]),
        "alike": np.mean([tanimoto(a, [b])[0] for a, b in pairs]) if pairs else np.nan,
        "parameters": f"{sum(p.numel() for p in trained.model.parameters()) / 1e6:.1f} M",
        "featurized a second": round(len(corpus) / featurizing),
        "trained a second": round(n_molecules / learning),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--molecules", type=int, default=400_000, help="shown to each model")
    parser.add_argument("--corpus", type=int, default=100_000)
    given = parser.parse_args()
    corpus, test = molecules("moses_train.csv.gz", given.corpus), molecules("moses_test.csv.gz", 2_000)
    rows = []
    for rebuilt, view in FORMS:
        rows.append(row_of(rebuilt, view, corpus, test, given.molecules))
        print(rows[-1], flush=True)
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.precision", 3):
        print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
