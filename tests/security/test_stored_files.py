"""Folders of codecs and models with hostile content: a clear error, and no file outside of the folder."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from molvae.pipeline.manifest import Manifest
from safetensors.torch import save

from molvae.bundled import bundled
from molvae.codec.description import content_sha256
from molvae.codec.storage import read_codec
from molvae.errors import CodecError, InputError, MolvaeError
from molvae.features.store import FeatureStore
from molvae.training.checkpoint import load_pieces

DEEP = '{"version": 2, "files": ' + "[" * 100_000
NAMES = ("codec.json", "featurizer.json")
VALUES: list[Any] = [None, True, -1, 0, 1, 1.5, "", "x", "../x", [], [1], {}, {"a": 1}, 10**30]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codec") / "codec"
    shutil.copytree(bundled("moses"), folder)
    return folder


def _write(folder: Path, contents: dict[str, Any]) -> None:
    """Write codec.json with the right digests: they protect against damage, not against their author."""
    codec = contents["codec.json"]
    if isinstance(codec.get("files"), dict):
        (folder / "featurizer.json").write_text(json.dumps(contents["featurizer.json"]))
        codec["files"]["featurizer.json"] = hashlib.sha256((folder / "featurizer.json").read_bytes()).hexdigest()
    codec["sha256"] = content_sha256(codec)
    (folder / "codec.json").write_text(json.dumps(codec))


def _contents() -> dict[str, Any]:
    return {name: json.loads((bundled("moses") / name).read_text()) for name in NAMES}


def _places(table: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = table.items() if isinstance(table, dict) else ()
    return [place for key, value in items for place in [(*above, key), *_places(value, (*above, key))]]


PLACES = [place for place in _places(_contents()) if len(place) > 1 and place[1] not in ("card", "sha256")]


def _read_changed(place: tuple[Any, ...], value: Any, folder: Path) -> None:
    contents = _contents()
    table = contents
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    _write(folder, contents)
    with contextlib.suppress(MolvaeError):  # any other error fails the test
        assert read_codec(folder).model


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from(PLACES), value=st.sampled_from(VALUES))
def test_any_value_of_a_codec_is_read_or_refused(place: Any, value: Any, small: Path) -> None:
    _read_changed(place, value, small)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(place=st.sampled_from(PLACES), value=st.sampled_from(VALUES))
def test_many_values_of_a_codec_are_read_or_refused(place: Any, value: Any, small: Path) -> None:
    _read_changed(place, value, small)


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/hostname", "a/b", "..", ""])
def test_a_codec_names_only_files_in_its_folder(name: str, small: Path) -> None:
    contents = _contents()
    contents["codec.json"]["files"][name] = "0" * 64
    _write(small, contents)
    with pytest.raises(CodecError, match="names of files in this folder"):
        read_codec(small)


@pytest.mark.parametrize(
    "weights",
    [
        (10**11).to_bytes(8, "little") + b"{}",
        (2**64 - 1).to_bytes(8, "little"),
        b"",
        (70).to_bytes(8, "little") + b'{"a":{"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,0]}}',
        save({"other": torch.zeros(1)}),
    ],
    ids=["header of 100 GB", "largest header", "empty", "shape overflow", "other tensor"],
)
def test_hostile_weights_are_refused_without_their_memory(weights: bytes, small: Path) -> None:
    contents = _contents()
    (small / "weights.safetensors").write_bytes(weights)
    contents["codec.json"]["files"]["weights.safetensors"] = hashlib.sha256(weights).hexdigest()
    _write(small, contents)
    try:
        with pytest.raises(CodecError):
            read_codec(small)
    finally:
        shutil.copy(bundled("moses") / "weights.safetensors", small)


def test_deeply_nested_json_is_damaged(tmp_path: Path) -> None:
    for name in ("codec.json", "features.json", "checkpoint.json", "manifest.json"):
        (tmp_path / name).write_text(DEEP)
    with pytest.raises(CodecError, match="damaged"):
        read_codec(tmp_path)
    with pytest.raises(InputError):
        FeatureStore.open(tmp_path)
    with pytest.raises(InputError):
        load_pieces(tmp_path / "checkpoint.json")
    assert Manifest.read(tmp_path) is None


def test_a_checkpoint_names_only_files_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text(json.dumps({"files": {"../other.safetensors": "0"}}))
    with pytest.raises(InputError, match="not a file in its folder"):
        load_pieces(tmp_path / "checkpoint.json")
