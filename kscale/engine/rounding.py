"""Weights rounded to the values of a file of fewer bits, as by ai-edge-quantizer.

Each output channel of a layer has a scale, from the channel's largest weight. A whole
embedding has one scale and 8 bits. Biases and norms are not rounded.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Axes = tuple[int, ...]

_TABLE_BITS = 8
_LEAST = 1e-9  # of a scale's largest weight, as in ai-edge-quantizer


def rounded(array: NDArray[Any], bits: int, channels: Axes) -> NDArray[Any]:
    """An array as it is read back from so many bits a number.

    Args:
        array: The weights.
        bits: 16 for float16, 8 or 4 for integers with a scale a channel.
        channels: Axes of the channels.

    Example:

    >>> rounded(np.array([[0.9, -10.0], [0.1, 7.0]]), 4, (1,)).round(2).tolist()
    [[0.9, -10.0], [0.13, 7.14]]
    """
    if bits == 16:
        return array.astype(np.float16).astype(array.dtype)
    most = 2 ** (bits - 1) - 1
    others = tuple(axis for axis in range(array.ndim) if axis not in channels)
    scale = np.maximum(np.abs(array).max(axis=others, keepdims=True), _LEAST) / most
    return np.asarray(np.rint(array / scale) * scale, array.dtype)


def rounded_table(table: NDArray[Any], bits: int) -> NDArray[Any]:
    """An embedding as it is read back: from 8 bits for 8 and fewer, else unchanged."""
    if bits > _TABLE_BITS:
        return table
    low, high = min(float(table.min()), 0.0), max(float(table.max()), 0.0)
    scale = max(high - low, _LEAST) / (2**_TABLE_BITS - 1)
    zero = np.rint(low / scale)
    return np.asarray((np.rint(table / scale - zero) + zero) * scale, table.dtype)


def round_weights(model: keras.Model, bits: int) -> None:
    """Round the weights of a model to so many bits."""
    if bits >= 32:
        return
    for layer in model._flatten_layers(include_self=False):
        # Rows of positions are the same for all examples: constants of the file.
        is_table = isinstance(layer, keras.layers.Embedding) and layer.input_dim > 1
        if is_table and not layer.name.endswith("positions"):
            table = rounded_table(np.asarray(layer.embeddings), bits)
            layer.embeddings.assign(table)
        channels = _CHANNELS.get(type(layer))
        if channels is None or bits < _FEWEST.get(type(layer), 0):
            continue
        for variable in layer.weights:
            if variable.name in _KERNELS and len(variable.shape) > 1:
                array = np.asarray(variable)
                variable.assign(rounded(array, bits, channels(layer)))


_KERNELS = {"kernel", "recurrent_kernel"}


def _made_by_matmul(layer: Any) -> Axes:
    """The axes of a kernel that are axes of the output too."""
    read, made = layer.equation.split("->")
    kernel = read.split(",")[1]
    return tuple(axis for axis, name in enumerate(kernel) if name in made)


_CHANNELS: dict[type[Any], Callable[[Any], Axes]] = {
    keras.layers.Dense: lambda layer: (1,),
    keras.layers.Conv1D: lambda layer: (2,),
    keras.layers.Conv2D: lambda layer: (3,),
    keras.layers.DepthwiseConv2D: lambda layer: (2, 3),
    keras.layers.EinsumDense: _made_by_matmul,
    keras.layers.LSTMCell: lambda layer: (1,),
    keras.layers.GRUCell: lambda layer: (1,),
}
"""Axes of the channels that a layer makes, in its kernels."""

_FEWEST = {keras.layers.DepthwiseConv2D: 8}
"""Fewest bits that a layer is stored in; with fewer, it stays in float32."""
