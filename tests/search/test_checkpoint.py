import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

SAVED = Checkpoint(
    {"smiles": ["CCO", "c1ccccc1"], "rng": {"state": 2**120 + 1}, "best": None},
    {"z": np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32), "empty": np.zeros((0, 3))},
)


def test_what_was_saved_comes_back_exactly(tmp_path):
    path = tmp_path / "search.npz"
    save_checkpoint(path, SAVED)
    values, arrays = load_checkpoint(path)
    assert {key: values[key] for key in SAVED.values} == SAVED.values
    assert set(arrays) == set(SAVED.arrays)
    for name, array in SAVED.arrays.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert [file.name for file in tmp_path.iterdir()] == ["search.npz"]


def test_no_file_is_no_state(tmp_path):
    assert load_checkpoint(tmp_path / "search.npz") is None


def test_equal_states_are_equal_files(tmp_path):
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, SAVED)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_the_state_before(tmp_path):
    path = tmp_path / "search.npz"
    save_checkpoint(path, SAVED)
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(path, Checkpoint({"bad": float("nan")}, {}))
    assert load_checkpoint(path).values["smiles"] == ["CCO", "c1ccccc1"]


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/search.npz: the search's state cannot be written \(No such file"):
        save_checkpoint(tmp_path / "nowhere" / "search.npz", SAVED)


def damage(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    return {
        "empty": b"",
        "text": b"not a checkpoint",
        "truncated": content[:middle],
        "flipped": content[:100] + bytes([content[100] ^ 1]) + content[101:],
    }[how]


@pytest.mark.parametrize("how", ["empty", "text", "truncated", "flipped"])
def test_a_damaged_file_is_refused(tmp_path, how):
    path = tmp_path / "search.npz"
    save_checkpoint(path, SAVED)
    path.write_bytes(damage(path.read_bytes(), how))
    with pytest.raises(InputError, match=r"search.npz: expected the state of a search.*delete it to begin again"):
        load_checkpoint(path)


def test_no_single_changed_byte_goes_unnoticed(tmp_path):
    path = tmp_path / "search.npz"
    save_checkpoint(path, SAVED)
    content = path.read_bytes()
    n_refused = 0
    for place in range(0, len(content), 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            values, arrays = load_checkpoint(path)
        except InputError:
            n_refused += 1
        else:  # a byte that says nothing, such as a date
            assert {key: values[key] for key in SAVED.values} == SAVED.values
            for name, array in SAVED.arrays.items():
                np.testing.assert_array_equal(arrays[name], array)
    assert n_refused > len(content) / 5 / 2


def test_objects_are_not_loaded(tmp_path):
    path = tmp_path / "search.npz"
    np.savez(path, **{"values.json": np.frombuffer(b'{"format": 1}', np.uint8), "x": np.array([{}], dtype=object)})
    with pytest.raises(InputError, match="expected the state of a search"):
        load_checkpoint(path)


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "search.npz"
    np.savez(path, **{"values.json": np.frombuffer(json.dumps({"format": 99}).encode(), np.uint8)})
    with pytest.raises(InputError, match="written by another release"):
        load_checkpoint(path)


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected the state of a search"):
        load_checkpoint(tmp_path)
