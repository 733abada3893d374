"""Base class of all settings: validated, immutable, read from and written to TOML."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from molvae.errors import InputError

_MAX_BYTES = 10_000_000
"""Largest settings file."""
_MAX_DOTS = 1_000


class Settings(BaseModel):
    """Base class of all settings: immutable; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def known_keys(cls) -> list[str]:
        """List the keys, for messages about unknown keys.

        Returns
        -------
        list of str
        """
        return [*cls.model_fields, *cls.extra_sections()]

    @classmethod
    def extra_sections(cls) -> "Mapping[str, type[Settings]]":
        """Accepted sections that are not fields of the class.

        Returns
        -------
        mapping of str to type
            Name of a section -> its Settings class; empty unless overridden.
        """
        return {}

    @classmethod
    def section_class(cls, name: str) -> "type[Settings] | None":
        """The class of a section, if its field does not have it.

        Parameters
        ----------
        name : str
            Name of the section.

        Returns
        -------
        type or None
            By default that of `extra_sections`; a class can override this to import a section only if it is needed.
        """
        return cls.extra_sections().get(name)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str) -> Self:
        """Validate settings.

        Parameters
        ----------
        data : mapping
            Keys and values; sections are mappings.
        where : str
            File name or job; each line of an error message starts with it.

        Returns
        -------
        Settings

        Raises
        ------
        InputError
            A key is unknown or missing, or a value is invalid; the message has one line per problem.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = [_explain(cls, problem, where) for problem in error.errors()]
            raise InputError("\n".join(lines)) from None

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read and validate a TOML file.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        Settings

        Raises
        ------
        InputError
            The file cannot be read, or a key is unknown, missing or invalid; the message names file, section and key.
        """
        return cls.from_dict(read_toml(path), path.name)

    def to_toml(self) -> str:
        """Write the settings as TOML.

        Returns
        -------
        str
            TOML; defaults are included, keys that are None are omitted.
        """
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True), multiline_strings=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    InputError
        The file is missing, cannot be read, or is not valid TOML.
    """
    try:
        if not path.is_file() and path.exists() and not path.is_dir():
            raise InputError(f"{path}: expected a regular file, got a pipe or a device")  # reading it may never end
        if path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than {_MAX_BYTES / 1e6:g} MB; expected a TOML settings file")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a TOML settings file") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a text file ({error})") from None
    return parse_toml(text, str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML.

    Parameters
    ----------
    text : str
        TOML.
    where : str
        What the error message starts with.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    InputError
        It is not valid TOML, or nested too deeply.

    Examples
    --------
    >>> parse_toml("budget = 500", "campaign.toml")
    {'budget': 500}
    """
    keys = (line if line.lstrip().startswith("[") else line.partition("=")[0] for line in text.splitlines())
    if any(key.count(".") > _MAX_DOTS for key in keys):  # the time of the parser grows with the square of this number
        raise InputError(f"{where}: not valid TOML: a key has more than {_MAX_DOTS:,} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # also of a number with thousands of digits
        raise InputError(f"{where}: not valid TOML: {error}") from None


def _explain(cls: type[Settings], problem: ErrorDetails, where: str) -> str:
    """The message for one pydantic error: `campaign.toml [search] budgt: unknown key; did you mean budget?`."""
    *sections, key = [str(part) for part in problem["loc"]] or ["(whole file)"]
    location = f"{where} {'[' + '.'.join(sections) + '] ' if sections else ''}{key}"
    if problem["type"] == "extra_forbidden":
        known = _keys_at(cls, sections)
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{location}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{location}: missing; this key is required"
    message = problem["msg"].removeprefix("Value error, ")
    if not message[:2].isupper():  # SMARTS and SMILES stay
        message = message[:1].lower() + message[1:]
    return f"{location}: {message} (got {problem['input']!r})"


def _keys_at(cls: type[Settings], sections: list[str]) -> list[str]:
    """The known keys of a section; its type may be wrapped in Optional, dict or list."""
    found: list[type[Settings]] = [cls]
    for name in sections:
        below: list[type[Settings]] = []
        for model in found:
            field, extra = model.model_fields.get(name), model.section_class(name)
            below += _models_in(field.annotation) if field and extra is None else [extra or model]
        found = below or found
    return sorted({name for model in found for name in model.known_keys()})


def _models_in(annotation: object) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
