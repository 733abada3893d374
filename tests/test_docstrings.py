"""Every public name has a numpydoc docstring that lists its parameters, in order, and what it returns."""

import ast
import inspect
import re
import runpy
from collections.abc import Iterator
from enum import Enum
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, is_typeddict

import pytest
from molvae.pipeline.cli import GROUPS, app
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

ARCHITECTURE = runpy.run_path(str(Path(__file__).parent / "test_architecture.py"))
MODULES = sorted({name if name.startswith("molvae") else f"molvae.{name}" for name in ARCHITECTURE["MODULES"]})

REQUIRED = {
    "GL06",  # unknown section
    "GL07",  # sections in the wrong order
    "GL08",  # no docstring
    "PR01",  # parameters not documented
    "PR02",  # unknown parameters
    "PR03",  # parameters in the wrong order
    "PR10",  # no space before the colon of a parameter
    "RT01",  # no Returns section
    "SS01",  # no summary
    "SS03",  # summary does not end with a period
}

COMMANDS = [found for group in (app, *GROUPS) for found in (group.registered_callback, *group.registered_commands)]
CALLBACKS = [found.callback for found in COMMANDS if found is not None]
"""Functions whose docstrings are help texts."""


def public_members(module: str) -> Iterator[tuple[str, Any, type | None]]:
    """Functions and classes that a module defines, and methods of the classes: name, object, class of a method."""
    for name, value in vars(import_module(module)).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module or value in CALLBACKS:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            yield name, value, None
        if inspect.isclass(value):
            for inner, attribute in vars(value).items():
                is_method = isinstance(attribute, property | cached_property | classmethod | staticmethod)
                if not inner.startswith("_") and (is_method or inspect.isfunction(attribute)):
                    yield f"{name}.{inner}", attribute, value


def has_signature(value: Any) -> bool:
    """Whether the parameters of a class are those of its constructor."""
    is_enum = inspect.isclass(value) and issubclass(value, Enum)
    return not (is_enum or is_typeddict(value) or getattr(value, "_is_protocol", False))


PROTOCOL_METHODS = {"forward"} | {
    name.partition(".")[2]
    for module in MODULES
    for name, _, owner in public_members(module)
    if owner is not None and not has_signature(owner)
}
"""Methods that implement a documented protocol; one line is enough."""


def inherited_parameters(value: Any) -> set[str]:
    """Parameters that the base classes of a class document."""
    bases = value.__mro__[1:] if inspect.isclass(value) else ()
    docs = [inspect.getdoc(base) or "" for base in bases if base.__module__.startswith("molvae")]
    entries = [entry for doc in docs for entry in NumpyDocString(doc)["Parameters"]]
    return {name.strip() for entry in entries for name in entry.name.split(",")}


def find_faults(module: str, name: str, value: Any, owner: type | None) -> list[str]:
    result = validate(f"{module}.{name}")
    faults = {code: text for code, text in result["errors"] if code in REQUIRED}
    is_short = "\n" not in result["docstring"].strip()
    if owner is not None and is_short and name.rpartition(".")[2] in PROTOCOL_METHODS:
        faults = {code: text for code, text in faults.items() if code not in ("PR01", "RT01")}
    if inspect.isclass(value):
        if not has_signature(value):
            faults = {code: text for code, text in faults.items() if code not in ("PR01", "PR02", "PR03")}
        missing = set(ast.literal_eval((re.findall(r"{.*}", faults.get("PR01", "")) or ["()"])[0]))
        if missing <= inherited_parameters(value) | {"**extra_data"}:
            faults.pop("PR01", None)
    return [f"{module}.{name}: {text}" for text in faults.values()]


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_follow_numpydoc(module: str) -> None:
    faults = [fault for member in public_members(module) for fault in find_faults(module, *member)]
    assert not faults, "\n".join(faults)
