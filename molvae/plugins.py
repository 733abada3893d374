"""Plug-ins: registry members that other installed packages provide as entry points."""

from collections.abc import Collection
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from molvae.errors import InputError

T = TypeVar("T")


def load_plugins(group: str, builtin: Collection[str], kind: type[T]) -> dict[str, T]:
    """Load the objects that installed packages register in an entry-point group, by name.

    The packages are imported at the first call for a group; later calls return the same objects.

    Parameters
    ----------
    group : str
        Entry-point group, e.g. ``"molvae.properties"``.
    builtin : collection of str
        Names of the built-in members.
    kind : type
        Type that every object must be an instance of; ``type`` for classes, ``object`` for anything.

    Returns
    -------
    dict of str to object
        A new dict, sorted by name; empty if no package registers anything.

    Raises
    ------
    InputError
        An entry point cannot be imported, has the name of a built-in member or of another entry point, or is not of
        the expected type. The message names the package to repair or uninstall.

    Examples
    --------
    >>> load_plugins("molvae.no_such_group", builtin=(), kind=object)
    {}
    """
    loaded: dict[str, T] = {}
    for entry, value in _load(group):
        if entry.name in builtin:
            raise InputError(f"{_describe(entry)}: {entry.name} is a built-in name; rename the entry point")
        if entry.name in loaded:
            other = next(first for first, _ in _load(group) if first.name == entry.name)
            raise InputError(f"{_describe(entry)}: {_package(other)} registers the same name; uninstall one of the two")
        if not isinstance(value, kind):
            raise InputError(f"{_describe(entry)}: expected an instance of {kind.__name__}, got {type(value).__name__}")
        loaded[entry.name] = value
    return loaded


@cache
def _load(group: str) -> tuple[tuple[EntryPoint, object], ...]:
    """Every entry point of the group with its object, sorted by name and package."""
    found = sorted(set(entry_points(group=group)), key=lambda entry: (entry.name, _package(entry)))
    return tuple((entry, _load_one(entry)) for entry in found)


def _load_one(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # code of another package: it may raise anything
        raise InputError(
            f"{_describe(entry)}: cannot be loaded: {type(error).__name__}: {error}; repair or uninstall the package"
        ) from error


def _describe(entry: EntryPoint) -> str:
    return f"plug-in {entry.group} {entry.name} = {entry.value} (package {_package(entry)})"


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"
