"""How a codec draws molecules, unless told otherwise."""

from pydantic import Field

from molvae.settings import Settings


class SamplingSettings(Settings):
    """How molecules are drawn: the noise level told to the decoder, and the temperature of its tokens."""

    noise: float = Field(0.6, ge=0, le=1)
    temperature: float = Field(0.5, ge=0, le=10)
