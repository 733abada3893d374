"""Exceptions of molvae. Every message states what was expected, what was found, where, and what to do."""

import errno
import os
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "free some space or choose a folder on another disk",
    errno.EDQUOT: "free some space or choose a folder on another disk",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or choose a folder on another file system",
    errno.EIO: "the disk may be failing: check it, or choose a folder on another disk",
    errno.ENOMEM: "close other programs, raise the limit of memory (ulimit -v), or use a machine with more",
} | dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "choose a folder that you can write to")
_OUT_OF_MEMORY = ("allocate memory", "failed to map segment", "bad_alloc", "out of memory")


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


def reason_of(error: OSError) -> str:
    """Why a file cannot be read or written, and what to do.

    Parameters
    ----------
    error : OSError
        The error of the system.

    Returns
    -------
    str
        The reason in lower case; where something can be done, a semicolon and the advice follow.

    Examples
    --------
    >>> reason_of(OSError(errno.ENOSPC, "No space left on device"))
    'no space left on device; free some space or choose a folder on another disk'
    """
    if error.errno == errno.ENOSPC and error.filename and _has_no_inodes(Path(error.filename).parent):
        return "no space left on device: it has no inodes; free some space by removing files, or choose another disk"
    text = os.strerror(error.errno) if error.errno else first_line(error)
    return "; ".join(filter(None, [text.lower(), _ADVICE.get(error.errno or 0)]))


def _has_no_inodes(folder: Path) -> bool:
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_files > 0 and room.f_favail == 0


def cannot_write(path: Path, error: OSError) -> InputError:
    """The exception for a file or folder that cannot be written.

    Parameters
    ----------
    path : Path
        The file or folder.
    error : OSError
        The error of the system.

    Returns
    -------
    InputError
        With the path, the reason and what to do.
    """
    return InputError(f"{path}: cannot be written: {reason_of(error)}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that led to it, says that memory ran out; libraries raise several types.

    Parameters
    ----------
    error : BaseException
        The exception.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_out_of_memory(ImportError("libtorch.so: failed to map segment from shared object"))
    True
    """
    one: BaseException | None = error
    while one is not None:
        if (
            isinstance(one, MemoryError)
            or getattr(one, "errno", None) == errno.ENOMEM
            or any(text in str(one).lower() for text in _OUT_OF_MEMORY)
        ):
            return True
        one = one.__cause__ or one.__context__
    return False
