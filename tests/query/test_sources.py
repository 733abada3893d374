from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from molvae.candidates.files import write_candidates
from molvae.errors import InputError
from molvae.query import Source, query


@pytest.fixture
def runs(candidates: pd.DataFrame, tmp_path: Path) -> list[Source]:
    """Two runs: the second has two other molecules, no column `move`, and a column of its own."""
    first, second = tmp_path / "lead-1", tmp_path / "lead-2"
    first.mkdir()
    second.mkdir()
    write_candidates(first, candidates.assign(move=["draw", "draw", "step", "step"]))
    other = candidates.assign(smiles=["CCO", "CCN", "O=Cc1ccncc1", "Cc1ccc(S(N)(=O)=O)cc1Cl"])
    write_candidates(second, other.assign(score=[0.9, 0.1, 0.2, 0.3]))
    table = pd.read_csv(second / "candidates.csv")
    table.assign(pIC50=["7.10", "6", "", "5.5"]).to_csv(second / "candidates.csv", index=False)
    (second / "candidates.parquet").unlink()
    return [
        Source(first, campaign="lead", date="2026-11-28T03:00:00Z"),
        Source(second, campaign="lead", date="2026-11-29T03:00:00Z"),
    ]


def ids(table: pd.DataFrame) -> list[str]:
    return [f"{run[-1]}:{one[-1]}" for run, one in zip(table["run"], table["candidate_id"], strict=True)]


def test_rows_of_all_runs_come_with_their_run(runs: list[Source]) -> None:
    table = query(runs, "score > 0.7 order by score desc")
    assert ids(table) == ["2:1", "1:1", "1:2"]
    assert list(table)[:3] == ["run", "campaign", "date"]
    assert table["campaign"].tolist() == ["lead"] * 3
    assert table["date"].tolist()[0] == "2026-11-29T03:00:00Z"


def test_one_run_has_these_columns_only_if_they_are_asked_for(runs: list[Source]) -> None:
    assert not {"run", "campaign", "date"} & set(query(runs[0], "score > 0"))
    assert query(runs[0], "run = 'lead-1' and date < '2026-11-29' order by run")["candidate_id"].size == 4
    assert query(runs[:1], "select distinct run, campaign from candidates").to_dict("records") == [
        {"run": "lead-1", "campaign": "lead"}
    ]


def test_a_column_that_some_runs_lack_is_null_there_with_a_note(runs: list[Source]) -> None:
    table = query(runs, "pIC50 > 5.8 or move = 'step' order by pIC50")
    assert ids(table) == ["2:2", "2:1", "1:3", "1:4"]
    assert table["pIC50"].tolist()[:2] == ["6", "7.10"], "the text of the file"
    assert table["pIC50"].isna().tolist() == [False, False, True, True]
    notes = table.attrs["notes"]
    assert len(notes) == 2
    assert any("lead-1" in note and "pIC50" in note for note in notes)
    assert any("lead-2" in note and "move" in note for note in notes)
    assert query(runs, "score > 0").attrs["notes"] == []


def test_new_in_the_second_run_by_an_anti_join(runs: list[Source]) -> None:
    text = (
        "with last as (select * from candidates where run = 'lead-1'), tonight as (select * from candidates where "
        "run = 'lead-2') select t.candidate_id, t.smiles from tonight t left join last l using (inchikey) where "
        "l.smiles <> t.smiles order by t.score desc"
    )
    assert query(runs, text)["smiles"].tolist() == ["CCO", "CCN"]


@pytest.mark.parametrize(
    ("first", "second", "result", "is_noted"),
    [
        ([1, 2, 3, 4], [0.5, 1.5, 2.5, 3.5], 2.5, False),
        ([1, 2, 3, 4], ["a", "b", "c", "d"], "3", True),
        ([2**53 + 1, 2, 3, 4], [0.5, 1.5, 2.5, 3.5], "3", True),
        ([None] * 4, [1, 2, 3, 4], None, False),
        ([True, False, True, True], ["a", "b", "c", "d"], "True", True),
    ],
)
def test_types_that_differ_are_reconciled_with_a_note(
    candidates: pd.DataFrame, tmp_path: Path, first: list, second: list, result: object, is_noted: bool
) -> None:
    for name, values in (("a", first), ("b", second)):
        folder = tmp_path / name
        folder.mkdir()
        write_candidates(folder, candidates)
        path = folder / "candidates.parquet"
        pd.read_parquet(path).assign(mine=values).to_parquet(path)
    table = query([tmp_path / "a", tmp_path / "b"], "select mine, run from candidates where candidate_id = 'C000003'")
    value = table.set_index("run")["mine"]["a"]
    if result == 2.5:
        assert value == 3.0
        assert table["mine"].dtype == float
    else:
        assert value == result or (result is None and pd.isna(value))
    assert bool(table.attrs["notes"]) == is_noted
    if is_noted:
        assert "mine" in table.attrs["notes"][0]
        assert "text" in table.attrs["notes"][0]


def test_names_that_differ_in_case_between_runs_are_refused(candidates: pd.DataFrame, tmp_path: Path) -> None:
    for name, column in (("a", "pIC50"), ("b", "PIC50")):
        folder = tmp_path / name
        folder.mkdir()
        write_candidates(folder, candidates)
        table = pd.read_csv(folder / "candidates.csv")
        table.assign(**{column: 1}).to_csv(folder / "candidates.csv", index=False)
    with pytest.raises(InputError, match=r"pIC50 and PIC50 differ only in case"):
        query([tmp_path / "a" / "candidates.csv", tmp_path / "b" / "candidates.csv"], "score > 0")


def test_a_column_of_the_user_named_run_is_kept_or_refused(candidates: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_candidates(folder, candidates)
        path = folder / "candidates.parquet"
        pd.read_parquet(path).assign(Run=["x", "y", "z", "w"]).to_parquet(path)
    assert query(tmp_path / "a", "run = 'y'")["candidate_id"].tolist() == ["C000002"]
    with pytest.raises(InputError, match=r"has a column run, "):
        query([tmp_path / "a", tmp_path / "b"], "score > 0")


def test_runs_of_the_same_name_stay_apart(runs: list[Source]) -> None:
    same = [replace(one, run="lead") for one in runs]
    names = query(same, "select distinct run from candidates")["run"].tolist()
    assert len(names) == 2


def test_no_source_a_missing_one_and_another_table_are_refused(runs: list[Source], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        query([], "score > 0")
    with pytest.raises(InputError, match="nowhere"):
        query([runs[0], Source(tmp_path / "nowhere")], "score > 0")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "candidates.parquet")
    with pytest.raises(InputError, match=r"no column candidate_id, smiles"):
        query(tmp_path / "candidates.parquet", "a > 0")


def test_a_table_without_rows_and_names_that_are_not_ascii(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates.head(0))
    path = tmp_path / "candidates.parquet"
    table = query(path, "has('C') and similar_to('CCO') > 0.5")
    assert len(table) == 0
    assert set(table) == set(candidates)
    write_candidates(tmp_path, candidates)
    pd.read_parquet(path).assign(**{"Größe": ["ä", "O'Neil", "c", None]}).to_parquet(path)
    assert query(path, "größe = 'O''Neil'")["candidate_id"].tolist() == ["C000002"]
    assert query(path, "\"Größe\" = 'ä'")["candidate_id"].tolist() == ["C000001"]


def test_a_changed_file_is_read_again(runs: list[Source]) -> None:
    assert len(query(runs[0], "score > 0.5")) == 2
    path = runs[0].path / "candidates.parquet"
    pd.read_parquet(path).head(1).to_parquet(path)
    assert len(query(runs[0], "score > 0.5")) == 1
