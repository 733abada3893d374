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
_RDKIT = "vendor/RDKit_minimal.js"
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
    inline = [_read(name) for name in ([_RDKIT] if has_structures else []) + list(scripts)]
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
    text = _SOURCE_MAP.sub("", (_FOLDER / name).read_text(encoding="utf-8"))
    return Markup(_without_eval(text) if name == _RDKIT else text)


_CLOSURES = {
    # calls a method of RDKit: converts `this` and the arguments, and frees what the conversion has allocated
    "return new Function(args1,invokerFnBody)": """
return (humanName, throwBindingError, invoker, fn, runDestructors, fromRetWire, toClassParamWire, ...rest) => {
  const converters = rest.splice(useStackFrame ? 2 : 0, argCount);
  const free = rest.slice(useStackFrame ? 2 : 0);
  return function (...args) {
    const destructors = needsDestructorStack ? [] : null, wired = [], sp = useStackFrame ? stackSave() : 0;
    let rv;
    try {
      if (isClassMethodFunc) wired.push(toClassParamWire(destructors, this));
      for (let i = 0; i < argCount; ++i) wired.push(converters[i](destructors, args[i]));
      rv = invoker(fn, ...wired);
    } finally { if (useStackFrame) stackRestore(sp); }
    if (needsDestructorStack) runDestructors(destructors);
    else {
      let next = 0;
      argTypes.slice(isClassMethodFunc ? 1 : 2).forEach((type, i) => {
        if (type.destructorFunction !== null) free[next++](wired[i]);
      });
    }
    if (returns) return fromRetWire(rv);
  };
};
""",
    # calls a function of JavaScript for RDKit
    "var invokerFunction=new Function(Object.keys(captures),functionBody)(...Object.values(captures));": """
const callValue = (handle, methodName, from) => {
  const values = argFromPtr.map((read, i) => read(from + i * GenericWireTypeSize));
  if (kind === 0) return Emval.toValue(handle)(...values);
  if (kind === 1) return Emval.toValue(handle)[getStringOrSymbol(methodName)](...values);
  return kind === 2 ? new (Emval.toValue(handle))(...values) : values[values.length - 1];
};
var invokerFunction = retType.isVoid
  ? (handle, methodName, destructorsRef, from) => { callValue(handle, methodName, from); }
  : (handle, methodName, destructorsRef, from) =>
      emval_returnValue(toReturnWire, destructorsRef, callValue(handle, methodName, from));
""",
}
"""Code in RDKit's JavaScript that creates a function from a string -> the same function as a closure."""


def _without_eval(text: str) -> str:
    """RDKit's JavaScript without functions from strings, so that the security policy of a page can forbid them."""
    for old, new in _CLOSURES.items():
        if text.count(old) != 1:
            raise RuntimeError(f"{_RDKIT} has changed: {old}")
        text = text.replace(old, new)
    return text


@cache
def _rdkit() -> str:
    return base64.b64encode((_VENDOR / "RDKit_minimal.wasm.gz").read_bytes()).decode()


def _policy(styles: Sequence[str], scripts: Sequence[str], has_structures: bool) -> str:
    """The security policy: only these styles and scripts, and nothing from the network.

    RDKit needs WebAssembly (`wasm-unsafe-eval`); no page creates code from strings.
    """
    evaluated = " 'wasm-unsafe-eval'" if has_structures else ""
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
