"""Exceptions of molvae. Every message states what was expected, what was found, where, and what to do."""


class MolvaeError(Exception):
    """A job cannot be finished; a command ends with exit code 1."""


class InputError(MolvaeError, ValueError):
    """An input cannot be used as it is; a command ends with exit code 2."""


class CodecError(InputError):
    """A codec folder is missing, changed or truncated, or its version is not supported."""


class MissingPackageError(MolvaeError, ImportError):
    """An optional package is not installed; the message names the extra that installs it."""


def first_line(error: BaseException) -> str:
    """Shorten the message of an exception of another library to one line.

    Parameters
    ----------
    error : BaseException
        The exception.

    Returns
    -------
    str
        First line of the message that is not empty; the name of the class if the message is empty.

    Examples
    --------
    >>> first_line(ValueError("bad valence\\ntraceback"))
    'bad valence'
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
