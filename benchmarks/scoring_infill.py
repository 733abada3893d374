"""The subcommand `infill` of scoring.py: how many fillings of fixed parts are molecules that contain the part.

The parts are cut from molecules of the MOSES test set at BRICS bonds (Degen et al. 2008, doi:10.1002/cmdc.200800178):
20 scaffolds with two attachment points, 10 with three, and 10 pairs of fragments to link.
"""

import argparse
import csv
import re
import time
from pathlib import Path

import pandas as pd
from rdkit import Chem
from rdkit.Chem import BRICS

from molvae.bundled import bundled
from molvae.chem.fixed_parts import read_fixed_part
from molvae.codec import Codec, load_codec
from molvae.seeds import generator

RESULTS = Path(__file__).parent / "results" / "infill.csv"
KINDS = {"two points": 20, "three points": 10, "link": 10}
MIN_ATOMS = 6


def cut(smiles: str) -> list[tuple[str, str]]:
    """Kind and SMILES of the parts of a molecule."""
    mol = Chem.MolFromSmiles(smiles)
    bonds = [mol.GetBondBetweenAtoms(*atoms).GetIdx() for atoms, _ in BRICS.FindBRICSBonds(mol)]
    if not bonds:
        return []
    pieces = Chem.GetMolFrags(Chem.FragmentOnBonds(mol, bonds), asMols=True)
    large = [one for one in pieces if sum(atom.GetAtomicNum() > 1 for atom in one.GetAtoms()) >= MIN_ATOMS]
    points = {one: sum(atom.GetAtomicNum() == 0 for atom in one.GetAtoms()) for one in large}
    found = [("two points", number([one])) for one, n in points.items() if n == 2]
    found += [("three points", number([one])) for one, n in points.items() if n == 3]
    ends = [one for one, n in points.items() if n == 1]
    return found + ([("link", number(ends))] if len(ends) == 2 else [])


def number(pieces: list[Chem.Mol]) -> str:
    """SMILES of pieces with numbered attachment points."""
    n, texts = 0, []
    for piece in pieces:
        for atom in piece.GetAtoms():
            if atom.GetAtomicNum() == 0:
                n += 1
                atom.SetIsotope(0)
                atom.SetAtomMapNum(n)
        texts.append(Chem.MolToSmiles(piece))
    return ".".join(texts)


def choose_parts(seed: int) -> list[tuple[str, str]]:
    """The parts, each once whatever the numbers of its attachment points."""
    molecules = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].to_numpy()
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    seen = set()
    for row in generator(seed, "parts").permutation(len(molecules)):
        for kind, part in cut(str(molecules[row])):
            key = Chem.CanonSmiles(re.sub(r":\d+", "", part))
            if key not in seen and len(found[kind]) < KINDS[kind]:
                seen.add(key)
                found[kind].append(part)
        if all(len(found[kind]) == n for kind, n in KINDS.items()):
            break
    return [(kind, part) for kind, parts in found.items() for part in parts]


def measure(codec: Codec, kind: str, part: str, tries: int, seed: int) -> dict[str, object]:
    """Fill one part."""
    started = time.process_time()
    table = codec.infill(part, n=tries, tries=tries, seed=seed)
    seconds = time.process_time() - started
    fixed = read_fixed_part(part)
    kept = table[[fixed.is_in(smiles) for smiles in table["smiles"]]] if len(table) else table
    return {
        "codec": codec.name,
        "kind": kind,
        "part": part,
        "tries": tries,
        "contain_part": int(kept["n_drawn"].sum()),
        "unique": len(kept),
        "cpu_seconds": round(seconds, 2),
        "median_log_probability": round(float(kept["log_probability"].median()), 2) if len(kept) else None,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the subcommand."""
    parser.add_argument("--codecs", nargs="+", default=["moses", "druglike"])
    parser.add_argument("--tries", type=int, default=20, help="fillings per part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV with one row per codec and part")


def run(given: argparse.Namespace) -> None:
    """Fill all parts with each codec, print and write the tables."""
    parts = choose_parts(given.seed)
    rows = []
    for name in given.codecs:
        codec = load_codec(name)
        codec.infill(parts[0][1], tries=10)  # the first call prepares the weights and the vocabulary
        rows += [measure(codec, kind, part, given.tries, given.seed) for kind, part in parts]
    with given.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    table = pd.DataFrame(rows).groupby(["codec", "kind"], sort=False)
    total = table[["tries", "contain_part", "unique", "cpu_seconds"]].sum()
    shares = pd.DataFrame(
        {
            "contain the part": total["contain_part"] / total["tries"],
            "unique": total["unique"] / total["tries"],
            "unique molecules per CPU second": total["unique"] / total["cpu_seconds"],
        }
    )
    print(shares.round(3).to_string())
