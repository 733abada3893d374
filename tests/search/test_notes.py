"""A search says when its scores cannot guide it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from molvae.codec import ToyCodec
from molvae.search.loop import optimize

STARTS = ["CS(=O)(=O)NCC", "CC(=O)NCC", "NS(=O)(=O)c1ccccc1"]


def notes(codec: ToyCodec, answer: Any, **arguments: Any) -> list[str]:
    found: list[str] = []
    optimize(answer, codec=codec, budget=60, notify=found.append, **arguments)
    return found


def core(smiles: Sequence[str]) -> pd.DataFrame:
    """A condition: no sulfonamide; the other term is always 1."""
    is_amide = [float("S(" not in one) for one in smiles]
    ones = np.ones(len(smiles))
    return pd.DataFrame({"score": is_amide * ones, "score_core": is_amide, "score_size": ones})


def test_start_molecules_with_a_score_of_0_are_named_with_the_term(codec: ToyCodec) -> None:
    note = notes(codec, core, start=STARTS)[0]
    assert "2 of 3 start molecules" in note
    assert "core: 2" in note
    assert "size" not in note
    assert "NS(=O)(=O)c1ccccc1" in note


def test_a_search_in_which_all_scores_are_0_says_so_once(codec: ToyCodec) -> None:
    found = notes(codec, lambda smiles: [0.0] * len(smiles))
    assert sum("all scores are 0" in note for note in found) == 1


def test_a_saturated_objective_is_reported_once(codec: ToyCodec) -> None:
    found = notes(codec, lambda smiles: [0.9999] * len(smiles))
    assert sum("the same score of 0.9999" in note for note in found) == 1


@pytest.mark.parametrize("start", [None, STARTS])
def test_an_objective_that_ranks_molecules_gives_no_such_note(codec: ToyCodec, start: list[str] | None) -> None:
    found = notes(codec, lambda smiles: [0.01 * len(one) for one in smiles], start=start)
    assert not [note for note in found if "score of" in note or "scores are" in note]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_search_without_any_score_says_so_once(codec: ToyCodec, missing: float | None) -> None:
    found = notes(codec, lambda smiles: [missing] * len(smiles))
    assert sum("none has a score" in note for note in found) == 1
    table = {"unscored_reason": "no license"}
    found = notes(codec, lambda smiles: pd.DataFrame({"score": [missing] * len(smiles), **table}))
    assert any("none has a score (most often: no license)" in note for note in found)
    assert not any("none has a score" in note for note in notes(codec, lambda smiles: [missing, *map(len, smiles[1:])]))
