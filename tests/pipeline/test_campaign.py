"""Campaign files: paths, changes from the command line, and how a slip is told."""

from pathlib import Path

import pytest
from molvae.pipeline.campaign import BUNDLED, Campaign, molecules_path

from molvae.errors import InputError

OBJECTIVE = '[objective.terms.qed]\nproperty = "qed"\nshape = "higher"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_campaign_is_found_by_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    campaign = Campaign.load(Path(name))
    assert campaign.search.budget == 2000
    assert f"{campaign.name}.toml" == name
    assert molecules_path(campaign.molecules).is_file()


def test_the_default_needs_no_file() -> None:
    assert Campaign.load(None) == Campaign.load(Path("default.toml"))


def test_paths_count_from_the_campaign_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[molecules]\npath = "lib/a.csv"\n[codec]\nfolder = "../c"\n' + OBJECTIVE)
    campaign = Campaign.load(path)
    assert campaign.molecules.path == tmp_path / "lib" / "a.csv"
    assert Path(campaign.finished_codec or "").resolve() == tmp_path.parent / "c"


def test_a_path_given_by_set_counts_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Campaign.load(None, ["molecules.path=a.csv"]).molecules.path == tmp_path / "a.csv"


def test_what_was_resolved_reads_back_the_same(tmp_path: Path) -> None:
    for name in BUNDLED:
        campaign = Campaign.load(Path(name), ["search.library_starts=3"])
        assert Campaign.load(write(tmp_path, campaign.to_toml())) == campaign


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("search.budget=50", 50),
        ('search.start=["CCO"]', ("CCO",)),
        ("search.remove_stereo=true", True),
        ("search.method=prior", "prior"),
        ('search.method = "prior"', "prior"),
    ],
)
def test_a_change_is_read_as_toml_or_else_as_text(change: str, expected: object) -> None:
    key = change.split("=")[0].strip().split(".")[1]
    assert getattr(Campaign.load(None, [change]).search, key) == expected


def test_a_change_may_open_a_section() -> None:
    changes = ["objective.terms.core.property=substructure", "objective.terms.core.smarts=c1ccncc1"]
    assert Campaign.load(Path("lead.toml"), changes).objective.terms["core"].smarts == "c1ccncc1"


def test_the_lead_is_what_similarity_means() -> None:
    campaign = Campaign.load(Path("lead.toml"), ["lead.smiles=CC(=O)Nc1ccc(O)cc1"])
    assert campaign.objective.terms["similarity"].to == "CC(=O)Nc1ccc(O)cc1"
    other = Campaign.load(Path("lead.toml"), ["objective.terms.similarity.to=CCO"])
    assert other.objective.terms["similarity"].to == "CCO"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("search.budgt=5", r"\[search\] budgt: unknown key; did you mean budget\?"),
        ("serach.budget=5", r"serach: unknown key; did you mean search\?"),
        ("search.budget=many", r"\[search\] budget: .*got 'many'"),
        ("objective.terms.qed.weight=nan", r"\[objective.terms.qed\] weight: .*finite"),
        ("search", "expected section.key=value"),
        ("=5", "expected section.key=value"),
        ("seed.x=3", "seed is a value, not a section"),
        ("name=latest", "latest"),
        ("name=../up", "name"),
        ("train.name=mine", "keep one of the two"),
        ("objective.terms.x.property=qued", "did you mean qed"),
    ],
)
def test_a_slip_is_told_with_its_place(change: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Campaign.load(None, [change])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = \n", "not valid TOML"),
        ("name = 'a'\n", "objective: this key is needed"),
        ("\xff\x00", "TOML|text file"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        Campaign.load(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Campaign.load(tmp_path / "gone.toml")


def test_a_codec_said_last_takes_the_place_of_the_one_in_the_file() -> None:
    campaign = Campaign.load(None, ["codec.folder=/some/codec"])
    assert campaign.finished_codec == "/some/codec"
    assert Campaign.load(None, ["codec.folder=/some/codec", "codec.name=moses"]).finished_codec == "moses"


def test_two_codecs_in_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text('name = "two"\n[codec]\nname = "moses"\nfolder = "x"\n')
    with pytest.raises(InputError, match="give name or folder, not both"):
        Campaign.load(tmp_path / "two.toml")


def test_a_codec_of_its_own_learns_properties_whatever_else_is_said_of_its_features(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    terms = '[objective.terms.weight]\nproperty = "mol_weight"\nshape = "lower"\n'
    path.write_text('[train.features]\nview = "graph"\n' + terms)
    campaign = Campaign.load(path)
    assert campaign.train is not None
    assert campaign.train.features.labels == 250_000
