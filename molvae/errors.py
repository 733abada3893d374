"""The few exceptions of molvae; every message says what was expected, what came, where, and what to do."""


class MolvaeError(Exception):
    """A job could not be finished; the command ends with exit code 1."""


class InputError(MolvaeError, ValueError):
    """Something the user gave cannot be used as it is; the command ends with exit code 2."""


class CodecError(InputError):
    """A codec folder is missing, changed, truncated, or of a version this release cannot read."""


class MissingPackageError(MolvaeError, ImportError):
    """An optional package is not installed; the message names the extra of molvae that brings it."""
