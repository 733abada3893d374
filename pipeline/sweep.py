"""Behind `molvae sweep`: a features folder and settings in, the curve of reconstruction over the code's size out."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from molvae.errors import InputError
from molvae.features.store import SPEC_NAME, FeatureStore
from molvae.features.views import FEATURIZER_NAME, VIEW_NAME, load_featurizer
from molvae.files import sha256_of, write_text
from molvae.folders import new_folder
from molvae.training.config import TrainConfig
from molvae.training.sweep import TABLE_NAME, SweepResult, read_sizes, read_table, small, sweep, write_table

from . import terminal
from .train import check_forms, find_config

_USUAL_MOLECULES = 200_000
_SETTINGS_NAME = "settings.json"


def sweep_features(config: Path, features: Path, sizes: str, out: Path, n_molecules: int | None) -> SweepResult:
    """The sweep, written to the new folder `out`; until then finished sizes stand in OUT.partial, to be gone on with.

    n_molecules: shown at each size; None: as many as the settings say, at most 200,000.

    Raises:
        InputError: settings, features, sizes or folders cannot be used, or OUT.partial belongs to another sweep.
    """
    chosen = read_sizes(sizes)
    settings = TrainConfig.from_toml(find_config(config))
    settings = small(settings, n_molecules or min(settings.training.n_molecules, _USUAL_MOLECULES))
    store = FeatureStore.open(features)
    if "features" in settings.model_fields_set and (features / FEATURIZER_NAME).exists():
        view = load_featurizer(features / VIEW_NAME) if store.view_spec else None
        check_forms(settings.features, load_featurizer(features / FEATURIZER_NAME), view, features)
    partial = out.absolute().with_name(f"{out.name}.partial")
    with new_folder(out) as folder:
        finished = _finished(partial, settings, features)
        done = [size for size in chosen if finished is not None and size in set(finished["size"])]
        if done:
            terminal.say(f"  sizes finished before: {', '.join(map(str, done))}")
        total = settings.training.n_molecules
        with terminal.bar("sweep", total * (len(chosen) - len(done)), "molecules") as bar:
            shown = 0

            def report(size: int, entry: dict[str, Any]) -> None:
                nonlocal shown
                bar.advance(entry["molecules"] - shown)
                shown = entry["molecules"]

            def keep(table: pd.DataFrame) -> None:
                nonlocal shown
                write_table(table, partial / TABLE_NAME)
                bar.advance(total - shown)  # where training stopped early
                shown = 0
                row = table.iloc[-1]
                line = f"size {row['size']}: {row['rebuilt']:.1%} rebuilt, {row['rebuilt_pca']:.1%} by PCA"
                terminal.say(f"  {line}, {terminal.elapsed(row['seconds'])}")

            result = sweep(settings, store, chosen, finished=finished, report=report, keep=keep)
        result.save(folder)
    shutil.rmtree(partial)
    return result


def _finished(partial: Path, settings: TrainConfig, features: Path) -> pd.DataFrame | None:
    """The sizes that an earlier attempt with the same settings and features has finished; None where there are none.

    Raises:
        InputError: the folder belongs to another sweep.
    """
    data = {path.name: sha256_of(path) for path in sorted(features.glob("*.npy"))}
    key = {
        "settings": settings.model_dump(mode="json", exclude={"model": {"n_latent"}}),
        "features": {SPEC_NAME: sha256_of(features / SPEC_NAME), **data},
    }
    text = json.dumps(key, indent=1) + "\n"
    place = partial / _SETTINGS_NAME
    if place.exists() and place.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{partial}: holds a sweep that was stopped, with other settings or features; "
            "take those again to go on, or remove that folder"
        )
    partial.mkdir(exist_ok=True)
    write_text(place, text)
    return read_table(partial / TABLE_NAME) if (partial / TABLE_NAME).exists() else None
