"""Earlier weights as a beginning: what fits a new model is taken over, token by token where the vocabulary differs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from molvae.autoencoder import Autoencoder

_BY_TOKEN = ("encoder.embedding.weight", "decoder.embedding.weight", "decoder.output_bias")
"""Arrays with a row for each token."""


@dataclass(frozen=True)
class Names:
    """What rows of a model's arrays stand for: tokens that it reads and writes, properties that it reads off points.

    Empty where there are none.
    """

    read: Sequence[str] = ()
    written: Sequence[str] = ()
    properties: Sequence[str] = ()


@dataclass(frozen=True)
class Taken:
    """How many of a model's weights, and of the tokens that it writes, begin from earlier ones."""

    weights: int
    n_weights: int
    tokens: int
    n_tokens: int

    @property
    def is_all(self) -> bool:
        """Whether nothing begins at random."""
        return (self.weights, self.tokens) == (self.n_weights, self.n_tokens)


@torch.no_grad()
def take_over(model: Autoencoder, names: Names, first: Autoencoder, first_names: Names) -> Taken:
    """Give a model the weights of an earlier one, in place.

    An array is taken whole where its shape is the same; one with a row for each token, row by row, for the tokens of
    the same text; the property head, where it reads the same properties. What is left stays as it is.
    """
    old = first.state_dict()
    arrays = model.state_dict()  # the model's own memory
    n_taken = 0
    for name, array in arrays.items():
        if name.startswith("property_head.") and list(names.properties) != list(first_names.properties):
            continue
        if name in _BY_TOKEN and name in old and old[name].shape[1:] == array.shape[1:]:
            ours, theirs = (
                _shared(names.read, first_names.read)
                if name.startswith("encoder")
                else _shared(names.written, first_names.written)
            )
            array[ours] = old[name][theirs]
            n_taken += array[ours].numel()
        elif name in old and old[name].shape == array.shape:
            array.copy_(old[name])
            n_taken += array.numel()
    n_weights = sum(array.numel() for array in arrays.values())
    return Taken(n_taken, n_weights, len(_shared(names.written, first_names.written)[0]), len(names.written))


def _shared(new: Sequence[str], old: Sequence[str]) -> tuple[list[int], list[int]]:
    """The ids of the tokens in both, in the new and in the old vocabulary; specials, without text, are the first."""
    place = {text: i for i, text in enumerate(old) if text}
    pairs = [(i, place[text] if text else i) for i, text in enumerate(new) if text in place or not text]
    return [i for i, _ in pairs], [i for _, i in pairs]
