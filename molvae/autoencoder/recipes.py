"""The family on one page: a recipe is a row of a table, and build() composes its parts."""

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
    """A bidirectional GRU over token embeddings, read by attention heads."""

    kind: Literal["gru"] = "gru"
    embedding: int = Field(256, ge=1)
    hidden: int = Field(320, ge=1, description="units in each direction")
    heads: int = Field(4, ge=1)


class GraphEncoderSettings(Settings):
    """Message passing over a molecule's atoms and bonds, read by attention heads."""

    kind: Literal["graph"] = "graph"
    hidden: int = Field(192, ge=1, description="numbers an atom")
    message_passing_steps: int = Field(4, ge=1, description="number of message-passing steps")
    heads: int = Field(4, ge=1)


class GruDecoderSettings(Settings):
    """A GRU that writes token by token."""

    kind: Literal["gru"] = "gru"
    hidden: int = Field(512, ge=1)


class MlpSettings(Settings):
    """Layers for rows of numbers; widths from the input's side to the code's, None for a halving stack."""

    kind: Literal["mlp"] = "mlp"
    widths: tuple[Annotated[int, Field(ge=1)], ...] | None = None


@dataclass(frozen=True)
class Recipe:
    """One member of the family: which parts are composed.

    is_linear: neither encoder nor decoder bends anything.
    corrupts: whether the encoder reads a damaged view; scores_hidden: whether only what it could not see counts.
    bottleneck: a name of BOTTLENECKS; regularizers: names of REGULARIZERS.
    noise_conditioned: whether the decoder also learns from noised points, told how noisy they are.
    predicts_properties: whether a linear head reads properties off the points, where there are labels.
    """

    is_linear: bool = False
    corrupts: bool = False
    scores_hidden: bool = False
    bottleneck: str = "linear"
    regularizers: tuple[str, ...] = ()
    noise_conditioned: bool = False
    predicts_properties: bool = False


class Changes(Settings):
    """What a mixture has otherwise than its recipe; see Recipe. None leaves the recipe's."""

    corrupts: bool | None = None
    scores_hidden: bool | None = None
    bottleneck: str | None = None
    regularizers: tuple[str, ...] | None = None
    noise_conditioned: bool | None = None
    predicts_properties: bool | None = None


class ModelSettings(Settings):
    """A recipe, what is changed in it, and the sizes of its parts.

    encoder, decoder: None takes the one that fits: "gru" for tokens, "mlp" for numbers, "graph" for graphs.
    noise_draws: where a decoder is told its noise; 1: all levels in [0, 1] alike often, 2 and more: oftener near 0.5.
    noised_share: the part of a batch that is decoded from noised points, too; less is faster.
    corruption: None takes the one that fits: tokens and atoms are masked, bits flipped, numbers get normal noise.
    corruption_level: share of tokens, atoms, bits or numbers that are damaged; of normal noise the standard deviation.
    """

    recipe: str = "molecular"
    n_latent: int = Field(64, ge=1, le=1024)
    encoder: GruEncoderSettings | MlpSettings | GraphEncoderSettings | None = Field(None, discriminator="kind")
    decoder: GruDecoderSettings | MlpSettings | None = Field(None, discriminator="kind")
    changes: Changes = Changes()
    corruption: Literal["mask", "flip", "zero", "gaussian"] | None = None
    corruption_level: float = Field(0.15, ge=0)
    noise_draws: int = Field(1, ge=1, le=8, description="a noise level is the mean of so many uniform draws")
    noised_share: float = Field(1.0, gt=0, le=1, description="share of a batch that is decoded noised, too")
    token_dropout: float = Field(0.0, ge=0, lt=1, description="share of the tokens before that a decoder is not told")
    free_nats: float = Field(0.0, ge=0, description="least cost of a latent dimension, in nats")
    active_rate: float = Field(0.05, gt=0, lt=1, description="target activity of a unit, for kl_to_rate")
    k: int = Field(8, ge=1, description="units that speak for a molecule, for the top-k bottleneck")
    contraction_step: float = Field(1e-2, gt=0, description="relative to the embedding's size")


def build(
    settings: ModelSettings,
    spec: FeatureSpec,
    n_properties: int = 0,
    view: FeatureSpec | None = None,
    n_bits: int = 0,
) -> Autoencoder:
    """The model of a recipe, with random weights.

    spec: of what is rebuilt; view: of what the encoder reads, where that is something else.
    n_properties, n_bits: labels a molecule, and bits of its fingerprint. The property head is left out where there are
        no labels, and the term `similarity` where there are no bits.

    Raises:
        InputError: no such recipe or part, or parts that cannot be put together.
    """
    recipe = _recipe(settings)
    seen = view or spec
    if spec.kind == "graph":
        raise InputError("a graph is read, not written; rebuild tokens, bits or counts from it")
    if recipe.scores_hidden and view is not None:
        raise InputError("scores_hidden: hidden places can only be scored where the encoder reads what is rebuilt")
    if recipe.is_linear and {"tokens", "graph"} & {seen.kind, spec.kind}:
        raise InputError(
            f"recipe {settings.recipe!r}: a linear map reads and writes numbers, not tokens or graphs; use 'plain'"
        )
    names = [name for name in recipe.regularizers if name != "similarity" or n_bits]
    encoder = _encoder(settings, recipe, seen)
    return Autoencoder(
        spec=spec,
        corruption=_corruption(settings, recipe, seen.kind),
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
        raise InputError(f"k {settings.k}: more than the {settings.n_latent} units of n_latent")
    return recipe


def _encoder(settings: ModelSettings, recipe: Recipe, spec: FeatureSpec) -> Encoder:
    sizes = settings.encoder or _ENCODERS[_FITTING[spec.kind]]()
    if isinstance(sizes, GruEncoderSettings) and spec.kind == "tokens":
        return GruEncoder(spec, sizes.embedding, sizes.hidden, sizes.heads)
    if isinstance(sizes, GraphEncoderSettings) and spec.kind == "graph":
        return GraphEncoder(spec, sizes.hidden, sizes.message_passing_steps, sizes.heads)
    if isinstance(sizes, MlpSettings) and spec.kind in _NUMBERS:
        return MlpEncoder(spec, _widths(sizes, recipe, spec, settings.n_latent))
    raise InputError(f"encoder {sizes.kind!r}: cannot read {spec.kind}; {_FITTING[spec.kind]!r} can")


def _decoder(settings: ModelSettings, recipe: Recipe, spec: FeatureSpec) -> Decoder:
    sizes = settings.decoder or (GruDecoderSettings() if spec.kind == "tokens" else MlpSettings())
    if isinstance(sizes, GruDecoderSettings) and spec.kind == "tokens":
        return GruDecoder(spec, settings.n_latent, sizes.hidden)
    if isinstance(sizes, MlpSettings) and spec.kind != "tokens":
        widths = _widths(sizes, recipe, spec, settings.n_latent)[::-1]
        return MlpDecoder(spec, settings.n_latent, widths, recipe.noise_conditioned)
    raise InputError(f"decoder {sizes.kind!r}: cannot write {spec.kind}; {_FITTING[spec.kind]!r} can")


def _widths(sizes: MlpSettings, recipe: Recipe, spec: FeatureSpec, n_latent: int) -> tuple[int, ...]:
    if recipe.is_linear:
        if sizes.widths:
            raise InputError(f"widths {list(sizes.widths)}: the linear recipe has no layers between input and code")
        return ()
    return halving_widths(spec.width, n_latent) if sizes.widths is None else sizes.widths


def _corruption(settings: ModelSettings, recipe: Recipe, kind: Kind) -> Corruption:
    if not recipe.corrupts:
        return corruption.keep
    level, hides = settings.corruption_level, recipe.scores_hidden
    default = "zero" if hides and kind in _NUMBERS else _DAMAGE[kind]
    name = settings.corruption or default
    fitting = {"mask": ("tokens", "graph"), "flip": ("bits",), "zero": _NUMBERS, "gaussian": ("array",)}
    if kind not in fitting[name]:
        raise InputError(f"corruption {name!r}: not for {kind}; {default!r} is")
    if name != "gaussian" and level > 1:
        raise InputError(f"corruption_level {level}: a share, at most 1, for {name!r}")
    if hides and name not in ("mask", "zero"):
        raise InputError(f"corruption {name!r}: hides nothing that could be scored; {default!r} does")
    if name == "mask":
        return corruption.HideAtoms(level) if kind == "graph" else corruption.MaskTokens(level, hides)
    if name == "zero":
        return corruption.HideNumbers(level, 0.5 if hides and kind == "bits" else 0.0, hides)
    return corruption.FlipBits(level) if name == "flip" else corruption.AddNoise(level)


def _named(table: Mapping[str, _Part], name: str, what: str) -> _Part:
    if name not in table:
        raise InputError(f"{what} {name!r}: expected one of {', '.join(table)}")
    return table[name]


_NUMBERS: tuple[Kind, ...] = ("array", "bits", "counts")
_DAMAGE: dict[Kind, str] = {"tokens": "mask", "bits": "flip", "counts": "zero", "array": "gaussian", "graph": "mask"}
_FITTING: dict[Kind, str] = {"tokens": "gru", "bits": "mlp", "counts": "mlp", "array": "mlp", "graph": "graph"}
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
