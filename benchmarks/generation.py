"""Latent space beyond search: property directions, neighborhoods, interpolation and maps; prints five tables.

    OMP_NUM_THREADS=1 python benchmarks/generation.py          # about ten minutes
    OMP_NUM_THREADS=1 python benchmarks/generation.py --quick  # a tenth of the molecules

Molecules of the bundled MOSES test set, on which no codec was trained. Similarities are Tanimoto, Morgan radius 2.
"Between by similarity": fraction of the molecules between two ends that are at least as similar to both ends as the
ends are to each other.
"""

import argparse
import time

import numpy as np
import pandas as pd

from molvae.bundled import bundled
from molvae.chem.fingerprints import tanimoto
from molvae.codec import Codec, load_codec
from molvae.latent import geometry
from molvae.seeds import generator

PROPERTIES = ("logp", "tpsa", "qed")
RADII = (0.0, 0.1, 0.25, 0.5, 1.0)


def directions(codec: Codec, fitted: list[str], moved: list[str]) -> None:
    """Print the mean slopes of each property, forwards and backwards along its direction and along five random ones."""
    columns = f"slope of the fit | slope of {len(moved)} molecules | largest of 5 random directions"
    print(f"\n| property | r2 | {columns} | valid |")
    print("|---|---|---|---|---|---|")
    profiles = {}
    for name in PROPERTIES:
        direction = codec.attribute_direction(fitted, name)
        measured = codec.measure_direction(direction, moved, name, n_random=5)
        both = measured.slopes[measured.slopes["way"] == "both"].set_index("direction")
        own, random = both.loc["attribute"], both.drop("attribute")
        largest = random.loc[random["slope"].abs().idxmax()]
        cells = [f"{row['slope']:.4f} ± {row['standard_error']:.4f}" for row in (own, largest)]
        fit = f"| {name} | {direction.r2:.2f} | {direction.slope:.4f} |"
        print(f"{fit} {cells[0]} | {cells[1]} | {own['valid']:.0%} |", flush=True)
        steps = measured.steps[measured.steps["direction"] == "attribute"]
        profiles[name] = steps.groupby(steps["distance"].round(2))["value"].mean()
    profile = pd.DataFrame(profiles)
    print("\n| mean at distance | " + " | ".join(f"{distance:g}" for distance in profile.index) + " |")
    print("|---|" + "---|" * len(profile))
    for name in PROPERTIES:
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in profile[name]) + " |", flush=True)


def neighborhoods(codec: Codec, smiles: list[str]) -> None:
    columns = "start molecule | invalid | other molecules of 15 | similarity of others"
    print(f"\n| radius, {len(smiles)} molecules | {columns} |")
    print("|---|---|---|---|---|")
    for radius in RADII:
        found = [draw_around(codec, one, radius) for one in smiles]  # 15 decodes each
        start = np.mean([drawn.count(one) for one, drawn in zip(smiles, found, strict=True)]) / 15
        invalid = np.mean([drawn.count(None) for drawn in found]) / 15
        others = [
            sorted({other for other in drawn if other is not None} - {one})
            for one, drawn in zip(smiles, found, strict=True)
        ]
        similarity = np.concatenate([tanimoto(one, drawn) for one, drawn in zip(smiles, others, strict=True)]).mean()
        n_others = np.mean([len(drawn) for drawn in others])
        print(f"| {radius:g} | {start:.1%} | {invalid:.1%} | {n_others:.1f} | {similarity:.2f} |", flush=True)


def draw_around(codec: Codec, smiles: str, radius: float) -> list[str | None]:
    """Decode five latent vectors at a distance of a molecule: greedily, and twice with noise."""
    z = geometry.step_around(codec.encode([smiles]).z[0], radius, 5, generator(0, "neighborhood"), codec.prior.factor)
    decoded = codec.decode(z) + codec.decode(np.repeat(z, 2, axis=0), noise=0.2, temperature=0.3)
    return [one.smiles for one in decoded]


def interpolations(codec: Codec, pairs: list[tuple[str, str]]) -> None:
    columns = "valid | unique molecules between | between by similarity"
    print(f"\n| interpolation, {len(pairs)} pairs, 8 steps | {columns} |")
    print("|---|---|---|---|")
    for path in ("linear", "spherical"):
        unique, is_between, is_valid = [], [], []
        for a, b in pairs:
            center = codec.prior.mean if path == "spherical" else None
            ends = codec.encode([a, b]).z
            z = geometry.interpolate(ends[0], ends[1], 10, path=path, center=center)
            smiles = [one.smiles for one in codec.decode(z[1:-1])]
            is_valid += [one is not None for one in smiles]
            inner = sorted({one for one in smiles if one is not None} - {a, b})
            unique.append(len(inner))
            to_ends = np.minimum(tanimoto(a, inner), tanimoto(b, inner))
            is_between += (to_ends >= tanimoto(a, [b])[0]).tolist()
        print(f"| {path} | {np.mean(is_valid):.1%} | {np.mean(unique):.1f} | {np.mean(is_between):.1%} |", flush=True)


def maps(codec: Codec, smiles: list[str]) -> None:
    encoding = codec.encode(smiles)
    print(f"\n| map of {int(encoding.ok.sum()):,} molecules | neighbors by | trustworthiness | preservation@10 |")
    print("|---|---|---|---|")
    for method in ("pca", "tsne"):
        projection = codec.project(encoding, method=method)
        for line in projection.quality.itertuples():
            numbers = f"{line.trustworthiness:.3f} | {line.preservation:.3f}"
            print(f"| {method} of {line.map} | {line.neighbors_by} | {numbers} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--quick", action="store_true", help="a tenth of the molecules")
    arguments = parser.parse_args()
    codec = load_codec(arguments.codec)
    share = 10 if arguments.quick else 1
    test = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].sample(5000, random_state=0)
    encoding = codec.encode(test)
    smiles = [one for one, ok in zip(encoding.smiles, encoding.ok, strict=True) if ok and one]
    begin = time.process_time()
    directions(codec, smiles[:400], smiles[400 : 400 + 100 // share])
    neighborhoods(codec, smiles[1000 : 1000 + 200 // share])
    ends = smiles[1500 : 1500 + 100 // share]
    interpolations(codec, list(zip(ends[::2], ends[1::2], strict=True)))
    maps(codec, smiles[2000 : 2000 + 2000 // share])
    print(f"\n{time.process_time() - begin:.0f} CPU seconds")


if __name__ == "__main__":
    main()
