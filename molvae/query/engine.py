"""The process of the queries: reads the tables, runs the SQL within its limits, and returns the result.

It runs separately from the program that asks, because DuckDB's own limits of memory and time do not always hold: its
parser and planner cannot be interrupted, and some functions allocate before they check.
"""

import json
import os
import re
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import NoReturn

import duckdb
import pandas as pd
import pyarrow as pa

from molvae.candidates.files import to_pandas
from molvae.errors import InputError, MissingPackageError
from molvae.query.cache import ValueCache
from molvae.query.chemistry import Chemistry, OutOfTime
from molvae.query.database import Database
from molvae.query.latent import LatentVectors
from molvae.query.memory import limited_memory
from molvae.query.request import LOADED, OUT_OF_MEMORY, OUT_OF_TIME, Answer, Request, Source
from molvae.query.sources import Tables, content_key, find_sources, read_sources
from molvae.query.statement import Statement, check_text, explain_error, read_statement, shown_name

_BATCH_ROWS = 10_000
_WATCH_SECONDS = 1.0
_SMILES_COLUMN = re.compile(r"smiles|.*_smiles|scaffold", re.IGNORECASE)


class Engine:
    """Answers queries; it keeps the tables that were read last."""

    def __init__(self) -> None:
        self._key: object = None
        self._tables: Tables | None = None
        self._database: Database | None = None

    def answer(self, request: Request, on_loaded: Callable[[], None] = lambda: None) -> Answer:
        """Run a query.

        Parameters
        ----------
        request : Request
            The query.
        on_loaded : callable, optional
            Called when the time limit begins.

        Returns
        -------
        Answer
            The result, or why there is none.
        """
        try:
            return self._answer(request, on_loaded)
        except (InputError, MissingPackageError) as error:
            return Answer(None, str(error))
        except RecursionError:
            return Answer(None, "query: nested too deeply")
        except (MemoryError, pa.ArrowMemoryError):
            return Answer(None, OUT_OF_MEMORY.format(gigabytes=request.gigabytes), is_last=True)
        except Exception:
            return Answer(None, traceback.format_exc(), is_program_error=True)

    def _answer(self, request: Request, on_loaded: Callable[[], None]) -> Answer:
        text = check_text(request.text)
        if request.folder is not None:
            os.chdir(request.folder)
        sources = find_sources(request.sources)
        tables = self._read(content_key(sources), sources)
        latent = LatentVectors(tables.sources, request.codec)
        hidden = tables.added if len(sources) == 1 else ()
        database = self._open(tables, request.gigabytes)
        statement = read_statement(database.connection, text, hidden, latent.by_row)
        for function, pattern in statement.calls:
            if function.needs_codec:
                latent.prepare(function, pattern)
        on_loaded()
        texts = [name for name in tables.columns if _SMILES_COLUMN.fullmatch(name)]
        chemistry = Chemistry(
            [partial(tables.texts, name) for name in texts],
            ValueCache(request.cache),
            latent,
            time.monotonic() + request.seconds,
        )
        database.use(chemistry, latent, [function for function, _ in statement.calls])
        with database.reading():
            table = _run(database.connection, statement, tables, request)
        for name, decimal in tables.decimals.items():
            if name in table:
                table[name] = decimal.restore(table[name])
        used = [name for name in statement.used if name in {column.lower() for column in tables.columns}]
        notes = list(_notes(tables, used, chemistry))
        return Answer(table, notes=notes, used=used, is_condition=statement.is_condition)

    def _read(self, key: object, sources: Sequence[Source]) -> Tables:
        if self._tables is None or self._key != key:
            self._close()
            self._tables = read_sources(sources)
            self._key = key
        return self._tables

    def _open(self, tables: Tables, gigabytes: float) -> Database:
        if self._database is None or self._database.gigabytes != gigabytes:
            if self._database is not None:
                self._database.close()
            self._database = Database(tables.table, gigabytes)
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._tables = self._database = None


def serve(connection_fd: int) -> NoReturn:
    """The main loop of the process: answer queries until the parent closes the connection or ends.

    Parameters
    ----------
    connection_fd : int
        File descriptor of a socket.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(connection_fd)
    engine = Engine()
    while True:
        try:
            request: Request = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        connection.send(engine.answer(request, lambda: connection.send(LOADED)))


def _end_with(parent: int) -> None:
    """End this process if its parent was killed."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _run(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: Tables, request: Request) -> pd.DataFrame:
    timer = threading.Timer(request.seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        sql = connection.execute("select json_deserialize_sql(?::json)", [json.dumps(statement.tree)]).fetchall()[0][0]
        with limited_memory(request.gigabytes), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about a copy, which is small
            reader: pa.RecordBatchReader = connection.execute(sql).to_arrow_reader(_BATCH_ROWS)
            batches, n_cells = [], 0
            for batch in reader:
                n_cells += batch.num_rows * batch.num_columns
                if n_cells > request.max_cells:
                    raise InputError(
                        f"query: returns more than {request.max_cells:,} cells; add a condition or a limit"
                    )
                batches.append(batch)
            found = pa.Table.from_batches(batches, reader.schema)
            names = _unique(list(map(shown_name, found.column_names)))
            return pd.concat([to_pandas(column) for column in found.columns], axis=1, keys=names)
    except duckdb.InterruptException:
        raise InputError(OUT_OF_TIME.format(seconds=request.seconds)) from None
    except (duckdb.OutOfMemoryException, duckdb.FatalException):
        raise MemoryError from None
    except duckdb.Error as error:
        raise _cause(error, tables, request) from None
    finally:
        timer.cancel()


def _cause(error: duckdb.Error, tables: Tables, request: Request) -> Exception:
    """The cause of an error inside a query: an error of a function of molecules comes with its type in the message."""
    message = str(error)
    if OutOfTime.__name__ in message:
        return InputError(OUT_OF_TIME.format(seconds=request.seconds))
    if "MemoryError" in message or "bad_alloc" in message or "failed to allocate" in message.lower():
        return MemoryError()
    inner = re.search(r"InputError: (query: .*)", message)
    return InputError(inner[1] if inner else explain_error(error, tables.columns))


def _unique(names: Sequence[str]) -> list[str]:
    """Names of the columns of a result; a repeated one gets a number, as DuckDB itself does in a subquery."""
    found: dict[str, None] = {}
    for name in names:
        unique, number = name, 0
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found[unique] = None
    return list(found)


def _notes(tables: Tables, used: Sequence[str], chemistry: Chemistry) -> Iterator[str]:
    """What was reconciled, what is missing in some runs, and what could not be computed."""
    for note in tables.notes:
        if note.split(" ")[1].lower() in used:
            yield note
    written = {name.lower(): name for name in tables.columns}
    for name in map(written.__getitem__, used):
        runs = tables.missing.get(name)
        if runs:
            shown = ", ".join(runs[:3]) + (f" and {len(runs) - 3} more runs" if len(runs) > 3 else "")
            yield (
                f"{shown} has no column {name}: it is empty there"
                if len(runs) == 1
                else (f"{shown} have no column {name}: it is empty there")
            )
    for name, rows in chemistry.failed.items():
        smiles, reason = next(iter(rows.items()))
        yield f"{name}: no value for {len(rows):,} molecules ({smiles}: {reason})"
