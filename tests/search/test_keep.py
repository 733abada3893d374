import pandas as pd
import pytest

from molvae import Search, optimize
from molvae.chem.fixed_parts import read_kept
from molvae.codec import ToyCodec, load_codec
from molvae.errors import InputError
from molvae.search.settings import SearchSettings

HINGE = "[*:1]Nc1ncnc2cc([*:2])ccc12"  # 4-aminoquinazoline
LINK = "[*:1]c1ccncc1.[*:2]C1CCOCC1"
TINY = {"proposals": 8, "proposals_per_call": 1, "generations": 1, "batch_size": 3, "evolution": {"n_initial": 3}}


@pytest.fixture(scope="module")
def codec():
    return load_codec("moses")


def count_atoms(smiles):
    return [float(sum(letter.isalpha() for letter in one)) for one in smiles]


def search(codec, keep, **options):
    settings = TINY | {"constraints": {"keep": keep}} | options.pop("settings", {})
    return optimize(count_atoms, budget=9, codec=codec, settings=settings, notify=lambda note: None, **options)


@pytest.mark.parametrize("keep", [HINGE, LINK, "O=C1CCCN1"])
def test_every_molecule_of_every_round_keeps_the_part(codec, keep):
    result = search(codec, keep)
    part = read_kept(keep)
    assert len(result.table) == 9
    assert result.table["round"].max() >= 2
    assert all(part.is_in(smiles) for smiles in result.table["smiles"])
    assert 0 < result.funnel["n_repaired"] <= result.funnel["n_lost"] <= result.funnel["n_proposed"]
    assert any(move.endswith("+infill") for move in result.table["move"])


def test_the_same_seed_gives_the_same_molecules_and_a_search_resumes(codec, tmp_path):
    whole = search(codec, HINGE, seed=3)
    calls = 0

    def fail_later(smiles):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("interrupted")
        return count_atoms(smiles)

    settings = TINY | {"constraints": {"keep": HINGE}}
    with pytest.raises(RuntimeError, match="interrupted"):
        optimize(fail_later, budget=9, codec=codec, settings=settings, seed=3, checkpoint=tmp_path / "search")
    resumed = search(codec, HINGE, seed=3, checkpoint=tmp_path / "search")
    pd.testing.assert_frame_equal(resumed.table, whole.table)
    assert resumed.funnel == whole.funnel


def test_start_molecules_without_the_part_are_skipped_and_others_are_parents(codec):
    notes = []
    start = ["CC(=O)Nc1ccc(O)cc1", "CNc1ncnc2cc(OC)ccc12"]
    settings = TINY | {"constraints": {"keep": HINGE}}
    result = optimize(count_atoms, budget=6, codec=codec, start=start, settings=settings, notify=notes.append)
    assert any("skipped" in note and "CC(=O)Nc1ccc(O)cc1" in note for note in notes)
    assert result.table["smiles"][result.table["move"] == "start"].tolist() == ["CNc1ncnc2cc(OC)ccc12"]
    assert all(read_kept(HINGE).is_in(smiles) for smiles in result.table["smiles"])


def test_a_smarts_is_kept_with_the_substituents_of_its_parents(codec):
    keep = "c1cc[n,c;H1]cc1C(=O)N"
    start = ["CNC(=O)c1ccncc1", "O=C(NCc1ccco1)c1cccnc1"]
    result = search(codec, keep, start=start)
    assert len(result.table) > 4
    assert all(read_kept(keep).is_in(smiles) for smiles in result.table["smiles"])


def test_a_codec_that_cannot_fill_gaps_filters_its_proposals():
    result = search(ToyCodec(), "[*:1]C(=O)Nc1ccncc1")
    assert len(result.table)
    assert all(read_kept("[*:1]C(=O)Nc1ccncc1").is_in(smiles) for smiles in result.table["smiles"])
    assert result.funnel["n_repaired"] == 0 < result.funnel["n_lost"]


def test_a_search_that_finds_nothing_says_what_to_do():
    search = Search(ToyCodec(), budget=5, settings=TINY | {"patience": 2, "constraints": {"keep": "[Si]"}})
    assert search.ask() == []
    assert "start molecules" in search.stop_reason
    assert "[Si]" in search.stop_reason


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("[*:1]C.[*:2]C.[*:3]C", "3 fragments"),
        ("[*:1]C[*:1]", "twice"),
        ("[*:1]", "no atom"),
        ("c1cc[*:1]cc1", "2 bonds"),
        ("[*:1]C(", "invalid SMILES"),
        ("c1cc", "invalid pattern"),
    ],
)
def test_a_part_that_cannot_be_read_is_an_error_of_the_settings(keep, message):
    with pytest.raises(InputError, match=message):
        SearchSettings.from_dict({"constraints": {"keep": keep}}, "campaign.toml")


@pytest.mark.parametrize(
    ("keep", "message"), [("[*:1]C[Si](C)C", r"\[Si\]"), ("[*:1]" + "NC(=O)C(Cl)OS(=O)(=O)" * 12 + "C", "tokens")]
)
def test_a_part_that_the_codec_cannot_read_is_an_error_before_the_search(codec, keep, message):
    with pytest.raises(InputError, match=message):
        Search(codec, budget=5, settings={"constraints": {"keep": keep}})
