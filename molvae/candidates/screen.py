"""Text for a terminal of 80 columns: lines that are wrapped or cut, and numbers."""

import math
import textwrap

WIDTH = 80


def cut(text: str, room: int) -> str:
    """Cut a text that is too long.

    Parameters
    ----------
    text : str
        The text.
    room : int
        Most characters.

    Returns
    -------
    str
        The text, or its beginning and three dots.

    Examples
    --------
    >>> cut("benzimidazole", 8)
    'benzi...'
    """
    return text if len(text) <= room else f"{text[: max(room - 3, 1)]}..."


def wrap(text: str, indent: str = "") -> list[str]:
    """Break a text into lines of at most WIDTH characters.

    Parameters
    ----------
    text : str
        The text.
    indent : str, default=""
        Start of the first line; the others are indented by two more spaces.

    Returns
    -------
    list of str
    """
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def fraction(value: float, digits: int) -> str:
    """Write a score or a similarity; a dash if it is missing.

    Parameters
    ----------
    value : float
        The number; NaN if it is missing.
    digits : int
        Decimals; three significant digits from 1000 on.

    Returns
    -------
    str

    Examples
    --------
    >>> fraction(0.98765, 3), fraction(12345.6, 3), fraction(float("nan"), 2)
    ('0.988', '1.23e+04', '-')
    """
    if math.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.3g}"
