"""Locates the bundled data: next to the package in a checkout, inside it in an installation."""

from pathlib import Path

_DATA_FOLDERS = (Path(__file__).parent / "data", Path(__file__).parent.parent / "data")


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
    return next((folder / name for folder in _DATA_FOLDERS if (folder / name).exists()), _DATA_FOLDERS[-1] / name)


def bundled_codecs() -> list[str]:
    """List the bundled codecs.

    Returns
    -------
    list of str
        Names, sorted.
    """
    return sorted({path.parent.name for folder in _DATA_FOLDERS for path in folder.glob("*/codec.json")})
