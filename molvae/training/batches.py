"""Which molecules stand in which batch: shuffled, of like length, and the same for the same seed."""

import numpy as np

from molvae.seeds import generator

_N_INSTEAD = 1_000  # training molecules that are validated on where none is held out


class BatchPlan:
    """Batches of row numbers, epoch after epoch, addressed by step; a run that resumes needs no other state.

    Rows of like length stand together, so that hardly any place of a batch is PAD; which they are, and the order of
    the batches, is drawn anew each epoch. A rest too small for a batch waits for the next epoch's draw.
    """

    def __init__(self, rows: np.ndarray, lengths: np.ndarray, batch_size: int, seed: int) -> None:
        self._rows, self._lengths, self._seed = rows, lengths, seed
        self._batch_size = min(batch_size, len(rows))
        self._epoch, self._batches = -1, np.empty((0, 0), np.int64)

    def batch(self, step: int) -> np.ndarray:
        """Row numbers (batch_size,) of the batch of a step, counted from 0."""
        n_batches = len(self._rows) // self._batch_size
        epoch, place = divmod(step, n_batches)
        if epoch != self._epoch:
            random = generator(self._seed, f"epoch {epoch}")
            drawn = random.permutation(self._rows)[: n_batches * self._batch_size]
            by_length = drawn[np.argsort(self._lengths[drawn], kind="stable")]
            self._batches = random.permutation(by_length.reshape(n_batches, self._batch_size))
            self._epoch = epoch
        return self._batches[place]


def held_out_rows(n: int, n_held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers for training and for validation, sorted; at most a tenth is held out.

    Where none can be held out, training molecules serve for validation, too.
    """
    shuffled = generator(seed, "held out").permutation(n)
    n_held_out = min(n_held_out, n // 10)
    held_out = shuffled[:n_held_out] if n_held_out else shuffled[:_N_INSTEAD]
    return np.sort(shuffled[n_held_out:]), np.sort(held_out)
