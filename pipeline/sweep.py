"""The work of `molvae sweep`: the sweep of latent sizes, with its progress on the terminal."""

from pathlib import Path

from molvae.training.latent_sizes import sweep_latent_sizes
from molvae.training.progress import Progress
from molvae.training.sweep import SweepResult, read_sizes

from . import terminal
from .progress import bars


def sweep_features(config: Path, features: Path, sizes: str, out: Path, n_molecules: int | None) -> SweepResult:
    """Sweep latent sizes; see `molvae.sweep_latent_sizes`.

    Parameters
    ----------
    config : Path
        The settings, a TOML file.
    features : Path
        The features folder.
    sizes : str
        Latent sizes, such as "2,4,8".
    out : Path
        The new folder for table and plot.
    n_molecules : int or None
        Number of training molecules at each size; None: as in the settings, at most 200,000.

    Returns
    -------
    SweepResult
        The table, the intrinsic dimension of the data and the knee of the curve.
    """
    with bars() as show:

        def report(progress: Progress) -> None:
            show(progress)
            row = progress.metrics
            if "size" in row:
                model, pca = row["reconstructed"], row["reconstructed_pca"]
                line = f"size {int(row['size'])}: {model:.1%} reconstructed, {pca:.1%} by PCA"
                terminal.show(f"  {line}, {terminal.elapsed(row['seconds'])}")

        return sweep_latent_sizes(
            config,
            features,
            read_sizes(sizes),
            out,
            n_molecules=n_molecules,
            progress=report,
            notify=lambda note: terminal.show(f"  {note}"),
        )
