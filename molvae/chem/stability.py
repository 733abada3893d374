"""Unstable groups: substructures that hydrolyze, tautomerize, ring-open or decompose at room temperature."""

from functools import cache
from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

_ACYL = "$([NX3][CX3,SX4,SX3,PX4]=[O,S,N])"  # an amide, amidine or sulfonamide: its nitrogen is a poor leaving group
_ANY_AMINE = f"NX3;!{_ACYL};!$([NX3]-C#N);!$([NX3]-[NX2,OX1]);!$([NX3]-[NX3]C=[O,S])"
_AMINE = f"{_ANY_AMINE};!$([NX3][#6;a])"
_POOR = "[$(C=[O,S,N]),$(C#N),$([NX3](=O)=O),$([N+](=O)[O-]),$(S(=O)=O),$(P=O)]"  # an acceptor that stabilizes enols


class UnstableGroup(NamedTuple):
    """A rule for an unstable group.

    Parameters
    ----------
    name : str
        Name of the group.
    smarts : str
        Pattern; a match is an unstable group.
    reason : str
        What becomes of it.
    """

    name: str
    smarts: str
    reason: str


# The chemistry is textbook knowledge: F. A. Carey and R. J. Sundberg, Advanced Organic Chemistry, part A, 5th ed. 2007,
# doi:10.1007/978-0-387-44899-2, chapter 6 (strain, keto-enol equilibria) and chapter 7 (hydrates, hemiacetals, imines,
# enamines); M. B. Smith, March's Advanced Organic Chemistry, 7th ed. 2013, chapters 4 and 16.
UNSTABLE_GROUPS: tuple[UnstableGroup, ...] = (
    UnstableGroup("carbamic acid", "[OX2H1,OX1-][CX3](=[OX1,SX1])[NX3]", "loses carbon dioxide"),
    UnstableGroup("carbonic acid ester", "[OX2H1,OX1-][CX3](=[OX1,SX1])[OX2,SX2;!H1]", "loses carbon dioxide"),
    UnstableGroup(
        "geminal diol", "[OX2H1][CX4;!$([CX4][CX4]([F,Cl])[F,Cl])]([OX2H1])", "gives the carbonyl compound and water"
    ),
    UnstableGroup(
        "acyclic hemiacetal", "[OX2H1][CX4;!R;!$([CX4]C(F)(F)F)][OX2,SX2;!H1]", "gives the carbonyl compound"
    ),
    UnstableGroup(
        "hemiaminal", f"[OX2H1][CX4;!$([CX4]C(F)(F)F)][{_ANY_AMINE}]", "gives the imine or carbonyl compound"
    ),
    UnstableGroup("acyclic aminal", f"[{_AMINE}][CX4;!R][{_ANY_AMINE}]", "gives the imine or carbonyl compound"),
    UnstableGroup("alpha-halo amine", f"[F,Cl,Br,I][CX4;!$(C(F)(F)F)][{_AMINE}]", "gives the iminium ion"),
    UnstableGroup("alpha-halo ether", "[Cl,Br,I][CX4;!$(C([F,Cl])[F,Cl])][OX2,SX2;!$(OC=O)]", "hydrolyzes"),
    UnstableGroup(
        "orthoester or orthoamide",
        f"[OX2,SX2,{_AMINE}][CX4;!$([CX4](*)(*)(*)[F,Cl])]([OX2,SX2,{_AMINE}])[OX2,SX2,{_AMINE}]",
        "hydrolyzes",
    ),
    UnstableGroup(
        "enol",
        f"[OX2H1][CX3;!$(C{_POOR});!$(C(=*)[O,N,S]-[*])]=[CX3;!$(C{_POOR});!$(C-C=C{_POOR})]",
        "is the carbonyl compound",
    ),
    UnstableGroup("enethiol", f"[SX2H1][CX3;!$(C{_POOR})]=[CX3;!$(C{_POOR})]", "is the thiocarbonyl compound"),
    UnstableGroup("ynol or ynamine", f"[OX2H1,SX2H1,$([NX3;!{_ACYL}])][CX2]#[CX2]", "hydrolyzes or tautomerizes"),
    UnstableGroup(
        "primary or secondary enamine",
        f"[NX3;H1,H2;!{_ACYL};!$(N-[N,O]);!$(N-a)][CX3;!$(C{_POOR});!$(C(N)(=C)[N,O,S])]"
        f"=[CX3;!$(C{_POOR});!$(C-a);!$(C-C=C{_POOR})]",
        "is the imine",
    ),
    UnstableGroup("N-unsubstituted imine", "[NX2H1]=[CX3;!$(C[N,O,S])]", "hydrolyzes"),
    UnstableGroup(
        "tautomer of a phenol", "[O,N]=[CX3]1[CX4;H1,H2][#6]=[#6][#6]=[#6]1", "is the phenol or aniline"
    ),
    UnstableGroup("tautomer of a phenol", "[O,N]=[CX3]1[#6]=[#6][CX4;H1,H2][#6]=[#6]1", "is the phenol or aniline"),
    UnstableGroup(
        "2-hydroxy-, 2-mercapto- or 2-aminofuran, -pyrrole or -thiophene",
        f"[OX2H1,SX2H1,$([NX3H2;!{_ACYL}]);!$(*[a]:[a]{_POOR})]-[c;r5]1[o,n,s]cc[c;!$(c{_POOR})]1",
        "tautomerizes and is oxidized",
    ),
    UnstableGroup("N-aminoazole", "[NX3H2]-[n;r5]", "is an N-amino compound, which is oxidized"),
    UnstableGroup("isobenzofuran or isoindole", "c1ccc2c(c1)c[o,nX3]c2", "is oxidized"),
    UnstableGroup("three N or O atoms joined by single bonds", "[NX3,OX2;!R]-[NX3,OX2;!R]-[NX3,OX2]", "decomposes"),
    UnstableGroup("N-halogen or O-halogen", "[#7,#8][F,Cl,Br,I]", "halogenates"),
    UnstableGroup("sulfenic acid or thiohydroxylamine", "[SX2][OX2H1,$([NX3H2])]", "disproportionates"),
    UnstableGroup("ketene, isocyanate, carbodiimide or allenyl nitrogen", "[CX2](=[N,O,S,C])=[N,O,S]", "hydrolyzes"),
    UnstableGroup("three cumulated double bonds", "C=[CX2]=[CX2]=C", "polymerizes"),
    UnstableGroup("three-membered ring with a double bond", "[*;r3]1=,:[*;r3][*;r3]1", "is strained"),
    UnstableGroup("four-membered ring with a C=N or N=N bond", "[#6,#7;r4]1=,:[#7;r4][*;r4][*;r4]1", "is strained"),
    UnstableGroup("cyclobutadiene, oxete, azete or thiete", "[*;r4]1=[*;r4][*;r4]=[*;r4]1", "is strained"),
    UnstableGroup("cyclobutadiene, oxete, azete or thiete", "[*;r4]1=,:[*;r4][O,S,N,o,s,n][*;r4]1", "is strained"),
    UnstableGroup("four-membered ring with N, O or S fused to an arene", "[N,O,S,n,o,s;r4]1~[#6;r4]~[c;r4]:[c;r4]1",
                  "is strained"),
    UnstableGroup("four-membered ring with N, O or S fused to an arene", "[#6;r4]1~[N,O,S,n,o,s;r4]~[c;r4]:[c;r4]1",
                  "is strained"),
    UnstableGroup("cyclopropanone or cyclopropanol imine", "[CX3;r3](=[O,N,S])([#6;r3])[#6;r3]", "is strained"),
    UnstableGroup("three-membered ring fused to an arene", "[*;r3]1~[c,n;r3]~[c,n;r3]1", "is strained"),
    UnstableGroup("ring with a triple bond", "[C;r3,r4,r5,r6,r7]#[C;r3,r4,r5,r6,r7]", "is strained"),
    UnstableGroup("small ring with a cumulated double bond", "[C;r3,r4,r5,r6,r7](=[C,N;R])=[C,N;R]", "is strained"),
)  # fmt: skip
"""Rules for unstable groups; `[CX4]` is a saturated carbon atom, `!R` outside rings."""

_MAX_BRIDGED = 7  # ring size up to which a double bond at a bridgehead is strained (Bredt's rule)


def unstable_groups(mol: Chem.Mol) -> list[str]:
    """List the unstable groups of a molecule.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    list of str
        Names of the groups in the order of `UNSTABLE_GROUPS`, without duplicates; then a double bond at a bridgehead.

    References
    ----------
    .. [1] F. S. Fawcett, Bredt's rule of double bonds in atomic-bridged-ring structures, Chem. Rev. 1950, 47, 219,
       doi:10.1021/cr60147a003.

    Examples
    --------
    >>> unstable_groups(Chem.MolFromSmiles("CNC(=O)O"))
    ['carbamic acid']
    >>> unstable_groups(Chem.MolFromSmiles("CNC(=O)OC"))
    []
    """
    found = [name for name, pattern in _patterns() if mol.HasSubstructMatch(pattern)]
    if _breaks_bredt(mol):
        found.append("double bond at a bridgehead")
    return list(dict.fromkeys(found))


def _breaks_bredt(mol: Chem.Mol) -> bool:
    """Whether a bridgehead of two small rings has a double bond in one of them."""
    bridgeheads: list[int] = []
    if not rdMolDescriptors.CalcNumBridgeheadAtoms(mol, bridgeheads):
        return False
    rings = mol.GetRingInfo()
    return any(
        rings.NumBondRings(bond.GetIdx()) and max(rings.AtomRingSizes(atom)) <= _MAX_BRIDGED
        for atom in bridgeheads
        for bond in mol.GetAtomWithIdx(atom).GetBonds()
        if bond.GetBondType() != Chem.BondType.SINGLE
    )


@cache
def _patterns() -> tuple[tuple[str, Chem.Mol], ...]:
    return tuple((group.name, Chem.MolFromSmarts(group.smarts)) for group in UNSTABLE_GROUPS)
