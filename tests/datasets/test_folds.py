import hashlib
from collections import Counter

import numpy as np
import pytest

from molvae.chem.scaffolds import murcko
from molvae.datasets import is_held_out, split
from molvae.errors import InputError
from molvae.workers import LocalProcesses, Serial

SMILES = [
    f"{'C' * i}{ring}" for i in range(1, 11) for ring in ("c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CCNC1", "O", "c1ccoc1")
]


def test_a_random_split_has_the_requested_sizes_and_depends_on_the_seed():
    folds = split(SMILES, "random", {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=1)
    assert Counter(folds.tolist()) == {"train": 30, "validation": 15, "test": 15}
    assert (folds == split(SMILES, "random", {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=1)).all()
    assert (folds != split(SMILES, "random", {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=2)).any()


def test_the_default_fractions_are_80_10_10():
    assert Counter(split(SMILES).tolist()) == {"train": 48, "validation": 6, "test": 6}


def test_no_scaffold_is_in_two_folds():
    fractions = {"train": 0.5, "validation": 0.25, "test": 0.25}
    folds = split(SMILES, "scaffold", fractions, seed=3)
    for fold in set(folds):
        own = {murcko(one) for one, name in zip(SMILES, folds, strict=True) if name == fold}
        others = {murcko(one) for one, name in zip(SMILES, folds, strict=True) if name != fold}
        assert not own & others
    sizes = Counter(folds.tolist())
    assert sizes["train"] == 30
    assert {sizes["validation"], sizes["test"]} == {10, 20}  # groups of ten are not divided, so 15 is impossible
    assert (folds == split(SMILES, "scaffold", fractions, seed=3)).all()
    assert (folds != split(SMILES, "scaffold", fractions, seed=4)).any()


def test_few_or_no_molecules():
    assert split([]).tolist() == []
    assert split(["CCO"]).tolist() == ["train"]
    assert split(["CCO"], "scaffold").tolist() == ["train"]


def test_worker_processes_do_not_change_a_scaffold_split(monkeypatch):
    in_this_process = split(SMILES, "scaffold", seed=3)
    monkeypatch.setattr("molvae.datasets.folds._MIN_FOR_MAPPER", 10)
    assert (split(SMILES, "scaffold", seed=3, mapper=LocalProcesses(2)) == in_this_process).all()


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": float("nan")}])
def test_invalid_fractions_are_an_error(fractions):
    with pytest.raises(InputError, match="add up to 1"):
        split(SMILES, fractions=fractions)


def test_an_unknown_method_and_an_invalid_smiles_are_errors(monkeypatch):
    with pytest.raises(InputError, match="random, scaffold"):
        split(SMILES, "temporal")
    for limit in (10, 1):
        monkeypatch.setattr("molvae.datasets.folds._MIN_FOR_MAPPER", limit)
        with pytest.raises(InputError, match="C1CC"):
            split(["CCO", "C1CC"], "scaffold", mapper=Serial())


def test_folds_are_strings():
    assert split(SMILES).dtype.kind == "U"
    assert isinstance(split(SMILES), np.ndarray)


def test_whether_a_molecule_is_held_out_depends_only_on_its_structure():
    held = [one for one in ("C" * i + tail for i in range(1, 200) for tail in "ON") if is_held_out(one, 20)]
    assert 8 < len(held) < 33, "one in twenty of 398"
    left, right, without_stereo = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O"
    assert [is_held_out(left, n) for n in range(1, 60)] == [is_held_out(without_stereo, n) for n in range(1, 60)]
    assert [is_held_out(right, n) for n in range(1, 60)] == [is_held_out(without_stereo, n) for n in range(1, 60)]
    number = int(hashlib.sha256(b"CC(N)C(=O)O").hexdigest(), 16)
    assert [is_held_out(left, n) for n in range(1, 60)] == [number % n == 0 for n in range(1, 60)]
