"""What the short way of standardize() costs, and whether it agrees with the whole ChEMBL pipeline.

    python benchmarks/standardize.py FILE.smi[.gz] [--n 20000] [--seed 0]

FILE holds one SMILES a line (a first line `SMILES` is passed over). Prints one table row: molecules, how many took the
long way, milliseconds per molecule of both, in how many the results differ, and how many results were not stable; then
the first differences.
"""

import argparse
import gzip
import random
import time
from pathlib import Path

from chembl_structure_pipeline import get_parent_mol, standardize_mol
from rdkit import Chem, RDLogger

from molvae.chem import molecules
from molvae.chem.molecules import canonicalize, standardize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    smiles = read(arguments.file, arguments.n, arguments.seed)
    standardize("C[NH3+]")  # imports the pipeline before the clock starts

    start = time.process_time()
    short = [standardize(text) for text in smiles]
    short_ms = (time.process_time() - start) / len(smiles) * 1e3
    start = time.process_time()
    for text in smiles[:2000]:
        get_parent_mol(standardize_mol(Chem.MolFromSmiles(text)))
    long_ms = (time.process_time() - start) / len(smiles[:2000]) * 1e3
    long = [whole_pipeline(text) for text in smiles]

    mended = sum(takes_long_way(text) for text in smiles)
    differing = [(a, b.smiles, c) for a, b, c in zip(smiles, short, long, strict=True) if b.smiles != c]
    unstable = sum(r.smiles is not None and standardize(r.smiles).smiles != r.smiles for r in short)
    dropped = sum(result.smiles is None for result in short)
    changed = sum(result.smiles != canonicalize(text).smiles for text, result in zip(smiles, short, strict=True))
    print("| file | molecules | long way | changed | dropped | ms, standardize | ms, pipeline | differ | unstable |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {arguments.file.name} | {len(smiles):,} | {mended:,} | {changed:,} | {dropped} "
        f"| {short_ms:.2f} | {long_ms:.2f} | {len(differing)} | {unstable} |"
    )
    for raw, ours, theirs in differing[:20]:
        print(f"  {raw}\n    standardize {ours}\n    pipeline    {theirs}")


def read(path: Path, n: int, seed: int) -> list[str]:
    """A random sample of the file's SMILES."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        smiles = [line.split()[0] for line in file if line.strip()]
    smiles = smiles[smiles[0].lower() == "smiles" :]
    return random.Random(seed).sample(smiles, min(n, len(smiles)))


def whole_pipeline(text: str) -> str | None:
    """standardize_mol and get_parent_mol on every molecule; sulfoxides written S(=O), as the project has them.

    Run again on its own result, because one pass of the pipeline is not always its own fixpoint (an imidate is first
    protonated, and only the next pass writes it as an amide).
    """
    for _ in range(3):
        mol = Chem.MolFromSmiles(text)
        if mol is None:
            return None
        parent, _ = get_parent_mol(standardize_mol(mol))
        last, text = text, canonicalize(Chem.MolToSmiles(molecules._write_sulfoxides(parent))).smiles
        if text == last:
            break
    return text


def takes_long_way(text: str) -> bool:
    mol = Chem.MolFromSmiles(text)
    return mol is not None and molecules._needs_mending(Chem.MolToSmiles(mol), mol)


if __name__ == "__main__":
    main()
