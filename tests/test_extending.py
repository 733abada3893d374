"""The code of docs/extending.md runs, and the extensions that it defines work."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from molvae.pipeline import cli

import molvae
from molvae import plugins
from molvae.autoencoder import RECIPES, ModelSettings, build
from molvae.autoencoder.recipes import BOTTLENECKS, REGULARIZERS
from molvae.autoencoder.trace import Batch
from molvae.checks.checks import CHECKS
from molvae.chem.properties import PROPERTIES
from molvae.codec import ToyCodec
from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec
from molvae.features import FeatureSettings, learn_featurizer, load_featurizer
from molvae.features.views import FEATURIZERS
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.scoring.scorers import SCORERS
from molvae.search.optimizers import OPTIMIZERS
from molvae.search.settings import SearchSettings

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
TABLES = (RECIPES, REGULARIZERS, BOTTLENECKS, FEATURIZERS, OPTIMIZERS, PROPERTIES, CHECKS, SCORERS)
SMILES = ["CC(=O)Nc1ccc(O)cc1", "CCO", "c1ccccc1", "CC(=O)O", "CCN", "CCCC", "Cc1ccccc1", "OCCO"]


@pytest.fixture(scope="module")
def example():
    """The names that the code of the page defines; its rows are removed from the registries afterwards."""
    copies = [dict(table) for table in TABLES]
    names: dict[str, object] = {"__name__": "extending"}
    sys.modules["extending"] = type(sys)("extending")  # dataclasses look up their module
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    yield names
    del sys.modules["extending"]
    for table, copy in zip(TABLES, copies, strict=True):
        table.clear()
        table.update(copy)


def test_the_example_regularizer_decorrelates_latent_dimensions(example):
    assert example["decorrelated"] < example["plain"] / 2


@pytest.mark.parametrize("recipe", ["denoising_sparse", "decorrelated", "spherical"])
@pytest.mark.parametrize("kind", ["bits", "array"])
def test_the_example_recipes_build_and_train(example, recipe, kind):
    torch.manual_seed(0)
    model = build(ModelSettings(recipe=recipe, n_latent=4), FeatureSpec(kind, 12))
    x = (torch.randn(30, 12, generator=torch.Generator().manual_seed(0)) > 0).float()
    terms = model.terms(model(Batch(x), torch.Generator().manual_seed(0)))
    assert set(terms) == {"reconstruction", *RECIPES[recipe].regularizers}
    for term in terms.values():
        assert term.shape == (30,)
    sum(term.sum() for term in terms.values()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_the_example_bottleneck_gives_unit_vectors(example):
    model = build(ModelSettings(recipe="spherical", n_latent=4), FeatureSpec("array", 12))
    torch.testing.assert_close(model.encode(torch.randn(5, 12)).norm(dim=1), torch.ones(5))


def test_the_example_view_is_learned_saved_and_loaded(example, tmp_path):
    settings = FeatureSettings(encoder_input="properties", options={"properties": {"names": ["logp", "qed"]}})
    featurizer = learn_featurizer("properties", settings, lambda: SMILES)
    assert featurizer.spec == FeatureSpec("array", 2)
    encoded = featurizer.encode([*SMILES, "nonsense"])
    assert encoded.ok.tolist() == [True] * len(SMILES) + [False]
    np.testing.assert_allclose(encoded.x[:-1].mean(0), 0, atol=1e-6)
    featurizer.save(tmp_path / "view.json")
    assert load_featurizer(tmp_path / "view.json") == featurizer


def test_settings_of_the_example_view_are_validated(example):
    with pytest.raises(InputError, match="did you mean properties"):
        FeatureSettings.from_dict({"encoder_input": "propertys"}, "train.toml")
    with pytest.raises(InputError, match=r"nmes.*did you mean names"):
        FeatureSettings.from_dict({"options": {"properties": {"nmes": ["logp"]}}}, "train.toml")
    with pytest.raises(InputError, match="decoder_output"):
        FeatureSettings.from_dict({"decoder_output": "properties"}, "train.toml")


def test_the_example_property_and_checks_are_used(example):
    settings = molvae.ChecksSettings(mol_weight=False, fluorines=2, nitrogens=[1, 6])
    table = molvae.check_molecules(["CC(F)(F)F", "NCC"], settings)
    assert table["check_fluorines"].tolist() == ["fluorines 3 > 2", "pass"]
    assert table["check_nitrogens"].tolist() == ["nitrogens 0 < 1", "pass"]
    settings = ObjectiveSettings.from_dict({"terms": {"n": {"property": "nitrogens", "shape": "higher"}}}, "test")
    assert Objective(settings)(["NCCN"])["value_n"].tolist() == [2]


def test_the_example_scorer_is_a_term(example):
    term = {"substring": "C(=O)N", "shape": "higher", "low": 0, "high": 2}
    settings = ObjectiveSettings.from_dict({"terms": {"amides": term}}, "my.toml")
    assert Objective(settings)(["CC(=O)NC", "CCO"])["score_amides"].tolist() == [0.5, 0.0]
    with pytest.raises(InputError, match=r"\[terms\.amides\] hihg: .*high\?"):
        ObjectiveSettings.from_dict({"terms": {"amides": term | {"hihg": 3}}}, "my.toml")


CONFIG = """
name = "small"
[features]
encoder_input = "properties"
vocabulary_size = 40
options = { properties = { names = ["logp", "qed"] } }
[model]
recipe = "plain"
n_latent = 3
[training]
n_molecules = 64
batch_size = 8
n_held_out = 2
n_processes = 1
evaluate_every = 32
"""


def test_the_example_view_works_in_every_command(tmp_path, monkeypatch):
    (block,) = [block for block in BLOCKS if "class PropertyFeaturizer" in block]
    (tmp_path / "property_view.py").write_text(block.replace('FEATURIZERS["properties"] =', "ROW ="))
    info = tmp_path / "property_view-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: property-view\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[molvae.featurizers]\nproperties = property_view:ROW\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(FEATURIZERS, "properties", raising=False)  # here it is a plug-in
    plugins._load.cache_clear()
    try:
        Path("library.smi").write_text("\n".join(SMILES))
        Path("small.toml").write_text(CONFIG)
        assert cli._run(["featurize", "library.smi", "-o", "features", "--config", "small.toml"]) == 0
        assert cli._run(["train", "small.toml", "--features", "features", "-o", "codec"]) == 0
        codec = molvae.load_codec("codec")
        assert codec.view.names == ("logp", "qed")
        z = codec.encode(SMILES).z
        assert np.isfinite(z).all()
        assert len(codec.decode(z)) == len(SMILES)
        assert codec.view.describe() in Path("codec/README.md").read_text()
    finally:
        plugins._load.cache_clear()
        sys.modules.pop("property_view", None)


def test_the_example_search_method_has_settings_and_resumes(example, tmp_path):
    with pytest.raises(InputError, match=r"\[greedy\] stpe: .*step\?"):
        SearchSettings.from_dict({"greedy": {"stpe": 1}}, "campaign.toml")

    def oracle(smiles):
        n_scored.append(len(smiles))
        return [one.count("c") for one in smiles]

    def stop(summary):
        raise KeyboardInterrupt

    arguments = {"budget": 40, "codec": ToyCodec(), "settings": {"method": "greedy", "greedy": {"step": 0.3}}}
    n_scored: list[int] = []
    whole = molvae.optimize(oracle, **arguments)
    n_scored.clear()
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            molvae.optimize(oracle, **arguments, checkpoint=tmp_path / "search", progress=stop)
    resumed = molvae.optimize(oracle, **arguments, checkpoint=tmp_path / "search")
    pd.testing.assert_frame_equal(resumed.table, whole.table, check_exact=True)
    assert sum(n_scored) == 40


def test_every_table_that_the_page_names_exists():
    root = PAGE.parents[1] / "molvae"
    for table, file in re.findall(r"`([A-Z]+)`, ([\w/]+\.py)", PAGE.read_text(encoding="utf-8")):
        found = [path for path in root.rglob("*.py") if str(path).endswith(file)]
        assert any(re.search(rf"^{table}\b.*=", path.read_text(encoding="utf-8"), re.MULTILINE) for path in found), (
            table
        )
