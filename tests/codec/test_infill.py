import math
from dataclasses import replace

import pytest
import torch

from molvae.autoencoder import ModelSettings, build
from molvae.chem.fixed_parts import read_fixed_part
from molvae.chem.molecules import canonicalize, parse
from molvae.chem.properties import compute
from molvae.codec import Codec, SamplingSettings, load_codec
from molvae.errors import InputError
from molvae.features.fingerprints import FingerprintFeaturizer
from molvae.features.tokens import TokenFeaturizer

CORPUS = ["CCO", "CCN", "c1ccccc1", "CC(=O)N", "CC(C)O", "Cc1ccccc1"]
GRU = {"encoder": {"kind": "gru", "embedding": 8, "hidden": 8}, "decoder": {"kind": "gru", "hidden": 16}}


@pytest.fixture(scope="module")
def bundled_codec():
    return load_codec("moses")


@pytest.fixture(scope="module")
def phenols(bundled_codec):
    return bundled_codec.infill("c1ccc(_)cc1O", n=1000, tries=60)


def untrained(recipe, notation="smiles", **changes):
    featurizer = TokenFeaturizer.from_corpus(CORPUS, 60, length=12, notation=notation)
    settings = ModelSettings.from_dict({"recipe": recipe, "n_latent": 4, **GRU, **changes}, "test")
    torch.manual_seed(0)
    model = build(settings, featurizer.spec).requires_grad_(False)
    return Codec("small", featurizer, model, settings, None, SamplingSettings(), {})


def test_every_molecule_contains_the_fragment(phenols):
    phenol = parse("Oc1ccccc1")
    assert len(phenols) >= 5
    assert all(parse(smiles).HasSubstructMatch(phenol) for smiles in phenols["smiles"])
    for smiles, filled in zip(phenols["smiles"], phenols["filled"], strict=True):
        assert canonicalize(f"c1ccc({filled})cc1O").smiles == smiles


def test_molecules_are_ranked_unique_and_counted(phenols):
    assert phenols["log_probability"].is_monotonic_decreasing
    assert phenols["smiles"].is_unique
    counts = phenols.attrs["counts"]
    assert counts["tried"] == counts["invalid"] + counts["altered"] + counts["duplicates"] + counts["unique"]
    assert counts["unique"] == len(phenols)
    assert phenols["n_drawn"].sum() == counts["unique"] + counts["duplicates"]
    assert sum(phenols.attrs["reasons"].values()) == counts["invalid"]


def test_the_table_depends_on_the_seed(bundled_codec):
    tables = [bundled_codec.infill("CC(=O)N_", tries=20, seed=seed) for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_probable_molecules_rank_above_improbable_ones(bundled_codec):
    table = bundled_codec.infill("CC(=O)Nc1ccc(_)cc1", n=1000, atoms=(1, 6), tries=60).set_index("smiles")
    highest, lowest = table["log_probability"].max(), table["log_probability"].min()
    assert highest - lowest > 3
    assert math.isfinite(highest)


def test_a_gap_closes_an_open_ring():
    codec = untrained("masked")
    table = codec.infill("C1CC_", n=100, atoms=(0, 2), tries=500, temperature=5)
    assert "C1CCC1" in set(table["smiles"])
    assert compute(table["smiles"], ["rings"])["rings"].min() >= 1


@pytest.mark.parametrize("recipe", ["masked", "denoising"])
def test_gaps_may_be_empty_and_are_not_longer_than_allowed(recipe):
    table = untrained(recipe).infill("C_C_O", n=1000, atoms=(0, 2), tries=400, temperature=3)
    fillings = [filled.split("_") for filled in table["filled"]]
    assert {(bool(one), bool(two)) for one, two in fillings} >= {(False, False), (True, False), (False, True)}
    without_ring = [gap for pair in fillings for gap in pair if not any(letter.isdigit() for letter in gap)]
    assert max(sum(letter.isalpha() for letter in gap) for gap in without_ring) == 2


def test_a_masked_codec_does_not_score_the_end_token():
    masked, denoising = untrained("masked"), untrained("denoising")
    one, two = (codec.infill("CC_O", atoms=(0, 0)) for codec in (masked, denoising))
    assert one["smiles"].tolist() == two["smiles"].tolist() == ["CCO"]
    assert one["log_probability"][0] > two["log_probability"][0]


def test_an_impossible_valence_gives_an_empty_table_with_reasons(bundled_codec):
    table = bundled_codec.infill("CC(C)(C)(C)(C)C_", tries=40)
    assert len(table) == 0
    assert list(table) == ["smiles", "filled", "log_probability", "n_drawn"]
    assert table.attrs["counts"]["invalid"] == table.attrs["counts"]["tried"] == 40
    assert "impossible valence" in table.attrs["reasons"]


@pytest.mark.parametrize(
    "part",
    [
        "[*:1]c1ccnc([*:2])c1",
        "O=S(=O)(c1ccc([*:1])cc1)[*:2]",
        "CC1(O)CC(=O)C([*:1])C([*:3])C1[*:2]",
        "CN1CCN([*:1])CC1.c1ccc([*:2])cc1",
    ],
)
def test_a_third_of_the_fillings_of_several_attachment_points_contain_the_part_alone(bundled_codec, part):
    table = bundled_codec.infill(part, n=1000, tries=45)
    fixed = read_fixed_part(part)
    assert all(fixed.is_in(smiles) for smiles in table["smiles"])
    assert table["n_drawn"].sum() > 15
    assert len(table) > 8


def test_a_third_of_the_fillings_of_two_gaps_are_molecules(bundled_codec):
    table = bundled_codec.infill("Cc1cc(_)ccc1NC(=O)_", n=1000, tries=45)
    pattern = parse("Cc1ccccc1NC=O")
    assert all(parse(smiles).HasSubstructMatch(pattern) for smiles in table["smiles"])
    assert table["n_drawn"].sum() > 15


def test_stereo_of_a_fixed_part_is_kept():
    part = read_fixed_part("C[C@H]([*:1])N[*:2]")
    table = load_codec("druglike").infill(part.smiles, n=100, tries=30)
    assert len(table) > 8
    assert all(part.is_in(smiles) and "@" in smiles for smiles in table["smiles"])


def test_decoding_with_a_part_gives_molecules_that_contain_it_and_depends_on_the_seed(bundled_codec):
    part = read_fixed_part("[*:1]c1ccnc([*:2])c1")
    z = bundled_codec.draw(20)
    runs = [bundled_codec.decode_with(part.smiles, z, noise=0.6, temperature=0.5, seed=seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]
    found = [one.smiles for one in runs[0] if one.smiles is not None]
    assert len(found) > 10
    assert all(part.is_in(smiles) for smiles in found)
    assert all(one.reason for one in runs[0] if one.smiles is None)


def test_decoding_with_a_part_keeps_what_it_can_of_the_parent(bundled_codec):
    parent = canonicalize("O=C(NCc1ccco1)c1ccc(N2CCCCCC2)nc1").smiles
    z = bundled_codec.encode([parent]).z.repeat(20, axis=0)
    part = "c1cc([*:1])ncc1[*:2]"
    decoded = bundled_codec.decode_with(part, z, parents=[parent] * 20, noise=0.1, temperature=0.5)
    assert sum(one.smiles == parent for one in decoded) >= 5
    pattern = "c1ccncc1C(=O)N"
    decoded = bundled_codec.decode_with(pattern, z, parents=[parent] * 20, noise=0.1, temperature=0.5)
    assert sum(one.smiles is not None for one in decoded) >= 5
    assert bundled_codec.decode_with("[c;H1]", z[:1])[0].reason  # a SMARTS without a molecule to start from


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("CCO", "no gap"),
        ("C?O", "no gap"),
        ("", "empty"),
        (None, "empty"),
        ("_".join("CCCCCCC"), "6 gaps"),
        ("C[Si](_)C", r"\[Si\]"),
        ("C[N_]C", "inside the brackets"),
        ("C)C_", "closes a branch"),
        ("C" * 300 + "_", "tokens"),
        ("СС_", "."),
        ("[*:1]C[Si]C[*:2]", r"\[Si\]"),
        ("[*:1]C[*:1]", "twice"),
        ("[*:1]" + "C" * 300, "tokens"),
        ("[*:1]C_", "vocabulary"),
    ],
)
def test_an_impossible_fragment_is_an_error(bundled_codec, fragment, message):
    with pytest.raises(InputError, match=message):
        bundled_codec.infill(fragment)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n:"),
        ({"tries": 0}, "tries"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"atoms": (3, 2)}, "atoms"),
        ({"atoms": (-1, 2)}, "atoms"),
        ({"atoms": (0, 1000)}, "atoms"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        untrained("masked").infill("CC_", **options)


def test_a_codec_that_cannot_fill_gaps_is_an_error():
    with pytest.raises(InputError, match=r"small .*'plain'.*'masked', 'denoising' or 'molecular'"):
        untrained("plain").infill("CC_")
    with pytest.raises(InputError, match="SELFIES"):
        untrained("masked", "selfies").infill("CC_")
    bits = replace(untrained("plain"), featurizer=FingerprintFeaturizer("bits"))
    with pytest.raises(InputError, match="Morgan"):
        bits.infill("CC_")
