import pytest

from molvae.chem.functional_groups import FUNCTIONAL_GROUPS, count_functional_group
from molvae.chem.molecules import parse
from molvae.errors import InputError

ATORVASTATIN = "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O"
PENICILLIN_G = "CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O"
MOLECULES = {
    ATORVASTATIN: {
        "carboxylic acid": 1, "aliphatic carboxylic acid": 1, "amide": 1, "secondary amide": 1, "alcohol": 2,
        "halogen": 1, "aryl halide": 1, "benzene": 3,
    },
    PENICILLIN_G: {
        "carboxylic acid": 1, "aliphatic carboxylic acid": 1, "amide": 2, "secondary amide": 1, "tertiary amide": 1,
        "lactam": 1, "beta-lactam": 1, "thioether": 1, "benzene": 1,
    },
    "CN(C)C(=N)NC(N)=N": {"guanidine": 2},
    "CCN(CC)CC(=O)Nc1c(C)cccc1C": {
        "amide": 1, "secondary amide": 1, "amine": 1, "tertiary amine": 1, "aliphatic amine": 1, "benzene": 1,
    },
    "COc1ccc2[nH]c(S(=O)Cc3ncc(C)c(OC)c3C)nc2c1": {
        "ether": 2, "methoxy": 2, "sulfoxide": 1, "benzene": 1, "pyridine": 1, "imidazole": 1,
    },
    "Cc1cn(C2CC(N=[N+]=[N-])C(CO)O2)c(=O)[nH]c1=O": {"alcohol": 1, "ether": 1, "azide": 1},
    "O=C(CCCCCCC(=O)Nc1ccccc1)NO": {
        "amide": 2, "secondary amide": 1, "hydroxamic acid": 1, "hydroxylamine": 1, "benzene": 1,
    },
    "c1ccc(Nc2ccccc2)cc1": {"amine": 1, "secondary amine": 1, "aromatic amine": 1, "aniline": 1, "benzene": 2},
    "O=[N+]([O-])c1ccccc1": {"nitro": 1, "aromatic nitro": 1, "benzene": 1},
    "[O-][n+]1ccccc1": {"N-oxide": 1, "pyridine": 1},
    "C[N+](C)(C)CCO": {"alcohol": 1, "quaternary ammonium": 1},
    "CC1(C)OB(c2ccccc2)OC1(C)C": {"boronic acid or ester": 1, "benzene": 1},
    "NC(N)=O": {"urea": 1},
    "COC(C)=O": {"ester": 1},
    "CCC": {},
}  # fmt: skip


@pytest.mark.parametrize(("smiles", "expected"), MOLECULES.items())
def test_the_groups_of_a_molecule_are_those_of_a_chemist(smiles: str, expected: dict[str, int]) -> None:
    mol = parse(smiles)
    assert {name: n for name in FUNCTIONAL_GROUPS if (n := count_functional_group(mol, name))} == expected


EXAMPLES = {
    "carboxylic acid": "CC(=O)O", "aliphatic carboxylic acid": "CC(=O)O", "aromatic carboxylic acid": "O=C(O)c1ccccc1",
    "alpha-amino acid": "NC(C)C(=O)O", "ester": "CC(=O)OC", "lactone": "O=C1CCCO1", "anhydride": "CC(=O)OC(C)=O",
    "acid chloride": "CC(=O)Cl", "aldehyde": "CC=O", "ketone": "CC(C)=O", "amide": "CC(=O)N(C)C",
    "primary amide": "CC(N)=O", "secondary amide": "CNC(C)=O", "tertiary amide": "CC(=O)N(C)C", "lactam": "O=C1CCCN1",
    "beta-lactam": "O=C1CCN1", "imide": "O=C1CCC(=O)N1", "urea": "CNC(N)=O", "carbamate": "COC(=O)NC",
    "hydroxamic acid": "CC(=O)NO", "hydrazide": "CC(=O)NN", "thiocarbonyl": "CC(N)=S", "isocyanate": "CN=C=O",
    "isothiocyanate": "CN=C=S", "alcohol": "CCO", "phenol": "Oc1ccccc1", "aromatic hydroxyl": "Oc1ccncc1",
    "ether": "COC", "acetal": "COC(C)OC", "methoxy": "COc1ccccc1", "epoxide": "C1CO1", "peroxide": "COOC",
    "amine": "CNC", "primary amine": "CN", "secondary amine": "CNC", "tertiary amine": "CN(C)C",
    "aliphatic amine": "CCN", "aromatic amine": "Nc1ccncc1", "aniline": "Nc1ccccc1",
    "quaternary ammonium": "C[N+](C)(C)C", "imine": "CC=NC", "amidine": "CC(=N)N", "guanidine": "CNC(=N)N",
    "nitrile": "CC#N", "nitro": "C[N+](=O)[O-]", "aromatic nitro": "O=[N+]([O-])c1ccccc1",
    "nitrate ester": "CO[N+](=O)[O-]", "nitroso": "CN=O", "N-oxide": "C[N+](C)(C)[O-]", "azide": "CN=[N+]=[N-]",
    "azo": "CN=NC", "diazo": "C=[N+]=[N-]", "hydrazine": "CNN", "hydrazone": "CC=NN", "hydroxylamine": "CNO",
    "oxime": "CC=NO", "thiol": "CS", "thioether": "CSC", "disulfide": "CSSC", "sulfoxide": "C[S+](C)[O-]",
    "sulfone": "CS(C)(=O)=O", "sulfonamide": "CNS(C)(=O)=O", "primary sulfonamide": "CS(N)(=O)=O",
    "sulfonic acid": "CS(=O)(=O)O", "sulfonyl chloride": "CS(=O)(=O)Cl", "thiocyanate": "CSC#N",
    "phosphoric acid": "COP(=O)(O)O", "phosphoric ester": "COP(=O)(OC)OC", "boronic acid": "CB(O)O",
    "boronic acid or ester": "CB(OC)OC", "halogen": "CI", "alkyl halide": "CCl", "aryl halide": "Brc1ccccc1",
    "trifluoromethyl": "CC(F)(F)F", "alkene": "C=C", "alkyne": "CC#CC", "terminal alkyne": "CC#C",
    "benzene": "c1ccccc1", "pyridine": "c1ccncc1", "imidazole": "c1c[nH]cn1", "oxazole": "c1cocn1",
    "thiazole": "c1cscn1", "tetrazole": "c1nnn[nH]1", "furan": "c1ccoc1", "thiophene": "c1ccsc1",
    "piperidine": "C1CCNCC1", "piperazine": "C1CNCCN1", "morpholine": "C1COCCN1", "barbiturate": "O=C1CC(=O)NC(=O)N1",
}  # fmt: skip


def test_every_group_has_an_example() -> None:
    assert EXAMPLES.keys() == FUNCTIONAL_GROUPS.keys()


@pytest.mark.parametrize("name", FUNCTIONAL_GROUPS)
def test_a_group_is_found_in_its_example_and_not_in_an_alkane(name: str) -> None:
    assert count_functional_group(parse(EXAMPLES[name]), name) == 1
    assert count_functional_group(parse("CC(C)C"), name) == 0
    assert FUNCTIONAL_GROUPS[name].definition


@pytest.mark.parametrize(
    ("name", "charged", "neutral"),
    [
        ("carboxylic acid", "CC(=O)[O-]", "CC(=O)O"),
        ("primary amine", "CC[NH3+]", "CCN"),
        ("tertiary amine", "C[NH+](C)C", "CN(C)C"),
        ("alpha-amino acid", "[NH3+]C(C)C(=O)[O-]", "NC(C)C(=O)O"),
        ("amidine", "CC(N)=[NH2+]", "CC(=N)N"),
        ("phenol", "[O-]c1ccccc1", "Oc1ccccc1"),
        ("carboxylic acid", "CC(=O)[O-].[Na+]", "CC(=O)O"),
        ("sulfonic acid", "CS(=O)(=O)[O-]", "CS(=O)(=O)O"),
    ],
)
def test_a_charged_group_counts_like_the_neutral_one(name: str, charged: str, neutral: str) -> None:
    assert count_functional_group(parse(charged), name) == count_functional_group(parse(neutral), name) == 1


@pytest.mark.parametrize(
    ("name", "smiles"),
    [
        ("amine", "CC(=O)N"),
        ("amine", "CC=NC"),
        ("amine", "CN=[N+]=[N-]"),
        ("amide", "CNC(=O)NC"),
        ("amide", "COC(=O)NC"),
        ("ether", "CC(=O)OC"),
        ("ketone", "CC(=O)O"),
        ("alcohol", "Oc1ccccc1"),
        ("alcohol", "CC(=O)O"),
        ("aniline", "CC(=O)Nc1ccccc1"),
        ("quaternary ammonium", "C[NH+](C)C"),
        ("imine", "CC(=N)N"),
        ("thioether", "CSSC"),
        ("boronic acid", "CB(OC)OC"),
    ],
)
def test_a_name_does_not_include_its_relatives(name: str, smiles: str) -> None:
    assert count_functional_group(parse(smiles), name) == 0


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(InputError, match=r"'acid'.*carboxylic acid"):
        count_functional_group(parse("C"), "acid")
