"""Text from files and users without the characters that control a terminal."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed: ESC starts a command to the terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction, so that text is not shown in its order
    "\u2028\u2029\ufeff\U000e0000-\U000e007f"  # further line ends, and characters that are not shown
    "\ud800-\udfff]"  # half of a character
)


def printable(text: str) -> str:
    """Replace control characters by escapes, as Python writes them in a string.

    Ids, names and SMILES come from files. On a terminal, an ESC in one of them could hide or forge lines, change the
    title or write to the clipboard; a character that changes the direction could show text in another order.

    Parameters
    ----------
    text : str
        Any text; line feeds and tabs stay.

    Returns
    -------
    str
        The same text if it has no control characters.

    Examples
    --------
    >>> print(printable("C1\\x1b[2K"))
    C1\\x1b[2K
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
