"""What the converter makes of each layer: operations of an int8 LiteRT file.

Batch normalization, `relu` and `relu6` become part of the operation whose only reader
they are. What is the same for all examples becomes a constant. TensorFlow Lite Micro
lacks some operations, as of gelu and of recurrent layers: a network with one of them
does not run on a microcontroller here.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from kscale.errors import SpecError
from kscale.networks import blueprint as bp, word_layers
from kscale.networks.arena import ALIGNMENT, aligned
from kscale.networks.blueprint import Layer
from kscale.networks.decoder_layers import SharedEmbedding, Sinusoids, TiedDense
from kscale.networks.flat import Node
from kscale.networks.operations import Operations, of_channels
from kscale.networks.sound_layers import FrameMask, StackFrames

_FUSED = ("linear", "relu", "relu6")
_FUNCTIONS = {
    "relu": ("RELU",),
    "relu6": ("RELU",),
    "sigmoid": ("LOGISTIC",),
    "silu": ("LOGISTIC", "MUL"),
    "hard_silu": ("HARD_SWISH",),
    "tanh": ("TANH",),
}

_LACKING = (
    bp.KnownTokens,
    bp.PaddingMask,
    bp.Recurrent,
    word_layers.Conv1D,
    word_layers.GlobalMaxPool,
    word_layers.Ngrams,
    FrameMask,
    SharedEmbedding,
    Sinusoids,
    StackFrames,
    TiedDense,
)


def lower(operations: Operations, node: Node) -> None:
    """Add the operations of a layer, or make the layer part of the last one.

    Raises:
        SpecError: TensorFlow Lite Micro has no such operation.
    """
    kind = type(node.layer)
    if kind in _LACKING:
        raise _refused(node, kind.__name__)
    if kind not in _RULES:
        raise SpecError(
            f"What layer {node.path!r} needs on a microcontroller is not known: its "
            f"kind, {kind.__name__}, is in no table of operations."
        )
    operations.elements[node.path] = prod(node.cost.output.shape)
    _RULES[kind](operations, node)


def _refused(node: Node, what: str) -> SpecError:
    return SpecError(
        f"Layer {node.path!r} does not run on a microcontroller here: the quantizer, "
        f"or TensorFlow Lite Micro, has no int8 operation for {what}."
    )


def _kernel(weights: Any, channels: Any) -> dict[str, Any]:
    """What an operation with a kernel has: a bias is always there."""
    return {
        "weights": aligned(weights) + aligned(4 * channels),
        "constants": 2,
        "channels": channels,
    }


def _weighted(kind: str) -> Callable[[Operations, Node], None]:
    """The rule of a layer with a kernel."""

    def rule(operations: Operations, node: Node) -> None:
        layer: Any = node.layer
        channels, function = node.cost.output.shape[-1], layer.activation
        kernel = node.cost.params - layer.use_bias * channels
        about = _kernel(kernel, channels)
        operations.simple(node, kind, **about, is_linear=function == "linear")
        if function not in _FUSED:
            _activate(operations, node, function, node.path)

    return rule


def _activate(operations: Operations, node: Node, function: str, read: str) -> None:
    """Add the operations of a function on a tensor, under the path of a layer."""
    if function not in _FUNCTIONS:
        raise _refused(node, f"{function}; --set activation=relu has one")
    entry, elements = read, operations.elements[node.path]
    for number, kind in enumerate(_FUNCTIONS[function]):
        reads = (read, entry) if number else (entry,)
        path = f"{node.path}#{kind.lower()}"
        entry = operations.append(
            kind, path, reads, elements, node.copies, is_linear=False
        )
    operations.rename(node.path, entry)


def _activation(operations: Operations, node: Node) -> None:
    function = node.layer.function  # type: ignore[attr-defined]
    before = operations.fused(node)
    if function in _FUSED and before is not None:
        operations.rename(node.path, before.path)
        before.is_linear = False
    elif function != "linear":
        _activate(operations, node, function, node.reads[0])


def _batch_norm(operations: Operations, node: Node) -> None:
    before = operations.fused(node)
    if before is not None and before.constants > 1:
        operations.rename(node.path, before.path)
        return
    elements, more = operations.elements[node.path], of_channels(_width(node))
    scaled = f"{node.path}#scaled"
    operations.append("MUL", scaled, node.reads, elements, node.copies, **more)
    operations.append("ADD", node.path, (scaled,), elements, node.copies, **more)


def _width(node: Node) -> Any:
    return node.cost.output.shape[-1]


def _mean(outputs: Any) -> dict[str, Any]:
    """What the operation of a mean has: sums, and two small buffers."""
    scratch = (ALIGNMENT, ALIGNMENT, aligned(4 * outputs))
    return {"constants": 1, "scratch": scratch}


def _average(operations: Operations, node: Node) -> None:
    if len(node.reads) > 1:
        raise _refused(node, "the average over a mask")
    operations.simple(node, "MEAN", **_mean(_width(node)))


def _layer_norm(operations: Operations, node: Node) -> None:
    """Mean and variance of each position, and a factor and an offset a channel."""
    path, width, whole = node.path, _width(node), operations.elements[node.path]
    (source,), positions = node.reads, whole // width

    def add(kind: str, name: str, reads: Sequence[str], size: Any, **more: Any) -> str:
        named = f"{path}#{name}" if name else path
        return operations.append(kind, named, reads, size, node.copies, **more)

    mean = add("MEAN", "mean", (source,), positions, **_mean(positions))
    real = add("DEQUANTIZE", "real", (mean,), 4 * positions)
    negative = add("NEG", "negative", (real,), 4 * positions)
    squares = add("SQUARED_DIFFERENCE", "squares", (source, mean), whole)
    spread = add("MEAN", "spread", (squares,), positions, **_mean(positions))
    least = add("ADD", "least", (spread,), positions)
    inverse = add("RSQRT", "inverse", (least,), positions)
    factors = add("MUL", "factors", (inverse,), whole, **of_channels(width))
    minus = add("QUANTIZE", "minus", (negative,), positions)
    shift = add("MUL", "shift", (minus, factors), whole)
    offset = add("ADD", "offset", (shift,), whole, **of_channels(width))
    scaled = add("MUL", "scaled", (source, factors), whole)
    add("ADD", "", (scaled, offset), whole)


def _attention(operations: Operations, node: Node) -> None:
    """Attention of a sequence to itself, all positions to all."""
    layer: Any = node.layer
    if len(node.reads) > 2 or len({*node.reads}) > 1 or layer.causal:
        raise _refused(node, "attention with a mask or to another sequence")
    length, features = node.cost.output.shape
    inner, scores = length * layer.width, length * length * layer.heads

    def add(kind: str, name: str, reads: Sequence[str], size: Any, **more: Any) -> str:
        named = f"{node.path}#{name}" if name else node.path
        return operations.append(kind, named, reads, size, node.copies, **more)

    def projected(name: str) -> str:
        kernel = _kernel(features * layer.width, layer.width)
        found = add("FULLY_CONNECTED", name, node.reads[:1], inner, **kernel)
        apart = add("RESHAPE", f"{name}/heads", (found,), inner)
        return add("TRANSPOSE", f"{name}/turned", (apart,), inner)

    def product(name: str, reads: tuple[str, str], size: Any) -> str:
        # The second factor is turned, in a buffer that is never given back.
        return add("BATCH_MATMUL", name, reads, size, kept=inner)

    found = product("scores", (projected("query"), projected("key")), scores)
    turned = add("TRANSPOSE", "scores/turned", (found,), scores)
    shares = add("SOFTMAX", "shares", (turned,), scores)
    context = product("context", (shares, projected("value")), inner)
    turned = add("TRANSPOSE", "context/turned", (context,), inner)
    joined = add("RESHAPE", "context/joined", (turned,), inner)
    kernel = _kernel(layer.width * features, features)
    add("FULLY_CONNECTED", "", (joined,), length * features, **kernel)


def _positions(operations: Operations, node: Node) -> None:
    operations.known[node.path] = 0


def _embedding(operations: Operations, node: Node) -> None:
    """A table that known positions read becomes a constant."""
    if node.reads[0] not in operations.known:
        raise _refused(node, "Embedding")
    operations.known[node.path] = operations.elements[node.path]


def _add_all(operations: Operations, node: Node) -> None:
    (first, *others), elements = node.reads, operations.elements[node.path]
    for number, other in enumerate(others, 1):
        path = node.path if number == len(others) else f"{node.path}#{number}"
        reads, more = [first, other], {}
        if other in operations.known:
            reads, more = [first], of_channels(operations.known[other])
        operations.append("ADD", path, reads, elements, node.copies, **more)
        first = path


def _joined(operations: Operations, node: Node) -> None:
    """Parts side by side: the quantizer brings each to the scale of the whole."""
    parts = [
        operations.append(
            "QUANTIZE",
            f"{node.path}#part{number}",
            (name,),
            operations.elements[name],
            node.copies,
        )
        for number, name in enumerate(node.reads)
    ]
    learned = isinstance(node.layer, bp.Prepend)
    more = of_channels(_width(node)) if learned else {}
    elements = operations.elements[node.path]
    operations.append("CONCATENATION", node.path, parts, elements, node.copies, **more)


def _plain(kind: str, constants: int = 0, weights: int = 0) -> Any:
    """The rule of a layer that is one operation."""

    def rule(operations: Operations, node: Node) -> None:
        operations.simple(node, kind, constants=constants, weights=weights)

    return rule


_RULES: dict[type[Layer], Callable[[Operations, Node], None]] = {
    bp.Activation: _activation,
    bp.Add: _add_all,
    bp.Attention: _attention,
    bp.BatchNorm: _batch_norm,
    bp.Concatenate: _joined,
    bp.Conv2D: _weighted("CONV_2D"),
    bp.Dense: _weighted("FULLY_CONNECTED"),
    bp.DepthwiseConv2D: _weighted("DEPTHWISE_CONV_2D"),
    bp.Embedding: _embedding,
    bp.First: _plain("STRIDED_SLICE", 3, 36),
    bp.Flatten: _plain("RESHAPE", 1, 8),
    bp.GlobalAveragePool: _average,
    bp.LayerNorm: _layer_norm,
    bp.MaxPool2D: _plain("MAX_POOL_2D"),
    bp.Multiply: _plain("MUL"),
    bp.Positions: _positions,
    bp.Prepend: _joined,
    bp.Rescale: _plain("MUL", 1, 1),
    bp.Reshape: _plain("RESHAPE", 1, 16),
    bp.ZeroPad2D: _plain("PAD", 1, 32),
}
"""By kind of layer, what the converter makes of it."""
