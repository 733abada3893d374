"""Combinations of recipe, encoder input, decoder output and bottleneck: pairwise by default, all as slow tests."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from molvae.autoencoder import RECIPES, ModelSettings, build
from molvae.autoencoder.recipes import BOTTLENECKS
from molvae.autoencoder.trace import Batch
from molvae.errors import InputError
from molvae.feature_spec import END, MAX_DEGREE, FeatureSpec
from molvae.features import FeatureStore, FeatureWriter
from molvae.training import TrainConfig, train

SPECS = {
    "tokens": FeatureSpec("tokens", 14, 8),
    "bits": FeatureSpec("bits", 20),
    "counts": FeatureSpec("counts", 20),
    "array": FeatureSpec("array", 20),
    "graph": FeatureSpec("graph", 7, 6),
}
SIZES = {
    "tokens": {"kind": "gru", "embedding": 8, "hidden": 12, "heads": 2},
    "graph": {"kind": "graph", "hidden": 12, "message_passing_steps": 2, "heads": 2},
}
N_LATENT = 6


@dataclass(frozen=True)
class Case:
    recipe: str
    input_kind: str
    output_kind: str
    bottleneck: str

    def __str__(self) -> str:
        return f"{self.recipe}-{self.input_kind}-{self.output_kind}-{self.bottleneck}"

    @property
    def view(self) -> FeatureSpec | None:
        return SPECS[self.input_kind] if self.input_kind != self.output_kind else None

    def problem(self) -> str | None:
        """A fact of the error if the parts cannot be combined, else None."""
        recipe = RECIPES[self.recipe]
        if "kl" in recipe.regularizers and self.bottleneck != "gaussian":
            return "gaussian"
        if "kl_to_rate" in recipe.regularizers and self.bottleneck != "sigmoid":
            return "sigmoid"
        if self.output_kind == "graph":
            return "graphs"
        if recipe.scores_hidden and self.input_kind != self.output_kind:
            return "scores_hidden"
        if recipe.is_linear and {"tokens", "graph"} & {self.input_kind, self.output_kind}:
            return "linear"
        return None

    def settings(self) -> ModelSettings:
        given = {"recipe": self.recipe, "n_latent": N_LATENT, "k": 3, "changes": {"bottleneck": self.bottleneck}}
        if self.input_kind in SIZES:
            given["encoder"] = SIZES[self.input_kind]
        if self.output_kind == "tokens":
            given["decoder"] = {"kind": "gru", "hidden": 24}
        return ModelSettings.from_dict(given, "test")

    def model(self, n_properties=2):
        torch.manual_seed(0)
        return build(self.settings(), SPECS[self.output_kind], n_properties, self.view)


ALL = [Case(*parts) for parts in itertools.product(RECIPES, SPECS, SPECS, BOTTLENECKS)]
POSSIBLE = [case for case in ALL if case.problem() is None]


def pairs_of(case):
    parts = enumerate((case.recipe, case.input_kind, case.output_kind, case.bottleneck))
    return set(itertools.combinations(parts, 2))


def pairwise(cases):
    """A few of the cases that contain every possible pair of parts."""
    left = set().union(*map(pairs_of, cases))
    chosen = []
    while left:
        best = max(cases, key=lambda case: len(pairs_of(case) & left))
        chosen.append(best)
        left -= pairs_of(best)
    return chosen


FEW = pairwise(POSSIBLE)
OTHERS = [pytest.param(case, marks=pytest.mark.slow) for case in POSSIBLE if case not in FEW]
over_all = pytest.mark.parametrize("case", [*FEW, *OTHERS], ids=str)


def rows_of(kind, n=40):
    """Random features as a featurizer makes them."""
    random = np.random.default_rng(0)
    if kind == "tokens":
        x = random.integers(4, 14, (n, 8)).astype(np.uint16)
        ends = random.integers(2, 8, n)
        x[np.arange(8) > ends[:, None]] = 0
        x[np.arange(n), ends] = END
        return x
    if kind == "graph":
        x = np.zeros((n, 6, 1 + 2 * MAX_DEGREE), np.uint16)
        for row, n_atoms in enumerate(random.integers(1, 7, n)):
            x[row, :n_atoms, 0] = random.integers(2, 7, n_atoms)
            for atom in range(1, n_atoms):  # a chain of atoms
                bond = random.integers(1, 8)
                x[row, atom, 1:3] = atom - 1, bond
                x[row, atom - 1, 3 if atom > 1 else 1 : 5 if atom > 1 else 3] = atom, bond
        return x
    x = random.standard_normal((n, 3)) @ random.standard_normal((3, 20))
    return {"array": x.astype(np.float32), "bits": (x > 0).astype(np.uint8), "counts": abs(x).astype(np.uint8)}[kind]


def write(folder, case):
    folder.mkdir()
    labels = np.random.default_rng(1).standard_normal((40, 2)).astype(np.float32)
    labels[::4] = np.nan
    with FeatureWriter(folder, SPECS[case.output_kind], ("a", "b"), case.view) as writer:
        writer.write(rows_of(case.output_kind), labels, rows_of(case.input_kind) if case.view else None)
    return folder


def tensor_of(kind):
    x = rows_of(kind)
    return torch.from_numpy(x.astype(np.int64 if kind in ("tokens", "graph") else np.float32))


def batch_of(case):
    y = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    return Batch(tensor_of(case.output_kind), tensor_of(case.input_kind) if case.view else None, y)


def encoder_input(batch):
    return batch.x if batch.view is None else batch.view


def terms_of(model, batch):
    return model.terms(model(batch, torch.Generator().manual_seed(0)))


def test_the_few_cases_contain_every_pair():
    assert set().union(*map(pairs_of, FEW)) == set().union(*map(pairs_of, POSSIBLE))
    assert len(FEW) < len(POSSIBLE) / 4


def test_impossible_combinations_are_refused():
    impossible = [case for case in ALL if case.problem()]
    assert len(impossible) + len(POSSIBLE) == len(ALL)
    for case in impossible:
        with pytest.raises(InputError, match=case.problem()):
            case.model()


@over_all
def test_gradients_reach_every_parameter(case):
    model = case.model()
    terms = terms_of(model, batch_of(case))
    for name, term in terms.items():
        assert term.shape == (40,), name
        assert torch.isfinite(term).all(), name
    sum(term.sum() for term in terms.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@over_all
def test_terms_and_latent_vectors_are_reproducible(case):
    batch = batch_of(case)
    first, second = terms_of(case.model(), batch), terms_of(case.model(), batch)
    for name in first:
        assert torch.equal(first[name], second[name]), name
    z = case.model().encode(encoder_input(batch))
    assert z.shape == (40, N_LATENT)
    assert torch.equal(z, case.model().encode(encoder_input(batch)))
    assert torch.equal(case.model().decode(z), case.model().decode(z))


@over_all
def test_latent_vectors_do_not_depend_on_row_order_or_padding(case):
    model, x = case.model(), encoder_input(batch_of(case))
    z = model.encode(x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.encode(x[order]), z[order])
    if case.input_kind in ("tokens", "graph"):
        padded = torch.cat([x, torch.zeros_like(x[:, :3])], dim=1)
        torch.testing.assert_close(model.encode(padded), z)


@over_all
def test_a_resumed_training_gives_the_same_weights(case, tmp_path):
    sections = {"n_molecules": 64, "batch_size": 16, "evaluate_every": 32, "n_held_out": 4, "n_processes": 1}
    training = {**sections, "precision": "float32", "weights": {}, "weight_warmup": {}}
    config = TrainConfig.from_dict({"model": case.settings().model_dump(), "training": training}, "test")
    features = write(tmp_path / "features", case)

    class Stopped(Exception):
        pass

    def stop(entry):
        raise Stopped

    whole = train(config, features, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(config, features, tmp_path / "parts", report=stop)
    resumed = train(config, features, tmp_path / "parts", resume=True)
    assert resumed.validation == whole.validation
    weights = resumed.model.state_dict()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(weights[name], value), name
    store = FeatureStore.open(features)
    assert (store.spec, store.view_spec) == (SPECS[case.output_kind], case.view)


@pytest.mark.parametrize("section", ["encoder", "decoder", "changes"])
def test_an_unknown_setting_of_a_part_is_refused(section):
    given = {"encoder": {"kind": "graph", "hiden": 8}, "decoder": {"kind": "gru", "hiden": 8}}
    given["changes"] = {"hiden": 1}
    with pytest.raises(InputError, match="hiden: unknown key"):
        ModelSettings.from_dict({section: given[section]}, "test")
