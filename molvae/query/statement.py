"""The text of a query as a checked SELECT: it reads the candidates and nothing else."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from molvae.chem.molecules import canonicalize, parse_smarts
from molvae.errors import InputError
from molvae.query.functions import Function, list_functions
from molvae.query.request import EXAMPLE, TABLE

MAX_CHARACTERS = 10_000
MAX_BRACKETS = 500
"""Limit of opening brackets ( [ {: with thousands, DuckDB's parser takes half a minute and cannot be interrupted."""
MAX_TABLES = 16
"""Limit of occurrences of tables: planning a join of hundreds cannot be interrupted."""
OF_ROW = "_latent_distance_of_row"
"""The function that `latent_distance('SMILES')` without a column calls: it knows the latent vector of each row."""
OF_ANY = "_any_"
"""Prefix of functions that read SMILES which RDKit may not have written, as in a column of the user."""

_MAX_NAMES = 30
_CANONICAL = {"smiles", "parent_smiles", "mate_smiles", "nearest_reference_smiles", "scaffold"}
_NODES_ALLOWED = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"}
"""Statements inside a statement; with RETURNING, an INSERT, DELETE or UPDATE could be one, too."""
_TABLES_ALLOWED = {"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST"}
_FUNCTIONS_REFUSED = re.compile(
    r"current_setting|getvariable|getenv|write_log|sleep_ms|nextval|currval|setval|pg_.*|inet_.*|duckdb_.*|pragma_.*"
    r"|json_execute_serialized_sql|json_serialize_plan|query|query_table|read_.*|.*scan.*|glob|which_secret|_.*"
)
_NAMES_REFUSED = re.compile(r"duckdb_.*|pg_.*|pragma_.*|sqlite_.*|information_schema.*", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_OTHER_STATEMENTS = re.compile(
    "alter|analyze|attach|begin|call|checkpoint|comment|commit|copy|create|deallocate|delete|describe|detach|drop"
    "|execute|explain|export|force|import|insert|install|load|merge|pivot|pragma|prepare|reset|rollback|set|show"
    "|start|summarize|table|truncate|unpivot|update|use|vacuum|values"
)


@dataclass(frozen=True)
class Statement:
    """A checked query.

    Parameters
    ----------
    tree : dict
        The syntax tree, with completed calls of the functions of molecules.
    is_condition : bool
        Whether the user wrote a condition, without a SELECT.
    used : tuple of str
        Names of columns that occur, in lower case.
    calls : tuple of tuple
        Functions that occur, and their patterns (None without one).
    """

    tree: dict[str, Any]
    is_condition: bool
    used: tuple[str, ...]
    calls: tuple[tuple[Function, str | None], ...]


def check_text(text: object) -> str:
    """The text of a query, if it can be parsed safely.

    Parameters
    ----------
    text : object
        What the user gave.

    Returns
    -------
    str

    Raises
    ------
    InputError
        It is not text, empty, too long, or has too many brackets.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"query: expected a condition or a SELECT, got an empty query; e.g. {EXAMPLE}")
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"query: {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
    if sum(map(text.count, "([{")) > MAX_BRACKETS:
        raise InputError(f"query: more than {MAX_BRACKETS} opening brackets; simplify it")
    return text


def read_statement(
    connection: duckdb.DuckDBPyConnection, text: str, hidden: Sequence[str] = (), by_row: bool = False
) -> Statement:
    """Parse and check a query.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Any database; its parser is used.
    text : str
        The query.
    hidden : sequence of str, default=()
        Columns that a condition does not return.
    by_row : bool, default=False
        Whether rows have latent vectors, which `latent_distance('SMILES')` compares.

    Returns
    -------
    Statement

    Raises
    ------
    InputError
        The query is invalid, or reads anything but the candidates.
    """
    sql, offset = _as_select(text, hidden)
    tree = _parse(connection, sql, offset)
    nodes = list(_dicts(tree))
    names = {TABLE, *_subquery_names(nodes)}
    for node in nodes:
        _check_node(node, names)
    n_tables = sum(node.get("type") == "BASE_TABLE" for node in nodes)
    if n_tables > MAX_TABLES:
        raise InputError(f"query: tables occur {n_tables} times; at most {MAX_TABLES} can be joined")
    calls = [call for node in nodes if (call := _complete_call(node, by_row)) is not None]
    used = dict.fromkeys(str(node["column_names"][-1]).lower() for node in nodes if node.get("type") == "COLUMN_REF")
    return Statement(tree, bool(offset), tuple(used), tuple(dict.fromkeys(calls)))


def _as_select(text: str, hidden: Sequence[str]) -> tuple[str, int]:
    """The complete statement, and the number of characters before the user's query."""
    text = text.rstrip()
    found = re.match(r"[\s(]*([A-Za-z_]+)", text)
    word = found[1].lower() if found else ""
    if _OTHER_STATEMENTS.fullmatch(word):
        raise InputError(
            f"query: {word.upper()} is not allowed: a query only reads {TABLE}; write a condition, e.g. {EXAMPLE}, "
            f"or select ... from {TABLE} ..."
        )
    if word in ("select", "from", "with"):
        return text, 0
    star = f"* exclude ({', '.join(hidden)})" if hidden else "*"
    before = f"select {star} from {TABLE} " + ("" if word in ("where", "order", "limit", "qualify") else "where ")
    return before + text, len(before)


def _parse(connection: duckdb.DuckDBPyConnection, sql: str, offset: int) -> dict[str, Any]:
    """The syntax tree of the SELECT, from DuckDB's own parser."""
    try:
        answer = connection.execute("select json_serialize_sql(?)", [sql]).fetchall()[0][0]
        tree: dict[str, Any] = json.loads(answer)
    except RecursionError:
        raise InputError("query: nested too deeply") from None
    except duckdb.Error as error:
        raise InputError(f"query: invalid: {first_line_of(error)}") from None
    if tree["error"]:
        raise InputError(_explain_syntax(tree, sql, offset))
    if len(tree["statements"]) != 1:
        raise InputError(f"query: expected one statement, got {len(tree['statements'])}")
    return tree


def _explain_syntax(tree: dict[str, Any], sql: str, offset: int) -> str:
    message = tree.get("error_message", "")
    if tree.get("error_type") == "not implemented":
        return f"query: only SELECT is allowed: a query reads {TABLE} and changes nothing; e.g. {EXAMPLE}"
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


def _subquery_names(nodes: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The names that WITH defines. DuckDB resolves them; here they only must not be names of files or of settings."""
    for node in nodes:
        for entry in (node.get("cte_map") or {}).get("map") or []:
            name = str(entry["key"])
            if not _PLAIN_NAME.fullmatch(name) or _NAMES_REFUSED.fullmatch(name):
                raise InputError(f"query: WITH {name}: this name is not allowed; use a plain one, such as best")
            yield name.lower()


def _check_node(node: dict[str, Any], names: set[str]) -> None:
    """Raise InputError for access to anything but the candidates."""
    kind = node.get("type")
    if ("cte_map" in node or str(kind).endswith("_NODE")) and kind not in _NODES_ALLOWED:
        raise InputError(f"query: only SELECT is allowed: a query reads {TABLE} and changes nothing; e.g. {EXAMPLE}")
    if "sample" in node and "alias" in node and kind not in _TABLES_ALLOWED:
        name = node.get("function", {}).get("function_name") if kind == "TABLE_FUNCTION" else None
        raise InputError(f"query: {name or str(kind).lower()} is not allowed: a query only reads the table {TABLE}")
    if kind == "BASE_TABLE":
        name = ".".join(filter(None, (node.get("catalog_name"), node.get("schema_name"), node.get("table_name"))))
        if name.lower() not in names or len(node["qualified_name"]["path"]) != 1:
            others = ", ".join(sorted(names - {TABLE}))
            hint = f" and those of WITH: {others}" if others else ""
            raise InputError(f"query: table {name} is not allowed: the only table is {TABLE}{hint}")
    if kind == "VALUE_PARAMETER":
        raise InputError("query: parameters (? and $) are not allowed; write the value itself")
    if kind == "FUNCTION":
        name = str(node.get("function_name")).lower()
        if _FUNCTIONS_REFUSED.fullmatch(name):
            raise InputError(f"query: function {name} is not allowed: a query only reads the table {TABLE}")


def _complete_call(node: dict[str, Any], by_row: bool) -> tuple[Function, str | None] | None:
    """Validate a call of a function of molecules, and add the default column: has('C') becomes has(smiles, 'C')."""
    function = list_functions().get(str(node.get("function_name")).lower()) if node.get("type") == "FUNCTION" else None
    if function is None:
        return None
    values = [argument["expression"] for argument in node["arguments"]]
    n_patterns = 1 if function.pattern else 0
    if len(node["qualified_name"]["path"]) != 1 or len(values) not in (n_patterns, n_patterns + 1):
        raise InputError(f"query: {_expected(function)}")
    pattern = _read_pattern(function, values[-1]) if function.pattern else None
    if len(values) == n_patterns:
        is_of_row = function.name == "latent_distance" and by_row
        names = ["run", "latent_row", "smiles"] if is_of_row else ["smiles"]
        node["arguments"] = [*map(_column, names), *node["arguments"]]
        if is_of_row:
            _rename(node, OF_ROW)
    elif pattern is not None and str((values[0].get("column_names") or [""])[-1]).lower() not in _CANONICAL:
        _rename(node, OF_ANY + function.name)
    elif pattern is None and _is_text(values[0]):  # a molecule that the user gives
        values[0]["literal"]["text"] = _canonical(function, values[0]["literal"]["text"])
    return function, pattern


def shown_name(name: str) -> str:
    """The name of a column of a result, with the functions as the user wrote them.

    Parameters
    ----------
    name : str
        Name that DuckDB gives the column.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> shown_name("min(_latent_distance_of_row(run, latent_row, smiles, 'CCO'))")
    "min(latent_distance('CCO'))"
    >>> shown_name("max(_any_has(parent_smiles, 'N'))")
    "max(has(parent_smiles, 'N'))"
    """
    return re.sub(rf"\b{OF_ANY}(\w+\()", r"\1", name.replace(f"{OF_ROW}(run, latent_row, smiles, ", "latent_distance("))


def _read_pattern(function: Function, value: dict[str, Any]) -> str:
    """The SMARTS or the canonical SMILES of a literal."""
    if not _is_text(value):
        raise InputError(f"query: {_expected(function)}")
    literal = value["literal"]
    if function.pattern == "SMARTS":
        parse_smarts(literal["text"])
    else:
        literal["text"] = _canonical(function, literal["text"])
    return literal["text"]


def _is_text(value: dict[str, Any]) -> bool:
    return (value.get("literal") or {}).get("kind") == "STRING"


def _rename(node: dict[str, Any], name: str) -> None:
    node["function_name"] = name
    node["qualified_name"]["path"] = [name]


def _column(name: str) -> dict[str, Any]:
    column = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": [name]}
    return {"name": "", "expression": column}


def _canonical(function: Function, smiles: str) -> str:
    read = canonicalize(smiles)
    if read.smiles is None:
        raise InputError(f"query: {function.name}('{smiles}'): {read.reason}")
    return read.smiles


def _expected(function: Function) -> str:
    if not function.pattern:
        return f"{function.name}: expected {function.name}(), or one column of SMILES in the brackets"
    example = "c1ccccc1O" if function.pattern == "SMILES" else "[#6]C(=O)[OH]"
    return f"{function.name}: expected one {function.pattern} in single quotes, e.g. {function.name}('{example}')"


def explain_error(error: duckdb.Error, columns: Sequence[str]) -> str:
    """One sentence on why DuckDB cannot run a query.

    Parameters
    ----------
    error : duckdb.Error
        The error.
    columns : sequence of str
        Columns of the candidates.

    Returns
    -------
    str
        A message for the user.
    """
    message = first_line_of(error)
    if re.search(r"Cannot (?:compare|mix) values of type VARCHAR and", message):
        return "query: text is compared with a number; write CAST(column AS DOUBLE), or put the value in single quotes"
    missing = re.search(r'Referenced column "(.*?)"', message)
    if missing:
        folded = {column.lower(): column for column in columns}
        near = [folded[name] for name in difflib.get_close_matches(missing[1].lower(), folded, n=3)]
        hint = f"did you mean {' or '.join(near)}? " if near else "strings need single quotes. "
        names = ", ".join(columns[:_MAX_NAMES])
        more = f" and {len(columns) - _MAX_NAMES} others (see molvae columns)" if len(columns) > _MAX_NAMES else ""
        return f"query: no column {missing[1]}; {hint}Columns: {names}{more}"
    doubtful = re.search(r'Ambiguous reference to column name "(.*?)"', message)
    if doubtful:
        column = doubtful[1]
        hint = "; in functions of molecules, too: has(a.smiles, 'SMARTS')" if column == "smiles" else ""
        return f"query: column {column} is in several tables; put the table's name before it: a.{column}{hint}"
    unknown = re.search(r"Function with name (\S+) does not exist", message)
    if unknown:
        functions = list_functions()
        near = difflib.get_close_matches(unknown[1].lower(), functions, n=2)
        hint = f"did you mean {' or '.join(functions[name].call for name in near)}? " if near else ""
        return f"query: no function {unknown[1]}; {hint}functions of molecules: {', '.join(functions)}"
    return f"query: {message}"


def first_line_of(error: Exception) -> str:
    """DuckDB's message without the error class, the repeated statement and the suggestions.

    Parameters
    ----------
    error : Exception
        An error of DuckDB.

    Returns
    -------
    str
        One line.
    """
    message = re.split(r"\n\s*(?:LINE \d|Candidate|Did you mean|\n)", str(error))[0]
    return re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", message).strip().replace("\n", " ")
