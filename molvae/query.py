"""SQL over a candidate table; a query can read only this table."""

import difflib
import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from molvae.candidates.files import find_candidates, known_columns, read_candidates, to_pandas
from molvae.chem.fingerprints import tanimoto
from molvae.chem.molecules import canonicalize, is_substructure, parse, parse_smarts
from molvae.errors import InputError

T = TypeVar("T")

MAX_CHARACTERS = 10_000
MAX_BRACKETS = 500
"""Limit of opening brackets ( [ {: with thousands, DuckDB's parser takes half a minute and cannot be interrupted."""
MAX_CELLS = 20_000_000
MAX_TABLES = 8
"""Limit of occurrences of the table: planning a join of hundreds cannot be interrupted."""

_TABLE = "candidates"
_BATCH_ROWS = 10_000
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?<!\d{16})")
_EXAMPLES = "score > 0.8 and has('c1ccncc1') order by score desc limit 20"
_TABLES_ALLOWED = {"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST"}
_FUNCTIONS_REFUSED = re.compile(
    r"current_setting|getvariable|getenv|write_log|sleep_ms|nextval|currval|setval|pg_.*|inet_.*|duckdb_.*|pragma_.*"
    r"|json_execute_serialized_sql|json_serialize_plan|query|query_table|read_.*|.*scan.*|glob|which_secret"
)
_OTHER_STATEMENTS = re.compile(
    "alter|analyze|attach|begin|call|checkpoint|comment|commit|copy|create|deallocate|delete|describe|detach|drop"
    "|execute|explain|export|force|import|insert|install|load|merge|pivot|pragma|prepare|reset|rollback|set|show"
    "|start|summarize|table|truncate|unpivot|update|use|vacuum|values|with"
)


def query(path: Path, text: str, seconds: float = 60.0) -> pd.DataFrame:
    """Select rows of a candidate table with SQL.

    A query is a condition, as after WHERE (ORDER BY and LIMIT may follow), or a complete SELECT ... FROM candidates ...
    in DuckDB's SQL. Two chemical functions are available: `similar_to('SMILES')`, the Tanimoto similarity in [0, 1]
    (Morgan fingerprints, radius 2, 2,048 bits), and `has('SMARTS')`, whether the substructure matches. Both use the
    column `smiles`; to use another column, put it first: `similar_to(nearest_reference_smiles, 'CCO')`.

    A query cannot access files, the network, settings or other tables.

    Parameters
    ----------
    path : Path
        A candidates.csv or candidates.parquet, or the folder of a run.
    text : str
        The query.
    seconds : float, default=60.0
        Time limit.

    Returns
    -------
    DataFrame
        One row per selected candidate with all columns, or the result of the SELECT; in the order of the query. Your
        own columns have the types of `read_candidates`; decimal numbers in a CSV file (`7.10`) are text in the result,
        but numbers in the query.

    Raises
    ------
    InputError
        The query is invalid, exceeds the time limit, or returns more than MAX_CELLS cells.

    Examples
    --------
    >>> query(Path("runs/latest"), "passed and has('c1ccncc1') order by score desc")  # doctest: +SKIP
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"query: expected a condition or a SELECT, got an empty query; e.g. {_EXAMPLES}")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"query: {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
    if sum(map(text.count, "([{")) > MAX_BRACKETS:
        raise InputError(f"query: more than {MAX_BRACKETS} opening brackets; simplify it")
    path = find_candidates(path)
    table = read_candidates(path, may_hold_more=True)
    numeric = _decimal_columns(table) if path.suffix.lower() == ".csv" else {}
    connection = _open(table.assign(**{name: column.numbers for name, column in numeric.items()}), path)
    try:
        tree = _parse(connection, *_as_select(text))
        for node in _dicts(tree):
            _check_node(node)
        n_tables = sum(node.get("type") == "BASE_TABLE" for node in _dicts(tree))
        if n_tables > MAX_TABLES:
            raise InputError(f"query: {_TABLE} occurs {n_tables} times; at most {MAX_TABLES} can be joined")
        result = _run(connection, tree, [str(name) for name in table], seconds)
        return result.assign(**{name: numeric[name].restore(result[name]) for name in result if name in numeric})
    finally:
        connection.close()


class _DecimalColumn(NamedTuple):
    """A text column whose cells are decimal numbers; each number has one text, so that it can be restored."""

    numbers: pd.Series
    texts: dict[float, str]

    def restore(self, numbers: pd.Series) -> pd.Series:
        """The texts of numbers, if they come from this column."""
        is_missing = numbers.isna()
        if not pd.api.types.is_float_dtype(numbers) or not set(numbers[~is_missing]) <= self.texts.keys():
            return numbers
        return pd.Series([None if one != one else self.texts[one] for one in numbers], numbers.index, dtype=object)


def _decimal_columns(table: pd.DataFrame) -> dict[str, _DecimalColumn]:
    """The columns of the user that are text, but can be compared as numbers, such as `7.10` and `6`."""
    found = {}
    known = known_columns(table)
    for name in map(str, table):
        texts = [text for text in table[name] if isinstance(text, str)] if name not in known else []
        if not texts or not all(map(_DECIMAL.fullmatch, texts)):
            continue
        text_of = {float(text): text for text in texts}
        if all(text_of[float(text)] == text for text in texts):
            numbers = [float(text) if isinstance(text, str) else None for text in table[name]]
            found[name] = _DecimalColumn(pd.Series(numbers, table.index, dtype=float), text_of)
    return found


def _open(table: pd.DataFrame, path: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory database with the candidates, without access to anything else."""
    first: dict[str, str] = {}
    for name in map(str, table):
        if first.setdefault(name.lower(), name) != name:
            names = f"{first[name.lower()]} and {name}"
            raise InputError(f"{path}: the columns {names} differ only in case, which SQL ignores; rename one of them")
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 2,
        "memory_limit": "1GB",
        "temp_directory": "",
        "allow_community_extensions": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    connection.register("incoming", pa.Table.from_pandas(table, preserve_index=False))
    connection.execute(f"create table {_TABLE} as select * from incoming")
    connection.unregister("incoming")
    for name, (function, kind) in _FUNCTIONS.items():
        connection.create_function(
            name,
            function,
            ["VARCHAR", "VARCHAR"],
            kind,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )
    connection.execute("set lock_configuration = true")
    return connection


def _as_select(text: str) -> tuple[str, int]:
    """The complete statement, and the number of characters before the user's query."""
    text = text.rstrip()
    found = re.match(r"[\s(]*([A-Za-z_]+)", text)
    word = found[1].lower() if found else ""
    if _OTHER_STATEMENTS.fullmatch(word):
        raise InputError(
            f"query: {word.upper()} is not allowed: a query only reads {_TABLE}; write a condition, e.g. {_EXAMPLES}, "
            f"or select ... from {_TABLE} ..."
        )
    if word in ("select", "from"):
        return text, 0
    before = f"select * from {_TABLE} " + ("" if word in ("where", "order", "limit") else "where ")
    return before + text, len(before)


def _parse(connection: duckdb.DuckDBPyConnection, sql: str, offset: int) -> dict[str, Any]:
    """The syntax tree of the SELECT, from DuckDB's own parser."""
    try:
        answer = connection.execute("select json_serialize_sql(?)", [sql]).fetchall()[0][0]
        tree: dict[str, Any] = json.loads(answer)
    except RecursionError:
        raise InputError("query: nested too deeply") from None
    except duckdb.Error as error:
        raise InputError(f"query: invalid: {_first_line(error)}") from None
    if tree["error"]:
        raise InputError(_explain_syntax(tree, sql, offset))
    if len(tree["statements"]) != 1:
        raise InputError(f"query: expected one statement, got {len(tree['statements'])}")
    return tree


def _explain_syntax(tree: dict[str, Any], sql: str, offset: int) -> str:
    message = tree.get("error_message", "")
    if tree.get("error_type") == "not implemented":
        return f"query: only SELECT is allowed: a query reads {_TABLE} and changes nothing; e.g. {_EXAMPLES}"
    if "expression depth" in message:
        return "query: nested too deeply"
    position = tree.get("position")
    if position is None:
        return f"query: {message}"
    character = max(len(sql.encode()[: int(position)].decode(errors="ignore")) - offset, 0)
    line_start = sql.rfind("\n", 0, character + offset) + 1 if "\n" in sql else offset
    line = sql[max(line_start, offset) :].split("\n", 1)[0]
    column = character + offset - max(line_start, offset)
    left = max(0, column - 60)
    return f"query: {message}, at character {character + 1}:\n  {line[left : left + 100]}\n  {' ' * (column - left)}^"


def _dicts(tree: object) -> Iterator[dict[str, Any]]:
    """Every JSON object of a tree, without recursion."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _check_node(node: dict[str, Any]) -> None:
    """Raise InputError for access to anything but the candidates; complete calls of the chemical functions."""
    kind = node.get("type")
    if "sample" in node and "alias" in node and kind not in _TABLES_ALLOWED:
        name = node.get("function", {}).get("function_name") if kind == "TABLE_FUNCTION" else None
        raise InputError(f"query: {name or str(kind).lower()} is not allowed: a query only reads the table {_TABLE}")
    if kind == "BASE_TABLE":
        name = ".".join(filter(None, (node.get("catalog_name"), node.get("schema_name"), node.get("table_name"))))
        if name.lower() != _TABLE:
            raise InputError(f"query: table {name} is not allowed: the only table is {_TABLE}")
    if (node.get("cte_map") or {}).get("map"):
        raise InputError("query: WITH is not allowed; use a subquery")
    if kind == "VALUE_PARAMETER":
        raise InputError("query: parameters (? and $) are not allowed; write the value itself")
    if kind == "FUNCTION":
        name = str(node.get("function_name")).lower()
        if _FUNCTIONS_REFUSED.fullmatch(name):
            raise InputError(f"query: function {name} is not allowed: a query only reads the table {_TABLE}")
        if name in _FUNCTIONS:
            _complete_call(node, name)


def _complete_call(node: dict[str, Any], name: str) -> None:
    """Validate 'X' in similar_to('X') or has('X'), and add the default column: similar_to(smiles, 'X')."""
    values = [argument["expression"] for argument in node["arguments"]]
    literal = values[-1].get("literal") or {} if values else {}
    is_plain = len(node["qualified_name"]["path"]) == 1
    if not is_plain or len(values) not in (1, 2) or literal.get("kind") != "STRING":
        what, example = ("SMILES", "c1ccccc1O") if name == "similar_to" else ("SMARTS", "[#6]C(=O)[OH]")
        raise InputError(f"query: {name}: expected one {what} in single quotes, e.g. {name}('{example}')")
    pattern = literal["text"]
    if name == "similar_to":
        read = canonicalize(pattern)
        if read.reason:
            raise InputError(f"query: similar_to('{pattern}'): {read.reason}")
        literal["text"] = read.smiles
    if name == "has":
        parse_smarts(pattern)
    if len(values) == 1:
        column = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": ["smiles"]}
        node["arguments"].insert(0, {"name": "", "expression": column})


def _run(
    connection: duckdb.DuckDBPyConnection, tree: dict[str, Any], columns: list[str], seconds: float
) -> pd.DataFrame:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        sql = connection.execute("select json_deserialize_sql(?::json)", [json.dumps(tree)]).fetchall()[0][0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about a copy, which is small
            reader: pa.RecordBatchReader = connection.execute(sql).to_arrow_reader(_BATCH_ROWS)
        batches, n_cells = [], 0
        for batch in reader:
            n_cells += batch.num_rows * batch.num_columns
            if n_cells > MAX_CELLS:
                raise InputError(f"query: returns more than {MAX_CELLS:,} cells; add a condition or a limit")
            batches.append(batch)
        found = pa.Table.from_batches(batches, reader.schema)
        return pd.concat([to_pandas(column) for column in found.columns], axis=1, keys=found.column_names)
    except RecursionError:
        raise InputError("query: nested too deeply") from None
    except duckdb.InterruptException:
        raise InputError(f"query: stopped after {seconds:g} s; add a condition or a limit") from None
    except duckdb.OutOfMemoryException:
        raise InputError("query: needs more than 1 GB of memory; add a condition or a limit") from None
    except duckdb.Error as error:
        raise InputError(_explain(error, columns)) from None
    finally:
        timer.cancel()


def _explain(error: duckdb.Error, columns: Sequence[str]) -> str:
    message = _first_line(error)
    if re.search(r"Cannot (?:compare|mix) values of type VARCHAR and", message):
        return "query: text is compared with a number; write CAST(column AS DOUBLE), or put the value in single quotes"
    missing = re.search(r'Referenced column "(.*?)"', message)
    if missing:
        folded = {column.lower(): column for column in columns}
        near = [folded[name] for name in difflib.get_close_matches(missing[1].lower(), folded, n=3)]
        hint = f"did you mean {' or '.join(near)}? " if near else "strings need single quotes. "
        return f"query: no column {missing[1]}; {hint}Columns: {', '.join(columns)}"
    unknown = re.search(r"Function with name (\S+) does not exist", message)
    if unknown:
        return f"query: no function {unknown[1]}; chemical functions: similar_to('SMILES'), has('SMARTS')"
    return f"query: {message}"


def _first_line(error: Exception) -> str:
    """DuckDB's message without the error class, the repeated statement and the suggestions."""
    message = re.split(r"\n\s*(?:LINE \d|Candidate|Did you mean|\n)", str(error))[0]
    return re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", message).strip().replace("\n", " ")


def _similar_to(smiles: pa.ChunkedArray, queries: pa.ChunkedArray) -> pa.Array:
    def compare(query: str, members: list[str]) -> list[float]:
        return tanimoto(query, members).tolist()

    return pa.array(_by_pattern(smiles, queries, compare), type=pa.float64())


def _has(smiles: pa.ChunkedArray, queries: pa.ChunkedArray) -> pa.Array:
    def match(smarts: str, members: list[str]) -> list[bool]:
        pattern = parse_smarts(smarts)
        return [is_substructure(pattern, parse(member)) for member in members]

    return pa.array(_by_pattern(smiles, queries, match), type=pa.bool_())


def _by_pattern(
    smiles: pa.ChunkedArray, patterns: pa.ChunkedArray, function: Callable[[str, list[str]], list[T]]
) -> list[T | None]:
    """One value per row, None where the SMILES is missing or invalid; the function is called once per pattern."""
    molecules, row_patterns = smiles.to_pylist(), patterns.to_pylist()
    values: list[T | None] = [None] * len(molecules)
    for pattern in dict.fromkeys(pattern for pattern in row_patterns if pattern is not None):
        rows = [row for row, one in enumerate(molecules) if row_patterns[row] == pattern and _is_valid(one)]
        for row, value in zip(rows, function(pattern, [molecules[row] for row in rows]), strict=True):
            values[row] = value
    return values


def _is_valid(smiles: str | None) -> bool:
    try:
        return smiles is not None and parse(smiles) is not None
    except InputError:
        return False


_FUNCTIONS: dict[str, tuple[Callable[[pa.ChunkedArray, pa.ChunkedArray], pa.Array], str]] = {
    "similar_to": (_similar_to, "DOUBLE"),
    "has": (_has, "BOOLEAN"),
}
