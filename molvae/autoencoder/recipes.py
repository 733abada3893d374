"""The autoencoder family: a recipe is a row of RECIPES, and build() composes its parts."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from molvae.autoencoder import corruption, regularizers
from molvae.autoencoder.bottlenecks import (
    GaussianBottleneck,
    LinearBottleneck,
    RectifiedBottleneck,
    SigmoidBottleneck,
    TopKBottleneck,
)
from molvae.autoencoder.corruption import Corruption
from molvae.autoencoder.decoders import GruDecoder, MlpDecoder
from molvae.autoencoder.encoders import GraphEncoder, GruEncoder, MlpEncoder
from molvae.autoencoder.mlp import halving_widths
from molvae.autoencoder.model import Autoencoder
from molvae.autoencoder.parts import Bottleneck, Decoder, Encoder
from molvae.autoencoder.regularizers import PropertyHead, Regularizer
from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec, Kind
from molvae.settings import Settings

_Part = TypeVar("_Part")


class GruEncoderSettings(Settings):
    """A bidirectional GRU over token embeddings, pooled by attention.

    Parameters
    ----------
    kind : {"gru"}
        Name of the encoder.
    embedding : int, default=256
        Length of a token embedding.
    hidden : int, default=320
        Hidden units per direction.
    heads : int, default=4
        Attention heads.
    """

    kind: Literal["gru"] = "gru"
    embedding: int = Field(256, ge=1)
    hidden: int = Field(320, ge=1, description="hidden units per direction")
    heads: int = Field(4, ge=1)


class GraphEncoderSettings(Settings):
    """A message-passing network over atoms and bonds, pooled by attention.

    Parameters
    ----------
    kind : {"graph"}
        Name of the encoder.
    hidden : int, default=192
        Length of an atom's state.
    message_passing_steps : int, default=4
        Number of message-passing steps.
    heads : int, default=4
        Attention heads.
    """

    kind: Literal["graph"] = "graph"
    hidden: int = Field(192, ge=1, description="length of an atom's state")
    message_passing_steps: int = Field(4, ge=1, description="number of message-passing steps")
    heads: int = Field(4, ge=1)


class GruDecoderSettings(Settings):
    """A GRU that generates token by token.

    Parameters
    ----------
    kind : {"gru"}
        Name of the decoder.
    hidden : int, default=512
        Hidden units.
    """

    kind: Literal["gru"] = "gru"
    hidden: int = Field(512, ge=1)


class MlpSettings(Settings):
    """Linear layers with a nonlinearity, for rows of numbers.

    Parameters
    ----------
    kind : {"mlp"}
        Name of the encoder or decoder.
    widths : tuple of int, optional
        Width of each layer, from the features to the latent vector; None: at most three powers of two, each half of the
        one before.
    """

    kind: Literal["mlp"] = "mlp"
    widths: tuple[Annotated[int, Field(ge=1)], ...] | None = None


@dataclass(frozen=True)
class Recipe:
    """One member of the family: the parts that it is composed of.

    Parameters
    ----------
    is_linear : bool, default=False
        Whether encoder and decoder are linear maps.
    corrupts : bool, default=False
        Whether the encoder input is corrupted.
    scores_hidden : bool, default=False
        Whether the reconstruction loss counts masked positions only.
    bottleneck : str, default="linear"
        A name of BOTTLENECKS.
    regularizers : tuple of str, default=()
        Names of REGULARIZERS.
    noise_conditioned : bool, default=False
        Whether the decoder is also trained on latent vectors with noise, with the noise level as an input.
    predicts_properties : bool, default=False
        Whether a linear head predicts properties from the latent vectors, if there are labels.
    """

    is_linear: bool = False
    corrupts: bool = False
    scores_hidden: bool = False
    bottleneck: str = "linear"
    regularizers: tuple[str, ...] = ()
    noise_conditioned: bool = False
    predicts_properties: bool = False


class Changes(Settings):
    """Changes to a recipe; None keeps the value of the recipe.

    Parameters
    ----------
    corrupts, scores_hidden, bottleneck, regularizers, noise_conditioned, predicts_properties : optional
        See `Recipe`.
    """

    corrupts: bool | None = None
    scores_hidden: bool | None = None
    bottleneck: str | None = None
    regularizers: tuple[str, ...] | None = None
    noise_conditioned: bool | None = None
    predicts_properties: bool | None = None


class ModelSettings(Settings):
    """A recipe, changes to it, and the sizes of its parts.

    Parameters
    ----------
    recipe : str, default="molecular"
        A name of RECIPES.
    n_latent : int, default=64
        Latent dimensions.
    encoder : GruEncoderSettings, MlpSettings or GraphEncoderSettings, optional
        None chooses by the encoder input: "gru" for tokens, "mlp" for numbers, "graph" for graphs.
    decoder : GruDecoderSettings or MlpSettings, optional
        None chooses by the decoder output: "gru" for tokens, "mlp" for numbers.
    changes : Changes
        Changes to the recipe.
    corruption : {"mask", "flip", "zero", "gaussian"}, optional
        None chooses by the encoder input: tokens and atoms are masked, bits are flipped, counts are set to zero, other
        numbers get Gaussian noise. With `scores_hidden`, None chooses "zero" for all numbers, which then sets bits to
        0.5.
    corruption_level : float, default=0.15
        Fraction of tokens, atoms, bits or numbers that are corrupted; the standard deviation of Gaussian noise.
    noise_draws : int, default=1
        For a noise-conditioned decoder: the noise level is the mean of this number of uniform draws. 1: levels are
        uniform in [0, 1]; more: they concentrate near 0.5.
    noised_share : float, default=1
        Fraction of a batch that is also decoded with noise; less is faster.
    token_dropout : float, default=0
        Fraction of the previous tokens that are masked when a decoder reads a latent vector without noise.
    free_nats : float, default=0
        Minimum KL divergence that each latent dimension contributes to the loss, in nats ("free bits").
    active_rate : float, default=0.05
        Target activity of a unit, for `kl_to_rate`.
    k : int, default=8
        Active units per molecule, for the bottleneck "topk".
    contraction_step : float, default=0.01
        Step of `contraction`, relative to the size of the embedding.
    """

    recipe: str = "molecular"
    n_latent: int = Field(64, ge=1, le=1024)
    encoder: GruEncoderSettings | MlpSettings | GraphEncoderSettings | None = Field(None, discriminator="kind")
    decoder: GruDecoderSettings | MlpSettings | None = Field(None, discriminator="kind")
    changes: Changes = Changes()
    corruption: Literal["mask", "flip", "zero", "gaussian"] | None = None
    corruption_level: float = Field(0.15, ge=0)
    noise_draws: int = Field(1, ge=1, le=8, description="a noise level is the mean of this number of uniform draws")
    noised_share: float = Field(1.0, gt=0, le=1, description="fraction of a batch that is also decoded with noise")
    token_dropout: float = Field(0.0, ge=0, lt=1, description="fraction of the previous tokens that are masked")
    free_nats: float = Field(0.0, ge=0, description="minimum KL divergence of a latent dimension, in nats")
    active_rate: float = Field(0.05, gt=0, lt=1, description="target activity of a unit, for kl_to_rate")
    k: int = Field(8, ge=1, description="active units per molecule, for the top-k bottleneck")
    contraction_step: float = Field(1e-2, gt=0, description="relative to the size of the embedding")


def build(
    settings: ModelSettings,
    spec: FeatureSpec,
    n_properties: int = 0,
    view: FeatureSpec | None = None,
    n_bits: int = 0,
) -> Autoencoder:
    """The model of a recipe, with random weights.

    Parameters
    ----------
    settings : ModelSettings
        Recipe, changes and sizes.
    spec : FeatureSpec
        Kind and size of the decoder output.
    n_properties : int, default=0
        Labels per molecule; 0: no property head.
    view : FeatureSpec, optional
        Kind and size of the encoder input, if it differs from the decoder output.
    n_bits : int, default=0
        Length of the molecules' fingerprints; 0: no term `similarity`.

    Returns
    -------
    Autoencoder
        The model.

    Raises
    ------
    InputError
        The recipe or a part is unknown, or the parts cannot be combined.
    """
    recipe = _recipe(settings)
    encoder_spec = view or spec
    if spec.kind == "graph":
        raise InputError("a decoder cannot output graphs; expected tokens, bits, counts or an array")
    if recipe.scores_hidden and view is not None:
        raise InputError("scores_hidden: needs the same encoder input and decoder output, got different ones")
    if recipe.is_linear and {"tokens", "graph"} & {encoder_spec.kind, spec.kind}:
        raise InputError(
            f"recipe {settings.recipe!r}: a linear map needs numbers, got {encoder_spec.kind} and {spec.kind}; "
            "use recipe 'plain'"
        )
    names = [name for name in recipe.regularizers if name != "similarity" or n_bits]
    encoder = _encoder(settings, recipe, encoder_spec)
    return Autoencoder(
        spec=spec,
        corruption=_corruption(settings, recipe, encoder_spec.kind),
        encoder=encoder,
        bottleneck=_named(BOTTLENECKS, recipe.bottleneck, "bottleneck")(encoder.n_out, settings),
        decoder=_decoder(settings, recipe, spec),
        regularizers={name: _named(REGULARIZERS, name, "regularizer")(settings) for name in names},
        property_head=PropertyHead(settings.n_latent, n_properties)
        if recipe.predicts_properties and n_properties
        else None,
        is_noise_conditioned=recipe.noise_conditioned,
        noise_draws=settings.noise_draws,
        noised_share=settings.noised_share,
        token_dropout=settings.token_dropout,
    )


def _recipe(settings: ModelSettings) -> Recipe:
    changes = {name: value for name, value in settings.changes.model_dump().items() if value is not None}
    recipe = replace(_named(RECIPES, settings.recipe, "recipe"), **changes)
    if "kl" in recipe.regularizers and recipe.bottleneck != "gaussian":
        raise InputError(f"regularizer 'kl': needs the gaussian bottleneck, got {recipe.bottleneck!r}")
    if "kl_to_rate" in recipe.regularizers and recipe.bottleneck != "sigmoid":
        raise InputError(f"regularizer 'kl_to_rate': needs the sigmoid bottleneck, got {recipe.bottleneck!r}")
    if recipe.bottleneck == "topk" and settings.k > settings.n_latent:
        raise InputError(f"k {settings.k}: expected at most n_latent, which is {settings.n_latent}")
    return recipe


def _encoder(settings: ModelSettings, recipe: Recipe, spec: FeatureSpec) -> Encoder:
    sizes = settings.encoder or _ENCODERS[_DEFAULT_KIND[spec.kind]]()
    if isinstance(sizes, GruEncoderSettings) and spec.kind == "tokens":
        return GruEncoder(spec, sizes.embedding, sizes.hidden, sizes.heads)
    if isinstance(sizes, GraphEncoderSettings) and spec.kind == "graph":
        return GraphEncoder(spec, sizes.hidden, sizes.message_passing_steps, sizes.heads)
    if isinstance(sizes, MlpSettings) and spec.kind in _NUMBERS:
        return MlpEncoder(spec, _widths(sizes, recipe, spec, settings.n_latent))
    raise InputError(f"encoder {sizes.kind!r}: cannot read {spec.kind}; use {_DEFAULT_KIND[spec.kind]!r}")


def _decoder(settings: ModelSettings, recipe: Recipe, spec: FeatureSpec) -> Decoder:
    sizes = settings.decoder or (GruDecoderSettings() if spec.kind == "tokens" else MlpSettings())
    if isinstance(sizes, GruDecoderSettings) and spec.kind == "tokens":
        return GruDecoder(spec, settings.n_latent, sizes.hidden)
    if isinstance(sizes, MlpSettings) and spec.kind != "tokens":
        widths = _widths(sizes, recipe, spec, settings.n_latent)[::-1]
        return MlpDecoder(spec, settings.n_latent, widths, recipe.noise_conditioned)
    raise InputError(f"decoder {sizes.kind!r}: cannot output {spec.kind}; use {_DEFAULT_KIND[spec.kind]!r}")


def _widths(sizes: MlpSettings, recipe: Recipe, spec: FeatureSpec, n_latent: int) -> tuple[int, ...]:
    if recipe.is_linear:
        if sizes.widths:
            raise InputError(f"widths {list(sizes.widths)}: the linear recipe has no hidden layers; remove widths")
        return ()
    return halving_widths(spec.width, n_latent) if sizes.widths is None else sizes.widths


def _corruption(settings: ModelSettings, recipe: Recipe, kind: Kind) -> Corruption:
    if not recipe.corrupts:
        return corruption.keep
    level, masked_only = settings.corruption_level, recipe.scores_hidden
    default = "zero" if masked_only and kind in _NUMBERS else _DEFAULT_CORRUPTION[kind]
    name = settings.corruption or default
    kinds = {"mask": ("tokens", "graph"), "flip": ("bits",), "zero": _NUMBERS, "gaussian": ("array",)}
    if kind not in kinds[name]:
        raise InputError(f"corruption {name!r}: not applicable to {kind}; use {default!r}")
    if name != "gaussian" and level > 1:
        raise InputError(f"corruption_level {level}: expected at most 1, a fraction, for {name!r}")
    if masked_only and name not in ("mask", "zero"):
        raise InputError(
            f"corruption {name!r}: masks nothing, but scores_hidden counts masked positions only; use {default!r}"
        )
    if name == "mask":
        return corruption.HideAtoms(level) if kind == "graph" else corruption.MaskTokens(level, masked_only)
    if name == "zero":
        return corruption.HideNumbers(level, 0.5 if masked_only and kind == "bits" else 0.0, masked_only)
    return corruption.FlipBits(level) if name == "flip" else corruption.AddNoise(level)


def _named(table: Mapping[str, _Part], name: str, kind: str) -> _Part:
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"{kind} {name!r}: unknown; {hint}expected one of {', '.join(table)}")
    return table[name]


_NUMBERS: tuple[Kind, ...] = ("array", "bits", "counts")
_DEFAULT_CORRUPTION: dict[Kind, str] = {
    "tokens": "mask",
    "bits": "flip",
    "counts": "zero",
    "array": "gaussian",
    "graph": "mask",
}
_DEFAULT_KIND: dict[Kind, str] = {"tokens": "gru", "bits": "mlp", "counts": "mlp", "array": "mlp", "graph": "graph"}
_ENCODERS = {"gru": GruEncoderSettings, "mlp": MlpSettings, "graph": GraphEncoderSettings}

BOTTLENECKS: dict[str, Callable[[int, ModelSettings], Bottleneck]] = {
    "linear": lambda n_in, settings: LinearBottleneck(n_in, settings.n_latent),
    "gaussian": lambda n_in, settings: GaussianBottleneck(n_in, settings.n_latent),
    "rectified": lambda n_in, settings: RectifiedBottleneck(n_in, settings.n_latent),
    "sigmoid": lambda n_in, settings: SigmoidBottleneck(n_in, settings.n_latent),
    "topk": lambda n_in, settings: TopKBottleneck(n_in, settings.n_latent, settings.k),
}

REGULARIZERS: dict[str, Callable[[ModelSettings], Regularizer]] = {
    "kl": lambda settings: regularizers.Kl(settings.free_nats),
    "l1": lambda settings: regularizers.l1,
    "kl_to_rate": lambda settings: regularizers.KlToRate(settings.active_rate),
    "contraction": lambda settings: regularizers.Contraction(settings.contraction_step),
    "similarity": lambda settings: regularizers.Similarity(),
}

RECIPES = {
    "linear": Recipe(is_linear=True),
    "plain": Recipe(),
    "denoising": Recipe(corrupts=True),
    "masked": Recipe(corrupts=True, scores_hidden=True),
    "variational": Recipe(bottleneck="gaussian", regularizers=("kl",)),
    "sparse": Recipe(bottleneck="rectified", regularizers=("l1",)),
    "sparse_rate": Recipe(bottleneck="sigmoid", regularizers=("kl_to_rate",)),
    "sparse_topk": Recipe(bottleneck="topk"),
    "contractive": Recipe(regularizers=("contraction",)),
    "molecular": Recipe(
        bottleneck="gaussian", regularizers=("kl", "similarity"), noise_conditioned=True, predicts_properties=True
    ),
}
