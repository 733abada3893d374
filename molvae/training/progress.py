"""The progress of a long job; the caller decides how to show it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """The state of one step of a long job.

    Parameters
    ----------
    step : str
        The step, such as "train".
    done : int
        Molecules processed so far; 0 when the step begins.
    total : int or None
        Molecules to process, estimated where a file is read; None while unknown.
    metrics : mapping of str to float
        The metrics of a validation, or the row of a sweep; otherwise empty.
    seconds_left : float or None
        Estimated seconds until the step ends; None if not estimated.
    """

    step: str
    done: int
    total: int | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


Report = Callable[[Progress], None]
"""Called with the progress of a job as it advances."""

Notify = Callable[[str], None]
"""Called with each note as it occurs."""


def ignore(event: object) -> None:
    """Ignore a report of a job.

    Parameters
    ----------
    event : object
        A progress or a note.
    """
