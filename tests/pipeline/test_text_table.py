import numpy as np
import pandas as pd
from molvae.pipeline.text_table import MAX_ROWS, format_table


def test_numbers_are_rounded_and_aligned() -> None:
    table = pd.DataFrame(
        {
            "score": [0.81234, 1.0, np.nan],
            "logp": [-1.3506, 12.3, 0.0],
            "mass": [351.1651, 92.5, 1234.0],
            "n": [2.0, 3.0, np.nan],
            "tiny": [1.234e-7, 2e-9, 0.0],
            "rows": pd.array([1, None, 300], dtype="Int64"),
            "passed": [True, False, None],
            "why": ["MW", None, "two\nlines"],
        }
    )
    lines, left_out = format_table(table, 120)
    assert not left_out
    assert [line.split() for line in lines] == [
        ["score", "logp", "mass", "n", "tiny", "rows", "passed", "why"],
        ["0.812", "-1.35", "351.2", "2", "1.23e-07", "1", "yes", "MW"],
        ["1.000", "12.30", "92.5", "3", "2e-09", "no"],
        ["0.00", "1,234.0", "0", "300", "two", "lines"],
    ]
    assert lines[1].index("0.812") == lines[2].index("1.000")


def test_a_smiles_is_cut_only_if_it_must_be_and_other_columns_go_first() -> None:
    smiles = "CC(=O)Nc1ccc(O)cc1" * 4
    table = pd.DataFrame({"smiles": [smiles], "note": ["x" * 70], "score": [0.5]})
    assert smiles in format_table(table, 200).lines[1]
    line = format_table(table, 105).lines[1]
    assert line.startswith(smiles[:63])
    assert "…" in line
    assert line.endswith("0.500")
    lines, left_out = format_table(table, 50)
    assert left_out == ["score"]
    assert len(lines[1]) <= 50
    assert format_table(table, 10).left_out == ["note", "score"], "the first column is always shown"


def test_at_80_columns_the_score_of_several_runs_is_shown() -> None:
    table = pd.DataFrame(
        {
            "run": ["default-20261130-010000"],
            "candidate_id": ["C000881"],
            "smiles": ["COc1ccccc1N1CCN(Cc2c[nH]c3ccccc23)CC1" * 2],
            "score": [0.99931],
            "value_potency": [9.2],
        }
    )
    lines, left_out = format_table(table, 80, [])
    assert lines[1].endswith("0.999")
    assert "COc1ccccc1N1CCN(Cc2c[nH]c3ccc" in lines[1]
    assert len(lines[1]) <= 80
    assert left_out == ["value_potency"]


def test_of_a_candidate_table_the_reader_sees_ids_score_and_what_the_query_names(candidates: pd.DataFrame) -> None:
    header = format_table(candidates, 150, ["inchikey"]).lines[0].split()
    assert header[:4] == ["candidate_id", "smiles", "score", "inchikey"]
    assert "value_logp" in header
    assert "raw_smiles" not in header
    lines, left_out = format_table(candidates, 80, [])
    assert max(map(len, lines)) <= 80
    assert {"raw_smiles", "inchikey"} <= set(left_out)


def test_only_the_first_rows_are_formatted_and_wide_characters_count_twice() -> None:
    assert len(format_table(pd.DataFrame({"n": range(100)}), 80).lines) == MAX_ROWS + 1
    lines = format_table(pd.DataFrame({"who": ["薬", "ab"], "n": [1, 2]}), 80).lines
    assert lines[1] == "薬   1"
    assert lines[2] == "ab   2"
    assert "\x1b" not in format_table(pd.DataFrame({"a": ["\x1b[31mred"]}), 80).lines[1]
