"""New folders are created atomically."""

from pathlib import Path

import pytest

from molvae.errors import InputError
from molvae.folders import new_folder


def test_new_folder_is_complete_or_does_not_exist(tmp_path: Path) -> None:
    with new_folder(tmp_path / "made") as folder:
        (folder / "a").touch()
        assert not (tmp_path / "made").exists()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a"]
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "broken") as folder:
        (folder / "gone" / "a").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_new_folder_removes_the_draft_of_a_killed_process(tmp_path: Path) -> None:
    left = tmp_path / ".part-made"
    left.mkdir()
    (left / "half").touch()
    with new_folder(tmp_path / "made") as folder:
        assert not list(folder.iterdir())


def test_new_folder_refuses_a_nonempty_folder_and_a_missing_parent(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"), new_folder(tmp_path / "made"):
        pass
    with pytest.raises(InputError, match="does not exist"), new_folder(tmp_path / "x" / "y"):
        pass
