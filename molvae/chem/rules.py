"""Rules of thumb for the properties of drugs, leads and fragments, and the number of limits that a molecule violates.

Where a rule was published with a program that RDKit does not have (CLOGP, ALOGP, XlogP), the Wildman-Crippen logP of
RDKit takes its place, so that a molecule near a limit can have another result than in the publication.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors


@dataclass(frozen=True)
class Limit:
    """The allowed range of one property; its ends are allowed.

    Parameters
    ----------
    property : str
        Name of the property, with its unit.
    function : callable
        Computes the property of an RDKit molecule.
    low, high : float
        Smallest and largest allowed value.
    """

    property: str
    function: Callable[[Chem.Mol], float]
    low: float
    high: float


@dataclass(frozen=True)
class Rule:
    """A set of limits from one publication.

    Parameters
    ----------
    title : str
        What the rule is for.
    limits : tuple of Limit
        The limits.
    source : str
        The publication.
    """

    title: str
    limits: tuple[Limit, ...]
    source: str

    def violated(self, mol: Chem.Mol) -> list[str]:
        """List the limits that a molecule violates.

        Parameters
        ----------
        mol : rdkit.Chem.Mol
            Molecule.

        Returns
        -------
        list of str
            Names of the properties that are out of range, in the order of the rule.

        Examples
        --------
        >>> RULES["lipinski"].violated(Chem.MolFromSmiles("CCCCCCCCCCCCCCCCCC(=O)O"))
        ['logp']
        """
        return [one.property for one in self.limits if not one.low <= one.function(mol) <= one.high]


def cns_mpo_4_of_6(mol: Chem.Mol) -> float:
    """Compute four of the six components of CNS MPO [1]_; NOT the published score, which is from 0 to 6.

    The sum of four desirabilities, each from 0 to 1, with the published limits: logP (1 up to 3, 0 from 5), molecular
    weight (1 up to 360 Da, 0 from 500 Da), TPSA (1 from 40 to 90 Å², 0 up to 20 and from 120 Å²) and the number of
    hydrogen bond donors (1 up to 0.5, 0 from 3.5; hydrogens on N and O). logP is that of RDKit instead of ClogP. The
    other two components, the logD at pH 7.4 and the pKa of the most basic group, are missing: RDKit computes neither.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    float
        From 0 to 4; higher is better.

    References
    ----------
    .. [1] Wager et al. 2010, doi:10.1021/cn100008c, table 1.

    Examples
    --------
    >>> round(cns_mpo_4_of_6(Chem.MolFromSmiles("CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21")), 2)  # diazepam
    3.56
    """
    knots = (
        (Crippen.MolLogP(mol), (3, 5), (1, 0)),
        (Descriptors.MolWt(mol), (360, 500), (1, 0)),
        (rdMolDescriptors.CalcTPSA(mol), (20, 40, 90, 120), (0, 1, 1, 0)),
        (rdMolDescriptors.CalcNumLipinskiHBD(mol), (0.5, 3.5), (1, 0)),
    )
    return float(sum(np.interp(value, x, y) for value, x, y in knots))


def _count_atoms(mol: Chem.Mol) -> int:
    return int(mol.GetNumHeavyAtoms()) + sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())


_ANY = float("inf")
_WEIGHT = Descriptors.MolWt
_LOGP = Crippen.MolLogP
_HBD, _HBA = rdMolDescriptors.CalcNumHBD, rdMolDescriptors.CalcNumHBA
_ROTATABLE = rdMolDescriptors.CalcNumRotatableBonds

RULES: dict[str, Rule] = {
    "lipinski": Rule(
        "oral absorption, the rule of five",
        (
            Limit("mol_weight", _WEIGHT, 0, 500),
            Limit("logp", _LOGP, -_ANY, 5),
            Limit("hydrogens on N and O", rdMolDescriptors.CalcNumLipinskiHBD, 0, 5),
            Limit("atoms N and O", rdMolDescriptors.CalcNumLipinskiHBA, 0, 10),
        ),
        "Lipinski et al. 1997, doi:10.1016/S0169-409X(96)00423-1",
    ),
    "veber": Rule(
        "oral bioavailability",
        (Limit("rotatable_bonds", _ROTATABLE, 0, 10), Limit("tpsa", rdMolDescriptors.CalcTPSA, 0, 140)),
        "Veber et al. 2002, doi:10.1021/jm020017n",
    ),
    "ghose": Rule(
        "drug-likeness, the qualifying range",
        (
            Limit("logp", _LOGP, -0.4, 5.6),
            Limit("mol_weight", _WEIGHT, 160, 480),
            Limit("molar refractivity", Crippen.MolMR, 40, 130),
            Limit("atoms with hydrogens", _count_atoms, 20, 70),
        ),
        "Ghose et al. 1999, doi:10.1021/cc9800071",
    ),
    "reos": Rule(
        "the properties of REOS, without its substructures",
        (
            Limit("mol_weight", _WEIGHT, 200, 500),
            Limit("logp", _LOGP, -5, 5),
            Limit("hbd", _HBD, 0, 5),
            Limit("hba", _HBA, 0, 10),
            Limit("formal_charge", Chem.GetFormalCharge, -2, 2),
            Limit("rotatable_bonds", _ROTATABLE, 0, 8),
            Limit("heavy_atoms", rdMolDescriptors.CalcNumHeavyAtoms, 15, 50),
        ),
        "Walters and Namchuk 2003, doi:10.1038/nrd1063",
    ),
    "lead_like": Rule(
        "leads, the limits of ZINC and MOSES",
        (
            Limit("mol_weight", _WEIGHT, 250, 350),
            Limit("logp", _LOGP, -_ANY, 3.5),
            Limit("rotatable_bonds", _ROTATABLE, 0, 7),
        ),
        "Irwin et al. 2012, doi:10.1021/ci3001277, after Teague et al. 1999",
    ),
    "rule_of_three": Rule(
        "fragments",
        (
            Limit("mol_weight", _WEIGHT, 0, 300),
            Limit("logp", _LOGP, -_ANY, 3),
            Limit("hbd", _HBD, 0, 3),
            Limit("hba", _HBA, 0, 3),
        ),
        "Congreve et al. 2003, doi:10.1016/S1359-6446(03)02831-9",
    ),
}
"""Name of a rule -> its limits and source."""
