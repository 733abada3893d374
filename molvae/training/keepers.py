"""Storage of the checkpoint, the best weights and the log of a training run: a folder or memory."""

import json
from pathlib import Path
from typing import Protocol, TypedDict

import torch
from torch import Tensor

from molvae.autoencoder import Autoencoder
from molvae.files import write_text
from molvae.training.checkpoint import LoopState, load_checkpoint, load_pieces, save_checkpoint, save_pieces

LOG_NAME = "log.jsonl"
BEST_NAME = "best.json"
START_NAME = "start.json"


class LogEntry(TypedDict):
    """One validation, a line of the log.

    Parameters
    ----------
    step : int
        Steps so far.
    molecules : int
        Molecules shown so far, over all epochs.
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
    """Keeps the state of a training run."""

    def restore(self, model: Autoencoder, optimizer: torch.optim.Optimizer) -> tuple[int, LoopState] | None:
        """Load the state of an interrupted training run into model and optimizer.

        Parameters
        ----------
        model : Autoencoder
            The model, changed in place.
        optimizer : torch.optim.Optimizer
            Its optimizer, changed in place.

        Returns
        -------
        tuple of (int, LoopState) or None
            Steps so far and the state of the training loop; None if nothing was kept.
        """
        ...

    def keep(
        self, entry: LogEntry, state: LoopState, model: Autoencoder, optimizer: torch.optim.Optimizer, is_best: bool
    ) -> None:
        """Keep the state after a validation.

        Parameters
        ----------
        entry : LogEntry
            The validation.
        state : LoopState
            State of the training loop.
        model : Autoencoder
            The model.
        optimizer : torch.optim.Optimizer
            Its optimizer.
        is_best : bool
            Whether its validation loss is the lowest so far.
        """
        ...

    def log(self) -> list[LogEntry]:
        """All entries so far."""
        ...

    def best_weights(self) -> dict[str, Tensor]:
        """The weights of the best validation."""
        ...


class MemoryKeeper:
    """Keeps the best weights and the log in memory."""

    def __init__(self) -> None:
        self._log: list[LogEntry] = []
        self._best: dict[str, Tensor] = {}

    def restore(self, model: Autoencoder, optimizer: torch.optim.Optimizer) -> tuple[int, LoopState] | None:
        """None: there is no earlier state in memory."""
        return None

    def keep(
        self, entry: LogEntry, state: LoopState, model: Autoencoder, optimizer: torch.optim.Optimizer, is_best: bool
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
    """Keeps the state in a folder, so that a training run that is interrupted at any moment resumes exactly.

    Parameters
    ----------
    folder : Path
        The folder of the training run.
    is_first : bool, default=True
        Whether this process writes; the other data-parallel processes only read.
    """

    def __init__(self, folder: Path, is_first: bool = True) -> None:
        self._folder, self._is_first = folder, is_first

    def set_start(self, model: Autoencoder | None, origin: str = "") -> None:
        """Keep the initial weights.

        Parameters
        ----------
        model : Autoencoder or None
            A model with these weights; None: they are random.
        origin : str, default=""
            Where the weights come from.
        """
        if model is None:  # a killed training run may have left initial weights here
            (self._folder / START_NAME).unlink(missing_ok=True)
        else:
            save_pieces(self._folder / START_NAME, _weights(model), {"origin": origin})

    @property
    def origin(self) -> str:
        """Where the initial weights come from; empty if they are random."""
        index = self._folder / START_NAME
        return str(json.loads(index.read_text(encoding="utf-8"))["origin"]) if index.exists() else ""

    def restore(self, model: Autoencoder, optimizer: torch.optim.Optimizer) -> tuple[int, LoopState] | None:
        """Load the checkpoint, or else the initial weights; drop log entries that are newer than the checkpoint."""
        if (self._folder / START_NAME).exists():
            model.load_state_dict(load_pieces(self._folder / START_NAME)[0])
        found = load_checkpoint(self._folder, model, optimizer)
        if self._is_first:
            step = found[0] if found else 0
            lines = [json.dumps(entry) + "\n" for entry in self.log() if entry["step"] <= step]
            write_text(self._folder / LOG_NAME, "".join(lines))
        return found

    def keep(
        self, entry: LogEntry, state: LoopState, model: Autoencoder, optimizer: torch.optim.Optimizer, is_best: bool
    ) -> None:
        """Write the entry, the checkpoint, and the weights if they are the best."""
        if not self._is_first:
            return
        if is_best:
            save_pieces(self._folder / BEST_NAME, _weights(model))
        with (self._folder / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        save_checkpoint(self._folder, entry["step"], state, model, optimizer)

    def log(self) -> list[LogEntry]:
        """All entries so far."""
        path = self._folder / LOG_NAME
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def best_weights(self) -> dict[str, Tensor]:
        """The weights of the best validation."""
        return load_pieces(self._folder / BEST_NAME)[0]


def _weights(model: Autoencoder) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
