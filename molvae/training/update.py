"""One training step: forward pass, gradients and optimizer; on a GPU replayed as a CUDA graph."""

import numpy as np
import torch
from torch import Tensor

from molvae.autoencoder import Autoencoder
from molvae.autoencoder.trace import Batch
from molvae.devices import autocast
from molvae.errors import MolvaeError, first_line
from molvae.training.batches import Batches
from molvae.training.config import TrainingSettings
from molvae.training.parallel import Rank
from molvae.training.schedules import learning_rate_factor, warmed_weight

_N_EAGER = 3  # steps on a GPU before the first capture, which must not contain one-time allocations


def optimizer_of(model: Autoencoder, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer of a training run.

    Parameters
    ----------
    model : Autoencoder
        The model, on the training device.
    settings : TrainingSettings
        Learning rate and weight decay.

    Returns
    -------
    torch.optim.Optimizer
        AdamW.
    """
    device = next(model.parameters()).device
    is_gpu = device.type == "cuda"
    rate = torch.tensor(settings.learning_rate, device=device) if is_gpu else settings.learning_rate
    return torch.optim.AdamW(
        model.parameters(),
        rate,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.99),
        fused=True,
        capturable=is_gpu,
    )


def weights_of(settings: TrainingSettings, names: tuple[str, ...], done: float = 1.0) -> list[float]:
    """The weight of each term.

    Parameters
    ----------
    settings : TrainingSettings
        Weights and their warmup.
    names : tuple of str
        The terms.
    done : float, default=1.0
        Completed fraction of the training.

    Returns
    -------
    list of float
        One weight per term, in order.
    """
    return [
        warmed_weight(done, settings.weights.get(name, 1.0), settings.weight_warmup.get(name, 0.0)) for name in names
    ]


class Update:
    """Training steps, one per call.

    A step of small matrices launches about a thousand kernels, and a GPU runs them faster than the CPU launches them.
    On a GPU that holds the rows, the step of each batch width is therefore captured once as a CUDA graph, from the row
    numbers to the new weights, and replayed.

    Parameters
    ----------
    model : Autoencoder
        The model, on the training device.
    optimizer : torch.optim.Optimizer
        Its optimizer.
    settings : TrainingSettings
        The settings of the training run.
    batches : Batches
        The rows.
    rank : Rank
        The position of this process among the data-parallel processes.
    captures : bool, default=True
        Whether to capture steps on a GPU.
    """

    def __init__(
        self,
        model: Autoencoder,
        optimizer: torch.optim.Optimizer,
        settings: TrainingSettings,
        batches: Batches,
        rank: Rank,
        *,
        captures: bool = True,
    ) -> None:
        self._model, self._optimizer, self._settings = model, optimizer, settings
        self._batches, self._rank = batches, rank
        self._device = next(model.parameters()).device
        self._captures = captures and self._device.type == "cuda" and batches.are_resident
        self._draws = torch.Generator(self._device)
        self._weights = torch.zeros(len(model.term_names), device=self._device)
        self._last_weights: list[float] = []
        self._sums = torch.zeros_like(self._weights)
        self._n_eager = 0
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._at: Tensor | None = None

    def __call__(self, chosen: np.ndarray, seed: int, done: float) -> None:
        """Make one step.

        Parameters
        ----------
        chosen : ndarray of shape (B,)
            Row numbers of the batch.
        seed : int
            Seed of the noise and the corruption.
        done : float
            Completed fraction of the training.
        """
        settings = self._settings
        rate = settings.learning_rate * learning_rate_factor(done, settings.warmup, settings.decay_from)
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        weights = weights_of(settings, self._model.term_names, done)
        if weights != self._last_weights:
            self._weights.copy_(torch.tensor(weights))
            self._last_weights = weights
        self._draws.manual_seed(seed)
        if not self._captures:
            self._step(self._batches.batch(chosen))
            return
        if self._n_eager < _N_EAGER:
            self._n_eager += 1
            self._step_on_a_side_stream(self._batches.batch(chosen))
            return
        width = self._batches.width(chosen)
        if self._at is None:
            self._at = torch.empty(len(chosen), dtype=torch.int64, device=self._device)
        if len(chosen) != len(self._at):
            raise ValueError(f"expected {len(self._at)} rows as in the steps before, got {len(chosen)}")
        self._at.copy_(torch.from_numpy(chosen).pin_memory(), non_blocking=True)
        if width not in self._graphs:
            self._graphs[width] = self._capture(self._at, width)
        self._graphs[width].replay()

    def means(self, n_steps: int) -> dict[str, float]:
        """The mean of each term since the last call.

        Parameters
        ----------
        n_steps : int
            Number of steps since the last call.

        Returns
        -------
        dict of str to float
            Term -> mean, unweighted.
        """
        sums = dict(zip(self._model.term_names, (self._sums / n_steps).tolist(), strict=True))
        self._sums.zero_()
        return sums

    def _capture(self, at: Tensor, width: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._draws)
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        try:
            with torch.cuda.graph(graph, pool=pool):
                self._step(self._batches.gather(at, width))
        except RuntimeError as error:
            raise MolvaeError(
                f"a training step cannot be captured as a CUDA graph ({first_line(error)}); check the parts "
                "of the model for operations that wait for the GPU (.item(), x[mask], if tensor)"
            ) from None
        return graph

    def _step_on_a_side_stream(self, batch: Batch) -> None:
        """Make a step on a separate stream: work on the default stream cannot be captured."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step(batch)
        torch.cuda.current_stream().wait_stream(stream)

    def _step(self, batch: Batch) -> None:
        with autocast(self._device, self._settings.precision):
            terms = self._model.terms(self._model(batch, self._draws))
            means = torch.stack([terms[name].mean() for name in self._model.term_names])
            loss = (means * self._weights).sum()
        self._optimizer.zero_grad()
        loss.backward()
        self._rank.average_gradients(self._model)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.gradient_norm)
        self._optimizer.step()
        self._sums += means.detach()
