"""What one layer costs, from the shapes that it reads: words of all layer records.

Counts are whole numbers, or int64 arrays of them with an element for each width: then
a network is counted for all widths at once. The fold over a whole network, and the
definitions of the words, are in `kscale.networks.sizing`.
"""

from math import prod
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[Any, ...]

_INPUTS = {
    1: "ids (length,)",
    2: "a sequence (length, features)",
    3: "an image (height, width, channels)",
}


class Tensor(NamedTuple):
    """An output of a layer: shape without the batch, and bytes of one example."""

    shape: Shape
    bytes: Any


class Cost(NamedTuple):
    """What one layer adds to a network.

    `frozen` are the params that no training changes, `inner` the bytes that the layer
    needs only while it runs. Training holds the inner bytes for the backward pass, or
    just `kept` of them if that is not None.
    """

    output: Tensor
    params: Any = 0
    frozen: Any = 0
    flops: Any = 0
    inner: Any = 0
    kept: Any = None


class Misfit(Exception):
    """A layer cannot take its input; the text says what the layer needs."""


def larger(left: Any, right: Any) -> Any:
    """The larger of two counts, element by element.

    Example:

    >>> larger(3, 8), larger(5, np.array([3, 8])).tolist()
    (8, [5, 8])
    """
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return np.maximum(left, right)


def tensor(*shape: Any, itemsize: int = 4) -> Tensor:
    """A tensor of a shape, with so many bytes an element."""
    return Tensor(shape, prod(shape, start=itemsize))


def same_shape(left: Shape, right: Shape) -> bool:
    """Whether two shapes are equal, in every element where they hold arrays."""
    if len(left) != len(right):
        return False
    equal = (a is b or a == b for a, b in zip(left, right, strict=True))
    return all(it if isinstance(it, bool) else bool(np.all(it)) for it in equal)


def shape_of(read: list[Tensor], rank: int) -> Shape:
    """The shape of the first input, which must have so many sides."""
    if len(read[0].shape) != rank:
        raise Misfit(_INPUTS[rank])
    return read[0].shape


def convolution(layer: Any, read: list[Tensor], filters: Any = None) -> Cost:
    """Cost of a convolution: a filter reads all channels, or each channel has one."""
    rows, columns, channels = windows_of(
        read, layer.kernel, layer.strides, layer.padding
    )
    outputs, each = (channels, 1) if filters is None else (filters, channels)
    weights = layer.kernel**2 * each * outputs
    return Cost(
        tensor(rows, columns, outputs),
        params=weights + layer.use_bias * outputs,
        flops=2 * rows * columns * weights,
    )


def windows_of(read: list[Tensor], side: int, strides: int, padding: str) -> Shape:
    """Places of a window down and across an image, and the channels of the image."""
    height, width, channels = shape_of(read, 3)
    if padding == "same":
        return -(-height // strides), -(-width // strides), channels
    rows, columns = (height - side) // strides + 1, (width - side) // strides + 1
    if rows < 1 or columns < 1:
        raise Misfit(f"an image of at least {side}x{side}")
    return rows, columns, channels
