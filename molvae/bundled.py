"""Locates the bundled data: next to the package in a checkout, inside it in an installation."""

from pathlib import Path

_HOMES = (Path(__file__).parent / "data", Path(__file__).parent.parent / "data")


def bundled(name: str) -> Path:
    """Locate a bundled file or folder.

    Parameters
    ----------
    name : str
        Name in the data folder.

    Returns
    -------
    Path
        Its path, which does not exist if the file is not bundled.
    """
    return next((home / name for home in _HOMES if (home / name).exists()), _HOMES[-1] / name)


def bundled_codecs() -> list[str]:
    """List the bundled codecs.

    Returns
    -------
    list of str
        Names, sorted.
    """
    return sorted({path.parent.name for home in _HOMES for path in home.glob("*/codec.json")})
