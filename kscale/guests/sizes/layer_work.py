"""What one layer of a Keras model computes, from its weights and its shapes.

The definitions are those of `kscale.networks.sizing`, and the figures those of
`kscale.networks.layer_costs` where both know a layer. Only the classes of Keras listed
here and in `costless.json` are known: a subclass may compute anything.
"""

from collections.abc import Callable
from math import log2, prod
from typing import Any

import keras
from keras.src.models.functional import Functional

from kscale.guests.sizes.operation_work import (
    COSTLESS,
    Shape,
    Work,
    work_of_operation,
)


def graph_of(model: Any) -> Any:
    """The graph of a model that Keras runs layer by layer, or None.

    A model whose class has another `call` may compute anything, and has no graph.
    """
    is_plain = isinstance(model, Functional | keras.Sequential) and type(
        model
    ).call in (Functional.call, keras.Sequential.call)
    if not is_plain:
        return None
    return model._functional if isinstance(model, keras.Sequential) else model


def work_of(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    """What a layer or operation computes for one example; None if unknown.

    Args:
        layer: A Keras layer or operation.
        read: Shapes of the tensors that the layer reads, without the batch.
        made: Shapes of the tensors that the layer gives, without the batch.
    """
    name = type(layer).__name__
    if not type(layer).__module__.startswith("keras."):
        return None
    if not isinstance(layer, keras.layers.Layer):
        return work_of_operation(layer, read, made)
    # What does not multiply costs nothing at any length.
    work = Work() if name in COSTLESS["layers"] else None
    if name in _RULES and not any(None in shape for shape in (*read, *made)):
        work = _RULES[name](layer, read, made)
    return work and _with_lora(layer, work)


def _kernel(layer: Any) -> Shape:
    """Shape of a kernel, whose values may be packed; `kernel` would unpack them."""
    if hasattr(layer, "original_kernel_shape"):
        return tuple(layer.original_kernel_shape)
    return tuple((layer._kernel if hasattr(layer, "_kernel") else layer.kernel).shape)


def packed_values(layer: Any) -> dict[int, int]:
    """How many values the int4 weights of a layer hold, two to a byte, by identity."""
    parts = layer._flatten_layers() if isinstance(layer, keras.layers.Layer) else []
    found = {}
    for part in parts:
        if getattr(part, "quantization_mode", None) != "int4":
            continue
        if hasattr(part, "original_kernel_shape"):
            found[id(part._kernel)] = prod(part.original_kernel_shape)
        elif hasattr(part, "_orig_input_dim"):
            found[id(part._kernel)] = part._orig_input_dim * part._orig_output_dim
        elif hasattr(part, "_embeddings"):
            tables = (part._embeddings, getattr(part, "reverse_embeddings", None))
            count = part.input_dim * part.output_dim
            found.update(dict.fromkeys(map(id, tables), count))
    return found


def _with_lora(layer: Any, work: Work) -> Work | None:
    """Work with what LoRA adds to the kernel, which Keras computes at every call."""
    if not getattr(layer, "lora_enabled", False):
        return work
    if layer.quantization_mode is not None:
        return None  # a product with the inputs
    name = "kernel" if hasattr(layer, "lora_kernel_a") else "embeddings"
    narrow, wide = (getattr(layer, f"lora_{name}_{part}").shape for part in "ab")
    return work._replace(flops=work.flops + 2 * prod(narrow) * wide[-1])


def _einsum_dense(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    inputs, outputs = layer.equation.split("->")
    letters = inputs.split(",")[1]
    sides = zip(letters, _kernel(layer), strict=True)
    summed = prod(side for letter, side in sides if letter not in outputs)
    return Work(2 * prod(made[0]) * summed)


def einsum_shape(layer: Any, read: Shape) -> Shape:
    """Shape that an `EinsumDense` gives, of which Keras leaves known sides open."""
    inputs, outputs = (side.replace("...", "") for side in layer.equation.split("->"))
    first, second = inputs.split(",")
    has_batch = "..." not in layer.equation
    letters, given = first[has_batch:], outputs[has_batch:]
    leading = read[: len(read) - len(letters)]
    sides = dict(zip(letters, read[len(leading) :], strict=True))
    sides.update(zip(second, _kernel(layer), strict=True))
    return (*leading, *(sides[letter] for letter in given))


def _positions(layer: Any, shape: Shape) -> int:
    is_last = layer.data_format == "channels_last"
    return prod(shape[:-1] if is_last else shape[1:])


def _convolution(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    # Each position that a transposed one reads is written through the whole kernel.
    is_transposed = type(layer).__name__.endswith("Transpose")
    shape = read[0] if is_transposed else made[0]
    return Work(2 * _positions(layer, shape) * prod(_kernel(layer)))


def _separable(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    positions = _positions(layer, made[0])
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    between = positions * layer.pointwise_kernel.shape[-2]
    return Work(2 * positions * sum(prod(k.shape) for k in kernels), 4 * between)


def _attention(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if len(read) < 2 or len(read[0]) != len(read[1]):
        return None
    length, memory = (prod(shape[:-1]) for shape in read[:2])
    uses = dict.fromkeys(("query", "gate", "output"), length)
    uses |= dict.fromkeys(("key", "value"), memory)
    works = [
        _with_lora(dense, Work(2 * positions * prod(_kernel(dense))))
        for part, positions in uses.items()
        if (dense := getattr(layer, f"_{part}_dense", None)) is not None
    ]
    if None in works:
        return None
    heads, width, attended = _heads(layer, read[1])
    scores = length * attended * heads
    projections = sum(work.flops for work in works if work)
    # Queries, keys and values, context; then the scores.
    inner = heads * (length + memory) * width + scores
    return Work(projections + 2 * scores * width, 4 * inner)


def _heads(layer: Any, memory: Shape) -> tuple[int, int, int]:
    """Number of heads, width of key and value together, positions of a query."""
    if type(layer) is keras.layers.GroupQueryAttention:
        return layer.num_query_heads, 2 * layer.head_dim, memory[0]
    # The axes count the batch.
    attended = prod(memory[axis - 1] for axis in layer._attention_axes)
    return layer.num_heads, layer.key_dim + layer.value_dim, attended


def _dot_attention(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if any(len(shape) != 2 for shape in read[:2]) or len(read) < 2:
        return None
    length, features = read[0]
    scores = length * read[1][0]
    is_sum = getattr(layer, "score_mode", "") == "concat"
    if is_sum or type(layer) is keras.layers.AdditiveAttention:
        # Its scores are sums over every query plus every key.
        return Work(2 * scores * made[0][-1], 4 * scores * (features + 1))
    return Work(2 * scores * (features + made[0][-1]), 4 * scores)


def _dot(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    axes = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    # The axes count the batch.
    summed = read[0][axes - 1 if axes > 0 else axes]
    return Work(2 * prod(made[0]) * summed)


_GATES_AND_STATES = {
    keras.layers.LSTMCell: (4, 2),
    keras.layers.GRUCell: (3, 1),
    keras.layers.SimpleRNNCell: (1, 1),
}


def _recurrent(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    length, cell = read[0][0], layer.cell
    cells = cell.cells if type(cell) is keras.layers.StackedRNNCells else [cell]
    if any(type(item) not in _GATES_AND_STATES for item in cells):
        return None
    kernels = sum(
        prod(item.kernel.shape) + prod(item.recurrent_kernel.shape) for item in cells
    )
    kept = sum(sum(_GATES_AND_STATES[type(item)]) * item.units for item in cells)
    return Work(2 * length * kernels, 4 * length * kept)


def _recurrent_convolution(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    length, cell = read[0][0], layer.cell
    positions = _positions(cell, made[0][-cell.rank - 1 :])
    kernels = prod(cell.kernel.shape) + prod(cell.recurrent_kernel.shape)
    kept = sum(_GATES_AND_STATES[keras.layers.LSTMCell]) * cell.filters
    return Work(2 * length * positions * kernels, 4 * length * positions * kept)


def _bidirectional(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    ways = (layer.forward_layer, layer.backward_layer)
    works = [work_of(way, read, made) for way in ways]
    if None in works:
        return None
    return Work(*map(sum, zip(*filter(None, works), strict=True)))


def _time_distributed(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if graph_of(layer.layer) is not None:
        return Work()  # the walk goes through that model
    at_once = [[shape[1:] for shape in shapes] for shapes in (read, made)]
    work = work_of(layer.layer, *at_once)
    return work and Work(work.flops * read[0][0], work.inner)


def _pipeline(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    # Shapes between its layers are not known: only layers that cost nothing are.
    works = [work_of(item, [(None,)], [(None,)]) for item in layer.layers]
    return None if None in works else Work()


def _reversible_embedding(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    is_reverse = len(read[0]) == len(made[0])
    return Work(2 * prod(read[0]) * made[0][-1]) if is_reverse else Work()


def _spectrogram(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    # Convolutions with waves, which are its weights.
    values = prod(made[0]) // (2 if layer.mode == "stft" else 1)
    waves = [weight.shape for weight in layer.weights]
    return Work(2 * values * sum(wave[0] for wave in waves), 4 * values * len(waves))


def _mel_spectrogram(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    windows, length = prod(made[0]) // layer.num_mel_bins, layer.fft_length
    bins = length // 2 + 1
    # A transform of real numbers, as FFTs are usually counted; then the bands.
    transform = round(2.5 * length * log2(length))
    flops = windows * (transform + 2 * bins * layer.num_mel_bins)
    # Windows, real and imaginary parts, and their size.
    return Work(flops, 4 * windows * (length + 3 * bins))


_Rule = Callable[[Any, list[Shape], list[Shape]], Work | None]
_NAMES: dict[_Rule, str] = {
    _einsum_dense: "EinsumDense",
    _convolution: "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D "
    "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
    _separable: "SeparableConv1D SeparableConv2D",
    _attention: "MultiHeadAttention GroupedQueryAttention",
    _dot_attention: "Attention AdditiveAttention",
    _dot: "Dot",
    _recurrent: "LSTM GRU SimpleRNN RNN",
    _recurrent_convolution: "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
    _bidirectional: "Bidirectional",
    _time_distributed: "TimeDistributed",
    _pipeline: "Pipeline",
    _reversible_embedding: "ReversibleEmbedding",
    _spectrogram: "STFTSpectrogram",
    _mel_spectrogram: "MelSpectrogram",
}
_RULES: dict[str, _Rule] = {
    "Dense": lambda layer, read, made: Work(2 * prod(read[0]) * made[0][-1]),
    "SpectralNormalization": lambda layer, *shapes: work_of(layer.layer, *shapes),
    **{name: rule for rule, names in _NAMES.items() for name in names.split()},
}

VIEWS: tuple[type, ...] = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.Identity,
)
"""Layers that give their input back, as `kscale.networks.sizing` defines."""
