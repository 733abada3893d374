"""The fast path of standardize() compared with the full ChEMBL structure pipeline: time and results.

    python benchmarks/standardize.py FILE.smi[.gz] [--n 20000] [--seed 0]

FILE has one SMILES per line (a first line `SMILES` is skipped). Prints one table row: molecules, those that need the
full pipeline, those that are changed or dropped, milliseconds per molecule of both, different results, and results that
change when standardized again; then the first differences.
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
    parser.add_argument("file", type=Path, help="file of SMILES, one per line")
    parser.add_argument("--n", type=int, default=20_000, help="molecules")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    smiles = read(arguments.file, arguments.n, arguments.seed)
    standardize("C[NH3+]")  # imports the pipeline before the timing

    start = time.process_time()
    fast = [standardize(one) for one in smiles]
    fast_ms = (time.process_time() - start) / len(smiles) * 1e3
    start = time.process_time()
    for one in smiles[:2000]:
        get_parent_mol(standardize_mol(Chem.MolFromSmiles(one)))
    full_ms = (time.process_time() - start) / len(smiles[:2000]) * 1e3
    full = [full_pipeline(one) for one in smiles]

    n_full = sum(needs_full_pipeline(one) for one in smiles)
    different = [(a, b.smiles, c) for a, b, c in zip(smiles, fast, full, strict=True) if b.smiles != c]
    unstable = sum(r.smiles is not None and standardize(r.smiles).smiles != r.smiles for r in fast)
    dropped = sum(result.smiles is None for result in fast)
    changed = sum(result.smiles != canonicalize(one).smiles for one, result in zip(smiles, fast, strict=True))
    columns = "molecules | full pipeline | changed | dropped | ms, standardize | ms, pipeline | different | unstable"
    print(f"| file | {columns} |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {arguments.file.name} | {len(smiles):,} | {n_full:,} | {changed:,} | {dropped} "
        f"| {fast_ms:.2f} | {full_ms:.2f} | {len(different)} | {unstable} |"
    )
    for raw, ours, theirs in different[:20]:
        print(f"  {raw}\n    standardize {ours}\n    pipeline    {theirs}")


def read(path: Path, n: int, seed: int) -> list[str]:
    """A random sample of the SMILES of a file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        smiles = [line.split()[0] for line in file if line.strip()]
    smiles = smiles[smiles[0].lower() == "smiles" :]
    return random.Random(seed).sample(smiles, min(n, len(smiles)))


def full_pipeline(smiles: str) -> str | None:
    """standardize_mol and get_parent_mol, with sulfoxides as S(=O), as molvae writes them.

    Applied up to three times, because one pass is not always idempotent (an imidate is first protonated, and becomes an
    amide in the next pass).
    """
    for _ in range(3):
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            return None
        parent, _ = get_parent_mol(standardize_mol(mol))
        previous, smiles = smiles, canonicalize(Chem.MolToSmiles(molecules._write_sulfoxides(parent))).smiles
        if smiles == previous:
            break
    return smiles


def needs_full_pipeline(smiles: str) -> bool:
    mol = Chem.MolFromSmiles(smiles)
    return mol is not None and molecules._needs_pipeline(Chem.MolToSmiles(mol), mol)


if __name__ == "__main__":
    main()
