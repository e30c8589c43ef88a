"""How each layer record is written as Keras code: the third reading of a blueprint."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kscale.building.code.source import Call, Keyword, literal
from kscale.networks import blueprint as bp
from kscale.networks.augmentation import RandomErase, RandomFlip, RandomShift
from kscale.networks.backbones import NETWORKS, Backbone, has_blue_first, pixel_scaling
from kscale.networks.blueprint import Layer


class Place(NamedTuple):
    """Where a layer stands.

    Args:
        name: Its Keras name, as code.
        reads: What it reads, as code.
        rank: Sides of the first thing read, without the batch.
    """

    name: str
    reads: Sequence[str]
    rank: int


class Written(NamedTuple):
    """A layer as code.

    Args:
        make: What makes the Keras layer; None for an operation that has no layer.
        reads: What the layer is called with, or the whole operation.
        helper: Name of the function in `HELPERS` that the code calls.
    """

    make: Call | None
    reads: str
    helper: str = ""


HELPERS = {
    "attention": '''\
def attention(width, heads, **options):
    """Attention whose matrices start with Glorot's spread, `width` to `width`.

    Keras would take the heads for the side of a convolution, and start them smaller.
    """
    limit = (3 / width) ** 0.5
    start = keras.initializers.RandomUniform(-limit, limit)
    return layers.MultiHeadAttention(
        heads, width // heads, kernel_initializer=start, **options
    )
''',
    "padding_mask": '''\
def padding_mask(ids):
    """True where ids are not 0; everywhere if all of them are 0."""
    is_empty = keras.ops.equal(keras.ops.max(ids, axis=-1, keepdims=True), 0)
    return keras.ops.logical_or(keras.ops.not_equal(ids, 0), is_empty)
''',
    "position_ids": '''\
def position_ids(ids):
    """0, 1, 2, ... for the positions of `(batch, length)`."""
    return keras.ops.cumsum(keras.ops.ones_like(ids, dtype="int32"), axis=-1) - 1
''',
    "pretrained": '''\
def pretrained(make, side, tuned, blue_first, scale, offset, name, **options):
    """A network of keras.applications, given the pixels that it was trained on."""
    shape = (side, side, 3)
    made = make(include_top=False, input_shape=shape, pooling="avg", **options)
    made = keras.Model(made.inputs[0], made.outputs[0], name=name)
    made.trainable = tuned

    def apply(image):
        if image.shape[1:3] != (side, side):
            image = layers.Resizing(side, side, name=f"{name}.resize")(image)
        if image.shape[-1] == 1:
            image = layers.Concatenate(name=f"{name}.colour")([image] * 3)
        if blue_first:
            image = keras.ops.flip(image, axis=-1)
        if set(scale) != {1.0} or set(offset) != {0.0}:
            image = layers.Rescaling(scale, offset, name=f"{name}.pixels")(image)
        return made(image)

    return apply
''',
    "prepend_token": '''\
def prepend_token(x, name):
    """A learned position before the first of `(batch, length, features)`."""
    row = keras.ops.zeros_like(x[:, :1, 0], dtype="int32")
    token = layers.Embedding(1, x.shape[-1], "zeros", name=name)(row)
    return layers.Concatenate(axis=1, name=f"{name}.join")([token, x])
''',
}
"""Functions that the code defines where it needs them."""


def _call(function: str, *given: Any, name: str, options: Sequence[Any] = ()) -> Call:
    """A call of a Keras layer.

    Args:
        function: The layer, without `layers.`; the whole name where it has a dot.
        given: Values of the arguments that stand first.
        name: Name of the layer, as code; empty for none.
        options: `(keyword, value, Keras' default)`, left out where both are equal, or
            a `Keyword`.
    """
    arguments: list[str | Keyword] = [literal(value) for value in given]
    for option in options:
        if isinstance(option, Keyword):
            arguments.append(option)
        elif option[1] != option[2]:
            arguments.append(f"{option[0]}={literal(option[1])}")
    arguments += [f"name={name}"] if name else []
    return Call(f"layers.{function}", tuple(arguments))


def _one(function: str, *given: Any, at: Place, options: Sequence[Any] = ()) -> Written:
    """A layer that reads one tensor."""
    return Written(_call(function, *given, name=at.name, options=options), at.reads[0])


def _several(function: str, at: Place) -> Written:
    """A layer that reads a list of tensors."""
    return Written(_call(function, name=at.name), f"[{', '.join(at.reads)}]")


def _dense(record: bp.Dense, at: Place) -> Written:
    options = (
        ("activation", record.activation, "linear"),
        ("use_bias", record.use_bias, True),
        ("kernel_initializer", record.initializer, "glorot_uniform"),
    )
    return _one("Dense", record.units, at=at, options=options)


def _conv2d(record: bp.Conv2D, at: Place) -> Written:
    options = (
        ("strides", record.strides, 1),
        ("padding", record.padding, "valid"),
        ("activation", record.activation, "linear"),
        ("use_bias", record.use_bias, True),
        ("kernel_initializer", record.initializer, "glorot_uniform"),
    )
    return _one("Conv2D", record.filters, record.kernel, at=at, options=options)


def _depthwise_conv2d(record: bp.DepthwiseConv2D, at: Place) -> Written:
    # He initialization over the kernel: Keras' own takes all channels for the fan in.
    start = Call(
        "keras.initializers.RandomNormal",
        (f"stddev=2**0.5 / {literal(record.kernel)}",),
    )
    options = (
        ("strides", record.strides, 1),
        ("padding", record.padding, "valid"),
        ("activation", record.activation, "linear"),
        ("use_bias", record.use_bias, True),
        Keyword("depthwise_initializer", start),
    )
    return _one("DepthwiseConv2D", record.kernel, at=at, options=options)


def _max_pool2d(record: bp.MaxPool2D, at: Place) -> Written:
    strides = record.strides or record.pool
    options = (
        ("strides", strides, record.pool),
        ("padding", record.padding, "valid"),
    )
    return _one("MaxPooling2D", record.pool, at=at, options=options)


def _global_average_pool(record: Layer, at: Place) -> Written:
    function = "GlobalAveragePooling2D" if at.rank == 3 else "GlobalAveragePooling1D"
    return Written(_call(function, name=at.name), _masked(at))


def _masked(at: Place) -> str:
    """What is read, with the mask if there is one."""
    return ", mask=".join(at.reads)


def _flatten(record: Layer, at: Place) -> Written:
    return _one("Flatten", at=at)


def _first(record: Layer, at: Place) -> Written:
    return Written(None, f"{at.reads[0]}[:, 0]")


def _activation(record: bp.Activation, at: Place) -> Written:
    return _one("Activation", record.function, at=at)


def _batch_norm(record: bp.BatchNorm, at: Place) -> Written:
    options = (
        ("momentum", record.momentum, 0.99),
        ("epsilon", record.epsilon, 1e-3),
        ("gamma_initializer", record.initializer, "ones"),
    )
    return _one("BatchNormalization", at=at, options=options)


def _layer_norm(record: bp.LayerNorm, at: Place) -> Written:
    options = (("epsilon", record.epsilon, 1e-3),)
    return _one("LayerNormalization", at=at, options=options)


def _dropout(record: bp.Dropout, at: Place) -> Written:
    whole = (None, None, 1) if record.positions else None
    options = (("noise_shape", whole, None),)
    return _one("Dropout", record.rate, at=at, options=options)


def _random_shift(record: RandomShift, at: Place) -> Written:
    options = (
        ("fill_mode", "nearest", "reflect"),
        ("interpolation", "nearest", "bilinear"),
    )
    sides = (record.down, record.across)
    return _one("RandomTranslation", *sides, at=at, options=options)


def _random_flip(record: RandomFlip, at: Place) -> Written:
    return _one("RandomFlip", "horizontal", at=at)


def _random_erase(record: RandomErase, at: Place) -> Written:
    options = (
        ("factor", (1.0, 1.0), None),
        ("scale", (0.0, record.most), None),
        ("fill_value", 0.0, None),
    )
    return _one("RandomErasing", at=at, options=options)


def _known_tokens(record: bp.KnownTokens, at: Place) -> Written:
    ids = at.reads[0]
    is_known = f"{ids} < {literal(record.vocabulary)}"
    return Written(None, f"keras.ops.where({is_known}, {ids}, {record.unknown})")


def _rescale(record: bp.Rescale, at: Place) -> Written:
    return _one("Rescaling", record.factor, at=at)


def _embedding(record: bp.Embedding, at: Place) -> Written:
    stddev = f"stddev={literal(record.stddev)}"
    start = Call("keras.initializers.TruncatedNormal", (stddev,))
    options = (Keyword("embeddings_initializer", start),)
    return _one("Embedding", record.vocabulary, record.width, at=at, options=options)


def _positions(record: Layer, at: Place) -> Written:
    ids = at.reads[0] if at.rank == 1 else f"{at.reads[0]}[..., 0]"
    return Written(None, f"position_ids({ids})", "position_ids")


def _padding_mask(record: Layer, at: Place) -> Written:
    return Written(None, f"padding_mask({at.reads[0]})", "padding_mask")


def _attention(record: bp.Attention, at: Place) -> Written:
    dropout = [f"dropout={literal(record.dropout)}"] if record.dropout else []
    sizes = [literal(record.width), literal(record.heads)]
    make = Call("attention", (*sizes, *dropout, f"name={at.name}"))
    reads = [*at.reads[:2], *(f"value_mask={mask}" for mask in at.reads[2:])]
    reads += ["use_causal_mask=True"] if record.causal else []
    return Written(make, ", ".join(reads), "attention")


def _add(record: Layer, at: Place) -> Written:
    return _several("Add", at)


def _concatenate(record: Layer, at: Place) -> Written:
    return _several("Concatenate", at)


def _multiply(record: Layer, at: Place) -> Written:
    return _several("Multiply", at)


def _zero_pad2d(record: bp.ZeroPad2D, at: Place) -> Written:
    return _one("ZeroPadding2D", record.padding, at=at)


def _reshape(record: bp.Reshape, at: Place) -> Written:
    return _one("Reshape", record.shape, at=at)


def _prepend(record: Layer, at: Place) -> Written:
    whole = f"prepend_token({at.reads[0]}, name={at.name})"
    return Written(None, whole, "prepend_token")


def _backbone(record: Backbone, at: Place) -> Written:
    network = NETWORKS[record.network]
    scale, offset = pixel_scaling(record)
    weights = None if record.weights == "none" else record.weights
    values = {
        "make": f"keras.applications.{network.maker}",
        "side": literal(record.side),
        "tuned": literal(record.is_tuned),
        "blue_first": literal(has_blue_first(record)),
        "scale": literal(scale),
        "offset": literal(offset),
        "name": at.name,
        "weights": literal(weights),
    }
    if network.alpha:
        values["alpha"] = literal(network.alpha)
    given = tuple(f"{name}={value}" for name, value in values.items())
    return Written(Call("pretrained", given), at.reads[0], "pretrained")


def _recurrent(record: bp.Recurrent, at: Place) -> Written:
    options = (
        ("return_sequences", record.sequences, False),
        # With a mask cuDNN takes padding at the end only.
        ("use_cudnn", "auto" if len(at.reads) == 1 else False, "auto"),
    )
    cell = record.cell.upper()
    if not record.bidirectional:
        make = _call(cell, record.units, name=at.name, options=options)
        return Written(make, _masked(at))
    one_way = _call(cell, record.units, name="", options=options)
    both = Call("layers.Bidirectional", (str(one_way), f"name={at.name}"))
    return Written(both, _masked(at))


WRITERS: dict[type[Layer], Callable[[Any, Place], Written]] = {
    RandomShift: _random_shift,
    RandomFlip: _random_flip,
    RandomErase: _random_erase,
    Backbone: _backbone,
    bp.Dense: _dense,
    bp.Conv2D: _conv2d,
    bp.MaxPool2D: _max_pool2d,
    bp.GlobalAveragePool: _global_average_pool,
    bp.Flatten: _flatten,
    bp.First: _first,
    bp.Activation: _activation,
    bp.BatchNorm: _batch_norm,
    bp.LayerNorm: _layer_norm,
    bp.Dropout: _dropout,
    bp.Embedding: _embedding,
    bp.KnownTokens: _known_tokens,
    bp.Positions: _positions,
    bp.PaddingMask: _padding_mask,
    bp.Attention: _attention,
    bp.Add: _add,
    bp.Concatenate: _concatenate,
    bp.DepthwiseConv2D: _depthwise_conv2d,
    bp.ZeroPad2D: _zero_pad2d,
    bp.Multiply: _multiply,
    bp.Rescale: _rescale,
    bp.Reshape: _reshape,
    bp.Prepend: _prepend,
    bp.Recurrent: _recurrent,
}
"""How to write each record; `kscale.building.models.MAKERS` says how to build it."""
