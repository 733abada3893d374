"""Applicability domain of a codec: ROC-AUC of its score and of four baselines; prints one table.

    OMP_NUM_THREADS=1 python benchmarks/domain.py --chembl chembl.smi.gz           # a few minutes
    OMP_NUM_THREADS=1 python benchmarks/domain.py --n 200 --training 2000          # a quick look, without ChEMBL

Inside the domain: MOSES test molecules. Outside: (a) ChEMBL molecules outside the MOSES filters, stereo removed:
molecular weight not from 250 to 350 Da, more than 7 rotatable bonds, logP (Crippen) above 3.5, an element other than C,
N, O, S, F, Cl and Br, a charge, or a ring of more than 8 atoms; (b) other test molecules with one unusual edit that
RDKit accepts. The ROC-AUC is the probability that an outside molecule has a higher score than a test molecule.
"encoded": molecules that the codec can encode. "all": the codec's scores of molecules that it cannot encode are
infinite; the baselines score every molecule. Baselines: one minus the Tanimoto similarity to the nearest of 20,000
training molecules (Morgan radius 2, 2,048 bits), and isolation forests fitted to their latent vectors, Morgan bits
(1,024) and eleven physicochemical properties.
"""

import argparse
import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from molvae.bundled import bundled
from molvae.chem.fingerprints import ReferenceSet, morgan_bits
from molvae.chem.molecules import canonicalize, parse, standardize
from molvae.chem.properties import compute
from molvae.codec import Codec, load_codec
from molvae.seeds import generator

Edit = Callable[[Chem.RWMol, np.random.Generator], bool]


def _draw(mol: Chem.Mol, smarts: str, random: np.random.Generator) -> tuple[int, ...] | None:
    """A random match of a pattern."""
    matches = mol.GetSubstructMatches(_PATTERNS.setdefault(smarts, Chem.MolFromSmarts(smarts)))
    return matches[random.integers(len(matches))] if matches else None


_PATTERNS: dict[str, Chem.Mol] = {}


def _chain(symbols: str) -> Edit:
    """Insert a chain of atoms into a single bond between two carbons."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, "[#6]-[#6]", random)
        if match is None:
            return False
        first, last = match
        mol.RemoveBond(first, last)
        for symbol in symbols:
            atom = mol.AddAtom(Chem.Atom(symbol))
            mol.AddBond(first, atom, Chem.BondType.SINGLE)
            first = atom
        mol.AddBond(first, last, Chem.BondType.SINGLE)
        return True

    return edit


def _attach(smiles: str, smarts: str = "[C,c,N,n;!H0]") -> Edit:
    """Replace a hydrogen by a group, which is bonded through its first atom."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, smarts, random)
        if match is None:
            return False
        first = mol.GetNumAtoms()
        mol.InsertMol(parse(smiles))
        mol.AddBond(match[0], first, Chem.BondType.SINGLE)
        atom = mol.GetAtomWithIdx(match[0])
        atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - 1))
        return True

    return edit


def _bonds(smarts: str, *orders: Chem.BondType) -> Edit:
    """Set the orders of the bonds along a matched chain of carbons."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, smarts, random)
        if match is None:
            return False
        for first, last, order in zip(match[:-1], match[1:], orders, strict=True):
            mol.GetBondBetweenAtoms(first, last).SetBondType(order)
        return True

    return edit


def _swap(smarts: str, symbol: str) -> Edit:
    """Change the element of every atom of a match."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, smarts, random)
        if match is None:
            return False
        for index in match:
            atom = mol.GetAtomWithIdx(index)
            atom.SetAtomicNum(Chem.GetPeriodicTable().GetAtomicNumber(symbol))
            atom.SetNumExplicitHs(0)
        return True

    return edit


def _halogenate(mol: Chem.RWMol, random: np.random.Generator) -> bool:
    """Replace every hydrogen of four carbons by a halogen."""
    carbons = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetSymbol() == "C" and atom.GetTotalNumHs()]
    if len(carbons) < 4:
        return False
    number = int(random.choice([9, 17, 35]))
    for carbon in random.permutation(carbons)[:4].tolist():
        for _ in range(mol.GetAtomWithIdx(carbon).GetTotalNumHs()):
            mol.AddBond(carbon, mol.AddAtom(Chem.Atom(number)), Chem.BondType.SINGLE)
    return True


_S, _D, _T = Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE
EDITS: dict[str, Edit] = {
    "peroxide": _chain("OO"),
    "trioxide": _chain("OOO"),
    "triazane": _chain("NNN"),
    "trisulfide": _chain("SSS"),
    "N-O-N chain": _chain("NON"),
    "hydrazine in a ring": _swap("[CX4;R;!H0;!H1]-[CX4;R;!H0;!H1]", "N"),
    "peroxide in a ring": _swap("[CX4;R;!H0;!H1]-[CX4;R;!H0;!H1]", "O"),
    "N in an aromatic ring": _swap("[cH]:[cH]", "N"),
    "anti-Bredt double bond": _bonds("[CX4;R2;!H0]-[CX4;R1;!H0]", _D),
    "allene in a ring": _bonds("[CX4;R;!H0]@-[CX4;R;!H0;!H1]@-[CX4;R;!H0]", _D, _D),
    "alkyne in a ring": _bonds("[CX4;R;!H0;!H1]@-[CX4;R;!H0;!H1]", _T),
    "cumulene": _attach("C=C=C=C"),
    "cyclopropene": _attach("C1=CC1"),
    "oxirene": _attach("C1=CO1"),
    "tetrahedrane": _attach("C12C3C1C23"),
    "cyclobutadiene": _attach("C1=CC=C1"),
    "propellane": _attach("C1CC23CC1C2C3"),
    "ynol": _attach("C#CO", "[C,c;!H0]"),
    "hypohalite": _attach("OCl", "[C,c;!H0]"),
    "N-bromo": _attach("Br", "[#7;!H0]"),
    "N-fluoro": _attach("F", "[#7;!H0]"),
    "orthocarbonate": _attach("C(O)(O)O", "[C,c;!H0]"),
    "thioaldehyde": _attach("C=S", "[C,c;!H0]"),
    "polyhalogenated": _halogenate,
}


def unusual_edit(smiles: str, random: np.random.Generator) -> tuple[str, str] | None:
    """The molecule with one unusual edit that RDKit accepts, and the name of the edit; None if no edit is possible."""
    names = list(EDITS)
    for index in random.permutation(len(names)).tolist():
        mol = Chem.RWMol(parse(smiles))
        Chem.Kekulize(mol, clearAromaticFlags=False)
        if not EDITS[names[index]](mol, random):
            continue
        with rdBase.BlockLogs():
            try:
                Chem.SanitizeMol(mol)
                edited = canonicalize(Chem.MolToSmiles(mol)).smiles
            except (ValueError, RuntimeError):
                continue
        if edited is not None and edited != smiles and "." not in edited:
            return edited, names[index]
    return None


PROPERTIES = ["mol_weight", "logp", "tpsa", "hbd", "hba", "rotatable_bonds", "rings", "aromatic_rings", "fraction_csp3"]
PROPERTIES += ["heavy_atoms", "qed"]
SCORES = {
    "domain percentile": "domain_percentile",
    "reconstruction alone": "reconstruction_percentile",
    "likelihood alone": "nll_percentile",
    "density alone": "density_percentile",
}


def is_outside(smiles: str) -> bool:
    """Whether a molecule is outside the MOSES filters, without their substructure rules."""
    mol = parse(smiles)
    values = compute([smiles], ["mol_weight", "logp", "rotatable_bonds", "formal_charge"]).iloc[0]
    symbols = {atom.GetSymbol() for atom in mol.GetAtoms()}
    largest = max(map(len, mol.GetRingInfo().AtomRings()), default=0)
    return bool(
        not 250 <= values["mol_weight"] <= 350
        or values["logp"] > 3.5
        or values["rotatable_bonds"] > 7
        or values["formal_charge"]
        or symbols - {"C", "N", "O", "S", "F", "Cl", "Br", "H"}
        or largest > 8
    )


def read_outside(path: Path, n: int, random: np.random.Generator) -> list[str]:
    """n random molecules of a file, one SMILES per line, that are outside the filters; stereo removed."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        raw = [line.split()[0] for line in lines if line.strip()]
    found: list[str] = []
    for row in random.permutation(len(raw)):
        standard = standardize(raw[row]).smiles
        if standard is None:
            continue
        mol = parse(standard)
        Chem.RemoveStereochemistry(mol)
        smiles = canonicalize(Chem.MolToSmiles(mol)).smiles
        if smiles is not None and is_outside(smiles):
            found.append(smiles)
        if len(found) == n:
            break
    return found


def baselines(codec: Codec, training: list[str], seed: int) -> dict[str, Callable[[list[str]], np.ndarray]]:
    """Name -> function of molecules: a score each, higher outside the domain, NaN where it cannot be computed."""
    nearest = ReferenceSet(training)

    def latent(smiles: list[str]) -> np.ndarray:
        return codec.encode(smiles).z

    def bits(smiles: list[str]) -> np.ndarray:
        return morgan_bits(smiles, n_bits=1024)

    def properties(smiles: list[str]) -> np.ndarray:
        return compute(smiles, PROPERTIES).to_numpy(float)

    def forest(features: Callable[[list[str]], np.ndarray]) -> Callable[[list[str]], np.ndarray]:
        x = features(training)
        trees = IsolationForest(n_estimators=200, random_state=seed).fit(x[np.isfinite(x).all(1)])

        def score(smiles: list[str]) -> np.ndarray:
            x = features(smiles)
            scores, finite = np.full(len(x), np.nan), np.isfinite(x).all(1)
            scores[finite] = -trees.score_samples(x[finite])
            return scores

        return score

    return {
        "nearest Tanimoto": lambda smiles: 1 - nearest.nearest(smiles)[1].astype(float),
        "isolation forest, latent vectors": forest(latent),
        "isolation forest, Morgan bits": forest(bits),
        "isolation forest, properties": forest(properties),
    }


def area(inside: np.ndarray, outside: np.ndarray) -> float:
    """ROC-AUC of outside molecules against test molecules."""
    labels = np.repeat([0, 1], [len(inside), len(outside)])
    return float(roc_auc_score(labels, np.concatenate([inside, outside])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--chembl", type=Path, help="file of SMILES, one per line; without it, (a) is skipped")
    parser.add_argument("--n", type=int, default=2_000, help="molecules of each set")
    parser.add_argument("--training", type=int, default=20_000, help="training molecules of the baselines")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    codec, random = load_codec(arguments.codec), generator(arguments.seed, "domain benchmark")
    test = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].to_numpy()[random.permutation(176_074)]
    inside = [canonicalize(smiles).smiles or "" for smiles in test[: arguments.n]]
    outside: dict[str, list[str]] = {}
    if arguments.chembl:
        outside["(a) ChEMBL"] = read_outside(arguments.chembl, arguments.n, random)
    edits = (unusual_edit(canonicalize(smiles).smiles or "", random) for smiles in test[arguments.n :])
    edited = [pair for _, pair in zip(range(arguments.n), filter(None, edits), strict=False)]
    outside["(b) unusual edits"] = [smiles for smiles, _ in edited]
    training = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].sample(arguments.training, random_state=0).tolist()
    training = [canonicalize(smiles).smiles or "" for smiles in training]

    sets = {"test": inside} | outside
    tables = {name: codec.applicability_domain(smiles) for name, smiles in sets.items()}
    encoded = {name: table["reconstruction_nats"].notna().to_numpy() for name, table in tables.items()}
    scores = {
        score: {name: np.where(encoded[name], table[column], np.inf) for name, table in tables.items()}
        for score, column in SCORES.items()
    }
    for name, function in baselines(codec, training, arguments.seed).items():
        scores[name] = {key: function(smiles) for key, smiles in sets.items()}
    print("| ROC-AUC | " + " | ".join(f"{name}, encoded | {name}, all" for name in outside) + " |")
    print("|---" * (1 + 2 * len(outside)) + "|")
    for score, values in scores.items():
        cells = []
        for name in outside:
            own, other = (np.minimum(values[key], 1e9) for key in ("test", name))
            own, is_encoded = own[encoded["test"]], encoded[name]
            cells.append(f"{area(own, other[is_encoded]):.3f}")
            cells.append("" if np.isnan(other).any() else f"{area(own, other):.3f}")
        print(f"| {score} | " + " | ".join(cells) + " |", flush=True)
    print()
    for name, table in tables.items():
        outside_share = (~table["in_domain"].astype(bool)).mean()
        print(
            f"{name}: {len(table):,} molecules, {encoded[name].mean():.1%} encoded, {outside_share:.1%} out of domain"
        )
    missed: Counter[str] = Counter()
    for (_, edit), in_domain in zip(edited, tables["(b) unusual edits"]["in_domain"], strict=True):
        missed[edit] += in_domain
    total = Counter(edit for _, edit in edited)
    print("detected, by edit: " + ", ".join(f"{edit} {1 - missed[edit] / n:.0%} of {n}" for edit, n in total.items()))


if __name__ == "__main__":
    main()
