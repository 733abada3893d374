"""What a long job reports while it runs; the caller decides where it is shown."""

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
        Metrics of this moment: the validation of a training, the row of a sweep; often empty.
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
    """Ignore what a job reports.

    Parameters
    ----------
    event : object
        A progress or a note.
    """
