"""What a query process receives and returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

TABLE = "candidates"
"""Name of the table in a query."""
RUN_COLUMNS = ("run", "campaign", "date")
"""Columns that say where a row comes from."""
LOADED = "loaded"
"""Message of the process when the tables are read; the time limit begins."""
OUT_OF_MEMORY = (
    "query: needs more than {gigabytes:g} GB of memory; add a condition or a limit, or allow more (--memory)"
)
OUT_OF_TIME = "query: stopped after {seconds:g} s; add a condition or a limit, or allow more time (--seconds)"
EXAMPLE = "score > 0.8 and has('c1ccncc1') order by score desc limit 20"


@dataclass(frozen=True)
class Source:
    """A candidate table and where it comes from.

    Parameters
    ----------
    path : Path
        A candidates.csv or candidates.parquet, or a folder that holds one.
    run : str, default=""
        Name of the run; by default that of the folder or the file.
    campaign : str, default=""
        Name of its campaign.
    date : str, default=""
        Time of completion, as ISO 8601 in UTC.
    latent : Path or None, default=None
        The latent vectors (.npy) to which the column `latent_row` refers.
    codec : str, Path or None, default=None
        Name or folder of the codec of the run; None is the default codec.
    """

    path: Path
    run: str = ""
    campaign: str = ""
    date: str = ""
    latent: Path | None = None
    codec: str | Path | None = None


@dataclass(frozen=True)
class Request:
    """A query and its limits.

    Parameters
    ----------
    sources : sequence of Source
        The tables.
    text : str
        The query.
    seconds : float
        Time limit.
    gigabytes : float
        Limit of memory, in addition to that of the tables.
    max_cells : int
        Largest number of cells of the result.
    codec : str, Path or None
        Codec for `latent_distance` and `domain`; None takes that of the runs.
    cache : Path or None
        Folder of computed values; None stores none.
    folder : Path or None, default=None
        Folder to which relative paths refer.
    """

    sources: Sequence[Source]
    text: str
    seconds: float
    gigabytes: float
    max_cells: int
    codec: str | Path | None
    cache: Path | None
    folder: Path | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The result of a query.

    Parameters
    ----------
    table : DataFrame or None
        The result; None if there is a problem.
    problem : str
        Why there is no result.
    is_program_error : bool
        Whether `problem` is the traceback of an unexpected error.
    is_last : bool
        Whether the process has used too much memory to be used again.
    notes : list of str
        What the reader should know.
    used : list of str
        Columns of the table that the query names, in lower case.
    is_condition : bool
        Whether the query is a condition, without a SELECT.
    """

    table: pd.DataFrame | None
    problem: str = ""
    is_program_error: bool = False
    is_last: bool = False
    notes: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    is_condition: bool = False
