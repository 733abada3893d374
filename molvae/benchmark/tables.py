"""The metrics of a codec or of a file as text tables for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from molvae.benchmark.comparison import SetMetrics
from molvae.benchmark.evaluate import ACTIVE_VARIANCE, BEAM_SIZE, Evaluation
from molvae.benchmark.fcd import fcd_floor


class _Line(NamedTuple):
    """A line of a table: label, values and note."""

    label: str
    values: Sequence[str] = ()
    note: str = ""


def format_evaluation(evaluation: Evaluation) -> str:
    """The metrics of a codec as a table.

    Parameters
    ----------
    evaluation : Evaluation
        Result of `evaluate`.

    Returns
    -------
    str
        The table, one line per metric.
    """
    e = evaluation
    active = "-" if e.active_units is None else f"{e.active_units} / {e.n_latent}"
    active_note = "needs two latent vectors" if e.active_units is None else f"variance above {ACTIVE_VARIANCE:g}"
    lines = [
        _Line(f"Reconstruction of {e.n_test:,} test molecules"),
        _Line("  exact", [_percent(e.exact)], "greedy decoding gives the encoded SMILES"),
        _Line("  same molecule", [_percent(e.canonical)], "greedy decoding gives the same canonical SMILES"),
        _Line(
            f"  beam search of {BEAM_SIZE}", [_percent(e.canonical_of_8)], "same molecule, nearest to the latent vector"
        ),
        _Line("  not encoded", [f"{e.n_unreadable:,}"], _list_kinds(e.unreadable_reasons)),
        _Line("  active units", [active], active_note),
        _Line(f"{e.n_samples:,} samples of the prior, seed {e.seed}"),
        _Line("  valid, first try", [_percent(e.valid_first)]),
        _Line(f"  valid, {e.tries} tries", [_percent(e.samples.valid)], _list_kinds(e.samples.invalid_reasons)),
        _Line("  reconstructed", [_percent(e.samples_reconstructed)], "of the valid samples, by greedy decoding"),
        _Line("  prior cosine", [_number(e.prior_cosine)], "mean cosine similarity of prior draws and encoded samples"),
        *_set_lines(e.samples),
    ]
    return _lay_out(f"Codec {e.codec}", lines)


def format_file_metrics(name: str, metrics: SetMetrics) -> str:
    """The metrics of a file of SMILES as a table.

    Parameters
    ----------
    name : str
        Name of the file.
    metrics : SetMetrics
        Result of `evaluate_smiles`.

    Returns
    -------
    str
        The table, one line per metric.
    """
    lines = [
        _Line(f"{metrics.n:,} rows"),
        _Line("  valid", [_percent(metrics.valid)], _list_kinds(metrics.invalid_reasons)),
        *_set_lines(metrics),
    ]
    return _lay_out(f"File {name}", lines)


def _set_lines(m: SetMetrics) -> Iterator[_Line]:
    """All metrics of a set except the validity."""

    def line(label: str, field: str, value: str, note: str) -> _Line:
        return _Line(label, [value], m.missing.get(field, note))

    def first(at: int) -> str:
        return f"of the first {at:,}" if m.n_valid >= at else f"of all {m.n_valid:,}"

    failed = f"; failed: {_list_kinds(m.failed_filters)}" if m.failed_filters else ""
    yield _Line(f"{m.n_valid:,} valid molecules")
    yield line("  unique@1k", "unique_at_1k", _percent(m.unique_at_1k), first(1_000))
    yield line("  unique@10k", "unique_at_10k", _percent(m.unique_at_10k), first(10_000))
    novelty_note = f"of the unique molecules; training set of {m.n_train or 0:,}"
    yield line("  novelty", "novelty", _percent(m.novelty), novelty_note)
    diversity_note = "1 - mean Tanimoto similarity of all pairs"
    yield line("  IntDiv", "internal_diversity", _number(m.internal_diversity, 4), diversity_note)
    second_note = "the same with root mean square similarities"
    yield line("  IntDiv2", "internal_diversity_2", _number(m.internal_diversity_2, 4), second_note)
    yield line("  filters", "filters", _percent(m.filters), f"pass MCF, PAINS, elements, charge and ring size{failed}")
    if m.references:
        yield from _comparison_lines(m)


def _comparison_lines(m: SetMetrics) -> Iterator[_Line]:
    names = list(m.references)

    def line(label: str, field: str, note: str, digits: int = 4) -> _Line:
        values = [_number(getattr(comparison, field), digits) for comparison in m.references.values()]
        reasons = dict.fromkeys(m.missing[f"{field}/{name}"] for name in names if f"{field}/{name}" in m.missing)
        return _Line(label, values, "; ".join(reasons) or note)

    yield _Line("Against reference sets", names)
    yield _Line("  molecules", [f"{comparison.n:,}" for comparison in m.references.values()])
    yield line(f"  FCD of {m.n_valid:,}", "fcd", "lower is better; depends on the number of molecules", 3)
    yield line("  SNN", "snn", "mean Tanimoto similarity to the most similar reference molecule")
    yield line("  Frag", "fragments", "cosine similarity of BRICS fragment counts")
    yield line("  Scaf", "scaffolds", "cosine similarity of Bemis-Murcko scaffold counts, two rings or more")
    yield line("  logP", "logp", "Wasserstein distance; lower is better", 3)
    yield line("  SA score", "sa_score", "Wasserstein distance; lower is better", 3)
    yield line("  QED", "qed", "Wasserstein distance; lower is better")
    yield line("  molecular weight", "mol_weight", "Wasserstein distance in Da; lower is better", 2)
    for name, comparison in m.references.items():
        yield _Line(f"  {name}: {comparison.origin}")
    if "Test" in m.references and m.references["Test"].fcd is not None:
        near, floor = fcd_floor(m.n_valid)
        yield _Line(
            f"  For comparison: {near:,} molecules of the MOSES training set have an FCD of {floor:.2f} to Test."
        )


def _lay_out(title: str, lines: Sequence[_Line]) -> str:
    width = max(len(line.label) for line in lines if line.values)
    text = [
        "  ".join([f"{line.label:<{width}}", *(f"{value:>9}" for value in line.values), line.note]).rstrip()
        for line in lines
    ]
    return "\n".join([title, *text])


def _list_kinds(counts: Mapping[str, int]) -> str:
    """Kinds of reasons with their counts."""
    return ", ".join(f"{kind} ({count:,})" for kind, count in counts.items())


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
