"""Times of runs: written in UTC as ISO 8601, shown in the time zone of the system."""

import re
from datetime import UTC, datetime

from molvae.errors import InputError

_UNITS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def now() -> str:
    """The current time.

    Returns
    -------
    str
        ISO 8601 in UTC with milliseconds, such as `2026-11-24T10:15:00.000Z`.
    """
    return iso(datetime.now(UTC).timestamp())


def iso(seconds: float) -> str:
    """Format a time.

    Parameters
    ----------
    seconds : float
        Seconds since the epoch.

    Returns
    -------
    str
        ISO 8601 in UTC with milliseconds.

    Examples
    --------
    >>> iso(86_400)
    '1970-01-02T00:00:00.000Z'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(time: object) -> float | None:
    """Read a time.

    Parameters
    ----------
    time : object
        A time as `now` returns it, or anything else that a file may hold in its place.

    Returns
    -------
    float or None
        Seconds since the epoch; None if it is no time.

    Examples
    --------
    >>> seconds_of("1970-01-02T00:00:00.500Z"), seconds_of("yesterday")
    (86400.5, None)
    """
    if not isinstance(time, str):
        return None
    try:
        found = datetime.fromisoformat(time)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def show_time(time: str | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Format a time for a reader.

    Parameters
    ----------
    time : str or None
        A time as `now` returns it.
    form : str, default="%Y-%m-%d %H:%M"
        Format, as for `datetime.strftime`.

    Returns
    -------
    str
        In the time zone of the system; "" if there is no time.
    """
    seconds = seconds_of(time)
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).astimezone().strftime(form)


def parse_age(text: str, option: str) -> float:
    """Read an age such as `30d`.

    Parameters
    ----------
    text : str
        A number and a unit: h (hours), d (days) or w (weeks).
    option : str
        The option that it belongs to, for the error message.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    InputError
        It is no age.

    Examples
    --------
    >>> parse_age("2d", "--keep")
    172800.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip().lower())
    if found is None:
        raise InputError(f"{option} {text}: expected a number and h (hours), d (days) or w (weeks), for example 30d")
    return float(found[1]) * _UNITS[found[2]]
