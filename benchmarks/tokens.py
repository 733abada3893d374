"""The recipes masked, denoising and sparse_topk on tokens, compared with plain and baselines; prints three tables.

    OMP_NUM_THREADS=1 python benchmarks/tokens.py                        # about 10 minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/tokens.py --molecules 20000      # a quick look

Models of equal size, trained on 20,000 molecules of the bundled MOSES training set, evaluated on 2,000 of its test set.
Masked tokens: nats per masked token, given the true tokens before it; unigram and bigram are fitted to the same
training rows, the bigram with its best smoothing. Reconstruction from masked input: nats per token of the whole
molecule, END included, and the rate of exact greedy reconstructions. Infilling: test molecules with two adjacent tokens
masked, three hundred fillings; the bundled codec has another vocabulary, with longer tokens.
"""

import argparse
import gzip
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from molvae.autoencoder.corruption import MaskTokens
from molvae.autoencoder.trace import Batch
from molvae.bundled import bundled
from molvae.chem.molecules import canonicalize
from molvae.codec import Codec, SamplingSettings, fit_prior, load_codec
from molvae.feature_spec import BEGIN, END, PAD
from molvae.features import FeatureStore, FeatureWriter, TokenFeaturizer
from molvae.latent import PriorSettings
from molvae.training import TrainConfig, train

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"corruption_level": 0.3},
    "denoising": {"corruption_level": 0.3},
    "sparse_topk": {"k": 8},
}
RATES = (0.15, 0.3, 0.5)


def molecules(name: str, n: int) -> list[str]:
    with gzip.open(bundled(name), "rt", encoding="utf-8") as lines:
        smiles = [line.rstrip("\n") for line in lines][1:]
    return [smiles[row] for row in np.random.default_rng(0).permutation(len(smiles))[:n]]


def trained_codec(
    recipe: str, featurizer: TokenFeaturizer, rows: np.ndarray, n_molecules: int, seed: int
) -> tuple[Codec, float]:
    """A codec, and the minutes of its training on one core."""
    sizes = {"encoder": {"kind": "gru", "embedding": 64, "hidden": 96}, "decoder": {"kind": "gru", "hidden": 192}}
    model = {"recipe": recipe, "n_latent": 64, **sizes, **SETTINGS[recipe]}
    training = {
        "seed": seed,
        "n_molecules": n_molecules,
        "n_processes": 1,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "evaluate_every": n_molecules // 4,
        "n_held_out": 500,
    }
    config = TrainConfig.from_dict({"model": model, "training": training}, "benchmark")
    with tempfile.TemporaryDirectory() as folder:
        with FeatureWriter(Path(folder), featurizer.spec) as writer:
            writer.write(rows)
        started = time.process_time()
        trained = train(config, Path(folder), Path(folder, "work")).model
        minutes = (time.process_time() - started) / 60
        trained.requires_grad_(False)
        prior = fit_prior(trained, FeatureStore.open(Path(folder)), PriorSettings(n_molecules=5_000))
    return Codec(recipe, featurizer, trained, config.model, prior, SamplingSettings(), {}), minutes


def nats(codec: Codec, view: Tensor, x: Tensor, mask: Tensor) -> float:
    """Nats per token of x where the mask is True, given an encoder input."""
    logits = codec.model.decoder(codec.model.encode(view), torch.zeros(len(x)), x)
    return float(cross_entropy(logits[mask], x[mask]))


def baselines(rows: np.ndarray, x: np.ndarray, mask: np.ndarray, width: int) -> tuple[float, float]:
    """Nats per masked token of unigram and bigram."""
    train, test = (np.concatenate([np.full((len(r), 1), BEGIN), r], 1).astype(np.int64) for r in (rows, x))
    inside = (rows != PAD) & (rows != END)
    unigram = np.bincount(rows[inside], minlength=width) + 1.0
    unigram /= unigram.sum()
    counts = np.zeros((width, width))
    np.add.at(counts, (train[:, :-1][inside], train[:, 1:][inside]), 1)
    before, masked = test[:, :-1][mask], test[:, 1:][mask]
    smoothed = [
        (counts[before, masked] + a * unigram[masked]) / (counts[before].sum(1) + a) for a in (1, 3, 10, 30, 100)
    ]
    return float(-np.log(unigram[masked]).mean()), min(float(-np.log(p).mean()) for p in smoothed)


def infilled(codec: Codec, smiles: list[str], seed: int) -> dict[str, Any]:
    """How often infilling finds two masked tokens, and the fraction of valid fillings."""
    random = np.random.default_rng(seed)
    ranks, tried, valid, unique = [], 0, 0, []
    assert isinstance(codec.featurizer, TokenFeaturizer)
    names, started = codec.featurizer.token_texts, time.process_time()
    for original in smiles:
        row = codec.featurizer.encode([original]).x[0]
        ids = row[(row != PAD) & (row != END)]
        gap = int(random.integers(len(ids) - 1))
        parts = ["".join(names[i] for i in part) for part in (ids[:gap], ids[gap + 2 :])]
        table = codec.infill("_".join(parts), n=1000, seed=seed, tries=300)
        counts = table.attrs["counts"]
        tried, valid = tried + counts["tried"], valid + counts["tried"] - counts["invalid"] - counts["altered"]
        found = np.flatnonzero(table["smiles"] == canonicalize(original).smiles)
        ranks.append(found[0] if len(found) else np.inf)
        unique.append(len(table))
    rank = np.array(ranks)
    return {
        "original first": (rank == 0).mean(),
        "in first ten": (rank < 10).mean(),
        "found": np.isfinite(rank).mean(),
        "valid fillings": valid / tried,
        "unique molecules": np.mean(unique),
        "seconds per molecule": (time.process_time() - started) / len(smiles),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--molecules", type=int, default=200_000, help="molecules shown in the training of each model")
    parser.add_argument("--corpus", type=int, default=20_000, help="unique training molecules")
    parser.add_argument("--vocabulary", type=int, default=200, help="size of the vocabulary")
    parser.add_argument("--infilled", type=int, default=50, help="molecules to infill")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    corpus, test = molecules("moses_train.csv.gz", given.corpus), molecules("moses_test.csv.gz", 2_000)
    featurizer = TokenFeaturizer.from_corpus(corpus, given.vocabulary)
    rows = featurizer.encode(corpus).x
    encoded = featurizer.encode(test)
    x = torch.from_numpy(encoded.x[encoded.ok].astype(np.int64))
    test = [smiles for smiles, ok in zip(test, encoded.ok, strict=True) if ok]
    codecs = {}
    for recipe in SETTINGS:
        codecs[recipe], minutes = trained_codec(recipe, featurizer, rows, given.molecules, given.seed)
        print(f"{recipe}: {minutes:.1f} minutes of one core, seed {given.seed}", flush=True)
    masked_rows, reconstructed_rows = [], []
    for rate in RATES:
        corrupted = MaskTokens(rate, is_hidden_scored=True)(Batch(x), torch.Generator().manual_seed(given.seed))
        unigram, bigram = baselines(rows, x.numpy(), corrupted.scored.numpy(), featurizer.spec.width)
        by_codec = {name: nats(codecs[name], corrupted.view, x, corrupted.scored) for name in ("masked", "denoising")}
        masked_rows.append({"masked": rate, "unigram": unigram, "bigram": bigram, **by_codec})
        for name in ("plain", "denoising"):
            codec = codecs[name]
            decoded = [molecule.smiles for molecule in codec.decode(codec.model.encode(corrupted.view).numpy())]
            exact = np.mean([a == canonicalize(b).smiles for a, b in zip(decoded, test, strict=True)])
            per_token = nats(codec, corrupted.view, x, x != PAD)
            reconstructed_rows.append({"masked": rate, "recipe": name, "nats per token": per_token, "exact": exact})
    is_active = codecs["sparse_topk"].encode(test).z != 0
    n_active = is_active.sum(1)
    infills = [
        {"codec": codec.name, **infilled(codec, test[: given.infilled], given.seed)}
        for codec in (codecs["masked"], codecs["denoising"], load_codec("moses"))
    ]
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.precision", 3):
        for title, table in (
            ("Masked tokens", masked_rows),
            ("Reconstruction from masked input", reconstructed_rows),
            ("Infilling", infills),
        ):
            print(f"\n{title}\n{pd.DataFrame(table).to_string(index=False)}")
    print(
        f"\nsparse_topk, k = 8: {n_active.min()} to {n_active.max()} active units per molecule ({len(is_active):,}); "
        f"{is_active.any(0).sum()} of {is_active.shape[1]} units are active for at least one"
    )


if __name__ == "__main__":
    main()
