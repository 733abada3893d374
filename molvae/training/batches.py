"""Batches of molecules: shuffled, of similar length, reproducible with the seed."""

import numpy as np
import torch
from torch import Tensor

from molvae.autoencoder.trace import Batch
from molvae.feature_spec import PAD
from molvae.features.store import Rows
from molvae.seeds import generator

_N_INSTEAD = 1_000  # training molecules for validation if none is held out
_RESIDENT_BYTES = 4 * 2**30  # larger features stay in main memory
_ROWS_AT_ONCE = 100_000
_EVERY_WIDTH = 24  # up to this many tokens, a batch is as wide as its longest row


class BatchPlan:
    """Batches of row numbers, epoch after epoch, addressed by step, so that resuming needs no other state.

    The rows of a batch have similar lengths, so that it holds little padding; each epoch draws the batches and their
    order again. The incomplete last batch of an epoch is dropped.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Row numbers to train on.
    lengths : ndarray
        Tokens of each row, by row number.
    batch_size : int
        Rows per batch; all rows if there are fewer.
    seed : int
        Seed of the shuffling.
    shares : ndarray of shape (n,) or None
        Share of epochs that show each row, in (0, 1]; None: every epoch shows all rows.
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
        """The batch of a step.

        Parameters
        ----------
        step : int
            Number of the step, from 0.

        Returns
        -------
        ndarray of shape (batch_size,)
            Row numbers.
        """
        epoch, position = divmod(step, self._n_batches)
        if epoch != self._epoch:
            random = generator(self._seed, f"epoch {epoch}")
            order = random.permutation(len(self._rows))
            if self._shares is not None:  # rows whose turn it is come first; others only fill up the last batch
                turns = self._turns(epoch, self._shares)
                order = order[np.argsort(~turns[order], kind="stable")]
            drawn = self._rows[order[: self._n_batches * self._batch_size]]
            lengths = self._lengths[drawn].astype(np.uint16)  # NumPy sorts two-byte integers in linear time
            by_length = drawn[np.argsort(lengths, kind="stable")]
            self._batches = random.permutation(by_length.reshape(self._n_batches, self._batch_size))
            self._epoch = epoch
        return self._batches[position]

    def _turns(self, epoch: int, shares: np.ndarray) -> np.ndarray:
        """A mask (n,) of the rows that an epoch shows: each row at regular intervals, with a random offset."""
        offsets = generator(self._seed, "turns").random(len(shares))
        turns: np.ndarray = np.floor(offsets + shares * (epoch + 1)) > np.floor(offsets + shares * epoch)
        return turns


class Batches:
    """Batches on the training device, by row number.

    Gathering rows on the CPU and copying them would keep a GPU waiting. Token features of up to 4 GiB are therefore
    copied to the GPU once, at the start.

    Parameters
    ----------
    rows : Rows
        The features.
    device : torch.device
        The training device.
    """

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self._rows, self._device = rows, device
        is_wanted = device.type != "cpu" and rows.spec.kind == "tokens" and rows.view_spec is None
        self._resident = _Resident(rows, device) if is_wanted and _resident_bytes(rows) <= _RESIDENT_BYTES else None

    def batch(self, chosen: np.ndarray) -> Batch:
        """A batch of rows.

        Parameters
        ----------
        chosen : ndarray of shape (B,)
            Row numbers.

        Returns
        -------
        Batch
            On the training device.
        """
        if self._resident is not None:
            return self.gather(torch.from_numpy(chosen).to(self._device), self.width(chosen))
        rows = self._rows
        y = rows.labels(chosen) if rows.label_names else None
        view, bits = rows.views(chosen), rows.fingerprints(chosen)
        return Batch(
            self._to_device(rows.rows(chosen)), *(None if a is None else self._to_device(a) for a in (view, y, bits))
        )

    @property
    def are_resident(self) -> bool:
        """Whether all rows were copied to the GPU."""
        return self._resident is not None

    def width(self, chosen: np.ndarray) -> int:
        """The width of a batch: tokens of its longest row, rounded up for long rows to keep the number of widths small.

        Parameters
        ----------
        chosen : ndarray of shape (B,)
            Row numbers.

        Returns
        -------
        int
            Width in tokens.

        Raises
        ------
        ValueError
            The rows were not copied to the GPU.
        """
        if self._resident is None:
            raise ValueError("expected rows that were copied to the GPU")
        longest = int(self._resident.lengths[chosen].max())
        return longest if longest <= _EVERY_WIDTH else min(-(-longest // 4) * 4, self._resident.width)

    def gather(self, at: Tensor, width: int) -> Batch:
        """A batch of a given width, gathered on the device.

        Parameters
        ----------
        at : Tensor of shape (B,)
            Row numbers, on the device.
        width : int
            Width in tokens; longer rows are cut off.

        Returns
        -------
        Batch
            On the training device.

        Raises
        ------
        ValueError
            The rows were not copied to the GPU.
        """
        if self._resident is None:
            raise ValueError("expected rows that were copied to the GPU")
        return self._resident.batch(at, width)

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)


class _Resident:
    """All rows on a device: padded tokens, labels, and the fingerprints of labelled rows."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        n, n_labelled = len(rows), len(rows.labelled)
        self.lengths, self.width = rows.lengths, int(rows.lengths.max())
        table = torch.full((n, self.width), PAD, dtype=torch.int32)
        for begin in range(0, n, _ROWS_AT_ONCE):
            part = torch.from_numpy(rows.rows(np.arange(begin, min(n, begin + _ROWS_AT_ONCE))))
            table[begin : begin + len(part), : part.shape[1]] = part
        bits = torch.zeros(
            (n_labelled + 1, rows.n_bits), dtype=torch.uint8
        )  # the last row is that of rows without labels
        for begin in range(0, n_labelled if rows.n_bits else 0, _ROWS_AT_ONCE):
            chosen = rows.labelled[begin : begin + _ROWS_AT_ONCE]
            bits[begin : begin + len(chosen)] = torch.from_numpy(rows.fingerprints(chosen))
        bit_rows = torch.full((n,), n_labelled)
        bit_rows[torch.from_numpy(rows.labelled)] = torch.arange(n_labelled)
        self._table, self._bits, self._bit_rows = table.to(device), bits.to(device), bit_rows.to(device)
        self._labels = torch.from_numpy(rows.labels(np.arange(n))).to(device)

    def batch(self, at: Tensor, width: int) -> Batch:
        x = self._table[at, :width].long()
        y = self._labels[at] if self._labels.shape[1] else None
        bits = self._bits[self._bit_rows[at]].float() if self._bits.shape[1] else None
        return Batch(x, None, y, bits)


def _resident_bytes(rows: Rows) -> int:
    """Memory that all rows take on a device."""
    return len(rows) * 4 * (int(rows.lengths.max()) + len(rows.label_names)) + len(rows.labelled) * rows.n_bits


def held_out_rows(n: int, n_held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for training and for validation.

    If no molecule can be held out, up to 1,000 training molecules also serve for validation.

    Parameters
    ----------
    n : int
        Number of rows.
    n_held_out : int
        Number of rows to hold out; at most a tenth of all rows is held out.
    seed : int
        Seed of the random choice.

    Returns
    -------
    train : ndarray
        Row numbers for training, sorted.
    held_out : ndarray
        Row numbers for validation, sorted.
    """
    shuffled = generator(seed, "held out").permutation(n)
    n_held_out = min(n_held_out, n // 10)
    held_out = shuffled[:n_held_out] if n_held_out else shuffled[:_N_INSTEAD]
    return np.sort(shuffled[n_held_out:]), np.sort(held_out)
