import numpy as np
import pytest

from molvae.chem.fixed_parts import read_fixed_part
from molvae.chem.molecules import canonicalize
from molvae.codec.gaps import Gap, Grammar, State, Template, TokenTree
from molvae.codec.templates import template_of_molecule
from molvae.feature_spec import BEGIN, END, MASK, PAD
from molvae.features.tokens import TokenFeaturizer, split_symbols

FEATURIZER = TokenFeaturizer.from_corpus(["CC(C)Oc1ccc(N)cc1", "C1CC2CC2C1", "N#Cc1ccncc1=O", "C-F"], 60, length=40)
TREE = TokenTree(FEATURIZER)


def template(text, least=0, most=9, **options):
    """The template of a SMILES with gaps."""
    elements = [part for piece in text.split("_") for part in (*split_symbols(piece), Gap(least, most, **options))]
    return Template(tuple(elements[:-1]))


def accepts(one, smiles):
    grammar, state = Grammar(one, TREE), State()
    for symbol in split_symbols(smiles):
        state = grammar.step(state, symbol)
        if state is None:
            return False
    return grammar.can_end(state)


@pytest.mark.parametrize(
    ("fragment", "smiles", "is_accepted"),
    [
        ("c1ccc(_)cc1", "c1ccc(CC)cc1", True),
        ("c1ccc(_)cc1", "c1ccc(C2CC2)cc1", True),
        ("c1ccc(_)cc1", "c1ccc(C1CC1)cc1", False),  # ring 1 belongs to the fragment
        ("c1ccc(_)cc1", "c1ccc()cc1", False),
        ("c1ccc(_)cc1", "c1ccc(C2CC)cc1", False),  # ring 2 stays open
        ("c1ccc(_)cc1", "c1ccc(CC)cc1C", False),
        ("C(_)O", "C(C)(C)O", False),  # closes the branch of the fragment
        ("C1CC_", "C1CCC1", True),
        ("C1CC_", "C1CCC", False),
        ("C_CC_", "C(N)CC", False),
        ("CC_", "CC", True),
        ("CC_", "CC(", False),
        ("CC_", "CC=", False),
        ("_C", "C", True),
    ],
)
def test_a_filling_keeps_the_rings_and_branches_of_the_fragment(fragment, smiles, is_accepted):
    assert accepts(template(fragment), smiles) is is_accepted


def test_a_gap_before_an_atom_ends_as_soon_as_it_can():
    assert accepts(template("C_O", least=2), "CCCO")
    assert not accepts(template("C_O", least=2), "CCCCO")
    assert accepts(template("C_O", least=2), "CC(C)O")
    assert not accepts(template("C_O", least=2), "CC1CO")


def test_an_attachment_point_takes_a_substituent_by_a_single_bond():
    one = template("C(_)O", least=1, begins="atom", group=1)
    assert accepts(one, "C(C=O)O")
    assert accepts(one, "C(-C)O")
    assert not any(accepts(one, smiles) for smiles in ("C(=O)O", "C()O", "C(1CC1)O", "C((C))O"))


def test_only_the_allowed_tokens_lead_to_a_state():
    grammar = Grammar(template("c1ccc(_)cc1"), TREE)
    rng, state = np.random.default_rng(0), State()
    for _ in range(30):
        allowed = grammar.allowed(state)
        others = [one for one in range(len(allowed)) if one not in (PAD, BEGIN, END, MASK)]
        assert [grammar.follow(state, one) is not None for one in others] == allowed[others].tolist()
        assert allowed[END] == grammar.can_end(state)
        assert not allowed[[PAD, BEGIN, MASK]].any()
        chosen = rng.choice(np.flatnonzero(allowed))
        if chosen == END:
            break
        state = grammar.follow(state, int(chosen))


class NoChange:
    """Lengths as in the molecule."""

    def random(self):
        return 1.0


@pytest.mark.parametrize(
    ("part", "smiles", "fillings"),
    [
        ("[*:1]c1ccc([*:2])cc1", "CCc1ccc(N)cc1", ["CC", "N", ""]),
        ("[*:1]c1ccc([*:2])cc1", "CC(c1ccc(N)cc1)O", ["CC(", "N", ")O"]),
        ("[*:1]c1ccncc1.[*:2]c1ccccc1", "c1ccc(CCc2ccncc2)cc1", ["CC", ""]),
        ("[*:1]C.[*:2]N", "CCOCN", ["COC", ""]),
    ],
)
def test_the_template_of_a_molecule_accepts_the_molecule(part, smiles, fillings):
    atoms = read_fixed_part(part).find(smiles)
    one = template_of_molecule(smiles, atoms, NoChange())
    assert accepts(one, smiles)
    assert Grammar(one, TREE).fillings(split_symbols(smiles)) == fillings
    assert canonicalize(smiles).smiles
