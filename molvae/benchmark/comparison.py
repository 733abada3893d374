"""How good a set of generated SMILES is: every metric of the MOSES benchmark, beside its test sets or any reference."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from scipy.stats import wasserstein_distance

from molvae.benchmark.distribution import (
    MOSES_REFERENCES,
    MoleculeSet,
    Reference,
    Row,
    Tell,
    load_moses_reference,
    read_moses_training_smiles,
    read_set,
)
from molvae.benchmark.fcd import fcd, fcd_floor
from molvae.chem.metrics import (
    PROPERTY_NAMES,
    cosine,
    internal_diversities,
    nearest_similarities,
    novelty,
    uniqueness,
)
from molvae.errors import InputError
from molvae.workers import Mapper

_NO_MOLECULE = "no valid molecule"
_MOSES_NAMES = {
    "snn": "SNN",
    "fragments": "Frag",
    "scaffolds": "Scaf",
    "logp": "logP",
    "sa_score": "SA",
    "qed": "QED",
    "mol_weight": "weight",
}


@dataclass(frozen=True)
class Comparison:
    """A set beside one reference of n molecules; None stands where a figure cannot be had.

    fcd: Fréchet ChemNet distance of all valid molecules to it; it falls as their number grows. snn: mean over the valid
    of the largest Tanimoto similarity to a molecule of the reference. fragments, scaffolds: cosine of the counts of
    BRICS fragments, and of Bemis-Murcko scaffolds of two rings or more. logp, sa_score, qed, mol_weight: Wasserstein
    distances between the properties, in their own units.
    """

    origin: str
    n: int
    fcd: float | None
    snn: float | None
    fragments: float | None
    scaffolds: float | None
    logp: float | None
    sa_score: float | None
    qed: float | None
    mol_weight: float | None


@dataclass(frozen=True)
class SetFigures:
    """The figures of n texts, as MOSES has them; shares lie in [0, 1], and None stands where a figure cannot be had.

    valid: share that are molecules; all other figures are those of these, repeats included.
    unique_at_1k, unique_at_10k, unique: share of the first 1,000, the first 10,000 and of all that differ.
    novelty: share of the distinct ones that are not in the training set, of n_train molecules.
    internal_diversity, internal_diversity_2: IntDiv and IntDiv2. filters: share that pass; objections: kind -> how many
    do not for it. references: by name. missing: figure -> why it cannot be had.
    """

    n: int
    n_valid: int
    valid: float
    invalid_reasons: dict[str, int]
    unique_at_1k: float | None
    unique_at_10k: float | None
    unique: float | None
    novelty: float | None
    n_train: int | None
    internal_diversity: float | None
    internal_diversity_2: float | None
    filters: float | None
    objections: dict[str, int]
    references: dict[str, Comparison]
    missing: dict[str, str]

    def moses(self) -> dict[str, float | None]:
        """The figures by the names that the MOSES benchmark gives them."""
        figures = {
            "valid": self.valid,
            "unique@1000": self.unique_at_1k,
            "unique@10000": self.unique_at_10k,
            "IntDiv": self.internal_diversity,
            "IntDiv2": self.internal_diversity_2,
            "Filters": self.filters,
            "Novelty": self.novelty,
        }
        for name, comparison in self.references.items():
            figures[f"FCD/{name}"] = comparison.fcd
            figures |= {f"{label}/{name}": getattr(comparison, field) for field, label in _MOSES_NAMES.items()}
        return figures

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self) | {"moses": self.moses()}


class TableRow(NamedTuple):
    """One line of a table for the terminal: what, its values, and what is to be known of them."""

    label: str
    values: Sequence[str] = ()
    note: str = ""


def evaluate_rows(
    rows: Iterable[Row],
    reference_smiles: Sequence[str] | None = None,
    train_smiles: Iterable[str] | None = None,
    origin: str = "the reference",
    tell: Tell = lambda step: None,
    mapper: Mapper | None = None,
) -> SetFigures:
    """The figures of any texts, in some 400 bytes and 8 ms of processor time for each.

    reference_smiles: canonical; None takes the two test sets of MOSES. origin: what the reference is, in words.
    train_smiles: canonical, gone through once; None takes the training set of MOSES where its test sets are taken.
    mapper: applies functions to many molecules; None takes LocalProcesses().

    Raises:
        InputError: there is no text, or no molecule in the reference.
    """
    tell("reading the molecules")
    molecules = read_set(rows, mapper=mapper)
    if train_smiles is None and reference_smiles is None:
        train_smiles = read_moses_training_smiles()
    return measure(molecules, load_references(reference_smiles, origin, tell, mapper), train_smiles, tell)


def load_references(
    reference_smiles: Sequence[str] | None, origin: str, tell: Tell, mapper: Mapper | None = None
) -> Iterator[Reference]:
    """The two test sets of MOSES, one after the other so that only one fills memory, or the one of canonical SMILES.

    Raises:
        InputError: there is no molecule in the reference.
    """
    if reference_smiles is not None:
        yield Reference.of(reference_smiles, "reference", origin, tell, mapper)
        return
    for name, (_, what) in MOSES_REFERENCES.items():
        tell(f"reading {what}")
        yield load_moses_reference(name, mapper)


def measure(
    molecules: MoleculeSet, references: Iterable[Reference], train_smiles: Iterable[str] | None, tell: Tell
) -> SetFigures:
    """The figures of a set, beside each reference; without training molecules novelty is not known.

    Raises:
        InputError: there is no text in the set.
    """
    if not molecules.n:
        raise InputError("evaluate: expected at least one row, got none")
    smiles, n_valid = molecules.smiles, len(molecules.smiles)
    missing: dict[str, str] = {}
    figures: dict[str, Any] = dict.fromkeys(
        ("unique_at_1k", "unique_at_10k", "unique", "internal_diversity", "internal_diversity_2", "filters")
    )
    if n_valid:
        tell(f"comparing {n_valid:,} molecules with one another")
        n_objections = sum(molecules.objections.values())
        figures["unique_at_1k"], figures["unique_at_10k"], figures["unique"] = (
            uniqueness(smiles, at) for at in (1_000, 10_000, None)
        )
        figures["filters"] = 1 - n_objections / n_valid
        if n_valid > 1:
            figures["internal_diversity"], figures["internal_diversity_2"] = internal_diversities(molecules.bits)
    for name, value in figures.items():
        if value is None:
            missing[name] = "one valid molecule only" if n_valid else _NO_MOLECULE
    new, n_train = None, None
    if train_smiles is None:
        missing["novelty"] = "training set not known (--train FILE)"
    elif not n_valid:
        missing["novelty"] = _NO_MOLECULE
    else:
        tell("looking for the molecules in the training set")
        new, n_train = _novelty(smiles, train_smiles)
    if not n_valid:
        missing["references"] = _NO_MOLECULE
    compared = _compare(molecules, references, missing, tell) if n_valid else {}
    return SetFigures(
        n=molecules.n,
        n_valid=n_valid,
        valid=n_valid / molecules.n,
        invalid_reasons=molecules.invalid_reasons,
        novelty=new,
        n_train=n_train,
        objections=molecules.objections,
        references=compared,
        missing=missing,
        **figures,
    )


def format_figures(figures: SetFigures) -> list[TableRow]:
    """Table rows of all figures but the validity."""
    f = figures
    valid = f"the {f.n_valid:,} valid"
    firsts = [f"of {valid}, as there are no more" if f.n_valid < at else f"of the first {at:,}" for at in (1000, 10000)]
    refused = f"; refused for: {list_kinds(f.objections)}" if f.objections else ""

    def note(name: str, text: str) -> str:
        return f.missing.get(name, text)

    rows = [
        TableRow(f"The {f.n_valid:,} valid among themselves"),
        TableRow("  unique@1k", [percent(f.unique_at_1k)], note("unique_at_1k", firsts[0])),
        TableRow("  unique@10k", [percent(f.unique_at_10k)], note("unique_at_10k", firsts[1])),
        TableRow(
            "  novel", [percent(f.novelty)], note("novelty", f"of the distinct; training set of {f.n_train or 0:,}")
        ),
        TableRow(
            "  IntDiv", [plain(f.internal_diversity, 4)], note("internal_diversity", "1 - mean Tanimoto of pairs")
        ),
        TableRow(
            "  IntDiv2",
            [plain(f.internal_diversity_2, 4)],
            note("internal_diversity_2", "the same of squared similarities"),
        ),
        TableRow(
            "  pass the filters", [percent(f.filters)], note("filters", f"MCF, PAINS, elements, charge, rings{refused}")
        ),
    ]
    if f.references:
        rows += _comparison_rows(f)
    return rows


def lay_out(title: str, rows: Sequence[TableRow]) -> str:
    """Rows as text for the terminal, under a title."""
    width = max(len(row.label) for row in rows if row.values)
    lines = [
        "  ".join([f"{row.label:<{width}}", *(f"{value:>9}" for value in row.values), row.note]).rstrip()
        for row in rows
    ]
    return "\n".join([title, *lines])


def list_kinds(counts: Mapping[str, int]) -> str:
    """Kinds with how often each was met."""
    return ", ".join(f"{kind} ({count:,})" for kind, count in counts.items())


def percent(share: float | None) -> str:
    """A share for a table."""
    return "-" if share is None else f"{100 * share:.2f} %"


def plain(value: float | None, digits: int = 3) -> str:
    """A number for a table."""
    return "-" if value is None else f"{value:.{digits}f}"


def _novelty(smiles: Sequence[str], train_smiles: Iterable[str]) -> tuple[float, int]:
    """The novelty, and how many training molecules there were; they are never held in memory."""
    n = 0

    def counted() -> Iterator[str]:
        nonlocal n
        for text in train_smiles:
            n += 1
            yield text

    share = novelty(smiles, counted())
    if not n:
        raise InputError("training set: expected at least one molecule, got none")
    return share, n


def _compare(
    molecules: MoleculeSet, references: Iterable[Reference], missing: dict[str, str], tell: Tell
) -> dict[str, Comparison]:
    found: dict[str, dict[str, Any]] = {}
    statistics = []
    for reference in references:
        tell(f"comparing {len(molecules.smiles):,} molecules with {reference.origin}")
        found[reference.name] = _compare_counts(molecules, reference)
        statistics.append(reference.statistics)
    tell(f"measuring the Fréchet ChemNet distance of {len(molecules.smiles):,} molecules")
    distances = iter(fcd(molecules.smiles, *(one for one in statistics if one is not None)))
    for (name, figures), one in zip(found.items(), statistics, strict=True):
        figures["fcd"] = None if one is None else next(distances)
        for figure, value in figures.items():
            if value is not None:
                continue
            if figure == "fcd":
                why = "needs two valid molecules" if one is not None else "needs two reference molecules"
            elif figure == "scaffolds":
                why = "no scaffold of two rings on one side"
            else:
                why = "could not be computed for any molecule"
            missing[f"{figure}/{name}"] = why
    return {name: Comparison(**figures) for name, figures in found.items()}


def _compare_counts(molecules: MoleculeSet, reference: Reference) -> dict[str, Any]:
    ours, theirs = molecules.distribution, reference.distribution
    snn = nearest_similarities(molecules.bits, reference.bits)
    figures: dict[str, Any] = {
        "origin": reference.origin,
        "n": theirs.n,
        "fcd": None,
        "snn": float(snn.mean()),
        "fragments": _cosine(ours.fragments, theirs.fragments),
        "scaffolds": _cosine(ours.scaffolds, theirs.scaffolds),
    }
    for name in PROPERTY_NAMES:
        pair = ours.properties[name], theirs.properties[name]
        figures[name] = float(wasserstein_distance(*pair)) if len(pair[0]) and len(pair[1]) else None
    return figures


def _cosine(a: Mapping[str, int], b: Mapping[str, int]) -> float | None:
    return cosine(a, b) if a and b else None


def _comparison_rows(f: SetFigures) -> Iterator[TableRow]:
    names = list(f.references)

    def row(label: str, field: str, note: str, digits: int = 4) -> TableRow:
        values = [plain(getattr(comparison, field), digits) for comparison in f.references.values()]
        reasons = dict.fromkeys(f.missing[f"{field}/{name}"] for name in names if f"{field}/{name}" in f.missing)
        return TableRow(label, values, "; ".join(reasons) or note)

    yield TableRow("Beside reference molecules", names)
    yield TableRow("  how many", [f"{comparison.n:,}" for comparison in f.references.values()])
    yield row(f"  FCD at {f.n_valid:,}", "fcd", "lower is better; compare at equal numbers only", 3)
    yield row("  SNN", "snn", "mean Tanimoto to the most similar reference")
    yield row("  Frag", "fragments", "cosine of BRICS fragment counts")
    yield row("  Scaf", "scaffolds", "cosine of Bemis-Murcko scaffold counts, two rings or more")
    yield row("  logP", "logp", "Wasserstein distance; lower is better", 3)
    yield row("  SA", "sa_score", "Wasserstein distance; score from 1 to 10", 3)
    yield row("  QED", "qed", "Wasserstein distance; from 0 to 1")
    yield row("  molecular weight", "mol_weight", "Wasserstein distance; Da", 2)
    for name, comparison in f.references.items():
        yield TableRow(f"  {name}: {comparison.origin}")
    if "Test" in f.references and f.references["Test"].fcd is not None:
        near, floor = fcd_floor(f.n_valid)
        yield TableRow(
            "  The FCD depends on how many molecules are measured: "
            f"{near:,} of the MOSES training set have {floor:.2f} to Test."
        )
