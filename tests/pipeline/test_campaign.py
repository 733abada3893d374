"""Campaign files: paths, changes from the command line, and errors."""

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
    assert f"{campaign.name}.toml" == name
    assert molecules_path(campaign.molecules).is_file()


def test_the_default_needs_no_file() -> None:
    assert Campaign.load(None) == Campaign.load(Path("default.toml"))


def test_paths_are_relative_to_the_campaign_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[molecules]\npath = "lib/a.csv"\n[codec]\nfolder = "../c"\n' + OBJECTIVE)
    campaign = Campaign.load(path)
    assert campaign.molecules.path == tmp_path / "lib" / "a.csv"
    assert Path(campaign.finished_codec or "").resolve() == tmp_path.parent / "c"


def test_paths_of_changes_are_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Campaign.load(None, ["molecules.path=a.csv"]).molecules.path == tmp_path / "a.csv"


def test_resolved_settings_are_read_back_unchanged(tmp_path: Path) -> None:
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
def test_a_change_is_toml_or_a_string(change: str, expected: object) -> None:
    key = change.split("=")[0].strip().split(".")[1]
    assert getattr(Campaign.load(None, [change]).search, key) == expected


def test_a_change_can_add_a_section() -> None:
    changes = ["objective.terms.core.property=substructure", "objective.terms.core.smarts=c1ccncc1"]
    assert Campaign.load(Path("lead.toml"), changes).objective.terms["core"].smarts == "c1ccncc1"


def test_a_similarity_term_compares_with_the_lead() -> None:
    campaign = Campaign.load(Path("lead.toml"), ["lead.smiles=CC(=O)Nc1ccc(O)cc1"])
    assert campaign.objective.terms["similarity"].to == "CC(=O)Nc1ccc(O)cc1"
    other = Campaign.load(Path("lead.toml"), ["objective.terms.similarity.to=CCO"])
    assert other.objective.terms["similarity"].to == "CCO"


def test_terms_without_references_compare_with_the_lead(tmp_path: Path) -> None:
    text = (
        '[lead]\nsmiles = "Cc1ccccc1"\n'
        '[objective.terms.near]\nproperty = "similarity"\n'
        '[objective.terms.away]\nproperty = "similarity"\nto_file = "patent.smi"\nshape = "lower"\n'
        '[objective.terms.core]\nproperty = "scaffold"\n'
        '[objective.terms.other]\nproperty = "scaffold"\nof_file = "a.smi"\nwanted = false\n'
    )
    terms = Campaign.load(write(tmp_path, text)).objective.terms
    assert terms["near"].to == terms["core"].of == "Cc1ccccc1"
    assert terms["away"].to is terms["other"].of is None
    with pytest.raises(InputError, match=r"core\] of: .*CCO.*no ring"):
        Campaign.load(write(tmp_path, text), ["lead.smiles=CCO"])


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ("search.budgt=5", r"\[search\] budgt: unknown key; did you mean budget\?"),
        ("serach.budget=5", r"serach: unknown key; did you mean search\?"),
        ("search.budget=many", r"\[search\] budget: .*got 'many'"),
        ("objective.terms.qed.weight=nan", r"\[objective.terms.qed\] weight: .*finite"),
        ("search", "section.key=value"),
        ("=5", "section.key=value"),
        ("seed.x=3", "--set seed.x=3: seed"),
        ("name=latest", "latest"),
        ("name=../up", "name"),
        ("train.name=mine", r"\[codec\].*\[train\]"),
        ("objective.terms.x.property=qued", "did you mean qed"),
    ],
)
def test_a_wrong_change_is_an_error_with_its_key(change: str, pattern: str) -> None:
    with pytest.raises(InputError, match=pattern):
        Campaign.load(None, [change])


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("name = \n", r"my.toml.*TOML"),
        ("name = 'a'\n", r"my.toml objective"),
        ("\xff\x00", "TOML|text file"),
    ],
)
def test_an_invalid_file_is_an_error(tmp_path: Path, text: str, pattern: str) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=pattern):
        Campaign.load(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.toml"):
        Campaign.load(tmp_path / "gone.toml")


def test_the_last_of_two_codecs_is_used() -> None:
    campaign = Campaign.load(None, ["codec.folder=/some/codec"])
    assert campaign.finished_codec == "/some/codec"
    assert Campaign.load(None, ["codec.folder=/some/codec", "codec.name=moses"]).finished_codec == "moses"


def test_two_codecs_in_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text('name = "two"\n[codec]\nname = "moses"\nfolder = "x"\n')
    with pytest.raises(InputError, match="name or folder"):
        Campaign.load(tmp_path / "two.toml")


def test_features_of_a_trained_codec_have_labels_by_default(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    terms = '[objective.terms.mass]\nproperty = "mol_weight"\nshape = "lower"\n'
    path.write_text('[train.features]\nencoder_input = "graph"\n' + terms)
    campaign = Campaign.load(path)
    assert campaign.train is not None
    assert campaign.train.features.labels == 250_000


def test_paths_of_scorers_are_relative_to_the_campaign_file(tmp_path: Path) -> None:
    (tmp_path / "dock.py").write_text("print(1)")
    shape = 'shape = "higher"\nlow = 0\nhigh = 1\n'
    text = (
        f'[objective.terms.a]\npython = "my.py:score"\n{shape}'
        f'[objective.terms.b]\ncommand = ["python3", "dock.py", "receptor.pdb"]\n{shape}'
        '[objective.terms.c]\nproperty = "similarity"\nto_file = "patent.smi"\n'
        '[objective.terms.d]\nproperty = "scaffold"\nof_file = "sub/scaffolds.smi"\n'
        '[objective.terms.e]\nproperty = "unseen_rings"\nreference_file = "inventory.csv"\n'
    )
    terms = Campaign.load(write(tmp_path, text)).objective.model_dump(mode="json")["terms"]
    assert terms["a"]["python"] == f"{tmp_path / 'my.py'}:score"
    assert terms["b"]["command"] == ["python3", str(tmp_path / "dock.py"), "receptor.pdb"]
    assert terms["c"]["to_file"] == str(tmp_path / "patent.smi")
    assert terms["d"]["of_file"] == str(tmp_path / "sub" / "scaffolds.smi")
    assert terms["e"]["reference_file"] == str(tmp_path / "inventory.csv")


def test_the_paths_of_costly_terms_start_at_the_campaign_file(tmp_path):
    (tmp_path / "dock.py").write_text("")
    shape = 'shape = "higher"\nlow = 0\nhigh = 1\n'
    text = (
        f'[objective]\ncache = "scores"\n[objective.terms.it]\ncommand = ["sh", "dock.py"]\nfiles = ["a.pdb"]\n{shape}'
    )
    path = tmp_path / "my.toml"
    path.write_text(text)
    objective = Campaign.load(path).objective
    assert objective.cache == tmp_path / "scores"
    assert objective.terms["it"].files == (tmp_path / "a.pdb",)
    assert objective.terms["it"].command == ("sh", str(tmp_path / "dock.py"))
    other = Campaign.load(path, ["objective.cache=/elsewhere", "objective.terms.it.processes=4"]).objective
    assert other.cache == Path("/elsewhere")
    assert other.score_settings() == objective.score_settings()


def test_a_lead_that_is_no_molecule_is_reported_where_it_was_given() -> None:
    with pytest.raises(InputError, match=r"\[lead\] smiles: invalid SMILES") as caught:
        Campaign.load(Path("lead.toml"), ["lead.smiles=CC("])
    assert "similarity" not in str(caught.value)
