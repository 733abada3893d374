"""One training step: what a batch's terms say, and what the optimizer makes of it; on a GPU replayed, not launched."""

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

_LAUNCHED = 3  # steps of a GPU before the first is captured: what is made once must stand outside

_IS_LOW = {"auto": None, "bfloat16": True, "float32": False}


def optimizer_of(model: Autoencoder, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer of a run, for parameters that lie where they are trained."""
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
    """The weight of each term when a share `done` of the run lies behind."""
    return [
        warmed_weight(done, settings.weights.get(name, 1.0), settings.weight_warmup.get(name, 0.0)) for name in names
    ]


class Update:
    """Steps of a model, one a call.

    A step of small matrices is some thousand kernels, which a GPU ends sooner than a processor can launch them. So
    each step of a width is captured once as a CUDA graph, from the rows' numbers to the new weights, and replayed;
    unless `captures` is false, or rows do not lie with a GPU.
    """

    def __init__(
        self,
        model: Autoencoder,
        optimizer: torch.optim.Optimizer,
        settings: TrainingSettings,
        batches: Batches,
        rank: Rank,
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
        self._n_launched = 0
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._at: Tensor | None = None

    def __call__(self, chosen: np.ndarray, seed: int, done: float) -> None:
        """One step on the rows of these numbers; seed: of what is drawn; done: the share of the run behind it."""
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
        if self._n_launched < _LAUNCHED:
            self._n_launched += 1
            self._step_aside(self._batches.batch(chosen))
            return
        width = self._batches.width(chosen)
        if self._at is None:
            self._at = torch.empty(len(chosen), dtype=torch.int64, device=self._device)
        if len(chosen) != len(self._at):
            raise ValueError(f"expected {len(self._at)} rows, as in the steps before, got {len(chosen)}")
        self._at.copy_(torch.from_numpy(chosen).pin_memory(), non_blocking=True)
        if width not in self._graphs:
            self._graphs[width] = self._capture(self._at, width)
        self._graphs[width].replay()

    def means(self, n_steps: int) -> dict[str, float]:
        """Each term's mean over the steps since this was asked last, which were so many."""
        sums = dict(zip(self._model.term_names, (self._sums / n_steps).tolist(), strict=True))
        self._sums.zero_()
        return sums

    def _capture(self, at: Tensor, width: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._draws)
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        try:
            with torch.cuda.graph(graph, pool=pool):
                self._step(self._batches.gathered(at, width))
        except RuntimeError as error:
            raise MolvaeError(
                f"a training step cannot be captured as a CUDA graph ({first_line(error)}); a part of the "
                "model that asks the GPU for a number (.item(), x[mask], if tensor) stands in the way"
            ) from None
        return graph

    def _step_aside(self, batch: Batch) -> None:
        """A step on a stream of its own, so that nothing of it is bound to the default one, which no capture allows."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step(batch)
        torch.cuda.current_stream().wait_stream(stream)

    def _step(self, batch: Batch) -> None:
        with autocast(self._device, _IS_LOW[self._settings.precision]):
            terms = self._model.terms(self._model(batch, self._draws))
            means = torch.stack([terms[name].mean() for name in self._model.term_names])
            loss = (means * self._weights).sum()
        self._optimizer.zero_grad()
        loss.backward()
        self._rank.average_gradients(self._model)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.gradient_norm)
        self._optimizer.step()
        self._sums += means.detach()
