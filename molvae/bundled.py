"""Where the data that comes with molvae lies: beside the package in a checkout, inside it once installed."""

from pathlib import Path

_HOMES = (Path(__file__).parent / "data", Path(__file__).parent.parent / "data")


def bundled(name: str) -> Path:
    """The path of a bundled file or folder; one that does not exist where molvae does not carry it."""
    return next((home / name for home in _HOMES if (home / name).exists()), _HOMES[-1] / name)


def bundled_codecs() -> list[str]:
    """Names of the codecs that come with molvae."""
    return sorted({path.parent.name for home in _HOMES for path in home.glob("*/codec.json")})
