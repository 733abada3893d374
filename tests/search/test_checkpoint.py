import json
import os

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.search.checkpoint import Checkpoint, Record, _pack

STATE = Record({"rng": {"state": 2**120 + 1}, "best": None}, {"empty": np.zeros((0, 3))})


def make_record(number):
    z = np.random.default_rng(number).standard_normal((4, 3)).astype(np.float32)
    return Record({"smiles": ["CCO", "c1ccccc1"], "number": number}, {"z": z})


def fill(path, n=3):
    checkpoint = Checkpoint.open(path)
    for number in range(n):
        checkpoint.append(make_record(number), STATE._replace(values=STATE.values | {"n": number}))
    return checkpoint


def assert_equal(one, two):
    assert {key: one.values[key] for key in two.values} == two.values
    assert set(one.arrays) == set(two.arrays)
    for name, array in two.arrays.items():
        assert one.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(one.arrays[name], array)


def assert_complete(path, n):
    checkpoint = Checkpoint.open(path)
    assert len(checkpoint.records) == n
    for number, record in enumerate(checkpoint.records):
        assert_equal(record, make_record(number))
    if n:
        assert checkpoint.state.values["n"] == n - 1
    else:
        assert checkpoint.state is None


def test_records_and_state_are_read_back_exactly(tmp_path):
    fill(tmp_path / "search")
    assert_complete(tmp_path / "search", 3)
    assert_equal(Checkpoint.open(tmp_path / "search").state, STATE)
    assert sorted(file.name for file in (tmp_path / "search").iterdir()) == ["rounds.bin", "state.bin"]


def test_a_new_checkpoint_has_no_records_and_is_written_at_once(tmp_path):
    assert Checkpoint.open(tmp_path / "search").state is None
    assert [file.name for file in (tmp_path / "search").iterdir()] == ["state.bin"]
    assert_complete(tmp_path / "search", 0)


def test_equal_records_give_equal_files(tmp_path):
    for name in ("a", "b"):
        fill(tmp_path / name)
    for name in ("rounds.bin", "state.bin"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_record_is_appended_and_the_state_stays_small(tmp_path):
    checkpoint = fill(tmp_path, 50)
    rounds, state = tmp_path / "rounds.bin", tmp_path / "state.bin"
    content, size = rounds.read_bytes(), state.stat().st_size
    checkpoint.append(make_record(50), STATE)
    assert rounds.read_bytes().startswith(content)
    assert rounds.stat().st_size - len(content) < 2000
    assert state.stat().st_size <= size + 2


@pytest.mark.parametrize("n_bytes", [1, 11, 12, 13, 500, None])
def test_a_record_cut_by_a_kill_is_dropped(tmp_path, n_bytes):
    """Killed while `rounds.bin` grows, or after that and before `state.bin` is replaced."""
    fill(tmp_path)
    size = (tmp_path / "rounds.bin").stat().st_size
    with (tmp_path / "rounds.bin").open("ab") as file:
        file.write(_pack(make_record(3))[:n_bytes])
    (tmp_path / ".part-state-0123.bin").write_bytes(b"half")
    assert_complete(tmp_path, 3)
    assert (tmp_path / "rounds.bin").stat().st_size == size
    Checkpoint.open(tmp_path).append(make_record(3), STATE._replace(values={"n": 3}))
    assert_complete(tmp_path, 4)
    assert len(list(tmp_path.iterdir())) == 2


def test_zeros_after_a_power_cut_are_dropped(tmp_path):
    fill(tmp_path)
    with (tmp_path / "rounds.bin").open("ab") as file:
        file.write(bytes(4096))
    assert_complete(tmp_path, 3)


def test_a_search_killed_before_the_first_record_starts_again(tmp_path):
    Checkpoint.open(tmp_path)
    (tmp_path / "rounds.bin").write_bytes(_pack(make_record(0))[:100])
    assert_complete(tmp_path, 0)


def test_a_failed_write_keeps_the_previous_state(tmp_path):
    checkpoint = fill(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.append(Record({"bad": float("nan")}, {}), STATE)
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.append(make_record(3), Record({"bad": float("nan")}, {}))
    assert_complete(tmp_path, 3)


@pytest.mark.parametrize("name", ["rounds.bin", "state.bin"])
def test_every_changed_byte_is_detected(tmp_path, name):
    fill(tmp_path, 2)
    content = (tmp_path / name).read_bytes()
    for index in range(len(content)):
        (tmp_path / name).write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
        with pytest.raises(InputError, match=name):
            Checkpoint.open(tmp_path)


@pytest.mark.parametrize("name", ["rounds.bin", "state.bin"])
@pytest.mark.parametrize("n_bytes", [0, 5, 12, -1, -100])
def test_a_truncated_file_is_refused(tmp_path, name, n_bytes):
    fill(tmp_path)
    os.truncate(tmp_path / name, n_bytes % (tmp_path / name).stat().st_size)
    with pytest.raises(InputError, match=name):
        Checkpoint.open(tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    fill(tmp_path)
    rounds = tmp_path / "rounds.bin"
    rounds.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"rounds\.bin"):
        Checkpoint.open(tmp_path)
    (tmp_path / "elsewhere").rename(rounds)
    (tmp_path / "state.bin").unlink()
    with pytest.raises(InputError, match=r"no state\.bin"):
        Checkpoint.open(tmp_path)
    assert rounds.stat().st_size > 0


def test_objects_are_not_loaded(tmp_path, monkeypatch):
    savez = np.savez
    monkeypatch.setattr(np, "savez", lambda file, allow_pickle, **arrays: savez(file, allow_pickle=True, **arrays))
    Checkpoint.open(tmp_path).append(Record({}, {"x": np.array([{}], dtype=object)}), STATE)
    with pytest.raises(InputError, match=r"rounds\.bin"):
        Checkpoint.open(tmp_path)


def test_another_format_is_refused(tmp_path):
    (tmp_path / "state.bin").write_bytes(_pack(Record({"format": 99, "size": 0}, {})))
    with pytest.raises(InputError, match="format 99"):
        Checkpoint.open(tmp_path)


def test_a_file_or_another_folder_is_refused(tmp_path):
    file = tmp_path / "search.npz"
    file.write_bytes(b"x")
    with pytest.raises(InputError, match=r"search\.npz.*got a file"):
        Checkpoint.open(file)
    with pytest.raises(InputError, match="empty folder"):
        Checkpoint.open(tmp_path)
    assert file.read_bytes() == b"x"


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/search.*no such file"):
        Checkpoint.open(tmp_path / "nowhere" / "search")


def test_two_writers_are_refused(tmp_path):
    one, two = fill(tmp_path), Checkpoint.open(tmp_path)
    one.append(make_record(3), STATE)
    with pytest.raises(InputError, match="another process"):
        two.append(make_record(3), STATE)
    assert json.dumps(Checkpoint.open(tmp_path).records[3].values) == json.dumps(make_record(3).values)
