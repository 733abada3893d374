"""The check that a molecule is not known: not in the reference library, not in the training set of a codec."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from molvae.checks.check import Library, Molecule
from molvae.chem.molecules import remove_stereo


@dataclass(frozen=True)
class NotIn:
    """Whether a molecule is not in a library: `in the reference library as CHEMBL25`.

    A molecule also fails if it equals a member apart from stereo, and one of the two has no stereo.

    Parameters
    ----------
    library : mapping or iterable of str
        Known molecules as canonical SMILES, or a mapping of canonical SMILES to ids.
    title : str
        Name of the library, for the reason.
    """

    library: Library
    title: str

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One answer per molecule, in order."""
        found = find_known([smiles for smiles, _ in molecules], self.library)
        return [self._reason(*found[smiles]) if smiles in found else None for smiles, _ in molecules]

    def _reason(self, label: str | None, is_exact: bool) -> str:
        name = f" as {label}" if label else ""
        return f"in the {self.title}{name}{'' if is_exact else ', stereo ignored'}"


def find_known(queries: Iterable[str], library: Library) -> dict[str, tuple[str | None, bool]]:
    """Find which molecules are in a library; stereo is ignored where one of the two has none.

    Only the queries are kept in memory. The library is read once. A member with stereo is parsed only if its letters
    are those of a query.

    Parameters
    ----------
    queries : iterable of str
        Canonical SMILES.
    library : mapping or iterable of str
        Known molecules as canonical SMILES, or a mapping of canonical SMILES to ids.

    Returns
    -------
    dict of str to (str or None, bool)
        The queries in the library -> the id of the member, and whether its stereo is the same.
    """
    exact = set(queries)
    isomers: dict[str, list[str]] = {}  # SMILES without stereo -> queries
    for query in exact:
        isomers.setdefault(remove_stereo(query) if _has_stereo(query) else query, []).append(query)
    letters = {_letters(smiles) for smiles in isomers}
    found: dict[str, tuple[str | None, bool]] = {}
    for member, label in _members(library):
        if member in exact:
            found[member] = (label, True)
        if not _has_stereo(member):
            matches = isomers.get(member, [])
        elif _letters(member) in letters:
            matches = [query for query in isomers.get(remove_stereo(member), []) if query in isomers]
        else:
            matches = []
        for query in matches:
            found.setdefault(query, (label, False))
    return found


def _members(library: Library) -> Iterator[tuple[str, str | None]]:
    if isinstance(library, Mapping):
        yield from library.items()
    else:
        yield from ((member, None) for member in library)


def _has_stereo(smiles: str) -> bool:
    return "@" in smiles or "/" in smiles or "\\" in smiles


def _letters(smiles: str) -> str:
    """The letters of a SMILES in alphabetical order, without hydrogens: the same with and without stereo."""
    return "".join(sorted(letter for letter in smiles if letter.isalpha() and letter != "H"))
