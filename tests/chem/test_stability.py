"""Unstable groups are found, and drugs have none."""

import pytest

from molvae.chem.molecules import parse
from molvae.chem.stability import UNSTABLE_GROUPS, unstable_groups

EXAMPLES = {
    "COc1cccc(C(=O)NCCN2Cc3cc(Cl)ccc32)c1": "four-membered ring with N, O or S fused to an arene",
    "C1=Nc2ccccc21": "four-membered ring with a C=N or N=N bond",
    "CNC(=O)O": "carbamic acid",
    "CN(C)C(=O)[O-]": "carbamic acid",
    "CCOC(=O)O": "carbonic acid ester",
    "CC(O)O": "geminal diol",
    "CCOC(C)O": "acyclic hemiacetal",
    "CC(O)NC": "hemiaminal",
    "OCNc1ccccc1": "hemiaminal",
    "OC1CCCCN1": "hemiaminal",
    "CNCNC": "acyclic aminal",
    "CN(C)CNc1ccccc1": "acyclic aminal",
    "CC(F)NC": "alpha-halo amine",
    "COCCl": "alpha-halo ether",
    "C(OC)(OC)OC": "orthoester or orthoamide",
    "CC=CO": "enol",
    "OC1=CCCCC1": "enol",
    "CC=C(C)S": "enethiol",
    "CC#CO": "ynol or ynamine",
    "CC#CN(C)C": "ynol or ynamine",
    "CC=CN": "primary or secondary enamine",
    "C1=CNC=CC1": "primary or secondary enamine",
    "CC(=N)C": "N-unsubstituted imine",
    "O=C1CC=CC=C1": "tautomer of a phenol",
    "O=C1C=CCC=C1": "tautomer of a phenol",
    "Nc1ccco1": "2-hydroxy-, 2-mercapto- or 2-aminofuran, -pyrrole or -thiophene",
    "Cc1nnc(C)n1N": "N-aminoazole",
    "Nn1ccnn1": "N-aminoazole",
    "c1ccc2cocc2c1": "isobenzofuran or isoindole",
    "CNN(C)OC": "three N or O atoms joined by single bonds",
    "CN(C)Cl": "N-halogen or O-halogen",
    "CSO": "sulfenic acid or thiohydroxylamine",
    "CN=C=NC": "ketene, isocyanate, carbodiimide or allenyl nitrogen",
    "CC=C=C=CC": "three cumulated double bonds",
    "C1=NC1C": "three-membered ring with a double bond",
    "C1=CC=C1": "cyclobutadiene, oxete, azete or thiete",
    "C1=CCN1": "cyclobutadiene, oxete, azete or thiete",
    "O=C1CC1": "cyclopropanone or cyclopropanol imine",
    "c1ccc2c(c1)C2": "three-membered ring fused to an arene",
    "C1#CCCC1": "ring with a triple bond",
    "C1=C=CCCC1": "small ring with a cumulated double bond",
    "C1=C2CCC(C2)C1": "double bond at a bridgehead",
}
DRUGS = {
    "ascorbic acid": "OC[C@H](O)[C@H]1OC(=O)C(O)=C1O",
    "tetracycline": "CN(C)C1C(O)=C(C(N)=O)C(=O)C2(O)C(O)=C3C(=O)c4c(O)cccc4C(C)(O)C3CC12",
    "warfarin": "CC(=O)CC(c1ccccc1)C1=C(O)c2ccccc2OC1=O",
    "meloxicam": "CN1C(C(=O)Nc2ncc(C)s2)=C(O)c2ccccc2S1(=O)=O",
    "ranitidine": "CNC(NCCSCc1ccc(CN(C)C)o1)=C[N+](=O)[O-]",
    "nifedipine": "COC(=O)C1=C(C)NC(C)=C(C(=O)OC)C1c1ccccc1[N+](=O)[O-]",
    "oxazepam": "OC1N=C(c2ccccc2)c2cc(Cl)ccc2NC1=O",
    "artemisinin": "CC1CCC2C(C)C(=O)OC3OC4(C)CCC1C23OO4",
    "chloral hydrate": "OC(O)C(Cl)(Cl)Cl",
    "teriflunomide": "CC(O)=C(C#N)C(=O)Nc1ccc(C(F)(F)F)cc1",
    "dolutegravir": "C[C@@H]1CCO[C@@H]2CN3C=C(C(=O)NCc4ccc(F)cc4F)C(=O)C(O)=C3C(=O)N12",
    "benzylpenicillin": "CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O",
    "cefalexin": "CC1=C(C(=O)O)N2C(=O)C(NC(=O)C(N)c3ccccc3)C2SC1",
    "ivabradine": "COc1cc2c(cc1OC)C(CN(C)CCCN1CCc3cc(OC)c(OC)cc3CC1=O)C2",
    "methenamine": "C1N2CN3CN1CN(C2)C3",
    "glucose": "OCC1OC(O)C(O)C(O)C1O",
    "atropine": "CN1C2CCC1CC(OC(=O)C(CO)c1ccccc1)C2",
    "camphor": "CC1(C)C2CCC1(C)C(=O)C2",
    "loratadine": "CCOC(=O)N1CCC(=C2c3ccc(Cl)cc3CCc3cccnc32)CC1",
    "riluzole": "Nc1nc2ccc(OC(F)(F)F)cc2s1",
    "vorinostat": "O=C(CCCCCCC(=O)Nc1ccccc1)NO",
    "metformin": "CN(C)C(=N)NC(=N)N",
    "edaravone": "CC1=NN(c2ccccc2)C(=O)C1",
    "benzodioxole": "c1ccc2c(c1)OCO2",
}


@pytest.mark.parametrize(("smiles", "name"), EXAMPLES.items())
def test_an_unstable_group_is_named(smiles: str, name: str) -> None:
    assert name in unstable_groups(parse(smiles))


@pytest.mark.parametrize("name", DRUGS)
def test_a_drug_is_stable(name: str) -> None:
    assert unstable_groups(parse(DRUGS[name])) == []


def test_every_rule_has_an_example() -> None:
    assert {group.name for group in UNSTABLE_GROUPS} <= set(EXAMPLES.values())
