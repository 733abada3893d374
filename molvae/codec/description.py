"""What a codec's folder says of itself, and its vocabulary: read without torch, which takes seconds to import."""

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
    """How a codec reads and writes molecules; sha256: the codec's."""

    featurizer: Featurizer
    view: Featurizer | None
    sha256: str


def find_codec(name_or_folder: str | Path | None = None) -> Path:
    """The folder of a codec: of the default bundled one, of a bundled one by name, or one's own.

    Raises:
        CodecError: there is none.
    """
    if name_or_folder is None:
        return bundled(DEFAULT_NAME)
    if isinstance(name_or_folder, str) and name_or_folder in bundled_codecs():
        return bundled(name_or_folder)
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise CodecError(
            f"codec {str(folder)!r}: no such folder, and no bundled codec; bundled: {', '.join(bundled_codecs())}"
        )
    return folder


def read_featurizers(folder: Path) -> StoredFeaturizers:
    """The featurizers of a codec, each file checked against its sha256.

    Raises:
        CodecError: a file is missing or changed, or the codec is of a version not known here.
    """
    content = read_description(folder)
    names = [name for name in (FEATURIZER_NAME, VIEW_NAME) if name in content["files"]]
    for name in names:
        checked_bytes(folder / name, content["files"][name])
    view = load_featurizer(folder / VIEW_NAME) if VIEW_NAME in names else None
    return StoredFeaturizers(load_featurizer(folder / FEATURIZER_NAME), view, content["sha256"])


def read_description(folder: Path) -> dict[str, Any]:
    """What stands in a codec's codec.json.

    Raises:
        CodecError: it is missing or changed, or of a version not known here.
    """
    path = folder / CODEC_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
    except FileNotFoundError:
        raise CodecError(f"{folder}: no codec here ({CODEC_NAME} is missing)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CodecError(f"{path}: damaged ({error}); get the codec again") from None
    if version != VERSION:
        raise CodecError(
            f"{path}: codec version {version}; this release reads version {VERSION}; update molvae, or train it again"
        )
    if content.get("sha256") != content_sha256(content):
        raise CodecError(f"{path}: changed since it was written (sha256 differs); get the codec again")
    return content


def checked_bytes(path: Path, digest: str) -> bytes:
    """A file of a codec.

    Raises:
        CodecError: it is missing, or not as it was written.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CodecError(f"{path}: cannot be read ({error.strerror}); get the codec again") from None
    if _sha256(data) != digest:
        raise CodecError(f"{path}: changed or truncated since it was written (sha256 differs); get the codec again")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content_sha256(content: dict[str, Any]) -> str:
    """The digest of a description, its own digest left out."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return _sha256(json.dumps(rest, sort_keys=True).encode())
