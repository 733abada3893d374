"""Fixtures that several files of this folder use."""

from collections.abc import Iterator

import pytest

from molvae.workers import Serial


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    """`molvae evaluate` without worker processes: to start them takes longer than to process a few molecules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molvae.workers.LocalProcesses", Serial)
        yield
