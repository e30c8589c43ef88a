"""Scalings fitted to the training part: mean 0 and standard deviation 1."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.rows import Rows, chunks_of, row_bytes
from kscale.data.scaling import Scaling

_CHUNK = 2**21  # numbers held in float64 at once

# A spread below float32's resolution of the mean is rounding, not information.
_LEAST_SPREAD = 1e-7


def fit_input_scaling(array: Rows) -> Scaling:
    """From raw to standardized, a feature (last axis) at a time; constants become 0."""
    mean, spread = _moments(array)
    return Scaling(_floats(1 / spread), _floats(-mean / spread))


def fit_target_scaling(array: NDArray[Any]) -> Scaling:
    """From a network's outputs to the unit of targets `(examples, outputs)`."""
    mean, spread = _moments(array)
    return Scaling(_floats(spread), _floats(mean))


def _floats(numbers: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)


def _moments(array: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation of each feature, in two passes of float64."""
    rows = int(np.prod(array.shape[:-1]))
    mean = _sums(_chunks(array)) / rows
    squares = _sums((chunk - mean) ** 2 for chunk in _chunks(array))
    spread = np.sqrt(squares / rows)
    is_constant = spread <= np.maximum(_LEAST_SPREAD * np.abs(mean), 1e-30)
    return mean, np.where(is_constant, 1.0, spread)


def _sums(chunks: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sum of each feature.

    Over examples first: a sum of millions of three colours each, the other way, takes
    NumPy three times as long.
    """
    total: Any = sum(chunk.sum(axis=0) for chunk in chunks)
    sums: NDArray[np.float64] = total.reshape(-1, total.shape[-1]).sum(axis=0)
    return sums


def _chunks(array: Rows) -> Iterator[NDArray[np.float64]]:
    """Some examples at a time."""
    numbers = max(1, row_bytes(array) // array.dtype.itemsize)
    most = _CHUNK * row_bytes(array) // numbers
    for chunk in chunks_of(array, most):
        yield chunk.astype(np.float64)
