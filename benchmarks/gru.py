"""What the project's own recurrence gains over nn.GRU: seconds of one core for a forward and a backward pass.

    OMP_NUM_THREADS=1 python benchmarks/gru.py [--repeats 20]

Both read the same tokens, in bfloat16 autocast: nn.GRU multiplies each token's embedding by its input weights, molvae's
GatedRecurrence looks the product up in a table of the whole vocabulary. Prints one table row; times are process times,
the least of all repeats, taken in turn.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from molvae.autoencoder.gru import GatedRecurrence
from molvae.training.parallel import keep_freed_memory

N_TOKENS = 500  # of the vocabulary


class TorchGru(nn.Module):
    """Embedding and nn.GRU."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, n_hidden)
        self.gru = nn.GRU(n_hidden, n_hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """States (L, B, H) of tokens (L, B)."""
        states: Tensor = self.gru(self.embedding(tokens))[0]
        return states


class TableGates(nn.Module):
    """The same as a table of input gates, and GatedRecurrence that looks them up."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, n_hidden)
        self.input = nn.Linear(n_hidden, 3 * n_hidden)
        self.recurrence = GatedRecurrence(n_hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """States (L, B, H) of tokens (L, B)."""
        table = self.input(self.embedding.weight)
        states: Tensor = self.recurrence(table, tokens, table.new_zeros(tokens.shape[1], self.recurrence.n_hidden))
        return states


def seconds(step: Callable[[], None]) -> float:
    begin = time.process_time()
    step()
    return time.process_time() - begin


def stepper(model: nn.Module, tokens: Tensor, weight: Tensor) -> Callable[[], None]:
    def step() -> None:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            states = model(tokens)
        (states.float() * weight).sum().backward()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--length", type=int, default=9, help="tokens a molecule")
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    tokens = torch.randint(N_TOKENS, (arguments.length, arguments.batch))
    weight = torch.randn(arguments.length, arguments.batch, arguments.hidden)
    steps = [stepper(make(arguments.hidden), tokens, weight) for make in (TorchGru, TableGates)]
    for step in steps * 2:  # whatever is set up at first use
        step()
    theirs, ours = (
        min(times) for times in zip(*([seconds(s) for s in steps] for _ in range(arguments.repeats)), strict=True)
    )
    print("| batch x tokens x hidden | nn.GRU, ms | GatedRecurrence, ms | times as fast |")
    print("|---|---|---|---|")
    shape = f"{arguments.batch} x {arguments.length} x {arguments.hidden}"
    print(f"| {shape} | {1000 * theirs:.1f} | {1000 * ours:.1f} | {theirs / ours:.2f} |")


if __name__ == "__main__":
    main()
