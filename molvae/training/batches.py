"""Which molecules stand in which batch: shuffled, of like length, and the same for the same seed."""

import numpy as np
import torch
from torch import Tensor

from molvae.autoencoder.trace import Batch
from molvae.feature_spec import PAD
from molvae.features.store import Rows
from molvae.seeds import generator

_N_INSTEAD = 1_000  # training molecules that are validated on where none is held out
_RESIDENT_BYTES = 4 * 2**30  # rows that take more stay with the processor
_ROWS_AT_ONCE = 100_000
_EVERY_WIDTH = 24  # tokens up to which batches are as wide as their longest row


class BatchPlan:
    """Batches of row numbers, epoch after epoch, addressed by step; a run that resumes needs no other state.

    Rows of like length stand together, so that hardly any place of a batch is PAD; which they are, and the order of
    the batches, is drawn anew each epoch. A rest too small for a batch waits for the next epoch's draw.

    shares: (len(rows),) of the epochs in which each row is shown; None: every row in all of them.
    """

    def __init__(
        self, rows: np.ndarray, lengths: np.ndarray, batch_size: int, seed: int, shares: np.ndarray | None = None
    ) -> None:
        self._rows, self._lengths, self._seed, self._shares = rows, lengths, seed, shares
        n_shown = len(rows) if shares is None else max(1, int(shares.sum()))
        self._batch_size = min(batch_size, n_shown)
        self._n_batches = n_shown // self._batch_size
        self._epoch, self._batches = -1, np.empty((0, 0), np.int64)

    def batch(self, step: int) -> np.ndarray:
        """Row numbers (batch_size,) of the batch of a step, counted from 0."""
        epoch, place = divmod(step, self._n_batches)
        if epoch != self._epoch:
            random = generator(self._seed, f"epoch {epoch}")
            order = random.permutation(len(self._rows))
            if self._shares is not None:  # those whose turn it is come first; a few others where they are too few
                turns = self._turns(epoch, self._shares)
                order = order[np.argsort(~turns[order], kind="stable")]
            drawn = self._rows[order[: self._n_batches * self._batch_size]]
            lengths = self._lengths[drawn].astype(np.uint16)  # of two bytes: sorted in linear time
            by_length = drawn[np.argsort(lengths, kind="stable")]
            self._batches = random.permutation(by_length.reshape(self._n_batches, self._batch_size))
            self._epoch = epoch
        return self._batches[place]

    def _turns(self, epoch: int, shares: np.ndarray) -> np.ndarray:
        """Which rows an epoch shows (n,): each at even distances, from a start that is drawn for it."""
        starts = generator(self._seed, "turns").random(len(shares))
        turns: np.ndarray = np.floor(starts + shares * (epoch + 1)) > np.floor(starts + shares * epoch)
        return turns


class Batches:
    """Batches of rows by their numbers, where torch computes.

    A GPU would wait for rows that the processor gathers and sends; rows of tokens lie with it from the start.
    """

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self._rows, self._device = rows, device
        is_wanted = device.type != "cpu" and rows.spec.kind == "tokens" and rows.view_spec is None
        self._resident = _Resident(rows, device) if is_wanted and _resident_bytes(rows) <= _RESIDENT_BYTES else None

    def batch(self, chosen: np.ndarray) -> Batch:
        """The rows of these numbers, as a model takes them."""
        if self._resident is not None:
            return self.gathered(torch.from_numpy(chosen).to(self._device), self.width(chosen))
        rows = self._rows
        y = rows.labels(chosen) if rows.label_names else None
        view, bits = rows.views(chosen), rows.fingerprints(chosen)
        return Batch(self._sent(rows.rows(chosen)), *(None if a is None else self._sent(a) for a in (view, y, bits)))

    @property
    def are_resident(self) -> bool:
        """Whether the rows lie with the device."""
        return self._resident is not None

    def width(self, chosen: np.ndarray) -> int:
        """Tokens of the longest of these rows; of long ones some more, so that there are few widths."""
        if self._resident is None:
            raise ValueError("only rows that lie with the device are gathered to a width")
        longest = int(self._resident.lengths[chosen].max())
        return longest if longest <= _EVERY_WIDTH else min(-(-longest // 4) * 4, self._resident.width)

    def gathered(self, at: Tensor, width: int) -> Batch:
        """Rows that lie with the device, by their numbers there (B,), so many tokens wide."""
        if self._resident is None:
            raise ValueError("only rows that lie with the device are gathered there")
        return self._resident.batch(at, width)

    def _sent(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)


class _Resident:
    """All rows on a device: tokens filled up with PAD, labels, and labelled rows' bits."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        n, n_labelled = len(rows), len(rows.labelled)
        self.lengths, self.width = rows.lengths, int(rows.lengths.max())
        table = torch.full((n, self.width), PAD, dtype=torch.int32)
        for begin in range(0, n, _ROWS_AT_ONCE):
            part = torch.from_numpy(rows.rows(np.arange(begin, min(n, begin + _ROWS_AT_ONCE))))
            table[begin : begin + len(part), : part.shape[1]] = part
        bits = torch.zeros((n_labelled + 1, rows.n_bits), dtype=torch.uint8)  # the last: of rows that have none
        for begin in range(0, n_labelled if rows.n_bits else 0, _ROWS_AT_ONCE):
            chosen = rows.labelled[begin : begin + _ROWS_AT_ONCE]
            bits[begin : begin + len(chosen)] = torch.from_numpy(rows.fingerprints(chosen))
        place = torch.full((n,), n_labelled)
        place[torch.from_numpy(rows.labelled)] = torch.arange(n_labelled)
        self._table, self._bits, self._place = table.to(device), bits.to(device), place.to(device)
        self._labels = torch.from_numpy(rows.labels(np.arange(n))).to(device)

    def batch(self, at: Tensor, width: int) -> Batch:
        x = self._table[at, :width].long()
        y = self._labels[at] if self._labels.shape[1] else None
        bits = self._bits[self._place[at]].float() if self._bits.shape[1] else None
        return Batch(x, None, y, bits)


def _resident_bytes(rows: Rows) -> int:
    """What all rows take on a device."""
    return len(rows) * 4 * (int(rows.lengths.max()) + len(rows.label_names)) + len(rows.labelled) * rows.n_bits


def held_out_rows(n: int, n_held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for training and for validation, sorted; at most a tenth is held out.

    Where none can be held out, training molecules serve for validation, too.
    """
    shuffled = generator(seed, "held out").permutation(n)
    n_held_out = min(n_held_out, n // 10)
    held_out = shuffled[:n_held_out] if n_held_out else shuffled[:_N_INSTEAD]
    return np.sort(shuffled[n_held_out:]), np.sort(held_out)
