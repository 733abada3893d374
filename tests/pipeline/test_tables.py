"""Output file names of commands."""

from pathlib import Path

import pytest
from molvae.pipeline.tables import check_ending

from molvae.errors import InputError


def test_unknown_endings_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.xlsx.*\.csv or \.smi"):
        check_ending(tmp_path / "a.xlsx", (".csv", ".smi"))
    with pytest.raises(InputError, match="gone"):
        check_ending(tmp_path / "gone" / "a.csv", (".csv",))
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(InputError, match=r"b\.csv"):
        check_ending(tmp_path / "b.csv", (".csv",))
