import math
from dataclasses import replace

import pytest
import torch

from molvae.autoencoder import ModelSettings, build
from molvae.chem.molecules import canonicalize, parse
from molvae.chem.properties import compute
from molvae.codec import Codec, SamplingSettings, load_codec
from molvae.codec.infill import _keeps_fragment
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
    return bundled_codec.infill("c1ccc(_)cc1O", n=1000, tries=400)


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
    tables = [bundled_codec.infill("CC(=O)N_", tries=60, seed=seed) for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_probable_molecules_rank_above_improbable_ones(bundled_codec):
    table = bundled_codec.infill("CC(=O)Nc1ccc(_)cc1", n=1000, lengths=(1,), tries=600).set_index("smiles")
    highest, lowest = table["log_probability"].max(), table["log_probability"].min()
    assert highest - lowest > 3
    assert math.isfinite(highest)


def test_a_gap_closes_an_open_ring():
    codec = untrained("masked")
    table = codec.infill("C1CC_", n=100, lengths=(1, 2), tries=2000, temperature=5)
    assert "C1CC1" in set(table["smiles"])
    assert compute(table["smiles"], ["rings"])["rings"].min() >= 1


@pytest.mark.parametrize(
    ("pieces", "filling", "is_kept"),
    [
        (["c1ccc(", ")cc1"], ("CC",), True),
        (["c1ccc(", ")cc1"], ("C2CC2",), True),
        (["c1ccc(", ")cc1"], ("C1CC1",), False),
        (["C(", ")O"], ("C)(C",), False),
        (["C1CC", ""], ("C1",), True),
        (["C%11CC", "C%11"], ("N",), True),
        (["C%11CC", "C%11"], ("C%11C%11",), False),
        (["C", "CC", ""], ("(N", "N)C"), True),
    ],
)
def test_a_filling_must_keep_the_rings_and_branches_of_the_fragment(pieces, filling, is_kept):
    assert _keeps_fragment(pieces, filling) is is_kept


@pytest.mark.parametrize("recipe", ["masked", "denoising"])
def test_every_combination_of_lengths_is_tried_including_empty_gaps(recipe):
    table = untrained(recipe).infill("C_C_O", n=1000, lengths=(0, 1), tries=400, temperature=3)
    is_filled = {tuple(bool(part) for part in filled.split("_")) for filled in table["filled"]}
    assert is_filled >= {(False, False), (True, False), (False, True)}
    assert table.attrs["counts"]["tried"] == 301  # one try if both gaps are empty


def test_a_masked_codec_does_not_score_the_end_token():
    masked, denoising = untrained("masked"), untrained("denoising")
    one, two = (codec.infill("CC_O", lengths=(0,)) for codec in (masked, denoising))
    assert one["smiles"].tolist() == two["smiles"].tolist() == ["CCO"]
    assert one["log_probability"][0] > two["log_probability"][0]


def test_an_impossible_valence_gives_an_empty_table_with_reasons(bundled_codec):
    table = bundled_codec.infill("CC(C)(C)(C)(C)C_", tries=40)
    assert len(table) == 0
    assert list(table) == ["smiles", "filled", "log_probability", "n_drawn"]
    assert table.attrs["counts"]["invalid"] == table.attrs["counts"]["tried"] > 0
    assert "impossible valence" in table.attrs["reasons"]


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
        ({"lengths": []}, "lengths"),
        ({"lengths": [-1]}, "lengths"),
        ({"lengths": [1000]}, "tokens"),
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
