"""Which candidate tables and runs a user means: `latest`, a run, its name, a folder of runs, a pattern or a file."""

import contextlib
import difflib
import glob
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from molvae.errors import InputError

from . import terminal
from .run_dir import LATEST, RUNS, RunDir

_TABLES = ("candidates.parquet", "candidates.csv")
_HINT = f"give a run folder, its name in {RUNS}/, {LATEST}, a folder of runs, or a candidates.csv or .parquet"


@dataclass(frozen=True)
class FoundTable:
    """A candidate table and the run that it comes from.

    Parameters
    ----------
    path : Path
        The run folder, or the file if it is not at the top of a run folder.
    run : str
        Name of the run folder; of a file outside a run, its name without the extension.
    campaign : str
        Name of the campaign; "" if the table is not from a run folder, or if its settings cannot be read.
    date : str
        Time of completion, as ISO 8601 in UTC (`2026-11-24T10:15:00Z`).
    """

    path: Path
    run: str
    campaign: str
    date: str


def find_tables(words: Sequence[str | Path]) -> list[FoundTable]:
    """Find candidate tables. In folders and patterns, incomplete and unreadable runs are skipped with a note.

    Parameters
    ----------
    words : sequence of str or Path
        Each is `latest`, a run folder, the name of a run in `runs`, a folder of runs, a pattern such as `runs/lead-*`,
        or a candidate file.

    Returns
    -------
    list of FoundTable
        In the order of `words`; those of a folder or a pattern by date. Each table occurs once.

    Raises
    ------
    InputError
        Nothing is found for a word, or the run that it names is not complete.
    """
    if not words:
        raise InputError(f"expected at least one run; {_HINT}")
    found: dict[Path, FoundTable] = {}
    for word in words:
        for table in _resolve(str(word)):
            found.setdefault(_file_of(table), table)
    by_run: dict[Path, Path] = {}
    for path in found:
        first = by_run.setdefault(path.parent, path)
        if first != path and _is_run(path.parent):
            terminal.report(f"note: {first} and {path} are tables of the same run; its molecules are counted twice")
    return list(found.values())


def find_run(word: str | Path) -> RunDir:
    """Find one complete run.

    Parameters
    ----------
    word : str or Path
        `latest`, a run folder, or the name of a run in `runs`.

    Returns
    -------
    RunDir
        The run.

    Raises
    ------
    InputError
        It names no run, a run that is not complete, or several runs.
    """
    path = find_table(word).path
    folder = path if path.is_dir() else path.parent
    if not _is_run(folder):
        raise InputError(f"{word}: expected a run, but the table is not in a run folder; {_HINT}")
    return RunDir.open(folder)


def find_table(word: str | Path) -> FoundTable:
    """Find one candidate table.

    Parameters
    ----------
    word : str or Path
        `latest`, a run folder, the name of a run in `runs`, or a candidate file.

    Returns
    -------
    FoundTable
        The table.

    Raises
    ------
    InputError
        Nothing is found, the run is not complete, or there are several tables.
    """
    tables = find_tables([word])
    if len(tables) > 1:
        names = ", ".join(table.run for table in tables[:3])
        raise InputError(f"{word}: expected one run, got {len(tables)} ({names}{', ...' if len(tables) > 3 else ''})")
    return tables[0]


def find_previous(table: FoundTable) -> FoundTable:
    """Find the complete run of the same campaign that was completed last before another one.

    Parameters
    ----------
    table : FoundTable
        The later run.

    Returns
    -------
    FoundTable
        A run in the same folder.

    Raises
    ------
    InputError
        The table is not from a run folder, or there is no earlier run of its campaign.
    """
    if not table.campaign:
        raise InputError(f"{table.path}: not in a run folder, so there is no earlier run; give two runs to compare")
    run = (table.path if table.path.is_dir() else table.path.parent).resolve()
    earlier = []
    for path in sorted(run.parent.iterdir()):
        if path.is_symlink() or _is_hidden(path) or path == run:
            continue
        with contextlib.suppress(InputError, OSError):  # not complete, or not readable
            found = _of_folder(path) if _is_run(path) else None
            if found and found.campaign == table.campaign and (found.date, found.run) < (table.date, table.run):
                earlier.append(found)
    if not earlier:
        raise InputError(
            f"{run.name}: no earlier complete run of the campaign {table.campaign} in {run.parent}; give two runs"
        )
    return max(earlier, key=lambda found: (found.date, found.run))


def _resolve(word: str) -> list[FoundTable]:
    path = Path(word)
    named = Path(RUNS) / word
    if not path.exists() and "/" not in word and (named.exists() or named.is_symlink()):
        path = named
    if path.is_file():
        return [_of_file(path)]
    if path.is_dir():
        table = _of_folder(path)
        return [table] if table else _of_runs(sorted(path.iterdir()), path)
    if glob.has_magic(word):
        matches = [Path(match) for match in sorted(glob.glob(word))]
        if not matches:
            raise InputError(f"{word}: no file or folder matches; {_HINT}")
        return _of_runs(matches, path)
    if path.is_symlink():
        raise InputError(f"{path}: is a link to {path.readlink()}, which does not exist; {_HINT}")
    if word == LATEST:
        raise InputError(
            f"{word}: no {RUNS}/{LATEST} in {Path.cwd()}; change to the folder that contains {RUNS}/, or give a run "
            "folder or a candidate file"
        )
    raise InputError(f"{word}: no such run or file{_suggest(word)}; {_HINT}")


def _of_file(path: Path) -> FoundTable:
    if path.name in _TABLES and _is_run(path.parent):
        return _describe(path, path.parent.resolve())
    return FoundTable(path, path.stem, "", _iso(path.stat().st_mtime))


def _of_folder(path: Path) -> FoundTable | None:
    """The table of a folder; None if it has none and is not a run."""
    names = [name for name in _TABLES if (path / name).is_file()]
    if not _is_run(path):
        return FoundTable(path, path.name, "", _iso((path / names[0]).stat().st_mtime)) if names else None
    if not names:
        raise InputError(f"{path}: the run is not complete; resume it with `molvae design --resume {path}`")
    return _describe(path, path.resolve())


def _of_runs(paths: Sequence[Path], where: Path) -> list[FoundTable]:
    """The tables among folders and files, by date; a link to another one does not count twice."""
    found: dict[Path, FoundTable] = {}
    incomplete: list[str] = []
    for path in paths:
        if _is_hidden(path):  # such as a run that is being removed
            continue
        try:
            table = _of_folder(path) if path.is_dir() else _of_file(path) if path.name in _TABLES else None
            problem = "" if table is None else _find_damage(_file_of(table))
        except InputError:
            incomplete += [] if path.is_symlink() else [path.name]
            continue
        except OSError as error:
            table, problem = None, (error.strerror or str(error)).lower()
        if problem:
            terminal.report(f"note: {path}: cannot be read and is skipped ({problem})")
        elif table is not None:
            found.setdefault(path.resolve(), table)
    if incomplete:
        named = ", ".join(incomplete[:3]) + (f" and {len(incomplete) - 3} more" if len(incomplete) > 3 else "")
        terminal.report(f"note: {where}: incomplete runs are skipped: {named}")
    if not found:
        raise InputError(f"{where}: contains no complete run and no candidate table; {_HINT}")
    return sorted(found.values(), key=lambda table: (table.date, table.run))


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _find_damage(path: Path) -> str:
    """What is wrong with a table, by its first and last bytes; "" if nothing is."""
    if path.suffix != ".parquet":
        path.open("rb").close()
        return ""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        file.seek(max(0, path.stat().st_size - len(_MAGIC)))
        tail = file.read()
    return "" if head == tail == _MAGIC else f"{path.name} is truncated or not a Parquet file"


_MAGIC = b"PAR1"  # the first and the last bytes of every Parquet file


def _file_of(table: FoundTable) -> Path:
    """The file that is read."""
    files = (table.path / name for name in _TABLES)
    return next((file for file in files if file.is_file()), table.path).resolve()


def _describe(path: Path, run: Path) -> FoundTable:
    folder = RunDir(run)
    try:
        name = str(tomllib.loads(folder.campaign.read_text(encoding="utf-8")).get("name", ""))
    except (RecursionError, OSError, ValueError):  # damaged; the table may still be whole
        name = ""
    return FoundTable(path, run.name, name, _iso(folder.completed_at()))


def _is_run(path: Path) -> bool:
    return RunDir(path).campaign.is_file()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _suggest(word: str) -> str:
    near = difflib.get_close_matches(Path(word).name, list(_names()), n=2)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _names() -> Iterator[str]:
    runs = Path(RUNS)
    if runs.is_dir():
        for entry in runs.iterdir():
            with contextlib.suppress(OSError):
                if not _is_hidden(entry) and _is_run(entry):
                    yield entry.name
