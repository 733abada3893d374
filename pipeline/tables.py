"""The formats of the output files of the commands, and a check of their names."""

from collections.abc import Sequence
from pathlib import Path

from molvae.errors import InputError

LATENT_ENDINGS = (".parquet", ".csv")
MOLECULE_ENDINGS = (".csv", ".smi", ".parquet")


def check_ending(path: Path, endings: Sequence[str], option: str = "-o") -> None:
    """Reject an output file of an unknown format, or in a folder that does not exist.

    Parameters
    ----------
    path : Path
        The file to be written.
    endings : sequence of str
        The formats that can be written, such as ".csv".
    option : str, default="-o"
        The option that names the file, for the error message.

    Raises
    ------
    InputError
        The ending is not among `endings`, `path` is a folder, or its folder does not exist.
    """
    if path.suffix.lower() not in endings:
        raise InputError(f"{option} {path}: expected a file name that ends in {' or '.join(endings)}")
    if path.is_dir():
        raise InputError(f"{option} {path}: is a folder; give a file name")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{option} {path}: the folder {path.parent} does not exist; create it first")
