"""Initial weights from an earlier model: arrays that fit, token by token where the vocabularies differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from molvae.autoencoder import Autoencoder

_BY_TOKEN = ("encoder.embedding.weight", "decoder.embedding.weight", "decoder.output_bias")
"""Arrays with one row per token."""


@dataclass(frozen=True)
class RowNames:
    """Names of the rows of a model's arrays; empty where it has none.

    Parameters
    ----------
    encoder_tokens : sequence of str
        Tokens of the encoder input, by id; special tokens have no text.
    decoder_tokens : sequence of str
        Tokens of the decoder output, by id.
    properties : sequence of str
        Properties of the property head.
    """

    encoder_tokens: Sequence[str] = ()
    decoder_tokens: Sequence[str] = ()
    properties: Sequence[str] = ()


@dataclass(frozen=True)
class Copied:
    """How much of a model comes from an earlier one.

    Parameters
    ----------
    weights : int
        Weights that were copied.
    n_weights : int
        All weights.
    tokens : int
        Tokens of the decoder output that the earlier model also has.
    n_tokens : int
        All tokens of the decoder output.
    """

    weights: int
    n_weights: int
    tokens: int
    n_tokens: int

    @property
    def is_all(self) -> bool:
        """Whether no weight is random."""
        return (self.weights, self.tokens) == (self.n_weights, self.n_tokens)


@torch.no_grad()
def copy_weights(model: Autoencoder, names: RowNames, first: Autoencoder, first_names: RowNames) -> Copied:
    """Copy the weights of an earlier model into a model, in place.

    Arrays with one row per token are copied row by row, for tokens with the same text. The property head is
    copied if it predicts the same properties, and every other array if its shape is the same. The remaining weights
    stay unchanged.

    Parameters
    ----------
    model : Autoencoder
        The model, changed in place.
    names : RowNames
        Its tokens and properties.
    first : Autoencoder
        The earlier model.
    first_names : RowNames
        Its tokens and properties.

    Returns
    -------
    Copied
        How much was copied.
    """
    old = first.state_dict()
    arrays = model.state_dict()  # shares memory with the model
    n_copied = 0
    for name, array in arrays.items():
        if name.startswith("property_head.") and list(names.properties) != list(first_names.properties):
            continue
        if name in _BY_TOKEN and name in old and old[name].shape[1:] == array.shape[1:]:
            ours, theirs = (
                _shared(names.encoder_tokens, first_names.encoder_tokens)
                if name.startswith("encoder")
                else _shared(names.decoder_tokens, first_names.decoder_tokens)
            )
            array[ours] = old[name][theirs]
            n_copied += array[ours].numel()
        elif name in old and old[name].shape == array.shape:
            array.copy_(old[name])
            n_copied += array.numel()
    n_weights = sum(array.numel() for array in arrays.values())
    return Copied(
        n_copied,
        n_weights,
        len(_shared(names.decoder_tokens, first_names.decoder_tokens)[0]),
        len(names.decoder_tokens),
    )


def _shared(new: Sequence[str], old: Sequence[str]) -> tuple[list[int], list[int]]:
    """The ids of shared tokens in the new and in the old vocabulary; special tokens have no text and come first."""
    ids = {text: i for i, text in enumerate(old) if text}
    pairs = [(i, ids[text] if text else i) for i, text in enumerate(new) if text in ids or not text]
    return [i for i, _ in pairs], [i for _, i in pairs]
