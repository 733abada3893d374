"""The bundled data match their description in data/README.md."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.codec import load_codec

FOLDER = Path(__file__).parent.parent / "data"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
FILES = re.findall(r"^\| `([^`]+)` \| ([\d,]+)[^|]* \| ([^|]+) \| `([0-9a-f]{64})` \|$", README, re.MULTILINE)


def test_every_file_is_described() -> None:
    described = {name for name, *_ in FILES}
    assert described == {path.name for path in FOLDER.iterdir() if path.is_file() and path.name != "README.md"}
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == {"druglike", "moses"}


@pytest.mark.parametrize(("name", "rows", "columns", "digest"), FILES, ids=[name for name, *_ in FILES])
def test_file_matches_its_description(name: str, rows: str, columns: str, digest: str) -> None:
    path = FOLDER / name
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    n, names = int(rows.replace(",", "")), re.findall(r"`(\w+)`", columns)
    if path.suffix == ".npz":
        with np.load(path) as content:
            assert sorted(content) == sorted(names)
            assert content["n"] == n
    else:
        table = pd.read_csv(path)
        assert list(table) == names
        assert len(table) == n


def test_the_sample_is_drawn_from_the_test_set_as_described() -> None:
    test = pd.read_csv(FOLDER / "moses_test.csv.gz")["SMILES"]
    sample = pd.read_csv(FOLDER / "moses_sample.csv.gz")
    rows = np.sort(np.random.default_rng(0).permutation(len(test))[: len(sample)])
    assert sample["smiles"].tolist() == test.iloc[rows].tolist()
    assert sample["id"].tolist() == [f"MOSES-T{row + 1:06d}" for row in rows]


@pytest.mark.parametrize("name", ["moses", "druglike"])
def test_a_bundled_codec_is_complete_and_small(name: str) -> None:
    assert load_codec(name).name == name
    assert sum(path.stat().st_size for path in (FOLDER / name).iterdir()) <= 12_000_000
    assert {path.name for path in (FOLDER / name).iterdir()} >= {"README.md", "codec.json", "weights.safetensors"}


def test_the_druglike_codec_is_the_default() -> None:
    assert load_codec().name == "druglike"
