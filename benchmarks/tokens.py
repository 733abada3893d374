"""What masked, denoising and sparse members do on tokens, beside plain and beside baselines; prints three tables.

    OMP_NUM_THREADS=1 python benchmarks/tokens.py                        # about 10 minutes on one core
    OMP_NUM_THREADS=1 python benchmarks/tokens.py --molecules 20000      # a quick look

Models of one size, trained on 20,000 molecules of the bundled MOSES training set, judged by 2,000 of its test set.
Hidden tokens: nats a hidden token, decoder told the true tokens before it; unigram and bigram (given the true token
before) are learnt from the same training rows, the bigram at the smoothing that serves it best. Clean from masked: nats
a token of the whole molecule, END counted, and the share of molecules that come back exactly when the code of the
masked text is decoded greedily. Infill: real molecules, two of their tokens that stand together hidden, three hundred
fillings; the bundled codec's tokens are others than those of the rest, and longer.
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

MEMBERS: dict[str, dict[str, Any]] = {
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
    """A codec, and the minutes of one core that its training took."""
    sizes = {"encoder": {"kind": "gru", "embedding": 64, "hidden": 96}, "decoder": {"kind": "gru", "hidden": 192}}
    model = {"recipe": recipe, "n_latent": 64, **sizes, **MEMBERS[recipe]}
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
        model_trained = train(config, Path(folder), Path(folder, "work")).model
        minutes = (time.process_time() - started) / 60
        model_trained.requires_grad_(False)
        prior = fit_prior(model_trained, FeatureStore.open(Path(folder)), PriorSettings(n_codes=5_000))
    return Codec(recipe, featurizer, model_trained, config.model, prior, SamplingSettings(), {}), minutes


def nats(codec: Codec, view: Tensor, x: Tensor, places: Tensor) -> float:
    """Nats a token at the places of x, from what the encoder makes of a view."""
    logits = codec.model.decoder(codec.model.encode(view), torch.zeros(len(x)), x)
    return float(cross_entropy(logits[places], x[places]))


def baselines(rows: np.ndarray, x: np.ndarray, places: np.ndarray, width: int) -> tuple[float, float]:
    """Nats a token of unigram and bigram."""
    known, asked = (np.concatenate([np.full((len(r), 1), BEGIN), r], 1).astype(np.int64) for r in (rows, x))
    inside = (rows != PAD) & (rows != END)
    unigram = np.bincount(rows[inside], minlength=width) + 1.0
    unigram /= unigram.sum()
    counts = np.zeros((width, width))
    np.add.at(counts, (known[:, :-1][inside], known[:, 1:][inside]), 1)
    before, hidden = asked[:, :-1][places], asked[:, 1:][places]
    smoothed = [
        (counts[before, hidden] + a * unigram[hidden]) / (counts[before].sum(1) + a) for a in (1, 3, 10, 30, 100)
    ]
    return float(-np.log(unigram[hidden]).mean()), min(float(-np.log(p).mean()) for p in smoothed)


def infilled(codec: Codec, smiles: list[str], seed: int) -> dict[str, Any]:
    """How often two hidden tokens come back as they were, and how many of all fillings are molecules."""
    random = np.random.default_rng(seed)
    ranks, tried, made, distinct = [], 0, 0, []
    assert isinstance(codec.featurizer, TokenFeaturizer)
    names, started = codec.featurizer.token_texts, time.process_time()
    for text in smiles:
        row = codec.featurizer.encode([text]).x[0]
        ids = row[(row != PAD) & (row != END)]
        place = int(random.integers(len(ids) - 1))
        parts = ["".join(names[i] for i in part) for part in (ids[:place], ids[place + 2 :])]
        table = codec.infill("_".join(parts), n=1000, seed=seed, lengths=(1, 2, 3), tries=300)
        counts = table.attrs["counts"]
        tried, made = tried + counts["tried"], made + counts["tried"] - counts["invalid"] - counts["altered"]
        found = np.flatnonzero(table["smiles"] == canonicalize(text).smiles)
        ranks.append(found[0] if len(found) else np.inf)
        distinct.append(len(table))
    at = np.array(ranks)
    return {
        "first": (at == 0).mean(),
        "in ten": (at < 10).mean(),
        "found": np.isfinite(at).mean(),
        "fillings that are molecules": made / tried,
        "distinct molecules": np.mean(distinct),
        "seconds each": (time.process_time() - started) / len(smiles),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--molecules", type=int, default=200_000, help="shown to each model")
    parser.add_argument("--corpus", type=int, default=20_000)
    parser.add_argument("--vocabulary", type=int, default=200)
    parser.add_argument("--infilled", type=int, default=50, help="molecules of which two tokens are hidden")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    corpus, test = molecules("moses_train.csv.gz", given.corpus), molecules("moses_test.csv.gz", 2_000)
    featurizer = TokenFeaturizer.from_corpus(corpus, given.vocabulary)
    rows = featurizer.encode(corpus).x
    encoded = featurizer.encode(test)
    x = torch.from_numpy(encoded.x[encoded.ok].astype(np.int64))
    test = [text for text, ok in zip(test, encoded.ok, strict=True) if ok]
    codecs = {}
    for recipe in MEMBERS:
        codecs[recipe], minutes = trained_codec(recipe, featurizer, rows, given.molecules, given.seed)
        print(f"{recipe}: {minutes:.1f} minutes of one core, seed {given.seed}", flush=True)
    hidden, clean = [], []
    for rate in RATES:
        corrupted = MaskTokens(rate, is_hidden_scored=True)(Batch(x), torch.Generator().manual_seed(given.seed))
        unigram, bigram = baselines(rows, x.numpy(), corrupted.scored.numpy(), featurizer.spec.width)
        said = {name: nats(codecs[name], corrupted.view, x, corrupted.scored) for name in ("masked", "denoising")}
        hidden.append({"hidden": rate, "unigram": unigram, "bigram": bigram, **said})
        for name in ("plain", "denoising"):
            codec = codecs[name]
            back = [made.smiles for made in codec.decode(codec.model.encode(corrupted.view).numpy())]
            exact = np.mean([a == canonicalize(b).smiles for a, b in zip(back, test, strict=True)])
            per_token = nats(codec, corrupted.view, x, x != PAD)
            clean.append({"hidden": rate, "member": name, "nats a token": per_token, "exact": exact})
    codes = codecs["sparse_topk"].encode(test).z
    speaking = (codes != 0).sum(1)
    infills = [
        {"codec": codec.name, **infilled(codec, test[: given.infilled], given.seed)}
        for codec in (codecs["masked"], codecs["denoising"], load_codec("moses"))
    ]
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.precision", 3):
        for title, table in (("Hidden tokens", hidden), ("Clean from masked", clean), ("Infill", infills)):
            print(f"\n{title}\n{pd.DataFrame(table).to_string(index=False)}")
    print(
        f"\nsparse_topk: {speaking.min()} to {speaking.max()} units speak for each of {len(codes):,} molecules, k = 8; "
        f"{(codes != 0).any(0).sum()} of {codes.shape[1]} units for any"
    )


if __name__ == "__main__":
    main()
