"""The DuckDB database of a query: the candidates and the functions of molecules, and no access to anything else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from molvae.query.chemistry import Chemistry
from molvae.query.functions import Function, Kind
from molvae.query.latent import LatentVectors
from molvae.query.request import TABLE
from molvae.query.statement import OF_ANY, OF_ROW

_DUCKDB: dict[Kind, str] = {"number": "DOUBLE", "integer": "BIGINT", "flag": "BOOLEAN", "text": "VARCHAR"}
_ARROW: dict[Kind, pa.DataType] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "flag": pa.bool_(),
    "text": pa.string(),
}


class Database:
    """An in-memory database with the table of the candidates; queries use it one after the other.

    Parameters
    ----------
    table : Table
        The candidates.
    gigabytes : float
        Limit of memory, in addition to the table. DuckDB does not hold it in all functions.
    """

    def __init__(self, table: pa.Table, gigabytes: float) -> None:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 2,
            "memory_limit": f"{int(gigabytes * 1000 + table.nbytes / 1e6 * 2)}MB",
            "temp_directory": "",
            "allow_community_extensions": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        self.gigabytes = gigabytes
        self.connection = duckdb.connect(":memory:", config=settings)
        """For the parser and for queries."""
        self._names: set[str] = set()
        self._chemistry: Chemistry | None = None
        self._latent: LatentVectors | None = None
        self.connection.register("incoming", table)
        self.connection.execute(f"create table {TABLE} as select * from incoming")
        self.connection.unregister("incoming")
        self.connection.execute("set enable_external_access = false")
        self.connection.execute("set lock_configuration = true")

    def use(self, chemistry: Chemistry, latent: LatentVectors, functions: Sequence[Function]) -> None:
        """Prepare the functions of the next query.

        Parameters
        ----------
        chemistry : Chemistry
            Computes their values.
        latent : LatentVectors
            Latent vectors of the candidates.
        functions : sequence of Function
            The functions that the query calls.
        """
        self._chemistry, self._latent = chemistry, latent
        for function in functions:
            if function.name not in self._names:
                self._names.add(function.name)
                self._add(function)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A transaction that cannot change the table.

        Yields
        ------
        None
            During the transaction.
        """
        self.connection.execute("begin transaction read only")
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # an error may have ended it
                self.connection.execute("rollback")

    def close(self) -> None:
        """Free the memory."""
        self.connection.close()

    def _add(self, function: Function) -> None:
        kind, arrow = _DUCKDB[function.kind], _ARROW[function.kind]

        def add(name: str, of: Callable[..., pa.Array], *types: str) -> None:
            self.connection.create_function(
                name, of, [*types], kind, type=PythonUDFType.ARROW, null_handling=FunctionNullHandling.SPECIAL
            )

        def values(smiles: pa.ChunkedArray, pattern: str | None, is_canonical: bool = True) -> pa.Array:
            assert self._chemistry is not None  # use() comes before a query
            return pa.array(self._chemistry.values(function, pattern, smiles.to_pylist(), is_canonical), arrow)

        # a pattern is a literal, so that it is the same in every row
        def of_canonical(smiles: pa.ChunkedArray, patterns: pa.ChunkedArray) -> pa.Array:
            return values(smiles, patterns[0].as_py())

        def of_any(smiles: pa.ChunkedArray, patterns: pa.ChunkedArray) -> pa.Array:
            return values(smiles, patterns[0].as_py(), False)

        def of_molecules(smiles: pa.ChunkedArray) -> pa.Array:
            return values(smiles, None)

        def of_rows(
            runs: pa.ChunkedArray, rows: pa.ChunkedArray, smiles: pa.ChunkedArray, patterns: pa.ChunkedArray
        ) -> pa.Array:
            assert self._latent is not None
            lists = runs.to_pylist(), rows.to_pylist(), smiles.to_pylist()
            return pa.array(self._latent.of_rows(patterns[0].as_py(), *lists), arrow)

        if function.pattern:
            add(function.name, of_canonical, "VARCHAR", "VARCHAR")
            add(OF_ANY + function.name, of_any, "VARCHAR", "VARCHAR")
        else:
            add(function.name, of_molecules, "VARCHAR")
        if function.name == "latent_distance":
            add(OF_ROW, of_rows, "VARCHAR", "BIGINT", "VARCHAR", "VARCHAR")
