"""The worked example of docs/extending.md: run as it stands, and what it adds keeps the family's promises."""

import re
from pathlib import Path

import pytest
import torch

from molvae.autoencoder import RECIPES, ModelSettings, build
from molvae.autoencoder.recipes import REGULARIZERS
from molvae.autoencoder.trace import Batch
from molvae.feature_spec import FeatureSpec

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def example():
    """The names that the page's code leaves behind; what it adds to the tables is taken out again."""
    recipes, regularizers = dict(RECIPES), dict(REGULARIZERS)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    yield names
    for table, before in ((RECIPES, recipes), (REGULARIZERS, regularizers)):
        table.clear()
        table.update(before)


def test_the_example_does_what_it_says(example):
    assert example["decorrelated"] < example["plain"] / 2


@pytest.mark.parametrize("recipe", ["denoising_sparse", "decorrelated"])
@pytest.mark.parametrize("kind", ["bits", "array"])
def test_what_it_adds_is_a_member_like_any_other(example, recipe, kind):
    torch.manual_seed(0)
    model = build(ModelSettings(recipe=recipe, n_latent=4), FeatureSpec(kind, 12))
    x = (torch.randn(30, 12, generator=torch.Generator().manual_seed(0)) > 0).float()
    terms = model.terms(model(Batch(x), torch.Generator().manual_seed(0)))
    assert set(terms) == {"reconstruction", *RECIPES[recipe].regularizers}
    for term in terms.values():
        assert term.shape == (30,)
    sum(term.sum() for term in terms.values()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_every_table_that_the_page_names_is_there():
    root = PAGE.parents[1] / "molvae"
    for table, file in re.findall(r"`([A-Z]+)`, ([\w/]+\.py)", PAGE.read_text(encoding="utf-8")):
        found = [path for path in root.rglob("*.py") if str(path).endswith(file)]
        assert any(re.search(rf"^{table}\b.*=", path.read_text(encoding="utf-8"), re.MULTILINE) for path in found), (
            table
        )
