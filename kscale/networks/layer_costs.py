"""What one layer costs: output, weights, FLOPs and inner bytes, from its inputs.

There is one rule for each record of `kscale.networks.blueprint`. The fold over a whole
network, and the definitions of the words, are in `kscale.networks.sizing`.
"""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from kscale.networks import blueprint as bp
from kscale.networks.backbones import Backbone, counts_of
from kscale.networks.blueprint import Layer
from kscale.networks.whole_numbers import are_equal


class Tensor(NamedTuple):
    """An output of a layer: shape without the batch, and bytes of one example."""

    shape: tuple[Any, ...]
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


def tensor(shape: tuple[Any, ...], itemsize: int = 4) -> Tensor:
    """A tensor of a shape, with so many bytes an element."""
    return Tensor(shape, prod(shape, start=itemsize))


def same_shape(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    """Whether two shapes are equal, in every element where they hold arrays."""
    return len(left) == len(right) and all(map(are_equal, left, right))


class Misfit(Exception):
    """A layer cannot take its input; the text says what the layer needs."""


def _need(read: list[Tensor], rank: int, what: str) -> tuple[Any, ...]:
    if len(read[0].shape) != rank:
        raise Misfit(what)
    return read[0].shape


def _image(read: list[Tensor]) -> tuple[Any, ...]:
    return _need(read, 3, "an image (height, width, channels)")


def _sequence(read: list[Tensor]) -> tuple[Any, ...]:
    return _need(read, 2, "a sequence (length, features)")


def _ids(read: list[Tensor]) -> tuple[Any, ...]:
    return _need(read, 1, "ids (length,)")


def _dense(layer: bp.Dense, read: list[Tensor]) -> Cost:
    *leading, features = read[0].shape
    weights = features * layer.units
    return Cost(
        tensor((*leading, layer.units)),
        params=weights + layer.units if layer.use_bias else weights,
        flops=2 * prod(leading) * weights,
    )


def _windows(
    read: list[Tensor], side: int, strides: int, padding: str
) -> tuple[Any, Any, Any]:
    """Places of a window down and across an image, and the channels of the image."""
    height, width, channels = _image(read)
    if padding == "same":
        return -(-height // strides), -(-width // strides), channels
    rows, columns = (height - side) // strides + 1, (width - side) // strides + 1
    if rows < 1 or columns < 1:
        raise Misfit(f"an image of at least {side}x{side}")
    return rows, columns, channels


def _conv2d(layer: bp.Conv2D, read: list[Tensor]) -> Cost:
    rows, columns, channels = _windows(read, layer.kernel, layer.strides, layer.padding)
    weights = layer.kernel * layer.kernel * channels * layer.filters
    return Cost(
        tensor((rows, columns, layer.filters)),
        params=weights + layer.filters if layer.use_bias else weights,
        flops=2 * rows * columns * weights,
    )


def _max_pool2d(layer: bp.MaxPool2D, read: list[Tensor]) -> Cost:
    strides = layer.strides or layer.pool
    return Cost(tensor(_windows(read, layer.pool, strides, layer.padding)))


def _global_average_pool(layer: bp.GlobalAveragePool, read: list[Tensor]) -> Cost:
    shape = _sequence(read) if layer.positions else _image(read)
    return Cost(tensor(shape[-1:]))


def _same(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(read[0])


def _same_image(layer: Layer, read: list[Tensor]) -> Cost:
    return Cost(tensor(_image(read)))


def _batch_norm(layer: Layer, read: list[Tensor]) -> Cost:
    channels = read[0].shape[-1]
    return Cost(read[0], params=4 * channels, frozen=2 * channels)


def _embedding(layer: bp.Embedding, read: list[Tensor]) -> Cost:
    length = _ids(read)[0]
    return Cost(tensor((length, layer.width)), params=layer.vocabulary * layer.width)


def _positions(layer: Layer, read: list[Tensor]) -> Cost:
    if len(read[0].shape) not in (1, 2):
        raise Misfit("ids (length,) or a sequence (length, features)")
    return Cost(tensor(read[0].shape[:1]))


def _attention(layer: bp.Attention, read: list[Tensor]) -> Cost:
    if len(read) < 2 or len(read[1].shape) != 2:
        raise Misfit("queries and a memory, both (length, features)")
    length, features = _need(read, 2, "queries (length, features)")
    memory, source = read[1].shape
    queries, keys = features * layer.width, source * layer.width
    projections = length * queries + memory * keys
    scores = length * memory
    return Cost(
        tensor((length, features)),
        params=2 * (queries + keys) + 3 * layer.width + features,
        # Queries, output, keys and values; then scores and context.
        flops=4 * (projections + scores * layer.width),
        inner=4 * (2 * (length + memory) * layer.width + scores * layer.heads),
    )


def _add(layer: Layer, read: list[Tensor]) -> Cost:
    if not all(same_shape(item.shape, read[0].shape) for item in read):
        raise Misfit("inputs of one shape")
    return Cost(read[0])


def _concatenate(layer: Layer, read: list[Tensor]) -> Cost:
    if not all(same_shape(item.shape[:-1], read[0].shape[:-1]) for item in read):
        raise Misfit("inputs that differ in the last side only")
    width = sum(item.shape[-1] for item in read)
    return Cost(tensor((*read[0].shape[:-1], width)))


def _depthwise_conv2d(layer: bp.DepthwiseConv2D, read: list[Tensor]) -> Cost:
    rows, columns, channels = _windows(read, layer.kernel, layer.strides, layer.padding)
    weights = layer.kernel * layer.kernel * channels
    return Cost(
        tensor((rows, columns, channels)),
        params=weights + channels if layer.use_bias else weights,
        flops=2 * rows * columns * weights,
    )


def _zero_pad2d(layer: bp.ZeroPad2D, read: list[Tensor]) -> Cost:
    height, width, channels = _image(read)
    both = 2 * layer.padding
    return Cost(tensor((height + both, width + both, channels)))


def _multiply(layer: Layer, read: list[Tensor]) -> Cost:
    whole = read[0].shape
    fits = (whole, whole[-1:])
    if not all(any(same_shape(item.shape, fit) for fit in fits) for item in read):
        raise Misfit("inputs of the first one's shape, or of a factor for each channel")
    return Cost(read[0])


def _reshape(layer: bp.Reshape, read: list[Tensor]) -> Cost:
    elements, known = prod(read[0].shape), prod(s for s in layer.shape if s != -1)
    rest = elements // known
    if not same_shape((rest * known if -1 in layer.shape else known,), (elements,)):
        sides = "x".join(str(side) for side in layer.shape)
        raise Misfit(f"as many elements as its output of {sides}")
    shape = tuple(rest if side == -1 else side for side in layer.shape)
    return Cost(Tensor(shape, read[0].bytes))


def _prepend(layer: Layer, read: list[Tensor]) -> Cost:
    length, features = _sequence(read)
    return Cost(tensor((length + 1, features)), params=features)


def _recurrent(layer: bp.Recurrent, read: list[Tensor]) -> Cost:
    length, features = _sequence(read)
    units, directions = layer.units, 1 + layer.bidirectional
    # Gates, their biases, and states: an LSTM has a cell beside its output, Keras' GRU
    # (`reset_after`) one bias for what is read and one for the state.
    gates, biases, states = (4, 4, 2) if layer.cell == "lstm" else (3, 6, 1)
    kernels = gates * units * (features + units)
    shape = (length, directions * units) if layer.sequences else (directions * units,)
    return Cost(
        tensor(shape),
        params=directions * (kernels + biases * units),
        # At every position, the products with both kernels.
        flops=2 * length * directions * kernels,
        inner=4 * length * directions * (gates + states) * units,
    )


def _backbone(layer: Backbone, read: list[Tensor]) -> Cost:
    channels = _image(read)[-1]
    if channels not in (1, 3):
        raise Misfit("an image of 1 or 3 channels")
    counts = counts_of(layer.network)
    flops, peak, held = counts.costs[layer.side]
    output = tensor((counts.features,))
    return Cost(
        output,
        params=counts.params,
        frozen=counts.statistics if layer.is_tuned else counts.params,
        flops=flops,
        inner=peak - output.bytes,
        kept=held - output.bytes if layer.is_tuned else 0,
    )


RULES: dict[type[Layer], Callable[[Any, list[Tensor]], Cost]] = {
    bp.Dense: _dense,
    bp.Conv2D: _conv2d,
    bp.MaxPool2D: _max_pool2d,
    bp.GlobalAveragePool: _global_average_pool,
    bp.Flatten: lambda layer, read: Cost(tensor((prod(read[0].shape),))),
    bp.First: lambda layer, read: Cost(tensor(_sequence(read)[1:])),
    bp.Activation: _same,
    bp.BatchNorm: _batch_norm,
    bp.LayerNorm: lambda layer, read: Cost(read[0], params=2 * read[0].shape[-1]),
    bp.Dropout: _same,
    bp.RandomShift: _same_image,
    bp.RandomFlip: _same_image,
    bp.RandomErase: _same_image,
    bp.Embedding: _embedding,
    bp.KnownTokens: lambda layer, read: Cost(tensor(_ids(read))),
    bp.Positions: _positions,
    bp.PaddingMask: lambda layer, read: Cost(tensor(_ids(read), itemsize=1)),
    bp.Attention: _attention,
    bp.Add: _add,
    bp.Concatenate: _concatenate,
    bp.DepthwiseConv2D: _depthwise_conv2d,
    bp.ZeroPad2D: _zero_pad2d,
    bp.Multiply: _multiply,
    bp.Rescale: _same,
    bp.Reshape: _reshape,
    bp.Prepend: _prepend,
    bp.Recurrent: _recurrent,
    Backbone: _backbone,
}
