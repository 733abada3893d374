import csv
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import read_candidates, write_candidates
from molvae.chem.fingerprints import tanimoto
from molvae.errors import InputError
from molvae.query import process as module
from molvae.query import query
from molvae.query.database import Database
from molvae.tables import cell_text

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"


@pytest.fixture
def run(candidates: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder with the candidate files."""
    write_candidates(tmp_path, candidates)
    return tmp_path


_written: list[Path] = []


@pytest.fixture
def shared(candidates: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for all tests that do not change it: it is written and read once."""
    if not _written:
        _written.append(tmp_path_factory.mktemp("shared"))
        write_candidates(_written[0], candidates)
    return _written[0]


def ids(run: Path, text: str) -> list[str]:
    return [name.removeprefix("C00000") for name in query(run, text)["candidate_id"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score > 0.5", ["1", "2"]),
        ("score > 0.5 order by score", ["2", "1"]),
        ("WHERE passed ORDER BY score DESC LIMIT 1", ["1"]),
        ("order by score desc nulls last limit 2", ["1", "2"]),
        ("limit 3", ["1", "2", "3"]),
        ("(score > 0.7 or passed) and (value_logp < 1)", ["2"]),
        ("not passed and reason like 'MW%'", ["3"]),
        ("parent_id is null;", ["1", "2"]),
        ("select candidate_id from candidates where round = 1", ["3", "4"]),
        ("Select * From Candidates Where Score > .5", ["1", "2"]),
        ("from candidates where score > 0.5", ["1", "2"]),
        ("select a.* from candidates a join candidates b on a.parent_id = b.candidate_id", ["3", "4"]),
        ("score = (select max(score) from candidates)", ["1"]),
        ("score > 0.5 -- a comment", ["1", "2"]),
        ("\n  score > 0.5 /* ; drop table candidates */\n", ["1", "2"]),
        ("reason = 'a;b' or score > 0.7", ["1", "2"]),
        ("with c as (select * from candidates where passed) select * from c order by score", ["2", "1"]),
        ("with candidates as (select * from candidates where passed) select * from candidates limit 1", ["1"]),
        ("candidate_id in (with c as (from candidates where round = 1) select candidate_id from c)", ["3", "4"]),
        ("with a as (select 0.5 as low), b as (select * from candidates, a where score > low) from b", ["1", "2"]),
        (
            "with recursive up as (select candidate_id, parent_id from candidates where candidate_id = 'C000004' "
            "union all select c.candidate_id, c.parent_id from candidates c join up "
            "on c.candidate_id = up.parent_id) from up",
            ["4", "2"],
        ),
    ],
)
def test_conditions_and_selects_return_their_rows_in_order(shared: Path, text: str, expected: list[str]) -> None:
    assert ids(shared, text) == expected


@pytest.mark.parametrize("name", ["candidates.csv", "candidates.parquet", "."])
def test_reads_csv_parquet_and_folder(shared: Path, name: str) -> None:
    assert ids(shared / name, "score > 0.5") == ["1", "2"]


def test_a_condition_returns_all_columns(shared: Path, candidates: pd.DataFrame) -> None:
    assert set(query(shared, "has('c1ccccc1') and similar_to('CCO') > 0")) == set(candidates)


def test_an_empty_result_has_all_columns(shared: Path, candidates: pd.DataFrame) -> None:
    table = query(shared, "score > 2")
    assert len(table) == 0
    assert set(table) == set(candidates)


def test_aggregates_are_computed(shared: Path) -> None:
    table = query(
        shared, "select round, count(*) as n, max(score) as best from candidates group by round order by round"
    )
    assert table["n"].tolist() == [2, 2]
    assert table["best"].tolist() == [pytest.approx(0.812345678901), 0.4]


def test_similar_to_is_the_tanimoto_similarity_of_each_row(shared: Path, candidates: pd.DataFrame) -> None:
    table = query(shared, f"select smiles, similar_to('{PARACETAMOL}') as s from candidates")
    assert table["smiles"].tolist() == candidates["smiles"].tolist()
    assert table["s"].tolist() == pytest.approx(tanimoto(PARACETAMOL, candidates["smiles"].tolist()).tolist())
    assert table["s"][0] == 1


@pytest.mark.parametrize(
    "text",
    [
        "similar_to('CC(=O)Nc1ccc(O)cc1') > 0.99",
        "SIMILAR_TO ( 'CC(=O)Nc1ccc(O)cc1' ) = 1",
        "similar_to('OC1C=CC(NC(C)=O)=CC=1') > 0.99",
        "\"similar_to\"('CC(=O)Nc1ccc(O)cc1') > 0.99",
        "similar_to(smiles, 'CC(=O)Nc1ccc(O)cc1') > 0.99",
        "similar_to('CC(=O)Nc1ccc(O)cc1') > 0.99 and reason is distinct from 'similar_to(''x'')'",
        "select * from candidates c where similar_to('CC(=O)Nc1ccc(O)cc1') > 0.99",
        "select * from candidates order by similar_to('CC(=O)Nc1ccc(O)cc1') desc limit 1",
        "candidate_id in (select candidate_id from candidates where similar_to('CC(=O)Nc1ccc(O)cc1') > 0.99)",
        "has('[OX2H]c1ccccc1')",
        "Has('[OX2H]c1ccccc1') and has('NC=O')",
        "has('c1ccccc1') and not has('S(=O)(=O)N')",
    ],
)
def test_chemical_functions_in_any_clause_and_spelling(shared: Path, text: str) -> None:
    assert ids(shared, text) == ["1"]


def test_chemical_functions_accept_another_column(shared: Path) -> None:
    assert ids(shared, "similar_to(nearest_reference_smiles, 'CC(=O)Nc1ccccc1') = 1") == ["1", "3"]
    assert ids(shared, "has(nearest_reference_smiles, 'S(=O)(=O)N')") == ["4"]


def test_rows_without_a_valid_molecule_have_no_similarity(candidates: pd.DataFrame, tmp_path: Path) -> None:
    candidates.loc[0, "nearest_reference_smiles"] = None
    candidates.loc[1, "nearest_reference_smiles"] = "not a molecule"
    write_candidates(tmp_path, candidates)
    table = query(tmp_path, "select similar_to(nearest_reference_smiles, 'CCO') as s, "
                            "has(nearest_reference_smiles, 'C') as h from candidates")  # fmt: skip
    assert table["s"].isna().tolist() == [True, True, False, False]
    assert table["h"].isna().tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("similar_to('c1ccc') > 0.5", r"similar_to\('c1ccc'\)"),
        ("similar_to('') > 0.5", "empty"),
        ("similar_to('it''s') > 0.5", r"similar_to\('it's'\)"),
        ("similar_to('CCO CCN') > 0.5", "CCO CCN"),
        ("has('c1cc')", "SMARTS 'c1cc'"),
        ("similar_to(CCO) > 0.5", r"SMILES.*similar_to\('"),
        ('similar_to("CCO") > 0.5', r"SMILES.*similar_to\('"),
        ("similar_to(smiles) > 0.5", r"SMILES.*similar_to\('"),
        ("similar_to() > 0.5", r"SMILES.*similar_to\('"),
        ("has('C', 'N', 'O')", r"SMARTS.*has\('"),
        ("has('C' || 'O')", r"SMARTS.*has\('"),
        ("smiles.has('C')", r"SMARTS.*has\('"),
        ("has(3)", r"SMARTS.*has\('"),
    ],
)
def test_an_invalid_pattern_is_reported_even_if_no_row_is_tested(shared: Path, text: str, fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        query(shared, text)
    with pytest.raises(InputError, match=fact):
        query(shared, f"score > 99 and {text}")


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("scor > 1", r"scor; did you mean score\?.*candidate_id, smiles"),
        ("Value_LogX > 1", r"Value_LogX; did you mean value_logp"),
        ('smiles = "CCO"', "CCO; .*single quotes"),
        ("molwt(smiles) > 3", "molwt; .*similar_to"),
        ("score > 'high'", "'high' to DOUBLE"),
        ("score > ?", r"\? and \$"),
        ("score > $1", r"\? and \$"),
        ("", "empty"),
        ("  \n", "empty"),
        ("select smiles from reference", "table reference .*candidates"),
    ],
)
def test_mistakes_are_reported_with_a_hint(shared: Path, text: str, fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        query(shared, text)


@pytest.mark.parametrize(
    ("text", "character", "shown"),
    [
        ("score >> > 3", 10, "  score >> > 3\n           ^"),
        ("passed and score > > 3", 20, "  passed and score > > 3\n                     ^"),
        ("select smiles form candidates wher score > 1", None, None),
        ("passed and\n  score > > 3", 22, "    score > > 3\n            ^"),
        ("reason = 'é' > > 3", 16, "  reason = 'é' > > 3\n                 ^"),
        ("score > 'open", 9, "  score > 'open\n          ^"),
        ("score > 1)", 10, "  score > 1)\n           ^"),
    ],
)
def test_a_syntax_error_shows_its_position(shared: Path, text: str, character: int | None, shown: str | None) -> None:
    with pytest.raises(InputError) as caught:
        query(shared, text)
    if character is not None:
        assert f"at character {character}:\n{shown}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "select * from read_csv('{secret}')",
        "select * from read_text('{secret}')",
        "select * from read_blob('{secret}')",
        "select * from parquet_scan('{secret}')",
        "select * from glob('/*')",
        "select * from '{secret}'",
        'select * from "{secret}"',
        "from '{secret}'",
        "score > (select count(*) from read_text('{secret}'))",
        "score > 0 union all select * from read_csv('{secret}')",
        "select * from 'https://example.org/a.parquet'",
        "select * from candidates, lateral (select * from read_text('{secret}'))",
        "copy candidates to '{target}'",
        "score > 0; copy candidates to '{target}'",
        "select * from candidates; copy candidates to '{target}'",
        "score > 0 -- x\n; export database '{target}'",
        "select * from candidates where smiles = ''; copy candidates to '{target}' --'",
        "attach '{target}' as other",
        "install httpfs",
        "load httpfs",
        "pragma database_list",
        "set enable_external_access = true",
        "set lock_configuration = false",
        "reset lock_configuration",
        "drop table candidates",
        "delete from candidates",
        "update candidates set score = 1",
        "insert into candidates select * from candidates",
        "create table x as select 1",
        "call pragma_version()",
        "explain select 1",
        "prepare x as select 1",
        "with c as (select * from read_csv('{secret}')) select * from c",
        "with c as materialized (select * from '{secret}') select * from c",
        'with "{secret}" as (select 1) select * from "{secret}"',
        "with duckdb_settings as (select 1) select * from (select 1), duckdb_settings",
        "with sqlite_master as (select 1) select * from sqlite_master",
        "with c as (select 1) select * from main.c",
        "with c as (select 1) select * from duckdb_settings",
        "with candidates as (select * from glob('/*')) select * from candidates",
        "with c as (select 1) insert into candidates select * from c",
        "with c as (insert into candidates select * from candidates returning *) select * from c",
        "with c as (delete from candidates returning *) from c",
        "with c as (update candidates set score = 1 returning *) from c",
        "score > (with c as (delete from candidates returning 1) select count(*) from c)",
        "select * from (with hidden as (select 1) select * from candidates), hidden",
        "select * from (with c as (select * from read_text('{secret}')) select * from candidates)",
        "score > (with recursive r as (select 1 union select * from query('select 1')) select count(*) from r)",
        "select getenv('HOME')",
        "select current_setting('home_directory')",
        "select getvariable('x')",
        "select * from duckdb_settings()",
        "select * from duckdb_secrets()",
        "select * from information_schema.tables",
        "select * from pg_catalog.pg_tables",
        "select * from sqlite_master",
        "select * from query('select 1')",
        "select * from query_table('incoming')",
        "select * from json_execute_serialized_sql('x')",
        "select * from incoming",
        "select * from table",
        "select * from run",
        "show tables",
        "describe candidates",
        "select * from (describe candidates)",
        "select * from (show tables)",
        "summarize candidates",
        "pivot candidates on round using max(score)",
        "select write_log('x')",
        "select sleep_ms(100000)",
        "select pg_sleep(100)",
        "select nextval('x')",
        "import os",
        "__import__('os').system('touch {target}')",
        "@os.system('touch {target}')",
        "score > 0; ; select 1",
        "select * from range(1000000000000)",
        "select unnest(range(1000000000000)) from candidates",
        "select repeat('x', 10000000000) from candidates",
        "\x00",
    ],
)
def test_attacks_are_refused_without_side_effects(
    shared: Path, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("attacked")
    secret, target = folder / "secret.csv", folder / "target"
    secret.write_text("word\nswordfish\n")
    before = sorted(os.listdir(shared))
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        query(shared, text.replace("{secret}", str(secret)).replace("{target}", str(target)), seconds=5)
    assert "swordfish" not in str(caught.value)
    assert str(caught.value).startswith("query: ")
    assert time.monotonic() - started < 5
    assert not target.exists()
    assert sorted(os.listdir(shared)) == before


def test_a_transaction_cannot_change_the_table(run: Path) -> None:
    """In addition to the check of the statement."""
    database = Database(pa.table({"a": [1, 2]}), 1.0)
    with database.reading(), pytest.raises(duckdb.Error, match="read-only"):
        database.connection.execute("with c as (delete from candidates returning *) from c")
    assert database.connection.execute("select count(*) from candidates").fetchall() == [(2,)]
    with pytest.raises(duckdb.Error, match="file system operations are disabled"):
        database.connection.execute("select * from read_text('/etc/hosts')")
    with pytest.raises(duckdb.Error, match="locked"):
        database.connection.execute("set memory_limit = '100GB'")
    database.close()


@pytest.mark.parametrize(
    "text",
    [
        "(" * 9_000,
        "score > " + "(" * 4_000 + "1" + ")" * 4_000,
        "not " * 2_000 + "passed",
        "score > " + "- " * 4_000 + "1",
        "select 1 from " + "(from " * 400 + "candidates" + ")" * 400,
        "select 1 from candidates" + ", candidates" * 800,
        "score in (" * 600 + "1" + ")" * 600,
        "score > 0 or " * 1_000,
    ],
    ids=lambda text: text[:16],
)
def test_long_and_deeply_nested_queries_are_refused_quickly(shared: Path, text: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="query: "):
        query(shared, text)
    assert time.monotonic() - started < 5


def test_a_query_stops_at_the_time_limit(candidates: pd.DataFrame, tmp_path: Path) -> None:
    rows = pd.concat([candidates.iloc[[0]]] * 600, ignore_index=True)
    rows["candidate_id"] = [f"C{n}" for n in range(len(rows))]
    rows["smiles"] = ["C" * (n + 1) for n in range(len(rows))]
    write_candidates(tmp_path, rows)
    with pytest.raises(InputError, match=r"0\.5 s"):
        query(tmp_path, "select sum(sin(a.score + b.score * c.score + d.score)) from candidates a, candidates b, "
                        "candidates c, candidates d", seconds=0.5)  # fmt: skip


def test_a_result_with_too_many_cells_is_refused(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 50)
    assert len(query(shared, "select a.smiles from candidates a, candidates b")) == 16
    with pytest.raises(InputError, match="more than 50 cells"):
        query(shared, "select a.smiles, b.smiles, a.score, b.score from candidates a, candidates b")


def test_a_query_with_too_many_characters_is_refused(shared: Path) -> None:
    with pytest.raises(InputError, match=r"10,001.*10,000"):
        query(shared, "x" * 10_001)


def test_a_missing_file_is_reported_before_the_query(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"candidates\.csv"):
        query(tmp_path / "candidates.csv", "score >")


def test_a_column_with_an_unusual_name_can_be_quoted(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates.rename(columns={"value_logp": 'value_my "log" P; drop'}))
    assert query(tmp_path, '"value_my ""log"" P; drop" > 1')["candidate_id"].tolist() == ["C000001"]


@pytest.mark.parametrize("name", ["candidates.csv", "candidates.parquet"])
def test_added_columns_can_be_queried(run: Path, name: str) -> None:
    if name.endswith(".csv"):
        table = pd.read_csv(run / name, dtype=str, keep_default_na=False)
        table.assign(pIC50=["7.1", "", "5.5", "6.0"], who=["Ana", "Bo", "", "'=x"]).to_csv(run / name, index=False)
    else:
        table = pd.read_parquet(run / name)
        table.assign(pIC50=[7.1, None, 5.5, 6.0], who=["Ana", "Bo", None, "=x"]).to_parquet(run / name, index=False)
    assert ids(run / name, "pIC50 > 5.8 order by pIC50") == ["4", "1"]
    assert ids(run / name, "who = 'Ana' or who is null") == ["1", "3"]
    assert list(query(run / name, "score > 0"))[-2:] == ["pIC50", "who"]


USER_COLUMNS = {
    "zeros": ["000013", "13", "", "7"],
    "large": ["9007199254740993", "9007199254740992", "", "1"],
    "well": ["1E05", "A1", "", "1E5"],
    "lot": ["1.10", "1.1", "", "2"],
    "fixed": ["7.10", "10.25", "", "6"],
    "count": ["12", "7", "3", "0"],
    "gaps": ["12", "", "3", "0"],
    "pIC50": ["7.1", "", "5.5", "6.25"],
    "date": ["2026-01-02", "", "2026-11-30", "01/02/03"],
    "flag": ["TRUE", "false", "", "yes"],
    "words": ["NA", "nan", "None", "null"],
    "signs": ["+5", "-0", "-3", "1e3"],
    "spaces": [" 7", "7 ", "", "a  b"],
    "formula": ["=1+1", "'=1+1", "''-x", "@home"],
    "digits": ["0.1234567890123456789", "0.30000000000000004", "", "1"],
    "breaks": ["a\nb", "a\rb", "a,b", 'a"b'],
}
"""Columns that a user may add; each cell has to come back character for character."""


def add_columns(path: Path, columns: dict[str, list[str]], quoting: int = csv.QUOTE_MINIMAL) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n", quoting=quoting)  # it quotes a CR only then
        writer.writerow([*header, *columns])
        writer.writerows([*row, *cells] for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True))


def read_back(path: Path, names: list[str]) -> dict[str, list[str]]:
    """The cells of a CSV file as molvae wrote it; its marks are removed as its readers do."""
    text = path.read_bytes().decode()
    rows = [dict(zip(*pair, strict=True)) for pair in _pairs(text)]
    return {name: [row[name] for row in rows] for name in names}


def _pairs(text: str) -> Iterator[tuple[list[str], list[str]]]:
    from molvae.candidates.files import _records
    from molvae.tables import unmark

    header, *rows = _records(text, ",", Path("out.csv"))
    yield from ((header.cells, unmark(row.cells, row.line)) for row in rows)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["minimal", "all quoted"])
def test_columns_of_the_user_come_back_as_they_are(
    run: Path, quoting: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    names = list(USER_COLUMNS)
    add_columns(run / "candidates.csv", USER_COLUMNS, quoting)
    everything = f"select {', '.join(names)} from candidates order by candidate_id"
    assert cli._run(["query", "candidates.csv", everything, "-o", "out.csv"]) == 0
    assert read_back(run / "out.csv", names) == USER_COLUMNS
    capsys.readouterr()
    assert cli._run(["query", "candidates.csv", everything]) == 0
    (run / "printed.csv").write_text(capsys.readouterr().out, encoding="utf-8", newline="")
    with (run / "printed.csv").open(encoding="utf-8", newline="") as file:
        printed = list(csv.DictReader(file))
    assert {name: [row[name] for row in printed] for name in names} == USER_COLUMNS
    assert cli._run(["query", "candidates.csv", everything, "-o", "out.parquet"]) == 0
    table = pd.read_parquet(run / "out.parquet", dtype_backend="pyarrow")
    for name in names:
        assert [cell_text(value, np.float64 if name == "pIC50" else str) for value in table[name]] == USER_COLUMNS[name]


def test_columns_of_the_user_are_numbers_in_a_query(run: Path) -> None:
    add_columns(run / "candidates.csv", USER_COLUMNS)
    path = run / "candidates.csv"
    assert ids(path, "fixed > 6.5 order by fixed") == ["1", "2"]
    assert ids(path, "pIC50 > 5.8 and count < 10 order by pIC50") == ["4"]
    assert ids(path, "large = 9007199254740993") == ["1"]
    assert query(path, "select sum(large) as n from candidates")["n"].tolist() == [18014398509481986]
    with pytest.raises(InputError, match="CAST"):
        query(path, "zeros > 5")
    table = read_candidates(path, may_hold_more=True)
    assert [str(table[name].dtype) for name in ("count", "gaps", "pIC50")] == ["int64", "Int64", "float64"]
    assert table["large"].tolist()[0] == 9007199254740993


def test_a_column_of_the_user_never_replaces_one_of_molvae(run: Path) -> None:
    add_columns(run / "candidates.csv", {"Score": ["1", "2", "3", "4"]})
    with pytest.raises(InputError, match="score and Score differ only in case"):
        query(run / "candidates.csv", "passed")
    for cells in (["0013", "1", "2", "3"], ["Anna", "", "", ""]):
        write_candidates(run, read_candidates(run / "candidates.parquet"))
        add_columns(run / "candidates.csv", {"value_lot": cells})
        with pytest.raises(InputError, match=r"value_lot.*rename it"):
            query(run / "candidates.csv", "passed")


def test_parquet_columns_keep_their_types(run: Path) -> None:
    table = pd.read_parquet(run / "candidates.parquet")
    large = pd.array([9007199254740993, None, 1, 2], dtype="Int64")
    table.assign(code=["007", "1E05", None, "7"], large=large).to_parquet(run / "candidates.parquet")
    found = query(run / "candidates.parquet", "select code, large from candidates order by candidate_id")
    assert found["code"].tolist()[:2] == ["007", "1E05"]
    assert found["large"].tolist()[0] == 9007199254740993


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_candidates_saved_by_a_spreadsheet_of_another_language(
    run: Path, candidates: pd.DataFrame, separator: str
) -> None:
    """Semicolons, decimal commas, and flags in German, as a European Excel saves them."""
    with (run / "candidates.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    number = re.compile(r"-?\d+\.\d+(e-\d+)?")
    flags = {"True": "WAHR", "False": "FALSCH"}
    changed = [[flags.get(c, c.replace(".", ",") if number.fullmatch(c) else c) for c in row] for row in rows]
    with (run / "candidates.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows([header, *changed])
    table = read_candidates(run / "candidates.csv")
    whole = read_candidates(run / "candidates.parquet")
    whole = whole[[name for name in whole if not name.startswith("check_")]]  # they are only in the Parquet file
    pd.testing.assert_frame_equal(table, whole, rtol=1e-5)
