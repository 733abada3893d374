"""Optional packages: installed with an extra of molvae, and required only by some jobs."""

from importlib.util import find_spec

from molvae.errors import MissingPackageError

_EXTRAS = {
    "admet_ai": "admet",
    "cma": "search",
    "dimorphite_dl": "charge",
    "distributed": "dask",
    "dockstring": "docking",
    "fcd_torch": "evaluate",
    "gemmi": "docking",
    "meeko": "docking",
    "prefect": "pipeline",
    "skops": "qsar",
    "vina": "docking",
}
"""Import name -> the extra that installs it."""


def require(package: str, job: str) -> None:
    """Check that an optional package is installed, without importing it.

    Parameters
    ----------
    package : str
        Import name of the package, a key of `_EXTRAS`.
    job : str
        The command or function that needs the package, for the error message.

    Raises
    ------
    MissingPackageError
        The package is not installed.

    Examples
    --------
    >>> require("prefect", "molvae design")
    """
    if find_spec(package) is None:
        name = package.replace("_", "-")
        raise MissingPackageError(f"{job} requires {name}; install it with: pip install 'molvae[{_EXTRAS[package]}]'")
