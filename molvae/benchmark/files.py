"""The metrics of molecule files."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from molvae.benchmark.comparison import SetMetrics, evaluate_rows
from molvae.benchmark.distribution import Progress, Row, read_canonical
from molvae.chem.molecules import canonicalize
from molvae.datasets import MoleculeFile, open_molecules
from molvae.errors import InputError
from molvae.tables import kind_of
from molvae.workers import Mapper


def evaluate_file(
    path: Path | str,
    reference: Path | str | None = None,
    train: Path | str | None = None,
    *,
    progress: Progress = lambda step: None,
    mapper: Mapper | None = None,
) -> SetMetrics:
    """The metrics of the MOSES benchmark for a file of generated molecules.

    Invalid rows of the reference set and of the training set are skipped.

    Parameters
    ----------
    path : Path or str
        Molecule file with one generated molecule per row.
    reference : Path or str, optional
        Molecule file of the reference set; by default the two test sets of MOSES.
    train : Path or str, optional
        Molecule file of the training set. By default the training set of MOSES if `reference` is not given, else none:
        the novelty is then unknown.
    progress : callable, optional
        Called with a description of each step before it starts.
    mapper : Mapper, optional
        Applies functions to many molecules; by default in local processes.

    Returns
    -------
    SetMetrics
        The metrics.

    Raises
    ------
    InputError
        A file cannot be read or has no valid molecule.

    Examples
    --------
    >>> evaluate_file("generated.smi", reference="mine.csv").valid  # doctest: +SKIP
    """
    rows = read_rows(open_molecules(Path(path), mapper=mapper))
    return evaluate_rows(
        rows,
        None if reference is None else list(_read_valid(Path(reference), mapper)),
        None if train is None else _read_valid(Path(train), mapper),
        origin="" if reference is None else f"the molecules of {reference}",
        progress=progress,
        mapper=mapper,
    )


def read_rows(file: MoleculeFile) -> Iterator[Row]:
    """The rows of a molecule file.

    Parameters
    ----------
    file : MoleculeFile
        The opened file.

    Yields
    ------
    (str or None, str or None)
        Raw SMILES, and the reason why the row cannot be read. At the end, the notes of the file count what was removed
        from rows, such as and/or stereo.
    """
    warned = Counter[str]()
    for chunk in file:
        for raw, reason, warning in zip(chunk["raw"].tolist(), chunk["reason"].tolist(), chunk["warning"], strict=True):
            if warning is None and reason is None and raw is not None and " |" in raw:  # perhaps a CXSMILES
                warning = canonicalize(raw).warning
            warned.update({kind_of(part) for part in warning.split("; ")} if warning else ())
            yield raw, reason
    for kind, n in warned.most_common():
        if (note := f"{n:,} rows with a warning: {kind}") not in file.notes:
            file.notes.append(note)


def _read_valid(path: Path, mapper: Mapper | None) -> Iterator[str]:
    n = 0
    for smiles in read_canonical(read_rows(open_molecules(path, mapper=mapper)), mapper):
        if smiles is not None:
            n += 1
            yield smiles
    if not n:
        raise InputError(f"{path}: expected molecules, got only invalid rows")
