"""The 20 tasks of the PMO benchmark that need no trained classifier: functions from a SMILES to a score in [0, 1].

Written from the published definitions: GuacaMol (Brown et al. 2019, doi:10.1021/acs.jcim.8b00839, tables 2 and 3), as
PMO uses them (Gao et al. 2022, arXiv:2206.12411). Releases of the reference implementations differ in details (above
all in the isomer tasks), so compare methods only with the same implementation.

    python benchmarks/pmo.py "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"      # all scores of one molecule
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import QED, Crippen, GraphDescriptors, rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.Pharm2D import Generate, Gobbi_Pharm2D

Term = Callable[[Chem.Mol], float]
Shape = Callable[[float], float]

_ECFP4 = rdFingerprintGenerator.GetMorganGenerator(radius=2)
_ECFP6 = rdFingerprintGenerator.GetMorganGenerator(radius=3)
_FCFP4 = rdFingerprintGenerator.GetMorganGenerator(
    radius=2, atomInvariantsGenerator=rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
)
_ATOM_PAIRS = rdFingerprintGenerator.GetAtomPairGenerator(maxDistance=10)

FINGERPRINTS: dict[str, Callable[[Chem.Mol], object]] = {
    "ECFP4": _ECFP4.GetSparseCountFingerprint,
    "ECFP6": _ECFP6.GetSparseCountFingerprint,
    "FCFP4": _FCFP4.GetSparseCountFingerprint,
    "AP": _ATOM_PAIRS.GetSparseCountFingerprint,
    "PHCO": lambda mol: Generate.Gen2DFingerprint(mol, Gobbi_Pharm2D.factory),
}


def gaussian(mean: float, deviation: float) -> Shape:
    """1 at the mean, falling on both sides."""
    return lambda value: float(np.exp(-0.5 * ((value - mean) / deviation) ** 2))


def at_most(mean: float, deviation: float) -> Shape:
    """1 up to the mean, then falling as a Gaussian."""
    return lambda value: gaussian(mean, deviation)(max(value, mean))


def at_least(mean: float, deviation: float) -> Shape:
    """1 from the mean upwards, falling below it as a Gaussian."""
    return lambda value: gaussian(mean, deviation)(min(value, mean))


def clipped(upper: float) -> Shape:
    """Linear from 0 to 1 at `upper`, 1 above."""
    return lambda value: float(np.clip(value / upper, 0.0, 1.0))


def similarity(smiles: str, fingerprint: str, shape: Shape | None = None) -> Term:
    """Tanimoto similarity to a target molecule."""
    make = FINGERPRINTS[fingerprint]
    target = make(Chem.MolFromSmiles(smiles))

    def term(mol: Chem.Mol) -> float:
        value = DataStructs.TanimotoSimilarity(target, make(mol))
        return value if shape is None else shape(value)

    return term


def descriptor(function: Callable[[Chem.Mol], float], shape: Shape) -> Term:
    """A descriptor, which a shape maps to a score."""
    return lambda mol: shape(float(function(mol)))


def isomer(formula: str) -> Term:
    """Closeness to a molecular formula: geometric mean of scores of each element's count and of the number of atoms."""
    wanted = {symbol: int(count or 1) for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula)}

    def term(mol: Chem.Mol) -> float:
        counts = Counter(atom.GetSymbol() for atom in Chem.AddHs(mol).GetAtoms())
        scores = [gaussian(count, 1.0)(counts[symbol]) for symbol, count in wanted.items()]
        return geometric_mean([*scores, gaussian(sum(wanted.values()), 2.0)(counts.total())])

    return term


def contains(smarts: str, wanted: bool = True) -> Term:
    """1 if the substructure is present (if not `wanted`: absent), else 0."""
    pattern = Chem.MolFromSmarts(smarts)
    return lambda mol: float(mol.HasSubstructMatch(pattern) == wanted)


def count_fluorine(mol: Chem.Mol) -> int:
    """The number of fluorine atoms."""
    return sum(atom.GetSymbol() == "F" for atom in mol.GetAtoms())


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean; 0 where a value is 0."""
    return float(np.exp(np.mean(np.log(values)))) if min(values) > 0 else 0.0


def arithmetic_mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return float(np.mean(values))


def combine(mean: Callable[[Sequence[float]], float], *terms: Term) -> Term:
    """A mean of several terms."""
    return lambda mol: mean([term(mol) for term in terms])


_mpo = partial(combine, geometric_mean)
_SITAGLIPTIN = "Fc1cc(c(F)cc1F)CC(N)CC(=O)N3Cc2nnc(n2CC3)C(F)(F)F"
_HOP = "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C"
_HOP_SCAFFOLD = "[#7]-c1n[c;h1]nc2[c;h1]c(-[#8])[c;h0][c;h1]c12"


def _sitagliptin(function: Callable[[Chem.Mol], float], deviation: float) -> Term:
    return descriptor(function, gaussian(function(Chem.MolFromSmiles(_SITAGLIPTIN)), deviation))


@cache
def tasks() -> dict[str, Term]:
    """Name -> task, in the order of the PMO tables."""
    logp, tpsa = Crippen.MolLogP, rdMolDescriptors.CalcTPSA
    return {
        "albuterol_similarity": similarity("CC(C)(C)NCC(O)c1ccc(O)c(CO)c1", "FCFP4", clipped(0.75)),
        "amlodipine_mpo": _mpo(
            similarity(r"Clc1ccccc1C2C(=C(/N/C(=C2/C(=O)OCC)COCCN)C)\C(=O)OC", "ECFP4"),
            descriptor(rdMolDescriptors.CalcNumRings, gaussian(3, 0.5)),
        ),
        "celecoxib_rediscovery": similarity("CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F", "ECFP4"),
        "deco_hop": combine(
            arithmetic_mean,
            similarity(_HOP, "PHCO", clipped(0.85)),
            contains("CS([#6])(=O)=O", wanted=False),
            contains("[#7]-c1ccc2ncsc2c1", wanted=False),
            contains(_HOP_SCAFFOLD),
        ),
        "fexofenadine_mpo": _mpo(
            similarity("CC(C)(C(=O)O)c1ccc(cc1)C(O)CCCN2CCC(CC2)C(O)(c3ccccc3)c4ccccc4", "AP", clipped(0.8)),
            descriptor(tpsa, at_least(90, 10)),
            descriptor(logp, at_most(4, 1)),
        ),
        "isomers_c7h8n2o2": isomer("C7H8N2O2"),
        "isomers_c9h10n2o2pf2cl": isomer("C9H10N2O2PF2Cl"),
        "median1": _mpo(similarity("CC1(C)C2CCC1(C)C(=O)C2", "ECFP4"), similarity("CC(C)C1CCC(C)CC1O", "ECFP4")),
        "median2": _mpo(
            similarity("O=C1N(CC(N2C1CC3=C(C2C4=CC5=C(OCO5)C=C4)NC6=C3C=CC=C6)=O)C", "ECFP6"),
            similarity("CCCC1=NN(C2=C1N=C(NC2=O)C3=C(C=CC(=C3)S(=O)(=O)N4CCN(CC4)C)OCC)C", "ECFP6"),
        ),
        "mestranol_similarity": similarity(
            "COc1ccc2[C@H]3CC[C@@]4(C)[C@@H](CC[C@@]4(O)C#C)[C@@H]3CCc2c1", "AP", clipped(0.75)
        ),
        "osimertinib_mpo": _mpo(
            similarity("COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc2nccc(n2)c3cn(C)c4ccccc34", "FCFP4", clipped(0.8)),
            similarity("COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc2nccc(n2)c3cn(C)c4ccccc34", "ECFP6", at_most(0.85, 0.1)),
            descriptor(tpsa, at_least(100, 10)),
            descriptor(logp, at_most(1, 1)),
        ),
        "perindopril_mpo": _mpo(
            similarity("O=C(OCC)C(NC(C(=O)N1C(C(=O)O)CC2CCCCC12)C)CCC", "ECFP4"),
            descriptor(rdMolDescriptors.CalcNumAromaticRings, gaussian(2, 0.5)),
        ),
        "qed": QED.qed,
        "ranolazine_mpo": _mpo(
            similarity("COc1ccccc1OCC(O)CN2CCN(CC(=O)Nc3c(C)cccc3C)CC2", "AP", clipped(0.7)),
            descriptor(logp, at_least(7, 1)),
            descriptor(tpsa, at_least(95, 20)),
            descriptor(count_fluorine, gaussian(1, 1)),
        ),
        "scaffold_hop": combine(
            arithmetic_mean,
            similarity(_HOP, "PHCO", clipped(0.75)),
            contains("[#6]-[#6]-[#6]-[#8]-[#6]~[#6]~[#6]~[#6]~[#6]-[#7]-c1ccc2ncsc2c1"),
            contains(_HOP_SCAFFOLD, wanted=False),
        ),
        "sitagliptin_mpo": _mpo(
            similarity(_SITAGLIPTIN, "ECFP4", gaussian(0, 0.1)),
            _sitagliptin(logp, 0.2),
            _sitagliptin(tpsa, 5),
            isomer("C16H15F6N5O"),
        ),
        "thiothixene_rediscovery": similarity("CN(C)S(=O)(=O)c1ccc2Sc3ccccc3C(=CCCN4CCN(C)CC4)c2c1", "ECFP4"),
        "troglitazone_rediscovery": similarity("Cc1c(C)c2OC(C)(COc3ccc(CC4SC(=O)NC4=O)cc3)CCc2c(C)c1O", "ECFP4"),
        "valsartan_smarts": _mpo(
            contains("CN(C=O)Cc1ccc(c2ccccc2)cc1"),
            _sitagliptin(logp, 0.2),
            _sitagliptin(tpsa, 5),
            _sitagliptin(GraphDescriptors.BertzCT, 30),
        ),
        "zaleplon_mpo": _mpo(
            similarity("O=C(C)N(CC)C1=CC=CC(C2=CC=NC3=C(C=NN23)C#N)=C1", "ECFP4"), isomer("C19H17N3O2")
        ),
    }


def score(task: str, smiles: Sequence[str]) -> list[float | None]:
    """The scores of SMILES in a task, in order; None where RDKit cannot read one."""
    function = tasks()[task]
    with rdBase.BlockLogs():
        mols = [Chem.MolFromSmiles(one) for one in smiles]
        return [None if mol is None else float(function(mol)) for mol in mols]


if __name__ == "__main__":
    for name in tasks():
        print(f"{name:26}", *(f"{value:.6f}" for value in score(name, sys.argv[1:]) if value is not None))
