"""The checks of molecules, and their registry: each molecule passes, or fails with a reason."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molvae.checks.check import Check, CheckContext, CheckEntry, MissingData, Molecule, TrainedCodec
from molvae.checks.known import NotIn
from molvae.checks.limits import (
    read_catalogs,
    read_elements,
    read_flag,
    read_highest,
    read_patterns,
    read_percentile,
    read_range,
)
from molvae.chem.alerts import alerts
from molvae.chem.molecules import is_substructure, parse_smarts
from molvae.chem.properties import PROPERTIES, look_up
from molvae.chem.ring_systems import bundled_ring_systems, distinct_ring_systems
from molvae.chem.stability import unstable_groups
from molvae.plugins import load_plugins


@dataclass(frozen=True)
class InRange:
    """Whether a property is between two limits, both included: `MW 612.3 > 500 Da`.

    Parameters
    ----------
    name : str
        Name of the property in `molvae.chem.properties`.
    label : str
        Name of the property in the reason.
    low, high : float
        Lower and upper limit, in the unit of the property.
    """

    name: str
    label: str
    low: float
    high: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason; a property that cannot be computed fails."""
        return [self._check(mol) for _, mol in molecules]

    def _check(self, mol: Any) -> str | None:
        definition = look_up(self.name)
        value = definition(mol)
        if math.isnan(value):
            return f"{self.label} could not be computed"
        if self.low <= value <= self.high:
            return None
        sign, limit = (">", self.high) if value > self.high else ("<", self.low)
        return f"{self.label} {_format_value(value, limit)} {sign} {limit:g} {definition.unit}".rstrip()


@dataclass(frozen=True)
class NetCharge:
    """Whether the net charge is between two limits, both included: `net charge +1`.

    Parameters
    ----------
    low, high : float
        Lower and upper limit.
    """

    low: float
    high: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        charges = [int(PROPERTIES["formal_charge"].function(mol)) for _, mol in molecules]
        return [None if self.low <= charge <= self.high else f"net charge {charge:+d}" for charge in charges]


@dataclass(frozen=True)
class RingSize:
    """Whether the largest ring has at most this many atoms: `ring of 9 atoms > 8`.

    Parameters
    ----------
    high : float
        Largest ring size that passes, in atoms.
    """

    high: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        sizes = [max(map(len, mol.GetRingInfo().AtomRings()), default=0) for _, mol in molecules]
        return [f"ring of {size} atoms > {self.high:g}" if size > self.high else None for size in sizes]


@dataclass(frozen=True)
class AllowedElements:
    """Whether every heavy atom is of an allowed element: `element Se`.

    Parameters
    ----------
    symbols : tuple of str
        Symbols of the allowed elements.
    """

    symbols: tuple[str, ...]

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        allowed = {*self.symbols, "H"}
        found = (sorted({atom.GetSymbol() for atom in mol.GetAtoms()} - allowed) for _, mol in molecules)
        return [f"element {', '.join(others)}" if others else None for others in found]


@dataclass(frozen=True)
class NoAlerts:
    """Whether no structural alert matches: `BRENK: aldehyde; PAINS: quinone A(370)`.

    Parameters
    ----------
    catalogs : tuple of str
        Names of the rule sets.
    """

    catalogs: tuple[str, ...]

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        return ["; ".join(alerts(mol, self.catalogs)) or None for _, mol in molecules]


@dataclass(frozen=True)
class HasSubstructures:
    """Whether substructures are present: `lacks c1ccncc1`; or absent: `contains [CX3H1]=O`.

    Parameters
    ----------
    smarts : tuple of str
        Patterns.
    wanted : bool
        True if every pattern must match, False if none may match.
    """

    smarts: tuple[str, ...]
    wanted: bool

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        patterns = [(smarts, parse_smarts(smarts)) for smarts in self.smarts]
        verb = "lacks" if self.wanted else "contains"
        found = ([one for one, query in patterns if is_substructure(query, mol) != self.wanted] for _, mol in molecules)
        return ["; ".join(f"{verb} {one}" for one in failed) or None for failed in found]


@dataclass(frozen=True)
class MeetsConditions:
    """Whether a molecule is not among those that violate a condition of the objective: `core: lacks c1ccncc1`.

    Parameters
    ----------
    unmet : mapping of str to str
        Molecules that violate a condition, or are outside the domain of a model: canonical SMILES to the reason.
    """

    unmet: Mapping[str, str]

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        return [self.unmet.get(smiles) for smiles, _ in molecules]


@dataclass(frozen=True)
class InDomain:
    """Whether a molecule is in the codec's applicability domain.

    Parameters
    ----------
    codec : TrainedCodec
        Codec with a measured applicability domain.
    percentile : float
        Percentile of the training data above which a molecule is outside, between 0 and 100.
    """

    codec: TrainedCodec
    percentile: float

    def __call__(self, molecules: Sequence[Molecule]) -> list[str | None]:
        """One result per molecule, in order: None, or the reason."""
        smiles = [molecule.smiles for molecule in molecules]
        reasons = self.codec.applicability_domain(smiles, percentile=self.percentile, remove_stereo=True)["reason"]
        return [reason if isinstance(reason, str) else None for reason in reasons]


def check_fragments(molecules: Sequence[Molecule]) -> list[str | None]:
    """Whether a molecule is a single fragment: `2 fragments`.

    Parameters
    ----------
    molecules : sequence of Molecule
        Molecules to check.

    Returns
    -------
    list of str or None
        One result per molecule, in order: None, or the reason.
    """
    counts = [smiles.count(".") + 1 for smiles, _ in molecules]
    return [f"{count} fragments" if count > 1 else None for count in counts]


def check_radicals(molecules: Sequence[Molecule]) -> list[str | None]:
    """Whether a molecule has no unpaired electrons: `radical: 1 unpaired electron`.

    Parameters
    ----------
    molecules : sequence of Molecule
        Molecules to check.

    Returns
    -------
    list of str or None
        One result per molecule, in order: None, or the reason.
    """
    counts = [sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()) for _, mol in molecules]
    return [f"radical: {n} unpaired electron{'s' if n > 1 else ''}" if n else None for n in counts]


def check_stability(molecules: Sequence[Molecule]) -> list[str | None]:
    """Whether a molecule has no unstable group: `unstable: carbamic acid`; see `molvae.chem.stability`.

    Parameters
    ----------
    molecules : sequence of Molecule
        Molecules to check.

    Returns
    -------
    list of str or None
        One result per molecule, in order: None, or the reason.
    """
    found = (unstable_groups(mol) for _, mol in molecules)
    return [f"unstable: {', '.join(groups)}" if groups else None for groups in found]


def check_rings(molecules: Sequence[Molecule]) -> list[str | None]:
    """Whether every ring system occurs in MOSES or ChEMBL: `ring system C1Nc2ccccc21 not in MOSES or ChEMBL`.

    Parameters
    ----------
    molecules : sequence of Molecule
        Molecules to check.

    Returns
    -------
    list of str or None
        One result per molecule, in order: None, or the reason.
    """
    known = bundled_ring_systems()
    found = ([one for one in distinct_ring_systems(smiles) if one not in known] for smiles, _ in molecules)
    return [f"ring system {', '.join(unseen)} not in MOSES or ChEMBL" if unseen else None for unseen in found]


def property_range(name: str, default: tuple[float, float], label: str) -> CheckEntry[tuple[float, float]]:
    """Create the registry entry of a check that a property is between two limits.

    Parameters
    ----------
    name : str
        Name of the property in `molvae.chem.properties`.
    default : tuple of float
        Lower and upper limit if the settings do not give them, in the unit of the property.
    label : str
        Name of the property in the reason.

    Returns
    -------
    CheckEntry
        The entry.
    """

    def make(limits: tuple[float, float], _: CheckContext) -> Check:
        return InRange(name, label, *limits)

    unit = PROPERTIES[name].unit if name in PROPERTIES else ""
    passes = f"{label} in this range{f', in {unit}' if unit else ''}"
    return CheckEntry(make, default, read_range, passes, needs_only_molecule=True)


def list_checks() -> dict[str, CheckEntry[Any]]:
    """All checks: the built-in ones and those that installed packages provide.

    Another package adds a check with an entry point of the group ``molvae.checks`` that refers to a `CheckEntry`.

    Returns
    -------
    dict of str to CheckEntry
        Entries by name, the built-in ones first. The name is the key in the settings; the column is ``check_<name>``.

    Raises
    ------
    InputError
        A plug-in cannot be loaded, has the name of another check, or is not a `CheckEntry`.
    """
    return CHECKS | load_plugins("molvae.checks", CHECKS, CheckEntry)


def _not_in_reference(_: bool, context: CheckContext) -> Check:
    if context.reference is None:
        raise MissingData("no reference library is given")
    return NotIn(context.reference, "reference library")


def _not_in_training(_: bool, context: CheckContext) -> Check:
    if context.codec is None:
        raise MissingData("no codec is given")
    training = context.codec.training_smiles()
    if training is None:
        raise MissingData(f"the training set of codec {context.codec.name} is not available")
    return NotIn(training, "training set")


def _in_domain(percentile: float, context: CheckContext) -> Check:
    if context.codec is None:
        raise MissingData("no codec is given")
    if context.codec.calibration is None:
        raise MissingData(f"the applicability domain of codec {context.codec.name} was not measured")
    return InDomain(context.codec, percentile)


def _format_value(value: float, limit: float) -> str:
    """The value with as many decimals as distinguish it from the limit, at least one; none for a whole number."""
    if value == int(value):
        return f"{value:.0f}"
    digits = next((n for n in range(1, 7) if round(value, n) != round(limit, n)), 7)
    return f"{value:.{digits}f}"


_ELEMENTS = ("C", "N", "O", "S", "P", "F", "Cl", "Br", "I")

# Default limits: oral drugs after Lipinski 1997 (doi:10.1016/S0169-409X(96)00423-1) and Veber 2002
# (doi:10.1021/jm020017n), synthetic accessibility after Ertl 2009 (doi:10.1186/1758-2946-1-8).
CHECKS: dict[str, CheckEntry[Any]] = {
    "conditions": CheckEntry(
        lambda _, context: MeetsConditions(context.unmet), True, read_flag, "meets every condition of the objective"
    ),
    "in_reference": CheckEntry(
        _not_in_reference, True, read_flag, "not in the reference library; undefined stereo matches any stereo"
    ),
    "in_training": CheckEntry(
        _not_in_training, True, read_flag, "not in the codec's training set; undefined stereo matches any stereo"
    ),
    "in_domain": CheckEntry(
        _in_domain,
        99.0,
        read_percentile,
        "in the codec's applicability domain: at most at this percentile of its training or held-out data",
    ),
    "in_model_domain": CheckEntry(
        lambda _, context: MeetsConditions(context.outside),
        True,
        read_flag,
        "in the applicability domain of every model of the objective: `min_similarity` to a training molecule",
    ),
    "fragments": CheckEntry(lambda *_: check_fragments, True, read_flag, "a single fragment", needs_only_molecule=True),
    "radicals": CheckEntry(
        lambda *_: check_radicals, True, read_flag, "no unpaired electrons", needs_only_molecule=True
    ),
    "stability": CheckEntry(
        lambda *_: check_stability,
        True,
        read_flag,
        "no unstable or strained group ([groups](#unstable-groups))",
        needs_only_molecule=True,
    ),
    "unseen_rings": CheckEntry(
        lambda *_: check_rings,
        True,
        read_flag,
        "every ring system is in MOSES or a sample of ChEMBL at least twice",
        needs_only_molecule=True,
    ),
    "require": CheckEntry(
        lambda smarts, _: HasSubstructures(smarts, wanted=True),
        False,
        read_patterns,
        "all of these SMARTS match",
        needs_only_molecule=True,
    ),
    "forbid": CheckEntry(
        lambda smarts, _: HasSubstructures(smarts, wanted=False),
        False,
        read_patterns,
        "none of these SMARTS matches",
        needs_only_molecule=True,
    ),
    "charge": CheckEntry(
        lambda limits, _: NetCharge(*limits),
        (0.0, 0.0),
        read_range,
        "net charge in this range",
        needs_only_molecule=True,
    ),
    "elements": CheckEntry(
        lambda symbols, _: AllowedElements(symbols),
        _ELEMENTS,
        read_elements,
        "only these elements",
        needs_only_molecule=True,
    ),
    "mol_weight": property_range("mol_weight", (150.0, 500.0), "MW"),
    "logp": property_range("logp", (-2.0, 5.0), "logP"),
    "tpsa": property_range("tpsa", (0.0, 140.0), "TPSA"),
    "hbd": property_range("hbd", (0.0, 5.0), "H-bond donors"),
    "hba": property_range("hba", (0.0, 10.0), "H-bond acceptors"),
    "rotatable_bonds": property_range("rotatable_bonds", (0.0, 10.0), "rotatable bonds"),
    "rings": property_range("rings", (0.0, 6.0), "rings"),
    "ring_size": CheckEntry(
        lambda high, _: RingSize(high), 8.0, read_highest, "no ring with more atoms", needs_only_molecule=True
    ),
    "sa_score": CheckEntry(
        lambda high, _: InRange("sa_score", "SA score", 1.0, high),
        5.0,
        read_highest,
        "SA score up to this value",
        needs_only_molecule=True,
    ),
    "alerts": CheckEntry(
        lambda catalogs, _: NoAlerts(catalogs),
        ("PAINS", "BRENK"),
        read_catalogs,
        "no alert of these rule sets matches",
        needs_only_molecule=True,
    ),
}
"""Name of a check -> its entry. The name is the key in the settings; the column is `check_<name>`."""
