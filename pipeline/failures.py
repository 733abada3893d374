"""What a person reads when something fails: one sentence, the same on the terminal, in Prefect and in events."""

import errno

from molvae.errors import MolvaeError, first_line, is_out_of_memory, reason_of

OF_THE_SYSTEM = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS, errno.ESTALE),
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ENOLCK),
    }
)
"""Errors that a user can do something about; others are bugs."""


def describe_failure(error: BaseException) -> str:
    """Describe an error in one sentence, without its notes.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    str
        The message of an error of molvae; file and reason of an error of the system; else type and message.

    Examples
    --------
    >>> from molvae.errors import InputError
    >>> describe_failure(InputError("lib.csv: no column of SMILES; give smiles_column"))
    'lib.csv: no column of SMILES; give smiles_column'
    >>> describe_failure(OSError(28, "No space left on device", "/data/run/candidates.csv"))
    '/data/run/candidates.csv: no space left on device; free some space or choose a folder on another disk'
    >>> describe_failure(KeyError("score"))
    "failed unexpectedly (KeyError: 'score')"
    """
    if isinstance(error, MolvaeError):
        return str(error)
    if is_out_of_memory(error):
        return reason_of(OSError(errno.ENOMEM, "out of memory"))
    if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{reason_of(error)}"
    return f"failed unexpectedly ({type(error).__name__}: {first_line(error)})"


def with_notes(sentence: str, error: BaseException) -> str:
    """Append the notes of an error that are one line long; longer ones are for the log.

    Parameters
    ----------
    sentence : str
        What failed.
    error : BaseException
        The error with the notes.

    Returns
    -------
    str
        The sentence and the notes, separated by semicolons.
    """
    return "; ".join([sentence, *(note for note in getattr(error, "__notes__", ()) if "\n" not in note)])
