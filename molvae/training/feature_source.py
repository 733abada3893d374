"""A record of the molecule file that a features folder was made from."""

import json
from pathlib import Path
from typing import NamedTuple

from molvae.files import sha256_of, write_text

SOURCE_NAME = "source.json"
_MANIFEST_NAME = "manifest.json"


class FeatureSource(NamedTuple):
    """The molecule file that a features folder was made from.

    Parameters
    ----------
    name : str
        Its file name, without the folder.
    sha256 : str
        Its SHA-256, in hexadecimal.
    """

    name: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}, sha256 {self.sha256}"


def write_source(folder: Path, path: Path) -> None:
    """Record the molecule file in its features folder.

    Parameters
    ----------
    folder : Path
        The features folder.
    path : Path
        The molecule file.
    """
    write_text(folder / SOURCE_NAME, json.dumps({"name": path.name, "sha256": sha256_of(path)}, indent=1) + "\n")


def read_source(folder: Path) -> FeatureSource | None:
    """The molecule file of a features folder.

    Parameters
    ----------
    folder : Path
        The features folder. One without a source.json may name its file in manifest.json.

    Returns
    -------
    FeatureSource or None
        None if the folder does not record it.
    """
    try:
        if (folder / SOURCE_NAME).exists():
            content = json.loads((folder / SOURCE_NAME).read_text(encoding="utf-8"))
            return FeatureSource(str(content["name"]), str(content["sha256"]))
        entry = json.loads((folder / _MANIFEST_NAME).read_text(encoding="utf-8"))["inputs"]["molecules"]
        return FeatureSource(Path(entry["path"]).name, str(entry["sha256"]))
    except (RecursionError, OSError, ValueError, KeyError, TypeError):
        return None
