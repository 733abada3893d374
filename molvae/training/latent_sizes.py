"""A sweep over latent sizes in a folder: settings and features in, table and plot out; an interrupted one resumes."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from molvae.errors import InputError
from molvae.features.store import SPEC_NAME, FeatureStore
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, load_featurizer
from molvae.files import sha256_of, write_text
from molvae.folders import new_folder
from molvae.training.config import TrainConfig, read_config
from molvae.training.feature_checks import check_representations
from molvae.training.keepers import LogEntry
from molvae.training.progress import Notify, Progress, Report, ignore
from molvae.training.sweep import TABLE_NAME, SweepResult, check_sizes, read_table, small, sweep, write_table

_MAX_MOLECULES = 200_000
_SETTINGS_NAME = "settings.json"


def sweep_latent_sizes(
    config: TrainConfig | str | Path,
    features: str | Path,
    sizes: Sequence[int],
    out: str | Path,
    *,
    n_molecules: int | None = None,
    progress: Report | None = None,
    notify: Notify | None = None,
) -> SweepResult:
    """Train one recipe at each latent size, on few molecules, and compare its reconstruction with that of PCA.

    Until the sweep is complete, OUT.partial holds the finished sizes; the same call resumes it.

    Parameters
    ----------
    config : TrainConfig, str or Path
        The settings: an object, a TOML file, or the name of a bundled one; `n_latent` is not used.
    features : str or Path
        A features folder; see `molvae.featurize`.
    sizes : sequence of int
        Latent sizes from 1 to 1024.
    out : str or Path
        The new folder for sweep.csv, sweep.json, sweep.svg and sweep.png.
    n_molecules : int or None
        Molecules shown at each size; None takes those of the settings, at most 200,000.
    progress : callable or None
        Called with the progress after each validation; after each size, its metrics are the row of the table.
    notify : callable or None
        Called with each note as it occurs.

    Returns
    -------
    SweepResult
        The table, the intrinsic dimension of the data and the knee of the curve.

    Raises
    ------
    InputError
        Settings, features, sizes or folders cannot be used, or OUT.partial belongs to another sweep.

    Examples
    --------
    >>> import molvae
    >>> result = molvae.sweep_latent_sizes("small.toml", "features", [8, 16, 32, 64], "sizes")  # doctest: +SKIP
    >>> result.knee  # doctest: +SKIP
    32
    """
    progress, notify = progress or ignore, notify or ignore
    features, out = Path(features), Path(out)
    sizes = check_sizes(sizes)
    settings = read_config(config)
    settings = small(settings, n_molecules or min(settings.training.n_molecules, _MAX_MOLECULES))
    store = FeatureStore.open(features)
    if "features" in settings.model_fields_set and (features / FEATURIZER_NAME).exists():
        view = load_featurizer(features / VIEW_NAME) if store.view_spec else None
        check_representations(settings.features, load_featurizer(features / FEATURIZER_NAME), view, features)
    partial = out.absolute().with_name(f"{out.name}.partial")
    with new_folder(out) as folder:
        finished = _finished(partial, settings, features)
        done = [size for size in sizes if finished is not None and size in set(finished["size"])]
        if done:
            notify(f"sizes finished before: {', '.join(map(str, done))}")
        per_size = settings.training.n_molecules
        total, n_finished = per_size * (len(sizes) - len(done)), 0
        progress(Progress("sweep", 0, total))

        def report(size: int, entry: LogEntry) -> None:
            progress(Progress("sweep", n_finished * per_size + min(entry["molecules"], per_size), total))

        def keep(table: pd.DataFrame) -> None:
            nonlocal n_finished
            write_table(table, partial / TABLE_NAME)
            n_finished += 1
            last = table.drop(columns="stopped").iloc[-1]
            metrics = {str(name): float(value) for name, value in last.items()}
            progress(Progress("sweep", n_finished * per_size, total, metrics))

        result = sweep(settings, store, sizes, finished=finished, report=report, keep=keep)
        result.save(folder)
    shutil.rmtree(partial)
    return result


def _finished(partial: Path, settings: TrainConfig, features: Path) -> pd.DataFrame | None:
    """The table of an interrupted sweep with the same settings and features; None if there is none.

    Raises
    ------
    InputError
        The folder belongs to another sweep.
    """
    data = {path.name: sha256_of(path) for path in sorted(features.glob("*.npy"))}
    key = {
        "settings": settings.model_dump(mode="json", exclude={"model": {"n_latent"}}),
        "features": {SPEC_NAME: sha256_of(features / SPEC_NAME), **data},
    }
    text = json.dumps(key, indent=1) + "\n"
    path = partial / _SETTINGS_NAME
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{partial}: holds an interrupted sweep with other settings or features; "
            "use the same ones to resume it, or remove that folder"
        )
    partial.mkdir(exist_ok=True)
    write_text(path, text)
    return read_table(partial / TABLE_NAME) if (partial / TABLE_NAME).exists() else None
