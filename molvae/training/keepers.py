"""What outlasts a step of training: the state to go on from, the best weights, the log; in a folder or in memory."""

import json
from pathlib import Path
from typing import Protocol, TypedDict

import torch
from torch import Tensor

from molvae.autoencoder import Autoencoder
from molvae.files import write_text
from molvae.training.checkpoint import load_checkpoint, load_pieces, save_checkpoint, save_pieces

LOG_NAME = "log.jsonl"
BEST_NAME = "best.json"
START_NAME = "start.json"

Facts = dict[str, float]
"""seconds: trained so far; best: the lowest validation loss; waited: validations since it."""


class LogEntry(TypedDict):
    """One validation of a training, a line of the log.

    Parameters
    ----------
    step : int
        Steps so far.
    molecules : int
        Molecules shown so far.
    learning_rate : float
        Learning rate of the last step.
    train : dict of str to float
        Mean of each unweighted term since the last validation.
    validation : dict of str to float
        Mean of each unweighted term over the held-out molecules, the weighted "loss", "exact" (share reconstructed
        exactly) and "active_units".
    seconds : float
        Training time so far, over all resumes.
    seconds_left : float
        Estimate of the remaining training time.
    """

    step: int
    molecules: int
    learning_rate: float
    train: dict[str, float]
    validation: dict[str, float]
    seconds: float
    seconds_left: float


class Keeper(Protocol):
    """Where a training run leaves what outlasts it."""

    def begin(self, model: Autoencoder, optimizer: torch.optim.Optimizer) -> tuple[int, Facts] | None:
        """Put model and optimizer where an earlier attempt left them: its step and facts; None where there is none."""
        ...

    def keep(
        self, entry: LogEntry, facts: Facts, model: Autoencoder, optimizer: torch.optim.Optimizer, is_best: bool
    ) -> None:
        """Keep a validated step."""
        ...

    def log(self) -> list[LogEntry]:
        """All entries so far."""
        ...

    def best_weights(self) -> dict[str, Tensor]:
        """The weights of the best validation."""
        ...


class MemoryKeeper:
    """Keeps the best weights and the log while the process lives."""

    def __init__(self) -> None:
        self._log: list[LogEntry] = []
        self._best: dict[str, Tensor] = {}

    def begin(self, model: Autoencoder, optimizer: torch.optim.Optimizer) -> tuple[int, Facts] | None:
        """Nothing was kept."""
        return None

    def keep(
        self, entry: LogEntry, facts: Facts, model: Autoencoder, optimizer: torch.optim.Optimizer, is_best: bool
    ) -> None:
        """Keep the entry, and the weights if they are the best."""
        self._log.append(entry)
        if is_best:
            self._best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}

    def log(self) -> list[LogEntry]:
        """All entries so far."""
        return self._log

    def best_weights(self) -> dict[str, Tensor]:
        """The weights of the best validation."""
        return self._best


class FolderKeeper:
    """Keeps everything in a folder, so that a run which ends at any moment goes on exactly.

    is_first: whether this process writes; those beside it only read what they begin from.
    """

    def __init__(self, folder: Path, is_first: bool = True) -> None:
        self._folder, self._is_first = folder, is_first

    def set_start(self, model: Autoencoder | None, origin: str = "") -> None:
        """Weights to begin from; origin: whose they are, in words. None: it begins at random."""
        if model is None:  # what a run left that was killed before it began must not be taken for its start
            (self._folder / START_NAME).unlink(missing_ok=True)
        else:
            save_pieces(self._folder / START_NAME, _weights(model), {"origin": origin})

    @property
    def origin(self) -> str:
        """Whose weights the run began from; empty where it began at random."""
        index = self._folder / START_NAME
        return str(json.loads(index.read_text(encoding="utf-8"))["origin"]) if index.exists() else ""

    def begin(self, model: Autoencoder, optimizer: torch.optim.Optimizer) -> tuple[int, Facts] | None:
        """The newest checkpoint, else the weights to begin from; later entries leave the log, to be made again."""
        if (self._folder / START_NAME).exists():
            model.load_state_dict(load_pieces(self._folder / START_NAME)[0])
        found = load_checkpoint(self._folder, model, optimizer)
        if self._is_first:
            step = found[0] if found else 0
            lines = [json.dumps(entry) + "\n" for entry in self.log() if entry["step"] <= step]
            write_text(self._folder / LOG_NAME, "".join(lines))
        return found

    def keep(
        self, entry: LogEntry, facts: Facts, model: Autoencoder, optimizer: torch.optim.Optimizer, is_best: bool
    ) -> None:
        """Write the entry, the checkpoint, and the weights if they are the best."""
        if not self._is_first:
            return
        if is_best:
            save_pieces(self._folder / BEST_NAME, _weights(model))
        with (self._folder / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        save_checkpoint(self._folder, entry["step"], facts, model, optimizer)

    def log(self) -> list[LogEntry]:
        """All entries so far."""
        path = self._folder / LOG_NAME
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def best_weights(self) -> dict[str, Tensor]:
        """The weights of the best validation."""
        return load_pieces(self._folder / BEST_NAME)[0]


def _weights(model: Autoencoder) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
