"""What the optimizers that use a property head need of a codec."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from molvae.errors import InputError
from molvae.search.optimizers.protocol import LatentSpace

Windows = Mapping[str, tuple[float | None, float | None]]
"""Property name -> (low, high); None leaves a side open."""


@runtime_checkable
class PropertySpace(Protocol):
    """A latent space with a linear property head, such as a `molvae.codec.Codec` that was trained with labels."""

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions, D."""
        ...

    @property
    def property_names(self) -> list[str]:
        """Properties that the property head predicts."""
        ...

    def properties(self, z: np.ndarray) -> Any:
        """Predict properties from latent vectors (n, D): one column (n,) per name, such as a DataFrame."""
        ...

    def draw(
        self,
        n: int,
        *,
        seed: int = 0,
        windows: Windows | None = None,
        guidance: float = 1.0,
        spread: float | None = None,
    ) -> np.ndarray:
        """Draw latent vectors (n, D) from the prior, guided to property windows."""
        ...


def require_properties(space: LatentSpace, method: str) -> PropertySpace:
    """Check that a latent space has a property head.

    Parameters
    ----------
    space : LatentSpace
        The latent space.
    method : str
        Name of the optimizer that needs it, for the error message.

    Returns
    -------
    PropertySpace
        The same.

    Raises
    ------
    InputError
        It has no property head.
    """
    if not isinstance(space, PropertySpace) or not space.property_names:
        name = getattr(space, "name", type(space).__name__)
        raise InputError(
            f"method {method}: requires a codec with a property head, codec {name} has none; train one with labels, or "
            "use another method"
        )
    return space
