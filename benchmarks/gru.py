"""Speed of GatedRecurrence compared with nn.GRU: a forward and a backward pass on one core; prints one table.

    OMP_NUM_THREADS=1 python benchmarks/gru.py [--repeats 20]

Both read the same tokens in bfloat16 autocast. nn.GRU multiplies the embedding of each token by its input weights;
GatedRecurrence looks up the product in a table of the whole vocabulary. Times are CPU times, the lowest of all repeats;
the two alternate.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from molvae.autoencoder.gru import GatedRecurrence
from molvae.training.parallel import keep_freed_memory

N_TOKENS = 500  # size of the vocabulary


class TorchGru(nn.Module):
    """An embedding and nn.GRU."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_TOKENS, n_hidden)
        self.gru = nn.GRU(n_hidden, n_hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """States (L, B, H) of tokens (L, B)."""
        states: Tensor = self.gru(self.embedding(tokens))[0]
        return states


class TableGates(nn.Module):
    """The same with a table of input gates and GatedRecurrence."""

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
    parser.add_argument("--batch", type=int, default=512, help="molecules per batch")
    parser.add_argument("--length", type=int, default=9, help="tokens per molecule")
    parser.add_argument("--hidden", type=int, default=512, help="hidden units")
    parser.add_argument("--repeats", type=int, default=20, help="timed repeats")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    tokens = torch.randint(N_TOKENS, (arguments.length, arguments.batch))
    weight = torch.randn(arguments.length, arguments.batch, arguments.hidden)
    steps = [stepper(make(arguments.hidden), tokens, weight) for make in (TorchGru, TableGates)]
    for step in steps * 2:  # warm-up
        step()
    torch_seconds, table_seconds = (
        min(times) for times in zip(*([seconds(s) for s in steps] for _ in range(arguments.repeats)), strict=True)
    )
    print("| batch x tokens x hidden | nn.GRU, ms | GatedRecurrence, ms | times as fast |")
    print("|---|---|---|---|")
    shape = f"{arguments.batch} x {arguments.length} x {arguments.hidden}"
    print(
        f"| {shape} | {1000 * torch_seconds:.1f} | {1000 * table_seconds:.1f} | {torch_seconds / table_seconds:.2f} |"
    )


if __name__ == "__main__":
    main()
