"""A term that a Python function of the user computes."""

from collections.abc import Mapping, Sequence
from modulefinder import ModuleFinder
from pathlib import Path
from threading import Event
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from molvae.errors import InputError, first_line
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.answers import hash_files, join
from molvae.scoring.scorers.batches import in_threads, is_cluster, on_cluster, score_batches
from molvae.scoring.scorers.function_process import FunctionProcess
from molvae.scoring.term import CostlyTerm, Term
from molvae.workers import Mapper, n_cores


class FunctionTerm(CostlyTerm):
    """A Python function: it takes a list of SMILES and returns one number per molecule, or a table.

    The table is a DataFrame or a dict with a column `value`; its other columns of numbers appear in the candidate table
    as `value_<term>_<column>`. None or NaN marks a molecule without a value; a column `reason` explains why. With a
    column `smiles`, rows may have any order.

    The function runs in a process of its own. If it raises an error, crashes or takes too long, each molecule of the
    call is tried on its own, and those that fail again have no value.

    Parameters
    ----------
    python : str
        File and function, as in ``"my_scores.py:score"``. A relative path starts at the campaign file.
    parallel : bool, default=False
        Whether the function may be called in several processes, with one molecule per call; on a Dask cluster, by its
        workers.
    batch_size : int, default=100
        Largest number of molecules per call, unless `parallel`.
    seconds : float, default=60.0
        Time limit per molecule; the limit of a call is this times the number of its molecules.
    files : tuple of Path, default=()
        Files that the function reads; if one changes, values are computed again. Modules that the file imports from
        its own folder are found by themselves.
    """

    python: str = Field(description="file and function, as in my_scores.py:score")
    parallel: bool = Field(False, description="whether the function may be called in several processes")
    batch_size: int = Field(100, ge=1, le=100_000, description="largest number of molecules per call")
    seconds: float = Field(60.0, gt=0, description="time limit for each molecule")
    files: tuple[Path, ...] = Field((), description="files that the function reads")

    not_in_values: ClassVar[frozenset[str]] = CostlyTerm.not_in_values | {"parallel", "batch_size", "seconds"}

    @property
    def n_per_step(self) -> int:
        """Largest number of molecules between two writes to the cache."""
        return self.batch_size

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
        self._identity = hash_files(find_modules(self._path), "python") | hash_files(settings.files, "files")
        self._idle = [self._start()]

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the file, its modules (see `find_modules`) and `files`; see `Scorer.identity`."""
        return self._identity

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Call the function; see `Scorer.__call__`."""
        if not smiles:
            return join([])
        one = self._settings
        size = 1 if one.parallel else one.batch_size
        if one.parallel and is_cluster(mapper):
            call_all = on_cluster(mapper, self, one.model_dump_json(), one.seconds * size)
        else:
            n_at_once = (getattr(mapper, "n_workers", 1) or n_cores()) if one.parallel else 1
            call_all = in_threads(self.score_batch, n_at_once)
        return score_batches(smiles, size, call_all, f"{self._path.name}:{self._name}")

    def score_batch(self, smiles: Sequence[str], is_stopped: Event) -> Values | str:
        """Call the function in an idle process.

        Parameters
        ----------
        smiles : sequence of str
            SMILES.
        is_stopped : Event
            Asks to stop waiting.

        Returns
        -------
        Values or str
            The values, or why there are none.
        """
        try:
            process = self._idle.pop()
        except IndexError:
            process = self._start(is_stopped)
        try:
            return process.call(smiles, self._settings.seconds * len(smiles), is_stopped)
        finally:
            if process.is_alive:
                self._idle.append(process)

    def _start(self, is_stopped: Event | None = None) -> FunctionProcess:
        is_one_of_several = self._settings.parallel
        return FunctionProcess(self._path, self._name, is_one_of_several=is_one_of_several, is_stopped=is_stopped)


def find_modules(path: Path) -> list[Path]:
    """Find the modules that a file imports from its own folder, directly or through others.

    Modules are found by their `import` statements, including those inside functions, without running them. Those that
    are imported by a computed name, from other folders, or from installed packages are not found.

    Parameters
    ----------
    path : Path
        Python file.

    Returns
    -------
    list of Path
        The file and the modules.

    Raises
    ------
    InputError
        There is no such file, or it or a module is not valid Python.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a Python file, no such file")
    finder = ModuleFinder(path=[str(path.parent)])
    try:
        finder.run_script(str(path))
    except (SyntaxError, ValueError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    found = (getattr(module, "__file__", None) for module in finder.modules.values())
    return sorted({path, *(Path(one) for one in found if one)})
