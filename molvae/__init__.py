"""Molecular design in the latent space of autoencoders: encode, decode, sample, search and score molecules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molvae.benchmark.comparison import evaluate_smiles
    from molvae.benchmark.evaluate import evaluate
    from molvae.benchmark.files import evaluate_file
    from molvae.candidates.build import build_candidates
    from molvae.candidates.comparison import Comparison, compare_candidates
    from molvae.candidates.explanation import Explanation, explain
    from molvae.candidates.files import read_candidates, write_candidates
    from molvae.candidates.selection import Selection, pick_candidates
    from molvae.checks.run import check_molecules
    from molvae.checks.settings import ChecksSettings
    from molvae.chem.molecule_table import MoleculeTable
    from molvae.codec import Codec, load_codec
    from molvae.estimators import AutoencoderTransformer, CodecTransformer, FingerprintTransformer
    from molvae.report.report import Report, write_report
    from molvae.search.loop import optimize
    from molvae.search.result import SearchResult
    from molvae.search.search import Search
    from molvae.search.settings import SearchSettings
    from molvae.training import featurize, refit_codec, sweep_latent_sizes, train_codec

    __version__: str

_HOME = {
    "AutoencoderTransformer": "molvae.estimators",
    "ChecksSettings": "molvae.checks.settings",
    "Codec": "molvae.codec",
    "CodecTransformer": "molvae.estimators",
    "Comparison": "molvae.candidates.comparison",
    "Explanation": "molvae.candidates.explanation",
    "FingerprintTransformer": "molvae.estimators",
    "MoleculeTable": "molvae.chem.molecule_table",
    "Report": "molvae.report.report",
    "Search": "molvae.search.search",
    "SearchResult": "molvae.search.result",
    "SearchSettings": "molvae.search.settings",
    "Selection": "molvae.candidates.selection",
    "build_candidates": "molvae.candidates.build",
    "check_molecules": "molvae.checks.run",
    "compare_candidates": "molvae.candidates.comparison",
    "evaluate": "molvae.benchmark.evaluate",
    "evaluate_file": "molvae.benchmark.files",
    "evaluate_smiles": "molvae.benchmark.comparison",
    "explain": "molvae.candidates.explanation",
    "featurize": "molvae.training.featurizing",
    "load_codec": "molvae.codec",
    "optimize": "molvae.search.loop",
    "pick_candidates": "molvae.candidates.selection",
    "read_candidates": "molvae.candidates.files",
    "refit_codec": "molvae.training.codec_training",
    "sweep_latent_sizes": "molvae.training.latent_sizes",
    "train_codec": "molvae.training.codec_training",
    "write_candidates": "molvae.candidates.files",
    "write_report": "molvae.report.report",
}

__all__ = [
    "AutoencoderTransformer",
    "ChecksSettings",
    "Codec",
    "CodecTransformer",
    "Comparison",
    "Explanation",
    "FingerprintTransformer",
    "MoleculeTable",
    "Report",
    "Search",
    "SearchResult",
    "SearchSettings",
    "Selection",
    "build_candidates",
    "check_molecules",
    "compare_candidates",
    "evaluate",
    "evaluate_file",
    "evaluate_smiles",
    "explain",
    "featurize",
    "load_codec",
    "optimize",
    "pick_candidates",
    "read_candidates",
    "refit_codec",
    "sweep_latent_sizes",
    "train_codec",
    "write_candidates",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: training needs neither RDKit nor Prefect."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("molvae")
    raise AttributeError(f"module 'molvae' has no attribute {name!r}")
