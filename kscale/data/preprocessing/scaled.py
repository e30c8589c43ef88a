"""Numbers scaled by a factor and an offset a feature, and ids that stay unchanged."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import ComputedRows, Rows, chunks_of
from kscale.data.preprocessing.base import Fit, OfOneInput, Preprocessing, RawInput
from kscale.errors import DataError
from kscale.task.tasks import Input

_CHUNK = 2**21  # numbers held in float64 at once

# A spread below float32's resolution of the mean is rounding, not information.
_LEAST_SPREAD = 1e-7


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

    @classmethod
    def standardizing(cls, mean: NDArray[Any], spread: NDArray[Any]) -> "Scaling":
        """From features of a mean and a deviation to mean 0 and deviation 1."""
        return cls(tuple((1 / spread).tolist()), tuple((-mean / spread).tolist()))

    @property
    def is_identity(self) -> bool:
        return set(self.scale) == {1.0} and set(self.offset) == {0.0}

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """The scaled array, as new float32; shape `(..., features)`."""
        scaled = np.array(array, dtype=np.float32, order="C")
        lines, copies = scaled, 1
        if len(self.scale) == scaled.shape[-1] and scaled.ndim > 2:
            # NumPy takes several times as long for a last axis of three colours.
            copies = scaled.shape[-2]
            lines = scaled.reshape(*scaled.shape[:-2], -1)
        lines *= np.tile(np.asarray(self.scale, dtype=np.float32), copies)
        lines += np.tile(np.asarray(self.offset, dtype=np.float32), copies)
        return scaled

    def invert(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """The array before it was scaled, as new float32; shape `(..., features)`."""
        raw = np.array(array, dtype=np.float32)
        raw -= np.asarray(self.offset, dtype=np.float32)
        raw /= np.asarray(self.scale, dtype=np.float32)
        return raw


def unscaled(scaled: Any, scaling: Scaling) -> Any:
    """What was scaled, an array or a Keras tensor, as it was before."""
    offset = np.asarray(scaling.offset, np.float32)
    return (scaled - offset) / np.asarray(scaling.scale, np.float32)


def scalings_from_json(data: Mapping[str, Any]) -> dict[str, Scaling]:
    """Scalings by name, of `vars` of each."""
    return msgspec.convert(data, dict[str, Scaling])


def fit_input_scaling(array: Rows) -> Scaling:
    """From raw inputs to mean 0 and deviation 1, by feature; constants become 0."""
    return Scaling.standardizing(*_moments(array))


def fit_target_scaling(array: NDArray[Any]) -> Scaling:
    """From a network's outputs to the unit of targets `(examples, outputs)`."""
    mean, spread = _moments(array)
    return Scaling(tuple(spread.tolist()), tuple(mean.tolist()))


def _moments(array: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation of each feature, in two passes of float64."""

    def mean_of(made: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[np.float64]:
        # Over examples first: a sum of millions of three colours each, the other way,
        # takes NumPy three times as long.
        total: Any = 0
        for chunk in chunks_of(array, _CHUNK * array.dtype.itemsize):
            total = total + made(chunk.astype(np.float64)).sum(axis=0)
        by_feature = total.reshape(-1, array.shape[-1]).sum(axis=0)
        return np.asarray(by_feature / np.prod(array.shape[:-1]))

    mean = mean_of(lambda numbers: numbers)
    spread = np.sqrt(mean_of(lambda numbers: (numbers - mean) ** 2))
    is_constant = spread <= np.maximum(_LEAST_SPREAD * np.abs(mean), 1e-30)
    return mean, np.where(is_constant, 1.0, spread)


@dataclass(frozen=True)
class Scaled(OfOneInput):
    """Images, vectors and sequences: a factor and an offset a feature (last axis)."""

    kind: ClassVar[str] = "scaled"
    is_cheap: ClassVar[bool] = True

    scaling: Scaling

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return self.scaling.apply(raw[self.raw.name])

    def variant(
        self, seen: Input, view: Mapping[str, int], train: Mapping[str, Rows]
    ) -> Preprocessing:
        height, width = seen.shape[:2]
        return Averaged(self.raw, self.scaling, height, width)


@dataclass(frozen=True)
class Averaged(OfOneInput):
    """Scaled images brought to smaller sides, each pixel the mean of its area.

    Whole and smaller images have the same mean, and so the same scaling. An
    area that ends inside a pixel counts a part of the pixel. The matrices stand on the
    right of the products, where converters take constants for weights.
    """

    kind: ClassVar[str] = "averaged"

    scaling: Scaling
    height: int
    width: int

    @property
    def matrices(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What makes fewer columns of columns and fewer rows of rows, `(many, few)`."""
        height, width = self.raw.shape[:2]
        return _means(width, self.width), _means(height, self.height)

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        return self._averaged({"": self.scaling.apply(raw[self.raw.name])})

    def rows(self, seen: Input, inputs: Rows, raw: Mapping[str, Rows]) -> ComputedRows:
        return ComputedRows(self._averaged, {"": inputs}, seen.shape, seen.dtype)

    def _averaged(self, images: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        columns, rows = self.matrices
        narrow = images[""].transpose(0, 3, 1, 2) @ columns
        low = narrow.transpose(0, 1, 3, 2) @ rows
        return np.ascontiguousarray(low.transpose(0, 3, 2, 1))


def _means(many: int, few: int) -> NDArray[np.float32]:
    """Shares of numbers in means of as many neighbours each, `(many, few)`."""
    ends = np.arange(few + 1) * many / few
    places = np.arange(many)[:, None]
    covered = np.minimum(ends[1:], places + 1) - np.maximum(ends[:-1], places)
    return np.asarray(np.maximum(covered, 0) * few / many, np.float32)


@dataclass(frozen=True)
class Unchanged(OfOneInput):
    """Token ids, which a network takes unchanged."""

    kind: ClassVar[str] = "unchanged"
    is_cheap: ClassVar[bool] = True

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return raw[self.raw.name].astype(np.int32, copy=False)


@dataclass(frozen=True)
class ScaledFit(Fit):
    """Numbers of a known shape become standardized; token ids stay unchanged."""

    input: Input

    def known_input(self) -> Input:
        return self.input

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, Preprocessing]:
        """Mean 0 and standard deviation 1, a feature (last axis) at a time."""
        item = self.input
        if item.kind == "tokens":
            return item, Unchanged(RawInput(item.name, item.shape, "int32"))
        scaling = fit_input_scaling(train[item.name])
        fitted = replace(item, scale=scaling.scale, offset=scaling.offset)
        return fitted, Scaled(RawInput(item.name, item.shape), scaling)
