"""What tests of several files of this room need."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    """Rows are described in this process: starting workers takes longer than all that small sets ask for."""

    def map_rows(function: Callable[[Any], Any], chunks: Iterable[list[Any]], seconds_per_row: float) -> Iterator[Any]:
        return ([function(row) for row in chunk] for chunk in chunks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molvae.benchmark.distribution.map_rows", map_rows)
        yield
