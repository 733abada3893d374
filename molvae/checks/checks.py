"""What a chemist would ask of a molecule before looking at it: each check passes it, or says in words why not."""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import pandas as pd
from pydantic import BeforeValidator

from molvae.chem.alerts import SOURCES, alerts
from molvae.chem.molecules import canonicalize, parse, remove_stereo
from molvae.chem.properties import PROPERTIES
from molvae.errors import InputError
from molvae.settings import Settings

PASS = "pass"
UNREAD = "not checked: it does not parse"


def _read_range(value: object) -> tuple[float, float] | Literal[False]:
    if value is False:
        return False
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = value
        if _is_finite(low) and _is_finite(high) and low <= high:
            return float(low), float(high)
    raise ValueError("expected [lowest, highest], two numbers in this order, or false to leave this check out")


def _read_highest(value: Any) -> float | Literal[False]:
    if value is False or _is_finite(value):
        return value if value is False else float(value)
    raise ValueError("expected the highest number that passes, or false to leave this check out")


def _read_elements(value: object) -> tuple[str, ...] | Literal[False]:
    if value is False:
        return False
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError('expected a list of element symbols, e.g. ["C", "N", "O"], or false to leave this check out')


def _read_catalogs(value: object) -> tuple[str, ...] | Literal[False]:
    if value is False:
        return False
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(f"expected a list of rule sets ({', '.join(SOURCES)}), or false to leave this check out")
    for name in value:
        if name.upper() not in SOURCES:
            near = difflib.get_close_matches(name.upper(), SOURCES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SOURCES)}"
            raise ValueError(f"unknown rule set {name}; {hint}")
    return tuple(name.upper() for name in value)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_percentile(value: Any) -> float | Literal[False]:
    if value is False or (_is_finite(value) and 0 < value < 100):
        return value if value is False else float(value)
    raise ValueError("expected a percentile between 0 and 100, such as 99, or false to leave this check out")


Range = Annotated[tuple[float, float] | Literal[False], BeforeValidator(_read_range)]
Highest = Annotated[float | Literal[False], BeforeValidator(_read_highest)]
Percentile = Annotated[float | Literal[False], BeforeValidator(_read_percentile)]
Elements = Annotated[tuple[str, ...] | Literal[False], BeforeValidator(_read_elements)]
Catalogs = Annotated[tuple[str, ...] | Literal[False], BeforeValidator(_read_catalogs)]


class ChecksSettings(Settings):
    """The limits of each check in its property's own unit, both ends included; `false` leaves a check out.

    The defaults are those of an oral drug that can be made: Lipinski 1997 (doi:10.1016/S0169-409X(96)00423-1), Veber
    2002 (doi:10.1021/jm020017n), Ertl 2009 for synthetic accessibility (doi:10.1186/1758-2946-1-8).

    in_domain: the percentile of the codec's training set above which a molecule is too strange, such as 99. Off unless
        asked for: the scores are computed from the structure, not read off the codec, so a strange molecule is scored
        as well as any other, and a search for the new would lose some of what it found.
    """

    mol_weight: Range = (150.0, 500.0)
    logp: Range = (-2.0, 5.0)
    tpsa: Range = (0.0, 140.0)
    hbd: Range = (0.0, 5.0)
    hba: Range = (0.0, 10.0)
    rotatable_bonds: Range = (0.0, 10.0)
    rings: Range = (0.0, 6.0)
    ring_size: Highest = 8.0
    sa_score: Highest = 5.0
    charge: Range = (0.0, 0.0)
    elements: Elements = ("C", "N", "O", "S", "P", "F", "Cl", "Br", "I")
    fragments: bool = True
    radicals: bool = True
    alerts: Catalogs = ("PAINS", "BRENK")
    in_reference: bool = True
    in_training: bool = True
    in_domain: Percentile = False


class Molecule(NamedTuple):
    """What a check sees: the canonical SMILES, and the RDKit molecule read from it."""

    smiles: str
    mol: Any


Library = Mapping[str, str | None] | Iterable[str]
"""Known molecules as canonical SMILES; a mapping gives the id of each, or None."""


class Domain(Protocol):
    """Whether molecules are in a codec's domain: None, or why not in words, by a percentile of its training set."""

    def __call__(self, smiles: Sequence[str], percentile: float) -> list[str | None]:
        """The answers, one per canonical SMILES, in order."""
        ...


@dataclass(frozen=True)
class Known:
    """What the molecules are judged by besides themselves, where there is such.

    reference, training: what is not new: the reference library and the codec's training set. domain: the codec's.
    """

    reference: Library = ()
    training: Library = ()
    domain: Domain | None = None


class Check(Protocol):
    """One question: None where a molecule passes, else the reason in words, row for row."""

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order."""
        ...


@dataclass(frozen=True)
class InRange:
    """Whether a property lies between two bounds, ends included: `MW 612.3 > 500 Da`."""

    name: str
    label: str
    low: float
    high: float
    unit: str = ""

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order; a property that cannot be computed fails."""
        return [self._judge(mol) for _, mol in molecules]

    def _judge(self, mol: Any) -> str | None:
        try:
            value = float(PROPERTIES[self.name].function(mol))
        except (ValueError, RuntimeError):  # what RDKit raises on molecules of odd kinds
            value = math.nan
        if math.isnan(value):
            return f"{self.label} could not be computed"
        if self.low <= value <= self.high:
            return None
        sign, bound = (">", self.high) if value > self.high else ("<", self.low)
        return f"{self.label} {_apart(value, bound)} {sign} {bound:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class NetCharge:
    """Whether the net charge lies between two bounds, ends included: `net charge +1`."""

    low: float
    high: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order."""
        charges = [int(PROPERTIES["formal_charge"].function(mol)) for _, mol in molecules]
        return [None if self.low <= charge <= self.high else f"net charge {charge:+d}" for charge in charges]


@dataclass(frozen=True)
class RingSize:
    """Whether the largest ring is small enough: `ring of 9 atoms > 8`."""

    high: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order."""
        sizes = [max(map(len, mol.GetRingInfo().AtomRings()), default=0) for _, mol in molecules]
        return [f"ring of {size} atoms > {self.high:g}" if size > self.high else None for size in sizes]


@dataclass(frozen=True)
class KnownElements:
    """Whether every heavy atom is of a wanted element: `element Se`."""

    symbols: tuple[str, ...]

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order."""
        allowed = {*self.symbols, "H"}
        found = (sorted({atom.GetSymbol() for atom in mol.GetAtoms()} - allowed) for _, mol in molecules)
        return [f"element {', '.join(others)}" if others else None for others in found]


@dataclass(frozen=True)
class NoAlerts:
    """Whether no named substructure rule is hit: `BRENK: aldehyde; PAINS: quinone A(370)`."""

    catalogs: tuple[str, ...]

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order."""
        return ["; ".join(alerts(mol, self.catalogs)) or None for _, mol in molecules]


@dataclass(frozen=True)
class NotIn:
    """Whether a molecule is new against a library: `in the reference library as CHEMBL25`.

    It is not new either where one of the two leaves stereo open and they are otherwise the same.
    """

    library: Library
    title: str

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order."""
        found = _find_known([smiles for smiles, _ in molecules], self.library)
        return [self._say(*found[smiles]) if smiles in found else None for smiles, _ in molecules]

    def _say(self, label: str | None, is_exact: bool) -> str:
        name = f" as {label}" if label else ""
        return f"in the {self.title}{name}{'' if is_exact else ', stereo aside'}"


@dataclass(frozen=True)
class InDomain:
    """Whether it is no stranger to the codec than its training set: `reconstruction error above the 99.2nd percentile`.

    domain: the codec's; None where there is no codec to ask.
    """

    domain: Domain | None
    percentile: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """The answers, one per molecule, in order.

        Raises:
            InputError: there is no domain to ask.
        """
        if self.domain is None:
            raise InputError("checks in_domain: expected the domain of a codec, got none; give one, or set it to false")
        return self.domain([smiles for smiles, _ in molecules], self.percentile)


def check_fragments(molecules: Sequence[Molecule]) -> list[str | None]:
    """Whether it is one molecule: `2 fragments`."""
    counts = [smiles.count(".") + 1 for smiles, _ in molecules]
    return [f"{count} fragments" if count > 1 else None for count in counts]


def check_radicals(molecules: Sequence[Molecule]) -> list[str | None]:
    """Whether all electrons are paired: `radical: 1 unpaired electron`."""
    counts = [sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()) for _, mol in molecules]
    return [f"radical: {n} unpaired electron{'s' if n > 1 else ''}" if n else None for n in counts]


def run_checks(
    smiles: Sequence[str],
    settings: ChecksSettings | None = None,
    reference: Library | None = None,
    training: Library | None = None,
    domain: Domain | None = None,
) -> pd.DataFrame:
    """One row per molecule, in order: check_<name> (`pass` or the reason), passed, and reason (all of them, or None).

    `reference` maps canonical SMILES to the id under which the user knows a molecule; a plain collection has no ids.
    `domain` says what is in a codec's domain, for the check in_domain.
    A text that does not parse fails with that as its reason; it is no exception.

    Example:
        >>> run_checks(["CCCCCCCC=O"], ChecksSettings(mol_weight=False)).loc[0, "check_alerts"]
        'BRENK: Aliphatic long chain; BRENK: aldehyde'
    """
    settings = settings or ChecksSettings()
    known = Known(() if reference is None else reference, () if training is None else training, domain)
    unread: dict[int, str] = {}
    molecules: dict[int, Molecule] = {}
    for row, text in enumerate(smiles):
        try:
            molecules[row] = Molecule(text, parse(text))
        except InputError as error:
            unread[row] = f"does not parse: {canonicalize(text).reason or error}"
    table = pd.DataFrame(index=range(len(smiles)))
    failed: dict[int, list[str]] = {row: [reason] for row, reason in unread.items()}
    for name, make in CHECKS.items():
        if getattr(settings, name) is False:
            continue
        answers = dict(zip(molecules, make(settings, known)(list(molecules.values())), strict=True))
        table[f"check_{name}"] = [UNREAD if row in unread else answers[row] or PASS for row in table.index]
        for row, reason in answers.items():
            if reason:
                failed.setdefault(row, []).append(reason)
    table["passed"] = [row not in failed for row in table.index]
    table["reason"] = pd.Series(
        ["; ".join(failed[row]) if row in failed else None for row in table.index], dtype=object
    )
    return table


def _apart(value: float, bound: float) -> str:
    """The value with one digit, or as many as show it apart from the bound; a whole number with none."""
    if value == int(value):
        return f"{value:.0f}"
    digits = next((n for n in range(1, 7) if round(value, n) != round(bound, n)), 7)
    return f"{value:.{digits}f}"


def _find_known(queries: Iterable[str], library: Library) -> dict[str, tuple[str | None, bool]]:
    """For each query that the library holds: the id there, and whether the stereo is the same, too.

    Only the queries are kept in memory; the library is read once, and a member with stereo is parsed only where it has
    the letters of a query.
    """
    exact = set(queries)
    flat: dict[str, list[str]] = {}  # a query's SMILES without stereo -> the queries that are it, or an isomer of it
    for query in exact:
        flat.setdefault(remove_stereo(query) if _has_stereo(query) else query, []).append(query)
    letters = {_letters(text) for text in flat}
    found: dict[str, tuple[str | None, bool]] = {}
    for member, label in _members(library):
        if member in exact:
            found[member] = (label, True)
        if _has_stereo(member):
            is_candidate = _letters(member) in letters
            alike = [query for query in flat.get(remove_stereo(member), []) if query in flat] if is_candidate else []
        else:
            alike = flat.get(member, [])
        for query in alike:
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
    """The atoms of a SMILES in alphabetical order, hydrogens apart: the same with and without stereo."""
    return "".join(sorted(letter for letter in smiles if letter.isalpha() and letter != "H"))


def _in_range(name: str, label: str, unit: str = "") -> Callable[[ChecksSettings, Known], Check]:
    def make(settings: ChecksSettings, _: Known) -> Check:
        low, high = getattr(settings, name)
        return InRange(name, label, low, high, unit)

    return make


CHECKS: dict[str, Callable[[ChecksSettings, Known], Check]] = {
    "in_reference": lambda _, known: NotIn(known.reference, "reference library"),
    "in_training": lambda _, known: NotIn(known.training, "training set"),
    "in_domain": lambda settings, known: InDomain(known.domain, settings.in_domain or 99.0),
    "fragments": lambda *_: check_fragments,
    "radicals": lambda *_: check_radicals,
    "charge": lambda settings, _: NetCharge(*settings.charge or (0, 0)),
    "elements": lambda settings, _: KnownElements(settings.elements or ()),
    "mol_weight": _in_range("mol_weight", "MW", "Da"),
    "logp": _in_range("logp", "logP"),
    "tpsa": _in_range("tpsa", "TPSA", "Å²"),
    "hbd": _in_range("hbd", "H-bond donors"),
    "hba": _in_range("hba", "H-bond acceptors"),
    "rotatable_bonds": _in_range("rotatable_bonds", "rotatable bonds"),
    "rings": _in_range("rings", "rings"),
    "ring_size": lambda settings, _: RingSize(settings.ring_size),
    "sa_score": lambda settings, _: InRange("sa_score", "SA score", 1.0, settings.sa_score),
    "alerts": lambda settings, _: NoAlerts(settings.alerts or ()),
}
"""Check name, which is its settings' key and its column's name -> the check, made from settings and known molecules."""
