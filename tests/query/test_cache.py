from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.chem.fingerprints import tanimoto
from molvae.query import cache as module
from molvae.query import chemistry
from molvae.query.cache import ValueCache, cache_folder
from molvae.query.chemistry import Chemistry
from molvae.query.functions import FUNCTIONS
from molvae.query.latent import LatentVectors
from molvae.workers import Serial

SMILES = ["CCO", "c1ccccc1O", "not a molecule", "CC(=O)Nc1ccc(O)cc1", "C1CCCCC1", "Cc1ccncc1"]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store the values of few molecules, too."""
    monkeypatch.setattr(chemistry, "MIN_STORED", 3)
    monkeypatch.setattr(Chemistry, "_is_worth_all", lambda self, key, n: True)


def values(folder: Path | None, name: str, pattern: str | None = None, smiles: list[str] = SMILES) -> list:
    one = Chemistry([lambda: [*smiles, None]], ValueCache(folder), LatentVectors([]), mapper=Serial())
    return one.values(FUNCTIONS[name], pattern, [*smiles, None, smiles[0]])


CALLS = [
    ("has", "c1ccccc1"),
    ("count_of", "[#6]"),
    ("scaffold", None),
    ("generic_scaffold", None),
    ("logp", None),
    ("similar_to", "CC(=O)Nc1ccccc1"),
]


@pytest.mark.parametrize(("name", "pattern"), CALLS, ids=[name for name, _ in CALLS])
def test_stored_values_are_those_that_were_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pattern: str | None
) -> None:
    computed = values(tmp_path, name, pattern)
    assert computed[2] is None
    assert computed[6] is None
    assert computed[7] == computed[0]
    assert all(one is not None for i, one in enumerate(computed) if i not in (2, 6))
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(Chemistry, "_mapped", None)
    again = values(tmp_path, name, pattern)
    assert again == computed
    assert [type(one) for one in again] == [type(one) for one in computed]


def test_similarities_of_many_are_those_of_the_library() -> None:
    valid = [one for one in SMILES if " " not in one]
    found = values(None, "similar_to", "CC(=O)Nc1ccccc1", valid)[: len(valid)]
    assert found == pytest.approx(tanimoto("CC(=O)Nc1ccccc1", valid).tolist())


def test_other_molecules_patterns_and_functions_have_other_files(tmp_path: Path) -> None:
    assert values(tmp_path, "has", "O")[:2] == [True, True]
    assert values(tmp_path, "has", "c")[:2] == [False, True]
    assert values(tmp_path, "has", "O", ["CCC", *SMILES])[0] is False
    assert values(tmp_path, "count_of", "O")[0] == 1
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "another file", "too short"])
def test_a_broken_file_is_written_again(tmp_path: Path, damage: str) -> None:
    computed = values(tmp_path, "logp")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "too short":
        with path.open("wb") as file:
            np.savez(file, values=np.zeros(2))
    elif damage == "another file":
        with path.open("wb") as file:
            np.savez(file, other=np.zeros(6))
    else:
        middle = whole.find(b"values.npy") + 150
        changed = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        path.write_bytes({"empty": b"", "cut": whole[:200], "changed": changed}[damage])
    assert values(tmp_path, "logp") == computed
    assert values(tmp_path, "logp") == computed
    assert [one.read_bytes()[:2] for one in tmp_path.iterdir()] == [b"PK"]
    assert len(path.read_bytes()) == len(whole)


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert values(tmp_path / "file", "has", "O")[0] is True


def test_the_folder_keeps_within_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1_500)
    for pattern in ("O", "N", "C", "S", "F"):
        values(tmp_path, "has", pattern)
    assert 0 < sum(one.stat().st_size for one in tmp_path.iterdir()) <= 1_500


def test_the_folder_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOLVAE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "query"
    monkeypatch.setenv("MOLVAE_CACHE", "")
    assert cache_folder() is None


def test_fingerprints_come_back_from_arrays() -> None:
    bits = [bytes(range(256)), None, bytes(256), b"\x01" * 256]
    assert chemistry._unpack_bits(chemistry._pack_bits(bits)) == bits


def test_few_molecules_of_a_large_column_are_computed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    column = pd.Series(["C" * n for n in range(1, 90)])

    def read() -> list[str | None]:
        raise AssertionError("the column is not read")

    one = Chemistry([read], ValueCache(tmp_path), LatentVectors([]), mapper=Serial())
    assert one.values(FUNCTIONS["heavy_atoms"], None, column[:5].tolist()) == [1, 2, 3, 4, 5]
    assert not list(tmp_path.iterdir())
