"""A term that a Python function of the user computes."""

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.errors import InputError, MolvaeError, first_line
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import failed, join, read_answer
from molvae.scoring.term import CostlyTerm, Term
from molvae.workers import Mapper, WorkerFailure

_ROWS_PER_CHUNK = 16


class FunctionTerm(CostlyTerm):
    """A Python function: it takes a list of SMILES and returns one number per molecule, or a table.

    The table is a DataFrame or a dict with a column `value`; its other columns of numbers appear in the candidate table
    as `value_<term>_<column>`. None or NaN marks a molecule without a value; a column `reason` explains why.

    Parameters
    ----------
    python : str
        File and function, as in ``"my_scores.py:score"``. A relative path starts at the campaign file.
    parallel : bool, default=False
        Whether the function may be called in several processes, with one molecule per call.
    seconds : float, default=60.0
        Limit of CPU time for one molecule, if `parallel`.
    """

    python: str = Field(description="file and function, as in my_scores.py:score")
    parallel: bool = Field(False, description="whether the function may be called in several processes")
    seconds: float = Field(60.0, gt=0, description="limit of CPU time for one molecule, if parallel")

    not_in_values: ClassVar[frozenset[str]] = CostlyTerm.not_in_values | {"parallel", "seconds"}

    @field_validator("python")
    @classmethod
    def _names_a_function(cls, python: str) -> str:
        path, _, name = python.rpartition(":")
        if not path or not name.isidentifier():
            raise PydanticCustomError("function", "expected FILE:FUNCTION, as in my_scores.py:score")
        return python


class FunctionScorer:
    """Calls a Python function of the user.

    Parameters
    ----------
    settings : FunctionTerm
        Settings.

    Raises
    ------
    InputError
        The file cannot be imported, or has no such function.
    """

    Settings: ClassVar[type[Term]] = FunctionTerm

    def __init__(self, settings: FunctionTerm) -> None:
        self._settings = settings
        path, _, self._name = settings.python.rpartition(":")
        self._path = Path(path)
        load_function(self._path, self._name)

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the Python file; see `Scorer.identity`."""
        return {str(self._path): sha256_of(self._path)}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Call the function; see `Scorer.__call__`."""
        where = f"{self._path.name}:{self._name}"
        if not self._settings.parallel:
            function = load_function(self._path, self._name)
            try:
                return read_answer(function(list(smiles)), smiles, where)
            except InputError:
                raise
            except (Exception, SystemExit) as error:  # code of the user may raise anything, and may call sys.exit
                raise MolvaeError(f"{where}: raised {type(error).__name__}: {first_line(error)}") from error
        chunks = [smiles[begin : begin + _ROWS_PER_CHUNK] for begin in range(0, len(smiles), _ROWS_PER_CHUNK)]
        call = _Call(str(self._path), self._name)
        rows = [
            row if isinstance(row, Values) else failed(1, row.reason)
            for part in mapper(call, chunks, seconds_per_row=self._settings.seconds)
            for row in part
        ]
        return join(rows)


class _Call:
    """A call of the function with one molecule, for a `Mapper`."""

    def __init__(self, path: str, name: str) -> None:
        self._path, self._name = path, name

    def __call__(self, smiles: str) -> Values | WorkerFailure:
        where = f"{Path(self._path).name}:{self._name}"
        try:
            return read_answer(load_function(Path(self._path), self._name)([smiles]), [smiles], where)
        except (Exception, SystemExit) as error:  # code of the user may raise anything, and may call sys.exit
            return WorkerFailure(f"{where}: raised {type(error).__name__}: {first_line(error)}")


def load_function(path: Path, name: str) -> Callable[[list[str]], Any]:
    """Import a function from a file.

    Parameters
    ----------
    path : Path
        Python file; it can import the modules in its folder.
    name : str
        Name of the function.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    InputError
        There is no such file or function, or the file cannot be imported.
    """
    function = getattr(_import(path), name, None)
    if not callable(function):
        raise InputError(f"{path}: expected a function {name}(smiles), found none")
    return function


@cache
def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"{path}: expected a Python file, no such file")
    name = f"molvae_user_{path.stem}_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: expected a Python file, .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # code of the user may raise anything, and may call sys.exit
        raise InputError(f"{path}: cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module
