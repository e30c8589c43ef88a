"""Scaling: a factor and an offset a feature, as the model that ships applies them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.errors import DataError


@dataclass(frozen=True)
class Scaling:
    """`y = x * scale + offset` on the last axis, as `keras.layers.Rescaling` does.

    Args:
        scale: One factor, or one a feature; finite and not 0.
        offset: As many numbers as `scale`.

    Raises:
        DataError: The lengths differ, or a number cannot be inverted.

    Example:

    >>> Scaling((0.5,), (-1.0,)).apply(np.array([[0.0], [4.0]])).tolist()
    [[-1.0], [1.0]]
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.offset):
            raise DataError(
                "A scaling has as many offsets as factors, at least one, but got "
                f"{len(self.scale)} factors and {len(self.offset)} offsets."
            )
        numbers = (*self.scale, *self.offset)
        if 0 in self.scale or not all(math.isfinite(number) for number in numbers):
            raise DataError(
                "Factors of a scaling must be finite and not 0 and offsets finite, "
                f"but got scale={self.scale}, offset={self.offset}."
            )

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return set(self.scale) == {1.0} and set(self.offset) == {0.0}

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """The scaled array, as new float32; shape `(..., features)`."""
        scaled = np.array(array, dtype=np.float32, order="C")
        lines, copies = _lines(scaled, len(self.scale))
        lines *= np.tile(np.asarray(self.scale, dtype=np.float32), copies)
        lines += np.tile(np.asarray(self.offset, dtype=np.float32), copies)
        return scaled

    def invert(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """What `apply` was given, as new float32; shape `(..., features)`."""
        raw = np.array(array, dtype=np.float32)
        raw -= np.asarray(self.offset, dtype=np.float32)
        raw /= np.asarray(self.scale, dtype=np.float32)
        return raw


def _lines(array: NDArray[Any], features: int) -> tuple[NDArray[Any], int]:
    """A view of an array whose last two axes are one, and the features in it.

    NumPy takes several times as long for a last axis of three colours.
    """
    if features == 1 or array.ndim < 3 or array.shape[-1] != features:
        return array, 1
    *outer, positions, _ = array.shape
    return array.reshape(*outer, positions * features), positions


def scalings_from_json(data: Mapping[str, Any]) -> dict[str, Scaling]:
    """Scalings by name, of `vars` of each."""
    return {
        name: Scaling(tuple(item["scale"]), tuple(item["offset"]))
        for name, item in data.items()
    }
