"""Reads the description and the featurizers of a stored codec without torch, which takes seconds to import."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from molvae.bundled import bundled, bundled_codecs
from molvae.errors import CodecError
from molvae.features.featurizer import Featurizer
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, load_featurizer

DEFAULT_NAME = "druglike"
VERSION = 2
CODEC_NAME = "codec.json"


class StoredFeaturizers(NamedTuple):
    """The featurizers of a codec.

    Parameters
    ----------
    featurizer : Featurizer
        Computes the features that the model reconstructs.
    view : Featurizer or None
        Computes the features that the encoder reads; None if they are the same.
    sha256 : str
        Digest of the codec.
    """

    featurizer: Featurizer
    view: Featurizer | None
    sha256: str


def find_codec(name_or_folder: str | Path | None = None) -> Path:
    """Find the folder of a codec.

    Parameters
    ----------
    name_or_folder : str or Path, optional
        Name of a bundled codec, or a folder; the default bundled codec if None.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CodecError
        There is no such codec.
    """
    if name_or_folder is None:
        return bundled(DEFAULT_NAME)
    if isinstance(name_or_folder, str) and name_or_folder in bundled_codecs():
        return bundled(name_or_folder)
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise CodecError(
            f"codec {str(folder)!r}: no such folder or bundled codec; bundled: {', '.join(bundled_codecs())}"
        )
    return folder


def read_featurizers(folder: Path) -> StoredFeaturizers:
    """Read the featurizers of a codec, and check their files against their SHA-256.

    Parameters
    ----------
    folder : Path
        The folder of the codec.

    Returns
    -------
    StoredFeaturizers
        The featurizers and the digest of the codec.

    Raises
    ------
    CodecError
        A file is missing or changed, or the version of the codec is not supported.
    """
    content = read_description(folder)
    names = [name for name in (FEATURIZER_NAME, VIEW_NAME) if name in content["files"]]
    for name in names:
        checked_bytes(folder / name, content["files"][name])
    view = load_featurizer(folder / VIEW_NAME) if VIEW_NAME in names else None
    return StoredFeaturizers(load_featurizer(folder / FEATURIZER_NAME), view, content["sha256"])


def read_description(folder: Path) -> dict[str, Any]:
    """Read the codec.json of a codec.

    Parameters
    ----------
    folder : Path
        The folder of the codec.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    CodecError
        The file is missing or changed, or its version is not supported.
    """
    path = folder / CODEC_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
    except FileNotFoundError:
        raise CodecError(f"{folder}: not a codec ({CODEC_NAME} is missing)") from None
    except (OSError, RecursionError, ValueError, KeyError, TypeError) as error:
        raise CodecError(f"{path}: damaged ({error}); download the codec again") from None
    if version != VERSION:
        raise CodecError(
            f"{path}: codec version {version}; this release reads version {VERSION}; update molvae or retrain the codec"
        )
    if content.get("sha256") != content_sha256(content):
        raise CodecError(f"{path}: changed since it was written (sha256 differs); download the codec again")
    files = content.get("files")
    if not isinstance(files, dict) or not all(
        name not in ("", ".", "..") and Path(name).name == name for name in files
    ):
        raise CodecError(f"{path}: damaged (files: expected names of files in this folder); download the codec again")
    return content


def checked_bytes(path: Path, digest: str) -> bytes:
    """Read a file of a codec, and check it against its SHA-256.

    Parameters
    ----------
    path : Path
        The file.
    digest : str
        Its SHA-256.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    CodecError
        The file is missing or changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CodecError(f"{path}: cannot be read ({error.strerror}); download the codec again") from None
    if _sha256(data) != digest:
        raise CodecError(
            f"{path}: changed or truncated since it was written (sha256 differs); download the codec again"
        )
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content_sha256(content: dict[str, Any]) -> str:
    """The digest of a codec.json.

    Parameters
    ----------
    content : dict
        Its content; the key `sha256` is left out of the digest.

    Returns
    -------
    str
        The SHA-256.
    """
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return _sha256(json.dumps(rest, sort_keys=True).encode())
