"""The family on one page: a recipe is a row of a table, and build() composes its parts."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from molvae.autoencoder import corruption
from molvae.autoencoder.bottlenecks import GaussianBottleneck, LinearBottleneck
from molvae.autoencoder.decoders import GruDecoder
from molvae.autoencoder.encoders import GruEncoder
from molvae.autoencoder.model import Autoencoder
from molvae.autoencoder.regularizers import PropertyHead, Regularizer, kl
from molvae.errors import InputError
from molvae.feature_spec import FeatureSpec
from molvae.settings import Settings


class GruEncoderSettings(Settings):
    """A bidirectional GRU over token embeddings, read by attention heads."""

    kind: Literal["gru"] = "gru"
    embedding: int = Field(256, ge=1)
    hidden: int = Field(320, ge=1, description="units in each direction")
    heads: int = Field(4, ge=1)


class GruDecoderSettings(Settings):
    """A GRU that writes token by token."""

    kind: Literal["gru"] = "gru"
    hidden: int = Field(512, ge=1)


class ModelSettings(Settings):
    """A recipe, and the sizes of its parts."""

    recipe: str = "molecular"
    n_latent: int = Field(64, ge=1, le=1024)
    encoder: GruEncoderSettings = GruEncoderSettings()
    decoder: GruDecoderSettings = GruDecoderSettings()
    mask_rate: float = Field(0.15, ge=0, le=1)


@dataclass(frozen=True)
class Recipe:
    """One member of the family: which parts are composed."""

    is_masking: bool = False
    bottleneck: type[LinearBottleneck] | type[GaussianBottleneck] = LinearBottleneck
    regularizers: dict[str, Regularizer] = field(default_factory=dict)
    is_noise_told: bool = False
    has_property_head: bool = False


def build(settings: ModelSettings, spec: FeatureSpec, n_properties: int = 0) -> Autoencoder:
    """The model of a recipe over features of a spec, with random weights.

    n_properties: labels a molecule; the recipe's property head is left out where there are none.

    Raises:
        InputError: no such recipe, or the features are not ones that it can rebuild.
    """
    if settings.recipe not in RECIPES:
        raise InputError(f"recipe {settings.recipe!r}: expected one of {', '.join(RECIPES)}")
    if spec.kind != "tokens":
        raise InputError(f"recipe {settings.recipe!r}: rebuilds tokens, got features of kind {spec.kind!r}")
    recipe = RECIPES[settings.recipe]
    encoder = GruEncoder(spec, settings.encoder.embedding, settings.encoder.hidden, settings.encoder.heads)
    return Autoencoder(
        corruption=corruption.MaskTokens(settings.mask_rate) if recipe.is_masking else corruption.keep,
        encoder=encoder,
        bottleneck=recipe.bottleneck(encoder.n_out, settings.n_latent),
        decoder=GruDecoder(spec, settings.n_latent, settings.decoder.hidden),
        regularizers=recipe.regularizers,
        property_head=PropertyHead(settings.n_latent, n_properties)
        if recipe.has_property_head and n_properties
        else None,
        is_noise_told=recipe.is_noise_told,
    )


RECIPES = {
    "plain": Recipe(),
    "denoising": Recipe(is_masking=True),
    "variational": Recipe(bottleneck=GaussianBottleneck, regularizers={"kl": kl}),
    "molecular": Recipe(
        bottleneck=GaussianBottleneck, regularizers={"kl": kl}, is_noise_told=True, has_property_head=True
    ),
}
