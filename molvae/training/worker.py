"""An additional process of a data-parallel training run; started by `parallel.ranks`, never by a user."""

import json
import signal
import sys
from pathlib import Path

from molvae.features.store import FeatureStore
from molvae.training import parallel
from molvae.training.config import TrainConfig
from molvae.training.keepers import FolderKeeper
from molvae.training.trainer import CONFIG_NAME, fit


def main(task: parallel.Task) -> None:
    """Train as one of the data-parallel processes, without output.

    Parameters
    ----------
    task : Task
        Folders, file store and rank; the settings are read from the folder of the training run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work = Path(task["work"])
    rank = parallel.Rank(task["rank"], task["n"])
    config = TrainConfig.from_toml(work / CONFIG_NAME)
    parallel.join(task["store"], rank)
    for _ in fit(config, FeatureStore.open(Path(task["features"])), FolderKeeper(work, is_first=False), rank):
        pass


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
