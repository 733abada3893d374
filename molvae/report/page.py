"""What all pages share: the stylesheet, the libraries in `vendor/`, packed data, and the security policy."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from molvae.errors import cannot_write
from molvae.files import write_text

_FOLDER = Path(__file__).parent
_VENDOR = _FOLDER / "vendor"
_SOURCE_MAP = re.compile(r"(//|/\*)# sourceMappingURL=\S+( \*/)?\n?")


def page_style() -> Markup:
    """The stylesheet of every page: colors in light and dark, cards, tables, structures, print.

    Returns
    -------
    Markup
        The content of a `<style>` element.
    """
    return _read("page.css")


def render_page(
    template: str,
    *,
    styles: Sequence[str] = ("page.css",),
    scripts: Sequence[str] = (),
    data: object = None,
    has_structures: bool = False,
    **content: object,
) -> str:
    """Render a page that loads nothing: styles, scripts and data are in the file.

    Parameters
    ----------
    template : str
        Name of a template in this folder; it extends page.html.j2.
    styles, scripts : sequence of str
        File names in this folder or in `vendor/`.
    data : object, optional
        What the scripts read as `molvae.data`; anything that JSON holds.
    has_structures : bool, default=False
        Whether the page draws structures in the browser; this adds RDKit (3.3 MB).
    **content : object
        The variables of the template; text is escaped.

    Returns
    -------
    str
        HTML. The same arguments give the same text.
    """
    inline = [_read(name) for name in (["vendor/RDKit_minimal.js"] if has_structures else []) + list(scripts)]
    css = [_read(name) for name in styles]
    return _environment().get_template(template).render(
        styles=css,
        scripts=inline,
        policy=_policy(css, inline, has_structures),
        data="" if data is None else pack(data),
        rdkit=_rdkit() if has_structures else "",
        has_structures=has_structures,
        **content,
    ) + "\n"  # fmt: skip


def write_page(path: Path, text: str) -> None:
    """Write a page; the file is written completely or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    text : str
        The page.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    try:
        write_text(path, text.encode("utf-8", "replace").decode())  # file names need not be Unicode
    except OSError as error:
        raise cannot_write(path, error) from error


def pack(data: object) -> str:
    """Compress data for a page; as base64, it cannot end the element that holds it.

    Parameters
    ----------
    data : object
        Anything that JSON holds, without NaN.

    Returns
    -------
    str
        JSON, compressed by gzip, in base64.

    Examples
    --------
    >>> pack(["</script>"]) == pack(["</script>"]), "<" in pack(["</script>"])
    (True, False)
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def _read(name: str) -> Markup:
    """A style or a script. References to source maps are removed: developer tools would load them."""
    return Markup(_SOURCE_MAP.sub("", (_FOLDER / name).read_text(encoding="utf-8")))


@cache
def _rdkit() -> str:
    return base64.b64encode((_VENDOR / "RDKit_minimal.wasm.gz").read_bytes()).decode()


def _policy(styles: Sequence[str], scripts: Sequence[str], has_structures: bool) -> str:
    """The security policy: only these styles and scripts, and nothing from the network.

    RDKit needs WebAssembly, and its JavaScript layer creates functions from its own code (`unsafe-eval`).
    """
    evaluated = " 'wasm-unsafe-eval' 'unsafe-eval'" if has_structures else ""
    parts = ["default-src 'none'", f"style-src {_digests(styles)}"]
    if scripts:
        parts.append(f"script-src {_digests(scripts)}{evaluated}")
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _digests(texts: Sequence[str]) -> str:
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "number": _number, "value": _value}
    return environment


def _count(value: int) -> str:
    return f"{value:,}"


def _number(value: Any, digits: int = 3) -> str:
    """A number with a fixed number of decimals; a dash if it is missing."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def _value(value: Any) -> str:
    """A property with two decimals, or none for a whole number; a dash if it is missing."""
    return f"{value:,.0f}" if value is not None and float(value).is_integer() else _number(value, 2)
