"""Samples of different priors, and the effect of noise, temperature and guidance; prints two tables.

    python benchmarks/prior.py --flow-samples 20000000      # about 40 CPU-minutes, 20 of them for the flow
    python benchmarks/prior.py --part guidance             # about five CPU-minutes
    python benchmarks/prior.py --quick                     # a quick look

Priors are fitted to latent vectors of molecules of the MOSES training set (--n-vectors, seed 0). "training latent
vectors" decodes these vectors themselves, the upper limit of any prior; "as shipped" is the codec's own prior with its
spread; the others have no spread. Each row is of 10,000 draws (seed 1), decoded once. valid: fraction of the draws;
unique: fraction of the valid molecules; novel: fraction of the unique molecules that are not in the training set.
prior_cosine: mean cosine similarity of a draw, before noise, and the latent vector of its molecule (1,500 molecules).
FCD: of 9,000 valid molecules to the MOSES test set; real molecules have 0.15.

Guidance: 2,000 draws of the codec (own prior and temperature, no spread), up to three attempts each, to a window of
logP, at the codec's noise level and at a lower one. hit: fraction of the valid molecules whose logP is in the window.
Real molecules have an FCD of 0.63 at this sample size.
"""

import argparse
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from molvae.benchmark.fcd import FcdStatistics, fcd
from molvae.bundled import bundled
from molvae.chem.metrics import internal_diversity
from molvae.chem.properties import compute
from molvae.codec import Codec, load_codec
from molvae.latent import FlowPrior, GaussianPrior, MixturePrior, PriorSettings
from molvae.latent.flow import FlowSettings

SETTINGS = [(0.4, 0.5), (0.5, 0.5), (0.6, 0.5), (0.6, 0.8), (0.6, 1.0), (1.0, 0.8)]
"""Noise and temperature of the decoder."""

WINDOWS = [(0.0, 0.5), (2.0, 2.5), (4.0, 4.5)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--part", nargs="+", choices=("priors", "guidance"), default=("priors", "guidance"))
    parser.add_argument("--n-vectors", type=int, default=300_000, help="latent vectors to fit the priors to")
    parser.add_argument(
        "--flow-samples", type=int, default=20_000_000, help="latent vectors shown in the training of the flow"
    )
    parser.add_argument("--quick", action="store_true", help="few molecules, as a test")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec, n = load_codec(options.codec), 300 if options.quick else 10_000
    reference = FcdStatistics.load(bundled("moses_test_fcd.npz"))
    if "priors" in options.part:
        n_vectors, n_samples = (2_000, 20_000) if options.quick else (options.n_vectors, options.flow_samples)
        print(pd.DataFrame(prior_rows(codec, n, n_vectors, n_samples, reference)).to_string(index=False), end="\n\n")
    if "guidance" in options.part:
        rows = guidance_rows(codec, 100 if options.quick else 2_000, reference)
        print(pd.DataFrame(rows).to_string(index=False))


def prior_rows(
    codec: Codec, n: int, n_vectors: int, n_samples: int, reference: FcdStatistics
) -> list[dict[str, float | str | None]]:
    train = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].to_numpy()
    z = codec.encode(train[np.random.default_rng(0).permutation(len(train))[:n_vectors]]).z
    z = z[np.isfinite(z).all(1)]
    flow = PriorSettings(kind="flow", flow=FlowSettings(n_samples=n_samples))
    standard_normal = GaussianPrior(np.zeros(codec.n_latent), np.eye(codec.n_latent))
    priors: dict[str, Any] = {
        "N(0, I)": standard_normal,
        "gaussian": GaussianPrior.fit(z),
        "mixture of 32": MixturePrior.fit(z, PriorSettings(kind="mixture", components=32)),
        "flow": FlowPrior.fit(z, flow),
    }
    draws = {name: prior.sample(n, np.random.default_rng(1)) for name, prior in priors.items()}
    draws = {"training latent vectors": z[:n], **draws}
    draws["as shipped"] = codec.draw(n, seed=1)
    training_set, rows = set(train), []
    for name, latent in draws.items():
        for noise, temperature in SETTINGS:
            figures = sample_figures(codec, latent, noise, temperature, training_set, reference)
            rows.append({"prior": name, "noise": noise, "temperature": temperature, **figures})
            print(rows[-1], flush=True)
    return rows


def sample_figures(
    codec: Codec, z: np.ndarray, noise: float, temperature: float, training_set: set[str], reference: FcdStatistics
) -> dict[str, float | None]:
    decoded = codec.decode(z, noise=noise, temperature=temperature, seed=1)
    rows = [row for row, molecule in enumerate(decoded) if molecule.smiles is not None]
    smiles = [decoded[row].smiles or "" for row in rows]
    unique = set(smiles)
    reencoded = codec.encode(smiles[:1_500])
    a, b = z[rows[:1_500]][reencoded.ok], reencoded.z[reencoded.ok]
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    (distance,) = fcd(smiles[:9_000], reference)
    return {
        "valid": round(len(smiles) / len(z), 4),
        "unique": round(len(unique) / len(smiles), 4),
        "novel": round(1 - len(unique & training_set) / len(unique), 3),
        "prior_cosine": round(float(cosine.mean()), 3),
        "IntDiv": round(internal_diversity(smiles[:5_000]), 4),
        "FCD": None if distance is None else round(distance, 3),
    }


def guidance_rows(codec: Codec, n: int, reference: FcdStatistics) -> list[dict[str, float | str | None]]:
    rows: list[dict[str, float | str | None]] = []
    for low, high in WINDOWS:
        for guidance, noise in product((0.0, 1.0, 2.0, 4.0), (codec.sampling.noise, 0.3)):
            drawn = codec.sample(n, seed=1, windows={"logp": (low, high)}, guidance=guidance, noise=noise)
            smiles = [molecule.smiles for molecule in drawn if molecule.smiles is not None]
            logp = compute(smiles, ["logp"])["logp"].to_numpy()
            (distance,) = fcd(smiles, reference)
            figures = {"valid": round(len(smiles) / n, 4), "mean logP": round(float(logp.mean()), 2)}
            hit = round(float(((logp >= low) & (logp <= high)).mean()), 3)
            spread = {"IntDiv": round(internal_diversity(smiles), 4), "FCD": distance and round(distance, 2)}
            window = f"{low} to {high}"
            rows.append({"window": window, "guidance": guidance, "noise": noise, **figures, "hit": hit, **spread})
            print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
