"""Functional groups by name: those that RDKit defines, and others as SMARTS."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from rdkit import Chem
from rdkit.Chem import Fragments, FunctionalGroups
from rdkit.Chem.MolStandardize import rdMolStandardize

from molvae.errors import InputError

_MAX_MATCHES = 1000


@dataclass(frozen=True)
class FunctionalGroup:
    """The definition of a functional group; if it has several parts, their counts are added.

    Parameters
    ----------
    rdkit : tuple of str, default=()
        Names in RDKit: functions of `rdkit.Chem.Fragments` (``fr_...``), or nodes of its hierarchy of functional
        groups, such as ``Amine.Primary``.
    smarts : str, default=""
        A SMARTS pattern, where RDKit has no definition or a wider one.
    """

    rdkit: tuple[str, ...] = ()
    smarts: str = ""

    @property
    def definition(self) -> str:
        """The definition as a string: the names in RDKit, or the SMARTS."""
        return " + ".join(self.rdkit) or self.smarts


def count_functional_group(mol: Chem.Mol, name: str) -> int:
    """Count the functional groups of one kind in a molecule.

    Protonated and deprotonated groups count like the neutral ones.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.
    name : str
        A key of FUNCTIONAL_GROUPS.

    Returns
    -------
    int
        Number of matches that differ in their atoms.

    Raises
    ------
    InputError
        The name is unknown.

    Examples
    --------
    >>> aspirin = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)[O-]")
    >>> [count_functional_group(aspirin, name) for name in ("carboxylic acid", "ester", "alcohol")]
    [1, 1, 0]
    """
    counters = _counters(name)
    if any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        mol = _uncharger().uncharge(mol)
    return sum(count(mol) for count in counters)


@cache
def _counters(name: str) -> tuple[Callable[[Chem.Mol], int], ...]:
    if name not in FUNCTIONAL_GROUPS:
        raise InputError(f"functional group {name!r} is not known; known: {', '.join(FUNCTIONAL_GROUPS)}")
    group = FUNCTIONAL_GROUPS[name]
    if group.smarts:
        return (_count(Chem.MolFromSmarts(group.smarts)),)
    return tuple(_rdkit_counters()[one] for one in group.rdkit)


@cache
def _rdkit_counters() -> dict[str, Callable[[Chem.Mol], int]]:
    """RDKit's groups by their names: its fragment descriptors, and the nodes of its hierarchy."""
    found: dict[str, Callable[[Chem.Mol], int]] = dict(Fragments.fns)
    waiting = list(FunctionalGroups.BuildFuncGroupHierarchy())
    while waiting:
        node = waiting.pop()
        found[node.label] = _count(node.pattern)
        waiting += node.children
    return found


def _count(pattern: Chem.Mol) -> Callable[[Chem.Mol], int]:
    return lambda mol: len(mol.GetSubstructMatches(pattern, uniquify=True, maxMatches=_MAX_MATCHES))


@cache
def _uncharger() -> rdMolStandardize.Uncharger:
    return rdMolStandardize.Uncharger()


def _rdkit(*names: str) -> FunctionalGroup:
    return FunctionalGroup(rdkit=names)


def _smarts(pattern: str) -> FunctionalGroup:
    return FunctionalGroup(smarts=pattern)


FUNCTIONAL_GROUPS: dict[str, FunctionalGroup] = {
    # carbonyl groups and acids
    "carboxylic acid": _rdkit("fr_COO"),
    "aliphatic carboxylic acid": _rdkit("fr_Al_COO"),
    "aromatic carboxylic acid": _rdkit("fr_Ar_COO"),
    "alpha-amino acid": _rdkit("CarboxylicAcid.AlphaAmino"),
    "ester": _rdkit("fr_ester"),
    "lactone": _rdkit("fr_lactone"),
    "anhydride": _smarts("[#6][CX3](=O)[OX2][CX3](=O)[#6]"),
    "acid chloride": _rdkit("AcidChloride"),
    "aldehyde": _rdkit("Aldehyde"),
    "ketone": _rdkit("fr_ketone"),
    "amide": _smarts("[$([CX3H1]),$([CX3][#6])](=O)[NX3]"),
    "primary amide": _smarts("[$([CX3H1]),$([CX3][#6])](=O)[NX3H2]"),
    "secondary amide": _smarts("[$([CX3H1]),$([CX3][#6])](=O)[NX3H1][#6]"),
    "tertiary amide": _smarts("[$([CX3H1]),$([CX3][#6])](=O)[NX3H0]([#6])[#6]"),
    "lactam": _smarts("[CX3;R;$(C[#6])](=O)@[NX3]"),
    "beta-lactam": _rdkit("fr_lactam"),
    "imide": _smarts("[#6][CX3](=O)[NX3][CX3](=O)[#6]"),
    "urea": _rdkit("fr_urea"),
    "carbamate": _smarts("[NX3][CX3](=O)[OX2H0][#6]"),
    "hydroxamic acid": _smarts("[CX3](=O)[NX3][OX2H1]"),
    "hydrazide": _smarts("[CX3](=O)[NX3][NX3]"),
    "thiocarbonyl": _rdkit("fr_C_S"),
    "isocyanate": _rdkit("fr_isocyan"),
    "isothiocyanate": _rdkit("fr_isothiocyan"),
    # oxygen
    "alcohol": _rdkit("Alcohol.Aliphatic"),
    "phenol": _rdkit("fr_phenol"),
    "aromatic hydroxyl": _rdkit("fr_Ar_OH"),
    "ether": _smarts("[OX2;!$(O[#6]=[O,S,N]);!$(O[CX4][OX2])]([#6])[#6]"),
    "acetal": _smarts("[CX4]([OX2][#6])[OX2][#6]"),
    "methoxy": _smarts("[OX2;!$(O[#6]=[O,S,N])]([#6])[CH3]"),
    "epoxide": _rdkit("fr_epoxide"),
    "peroxide": _smarts("[OX2][OX2]"),
    # nitrogen
    "amine": _rdkit("Amine.Primary", "Amine.Secondary", "Amine.Tertiary"),
    "primary amine": _rdkit("Amine.Primary"),
    "secondary amine": _rdkit("Amine.Secondary"),
    "tertiary amine": _rdkit("Amine.Tertiary"),
    "aliphatic amine": _rdkit("Amine.Primary.Aliphatic", "Amine.Secondary.Aliphatic", "Amine.Tertiary.Aliphatic"),
    "aromatic amine": _rdkit("Amine.Primary.Aromatic", "Amine.Secondary.Aromatic", "Amine.Tertiary.Aromatic"),
    "aniline": _smarts("[$([NX3;!$(N=*);!$(N-[!#6;!#1]);!$(N-C=[O,N,S])]-c1ccccc1)]"),
    "quaternary ammonium": _smarts("[NX4+;H0;!$(N[O-])]"),
    "imine": _smarts("[CX3;!$(C-[N,O,S])]=[NX2;+0;!$(N-[!#6;!#1])]"),
    "amidine": _rdkit("fr_amidine"),
    "guanidine": _rdkit("fr_guanido"),
    "nitrile": _rdkit("fr_nitrile"),
    "nitro": _rdkit("fr_nitro"),
    "aromatic nitro": _rdkit("Nitro.Aromatic"),
    "nitrate ester": _smarts("[#6][OX2][NX3+](=O)[O-]"),
    "nitroso": _rdkit("fr_nitroso"),
    "N-oxide": _smarts("[$([nX3+]),$([NX4+])][OX1-]"),
    "azide": _rdkit("fr_azide"),
    "azo": _rdkit("fr_azo"),
    "diazo": _smarts("[$([#6]=[N+]=[N-]),$([#6-][N+]#N),$([#6][N+]#N)]"),
    "hydrazine": _rdkit("fr_hdrzine"),
    "hydrazone": _rdkit("fr_hdrzone"),
    "hydroxylamine": _smarts("[$([NX3;!$(N=*)]([OX2])[#6])]"),
    "oxime": _rdkit("fr_oxime"),
    # sulfur, phosphorus, boron
    "thiol": _rdkit("fr_SH"),
    "thioether": _rdkit("fr_sulfide"),
    "disulfide": _smarts("[SX2][SX2]"),
    "sulfoxide": _smarts("[$([SX3](=O)([#6])[#6]),$([SX3+]([O-])([#6])[#6])]"),
    "sulfone": _rdkit("fr_sulfone"),
    "sulfonamide": _rdkit("fr_sulfonamd"),
    "primary sulfonamide": _rdkit("fr_prisulfonamd"),
    "sulfonic acid": _smarts("[#6][SX4](=O)(=O)[OX2H1,OX1-]"),
    "sulfonyl chloride": _rdkit("SulfonylChloride"),
    "thiocyanate": _rdkit("fr_thiocyan"),
    "phosphoric acid": _rdkit("fr_phos_acid"),
    "phosphoric ester": _rdkit("fr_phos_ester"),
    "boronic acid": _smarts("[#6][BX3]([OX2H1])[OX2H1]"),
    "boronic acid or ester": _rdkit("BoronicAcid"),
    # halogens, hydrocarbons
    "halogen": _rdkit("fr_halogen"),
    "alkyl halide": _rdkit("fr_alkyl_halide"),
    "aryl halide": _rdkit("Halogen.Aromatic"),
    "trifluoromethyl": _smarts("[CX4](F)(F)F"),
    "alkene": _smarts("[CX3]=[CX3]"),
    "alkyne": _smarts("[CX2]#[CX2]"),
    "terminal alkyne": _rdkit("fr_term_acetylene"),
    # rings, also as parts of fused rings
    "benzene": _rdkit("fr_benzene"),
    "pyridine": _rdkit("fr_pyridine"),
    "imidazole": _rdkit("fr_imidazole"),
    "oxazole": _rdkit("fr_oxazole"),
    "thiazole": _rdkit("fr_thiazole"),
    "tetrazole": _rdkit("fr_tetrazole"),
    "furan": _rdkit("fr_furan"),
    "thiophene": _rdkit("fr_thiophene"),
    "piperidine": _rdkit("fr_piperdine"),
    "piperazine": _rdkit("fr_piperzine"),
    "morpholine": _rdkit("fr_morpholine"),
    "barbiturate": _rdkit("fr_barbitur"),
}
"""Name of a functional group -> its definition. RDKit's definition is used where it means what its name says."""
