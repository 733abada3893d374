import pandas as pd
import pytest

from molvae.candidates.columns import CANDIDATE_COLUMNS, PROPOSAL_COLUMNS, check_table
from molvae.errors import InputError


def proposals(**changes):
    columns = {
        "candidate_id": ["C1", "C2"],
        "smiles": ["C", "CC"],
        "raw_smiles": ["C", "CC"],
        "round": [0, 1],
        "parent_id": [None, "C1"],
        "latent_row": [0, 1],
        "score": [0.5, float("nan")],
        "value_logp": [1.0, 2.0],
    }
    return pd.DataFrame({**columns, **changes})


def test_a_good_table_passes_as_it_is():
    table = proposals()
    assert check_table(table, PROPOSAL_COLUMNS, "here") is table


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": [1, 2]}, "unknown column colour"),
        ({"round": [0.5, 1]}, "column round: expected integer"),
        ({"score": ["high", "low"]}, "column score: expected number"),
        ({"smiles": ["C", "C"]}, "smiles C stands twice"),
        ({"candidate_id": ["C1", "C1"]}, "candidate_id C1 stands twice"),
        ({"smiles": [1, 2]}, "column smiles: expected text"),
    ],
)
def test_a_bad_table_is_told_where(changes, words):
    with pytest.raises(InputError, match=words):
        check_table(proposals(**changes), PROPOSAL_COLUMNS, "proposals.parquet")


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="no column passed, reason"):
        check_table(proposals(), CANDIDATE_COLUMNS, "candidates.csv")


def test_every_column_has_a_meaning():
    assert all(column.meaning for column in CANDIDATE_COLUMNS)
    assert len({column.name for column in CANDIDATE_COLUMNS}) == len(CANDIDATE_COLUMNS)
