"""Does novelty tell strangers from the codec's own kind? ROC-AUC beside three baselines, prints one table.

    OMP_NUM_THREADS=1 python benchmarks/domain.py --chembl chembl.smi.gz           # some minutes
    OMP_NUM_THREADS=1 python benchmarks/domain.py --n 200 --training 2000          # a quick look, without ChEMBL

In the domain: MOSES test molecules. Strangers: (a) ChEMBL molecules outside the MOSES filters, stereo dropped: weight
not from 250 to 350 Da, more than 7 rotatable bonds, logP (Crippen) above 3.5, an element other than C, N, O, S, F, Cl
and Br, a charge, or a ring of more than 8 atoms; (b) other test molecules with one odd edit that RDKit accepts. The
area is the probability that a stranger is stranger than a test molecule. "readable": only what the codec can read;
"all": what it cannot read is stranger than everything, for novelty alone; the baselines judge every molecule.
Baselines: one minus Tanimoto similarity to the nearest of 20,000 training molecules (Morgan radius 2, 2,048 bits), and
isolation forests fitted to codes, to Morgan bits (1,024) and to eleven physicochemical properties of the same.
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
    """One match of a pattern, drawn at random."""
    matches = mol.GetSubstructMatches(_PATTERNS.setdefault(smarts, Chem.MolFromSmarts(smarts)))
    return matches[random.integers(len(matches))] if matches else None


_PATTERNS: dict[str, Chem.Mol] = {}


def _chain(symbols: str) -> Edit:
    """Atoms put between two carbons that are singly bound."""

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


def _hang(smiles: str, smarts: str = "[C,c,N,n;!H0]") -> Edit:
    """A group hung by its first atom on an atom in place of a hydrogen."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, smarts, random)
        if match is None:
            return False
        place = mol.GetNumAtoms()
        mol.InsertMol(parse(smiles))
        mol.AddBond(match[0], place, Chem.BondType.SINGLE)
        atom = mol.GetAtomWithIdx(match[0])
        atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - 1))
        return True

    return edit


def _bonds(smarts: str, *orders: Chem.BondType) -> Edit:
    """Other orders for the bonds along a chain of carbons."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, smarts, random)
        if match is None:
            return False
        for first, last, order in zip(match[:-1], match[1:], orders, strict=True):
            mol.GetBondBetweenAtoms(first, last).SetBondType(order)
        return True

    return edit


def _swap(smarts: str, symbol: str) -> Edit:
    """Every atom of a match becomes another element."""

    def edit(mol: Chem.RWMol, random: np.random.Generator) -> bool:
        match = _draw(mol, smarts, random)
        if match is None:
            return False
        for place in match:
            atom = mol.GetAtomWithIdx(place)
            atom.SetAtomicNum(Chem.GetPeriodicTable().GetAtomicNumber(symbol))
            atom.SetNumExplicitHs(0)
        return True

    return edit


def _halogenate(mol: Chem.RWMol, random: np.random.Generator) -> bool:
    """A halogen in place of every hydrogen of four carbons."""
    places = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetSymbol() == "C" and atom.GetTotalNumHs()]
    if len(places) < 4:
        return False
    number = int(random.choice([9, 17, 35]))
    for place in random.permutation(places)[:4].tolist():
        for _ in range(mol.GetAtomWithIdx(place).GetTotalNumHs()):
            mol.AddBond(place, mol.AddAtom(Chem.Atom(number)), Chem.BondType.SINGLE)
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
    "cumulene": _hang("C=C=C=C"),
    "cyclopropene": _hang("C1=CC1"),
    "oxirene": _hang("C1=CO1"),
    "tetrahedrane": _hang("C12C3C1C23"),
    "cyclobutadiene": _hang("C1=CC=C1"),
    "propellane": _hang("C1CC23CC1C2C3"),
    "ynol": _hang("C#CO", "[C,c;!H0]"),
    "hypohalite": _hang("OCl", "[C,c;!H0]"),
    "N-bromo": _hang("Br", "[#7;!H0]"),
    "N-fluoro": _hang("F", "[#7;!H0]"),
    "orthocarbonate": _hang("C(O)(O)O", "[C,c;!H0]"),
    "thioaldehyde": _hang("C=S", "[C,c;!H0]"),
    "halogens everywhere": _halogenate,
}


def odd_edit(smiles: str, random: np.random.Generator) -> tuple[str, str] | None:
    """The same molecule with one odd edit that RDKit accepts, and the edit's name; None where no edit fits."""
    names = list(EDITS)
    for place in random.permutation(len(names)).tolist():
        mol = Chem.RWMol(parse(smiles))
        Chem.Kekulize(mol, clearAromaticFlags=False)
        if not EDITS[names[place]](mol, random):
            continue
        with rdBase.BlockLogs():
            try:
                Chem.SanitizeMol(mol)
                written = canonicalize(Chem.MolToSmiles(mol)).smiles
            except (ValueError, RuntimeError):
                continue
        if written is not None and written != smiles and "." not in written:
            return written, names[place]
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
    """Whether a molecule is outside the MOSES filters, their substructure rules aside."""
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


def read_outsiders(path: Path, n: int, random: np.random.Generator) -> list[str]:
    """n molecules of a file, one SMILES a line, that are outside the filters; drawn at random, stereo dropped."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        texts = [line.split()[0] for line in lines if line.strip()]
    found: list[str] = []
    for place in random.permutation(len(texts)):
        standard = standardize(texts[place]).smiles
        if standard is None:
            continue
        mol = parse(standard)
        Chem.RemoveStereochemistry(mol)
        flat = canonicalize(Chem.MolToSmiles(mol)).smiles
        if flat is not None and is_outside(flat):
            found.append(flat)
        if len(found) == n:
            break
    return found


def baselines(codec: Codec, training: list[str], seed: int) -> dict[str, Callable[[list[str]], np.ndarray]]:
    """Name -> a function of molecules: how strange each is, NaN where it cannot say."""
    nearest = ReferenceSet(training)

    def codes(smiles: list[str]) -> np.ndarray:
        return codec.encode(smiles).z

    def bits(smiles: list[str]) -> np.ndarray:
        return morgan_bits(smiles, n_bits=1024)

    def properties(smiles: list[str]) -> np.ndarray:
        return compute(smiles, PROPERTIES).to_numpy(float)

    def forest(features: Callable[[list[str]], np.ndarray]) -> Callable[[list[str]], np.ndarray]:
        x = features(training)
        trees = IsolationForest(n_estimators=200, random_state=seed).fit(x[np.isfinite(x).all(1)])

        def judge(smiles: list[str]) -> np.ndarray:
            x = features(smiles)
            answer, finite = np.full(len(x), np.nan), np.isfinite(x).all(1)
            answer[finite] = -trees.score_samples(x[finite])
            return answer

        return judge

    return {
        "nearest Tanimoto": lambda smiles: 1 - nearest.nearest(smiles)[1].astype(float),
        "isolation forest, codes": forest(codes),
        "isolation forest, Morgan bits": forest(bits),
        "isolation forest, properties": forest(properties),
    }


def area(inside: np.ndarray, strangers: np.ndarray) -> float:
    """ROC-AUC of strangers against test molecules."""
    labels = np.repeat([0, 1], [len(inside), len(strangers)])
    return float(roc_auc_score(labels, np.concatenate([inside, strangers])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", default="moses", help="name or folder of a codec")
    parser.add_argument("--chembl", type=Path, help="a file of SMILES, one a line; without it (a) is left out")
    parser.add_argument("--n", type=int, default=2_000, help="molecules of each set")
    parser.add_argument("--training", type=int, default=20_000, help="training molecules of the baselines")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    codec, random = load_codec(arguments.codec), generator(arguments.seed, "domain benchmark")
    test = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].to_numpy()[random.permutation(176_074)]
    inside = [canonicalize(text).smiles or "" for text in test[: arguments.n]]
    strangers: dict[str, list[str]] = {}
    if arguments.chembl:
        strangers["(a) ChEMBL"] = read_outsiders(arguments.chembl, arguments.n, random)
    edited = (odd_edit(canonicalize(text).smiles or "", random) for text in test[arguments.n :])
    odd = [pair for _, pair in zip(range(arguments.n), filter(None, edited), strict=False)]
    strangers["(b) odd edits"] = [smiles for smiles, _ in odd]
    training = pd.read_csv(bundled("moses_train.csv.gz"))["SMILES"].sample(arguments.training, random_state=0).tolist()
    training = [canonicalize(text).smiles or "" for text in training]

    sets = {"test": inside} | strangers
    judged = {name: codec.applicability_domain(smiles) for name, smiles in sets.items()}
    readable = {name: table["reconstruction_nats"].notna().to_numpy() for name, table in judged.items()}
    answers = {
        score: {name: np.where(readable[name], table[column], np.inf) for name, table in judged.items()}
        for score, column in SCORES.items()
    }
    for name, judge in baselines(codec, training, arguments.seed).items():
        answers[name] = {key: judge(smiles) for key, smiles in sets.items()}
    print("| ROC-AUC | " + " | ".join(f"{name}, readable | {name}, all" for name in strangers) + " |")
    print("|---" * (1 + 2 * len(strangers)) + "|")
    for score, values in answers.items():
        cells = []
        for name in strangers:
            own, other = (np.minimum(values[key], 1e9) for key in ("test", name))
            own, is_read = own[readable["test"]], readable[name]
            cells.append(f"{area(own, other[is_read]):.3f}")
            cells.append("" if np.isnan(other).any() else f"{area(own, other):.3f}")
        print(f"| {score} | " + " | ".join(cells) + " |", flush=True)
    print()
    for name, table in judged.items():
        out = (~table["in_domain"].astype(bool)).mean()
        print(f"{name}: {len(table):,} molecules, {readable[name].mean():.1%} readable, {out:.1%} out")
    missed: Counter[str] = Counter()
    for (_, edit), in_domain in zip(odd, judged["(b) odd edits"]["in_domain"], strict=True):
        missed[edit] += in_domain
    total = Counter(edit for _, edit in odd)
    print("found of each edit: " + ", ".join(f"{edit} {1 - missed[edit] / n:.0%} of {n}" for edit, n in total.items()))


if __name__ == "__main__":
    main()
