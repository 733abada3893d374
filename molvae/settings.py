"""Settings: frozen, strict, read from TOML and written back; a wrong key is answered with the near one."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from molvae.errors import InputError


class Settings(BaseModel):
    """Base of every settings section: immutable, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def known_keys(cls) -> list[str]:
        """Names of the keys, for messages about unknown ones."""
        return [*cls.model_fields, *cls.extra_sections()]

    @classmethod
    def extra_sections(cls) -> "Mapping[str, type[Settings]]":
        """Settings classes of the accepted sections that are not fields, by name; none unless overridden."""
        return {}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str) -> Self:
        """Checked settings.

        Raises:
            InputError: naming every wrong key; `where` (a file name) opens each line.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = [_explain(cls, problem, where) for problem in error.errors()]
            raise InputError("\n".join(lines)) from None

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Checked settings from a TOML file; the errors name the file, the section and the key."""
        return cls.from_dict(read_toml(path), path.name)

    def to_toml(self) -> str:
        """The same settings as TOML text, defaults filled in, `None` left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True), multiline_strings=True)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: the file is missing, unreadable or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a TOML settings file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text file ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None


def _explain(cls: type[Settings], problem: Any, where: str) -> str:
    """One pydantic problem in words: `campaign.toml [search] budgt: unknown key; did you mean budget?`."""
    *sections, key = [str(part) for part in problem["loc"]] or ["(whole file)"]
    place = f"{where} {'[' + '.'.join(sections) + '] ' if sections else ''}{key}"
    if problem["type"] == "extra_forbidden":
        known = _keys_at(cls, sections)
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{place}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{place}: this key is needed and is not there"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message[0].lower()}{message[1:]} (got {problem['input']!r})"


def _keys_at(cls: type[Settings], sections: list[str]) -> list[str]:
    """The known keys of the section at a path, looking through Optional, dict and list."""
    found: list[type[Settings]] = [cls]
    for name in sections:
        below: list[type[Settings]] = []
        for model in found:
            field = model.model_fields.get(name)
            below += _models_in(field.annotation) if field else [model.extra_sections().get(name, model)]
        found = below or found
    return sorted({name for model in found for name in model.known_keys()})


def _models_in(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
