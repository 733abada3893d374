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


def test_a_valid_table_is_returned_unchanged():
    table = proposals()
    assert check_table(table, PROPOSAL_COLUMNS, "here") is table


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"colour": [1, 2]}, "colour"),
        ({"round": [0.5, 1]}, "round: expected integer"),
        ({"score": ["high", "low"]}, "score: expected number"),
        ({"smiles": ["C", "C"]}, "smiles C "),
        ({"candidate_id": ["C1", "C1"]}, "candidate_id C1 "),
        ({"smiles": [1, 2]}, "smiles: expected text"),
    ],
)
def test_an_invalid_table_is_refused_with_the_column(changes, fact):
    with pytest.raises(InputError, match=f"^proposals.parquet: .*{fact}"):
        check_table(proposals(**changes), PROPOSAL_COLUMNS, "proposals.parquet")


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="passed, reason"):
        check_table(proposals(), CANDIDATE_COLUMNS, "candidates.csv")


def test_every_column_has_a_meaning():
    assert all(column.meaning for column in CANDIDATE_COLUMNS)
    assert len({column.name for column in CANDIDATE_COLUMNS}) == len(CANDIDATE_COLUMNS)
