"""What one layer or operation of a Keras model computes, from weights and shapes.

FLOPs and bytes are defined as in `kscale.networks.sizing`, and equal the figures of
`kscale.networks.layer_costs` where both know a layer. Only the classes of Keras in the
tables here and in `costless.json` are known: a subclass may compute anything. Shapes
have no batch; only a constant, which an operation may read, has its whole shape.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from math import log2, prod
from typing import Any, NamedTuple

import keras
from keras.src.models.functional import Functional

Shape = tuple[Any, ...]
"""Sides of a tensor without the batch; None is a side that depends on the values."""

COSTLESS: dict[str, list[str]] = json.loads(
    files("kscale.guests.sizes").joinpath("costless.json").read_text("utf-8")
)
"""Layers and operations that only move, compare, sum or change values one by one,
look values up, or are made to train: `kscale.networks.sizing` counts nothing of them.
"""

VIEWS = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    keras.layers.Identity,
)
"""Layers that give their input back, as `kscale.networks.sizing` defines."""


class Work(NamedTuple):
    """FLOPs of one call, and bytes that it needs only while it runs."""

    flops: int = 0
    inner: int = 0


def graph_of(model: Any) -> Any:
    """The graph of a model that Keras runs layer by layer, or None.

    A model whose class has another `call` may compute anything, and has no graph.
    """
    usual = (Functional.call, keras.Sequential.call)
    is_model = isinstance(model, Functional | keras.Sequential)
    if not is_model or type(model).call not in usual:
        return None
    return model._functional if isinstance(model, keras.Sequential) else model


def work_of(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    """What a layer or operation computes for one example; None if unknown."""
    if not type(layer).__module__.startswith("keras."):
        return None
    name, is_layer = type(layer).__name__, isinstance(layer, keras.layers.Layer)
    # What does not multiply costs nothing at any length.
    is_costless = name in COSTLESS["layers" if is_layer else "operations"]
    rule = (_LAYERS if is_layer else _OPERATIONS).get(name)
    if rule is None or any(None in shape for shape in (*read, *made)):
        return _with_lora(layer, Work() if is_costless else None)
    return _with_lora(layer, rule(layer, read, made))


def _with_lora(layer: Any, work: Work | None) -> Work | None:
    """Work with what LoRA adds to the kernel, which Keras computes at every call."""
    if work is None or not getattr(layer, "lora_enabled", False):
        return work
    if layer.quantization_mode is not None:
        return None  # a product with the inputs
    name = "kernel" if hasattr(layer, "lora_kernel_a") else "embeddings"
    narrow, wide = (getattr(layer, f"lora_{name}_{part}").shape for part in "ab")
    return work._replace(flops=work.flops + 2 * prod(narrow) * wide[-1])


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


def _einsum_dense(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    inputs, outputs = layer.equation.split("->")
    letters = inputs.split(",")[1]
    sides = zip(letters, _kernel(layer), strict=True)
    summed = prod(side for letter, side in sides if letter not in outputs)
    return Work(2 * prod(made[0]) * summed)


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
    flops = 0
    for part in ("query", "gate", "output", "key", "value"):
        dense = getattr(layer, f"_{part}_dense", None)
        if dense is None:
            continue
        positions = memory if part in ("key", "value") else length
        work = _with_lora(dense, Work(2 * positions * prod(_kernel(dense))))
        if work is None:
            return None
        flops += work.flops
    if type(layer) is keras.layers.GroupQueryAttention:
        heads, width, attended = layer.num_query_heads, 2 * layer.head_dim, read[1][0]
    else:
        heads, width = layer.num_heads, layer.key_dim + layer.value_dim
        # The axes count the batch.
        attended = prod(read[1][axis - 1] for axis in layer._attention_axes)
    scores = length * attended * heads
    # Queries, keys and values, context; then the scores.
    inner = heads * (length + memory) * width + scores
    return Work(flops + 2 * scores * width, 4 * inner)


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
    keras.layers.LSTMCell: 4 + 2,
    keras.layers.GRUCell: 3 + 1,
    keras.layers.SimpleRNNCell: 1 + 1,
}


def _recurrent(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    length, cell = read[0][0], layer.cell
    kernels = kept = 0
    for item in cell.cells if type(cell) is keras.layers.StackedRNNCells else [cell]:
        if type(item) not in _GATES_AND_STATES:
            return None
        kernels += prod(item.kernel.shape) + prod(item.recurrent_kernel.shape)
        kept += _GATES_AND_STATES[type(item)] * item.units
    return Work(2 * length * kernels, 4 * length * kept)


def _recurrent_convolution(layer: Any, read: list[Shape], made: list[Shape]) -> Work:
    cell = layer.cell
    positions = read[0][0] * _positions(cell, made[0][-cell.rank - 1 :])
    kernels = prod(cell.kernel.shape) + prod(cell.recurrent_kernel.shape)
    kept = _GATES_AND_STATES[keras.layers.LSTMCell] * cell.filters
    return Work(2 * positions * kernels, 4 * positions * kept)


def _together(layers: list[Any], read: list[Shape], made: list[Shape]) -> Work | None:
    works = [work_of(layer, read, made) for layer in layers]
    known = [work for work in works if work is not None]
    total = Work(sum(work.flops for work in known), sum(work.inner for work in known))
    return total if len(known) == len(works) else None


def _time_distributed(layer: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if graph_of(layer.layer) is not None:
        return Work()  # the walk goes through that model
    at_once = [[shape[1:] for shape in shapes] for shapes in (read, made)]
    work = work_of(layer.layer, *at_once)
    return work and work._replace(flops=work.flops * read[0][0])


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


def _product(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    is_usual = len(read) == 2 and read[0] and read[1]
    return Work(2 * prod(made[0]) * read[0][-1]) if is_usual else None


def _tensordot(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    axes = operation.axes
    summed = range(-axes, 0) if isinstance(axes, int) else axes[0]
    if len(read) != 2 or 0 in summed:  # a sum over the batch
        return None
    sides = [read[0][axis - (axis > 0)] for axis in summed]
    return Work(2 * prod(made[0]) * prod(sides) if sides else 0)


_CONVOLUTIONS = ("Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv")


def _convolve(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    kind, kernels = type(operation).__name__, read[1:]
    if not kernels:
        return None
    # The last side of a kernel is what a position gives, or, transposed, what it reads.
    spread = read[0] if kind == "ConvTranspose" else made[0]
    last = kernels[-1][-2:] if kind == "DepthwiseConv" else kernels[-1][-1:]
    positions = prod(spread) // prod(last)
    return Work(2 * positions * sum(map(prod, kernels)))


def _einsum(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    inputs, _, given = operation.subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not given or len(terms) > 2 or len(terms) != len(read):
        return None
    sides: dict[str, int] = {}
    for term, shape in zip(terms, read, strict=True):
        # The batch is the first letter, or among those that the dots stand for.
        letters = term.removeprefix("...")
        has_batch = letters != term or len(term) == len(shape) + 1
        is_clear = has_batch or len(term) == len(shape)
        if "." in letters or not is_clear or (has_batch and term[0] != given[0]):
            return None
        sides.update(zip(reversed(letters), reversed(shape), strict=False))
    summed = [side for letter, side in sides.items() if letter not in given]
    is_product = len(terms) == 2 and bool(summed)
    return Work(2 * prod(made[0]) * prod(summed) if is_product else 0)


def _scores(operation: Any, read: list[Shape], made: list[Shape]) -> Work | None:
    if len(read) < 3:
        return None
    length, heads, features = read[0]
    scores = length * heads * read[1][0]
    return Work(2 * scores * (features + read[2][-1]), 4 * scores)


_Rule = Callable[[Any, list[Shape], list[Shape]], Work | None]
_LAYERS: dict[str, _Rule] = {
    "Dense": lambda layer, read, made: Work(2 * prod(read[0]) * made[0][-1]),
    "EinsumDense": _einsum_dense,
    **{f"Conv{rank}D": _convolution for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": _convolution for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": _convolution for rank in (1, 2)},
    **{f"SeparableConv{rank}D": _separable for rank in (1, 2)},
    **{f"ConvLSTM{rank}D": _recurrent_convolution for rank in (1, 2, 3)},
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), _recurrent),
    "MultiHeadAttention": _attention,
    "GroupedQueryAttention": _attention,
    "Attention": _dot_attention,
    "AdditiveAttention": _dot_attention,
    "Dot": _dot,
    "Bidirectional": lambda layer, *shapes: _together(
        [layer.forward_layer, layer.backward_layer], *shapes
    ),
    "TimeDistributed": _time_distributed,
    "SpectralNormalization": lambda layer, *shapes: work_of(layer.layer, *shapes),
    # Shapes between its layers are not known: only layers that cost nothing are.
    "Pipeline": lambda layer, *shapes: _together(layer.layers, [(None,)], [(None,)]),
    "ReversibleEmbedding": lambda layer, read, made: Work(
        2 * prod(read[0]) * made[0][-1] if len(read[0]) == len(made[0]) else 0
    ),
    "STFTSpectrogram": _spectrogram,
    "MelSpectrogram": _mel_spectrogram,
}
_OPERATIONS: dict[str, _Rule] = {
    **dict.fromkeys(("Matmul", "Dot", "Inner"), _product),
    "Tensordot": _tensordot,
    **dict.fromkeys(_CONVOLUTIONS, _convolve),
    "GaussianBlur": lambda operation, read, made: Work(
        2 * prod(made[0]) * prod(operation.kernel_size)
    ),
    "Einsum": _einsum,
    "DotProductAttention": _scores,
}
