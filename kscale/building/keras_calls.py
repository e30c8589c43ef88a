"""What each layer record is in Keras, as data: one table, which is built and printed.

`kscale.building.models` makes the calls, `kscale.building.code` prints them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kscale.errors import SpecError
from kscale.networks import (
    blueprint as bp,
    sound_layers as sound,
    word_layers as words,
)
from kscale.networks.backbones import (
    NETWORKS,
    Backbone,
    has_blue_first,
    pixel_scaling,
)
from kscale.networks.blueprint import Layer
from kscale.networks.decoder_layers import SharedEmbedding, Sinusoids, TiedDense


@dataclass(frozen=True)
class Call:
    """A call as data.

    Args:
        function: What is called: a path such as `layers.Dense`, the name of a function
            at the top of `kscale.building.models`, a call that makes the function, or
            an earlier layer.
        arguments: Values by position; a value may be a call itself.
        options: Values by keyword.
    """

    function: "str | Call | LayerAt"
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def __call__(self, *arguments: Any, **options: Any) -> "Call":
        """A call of what this call makes."""
        return Call(self, arguments, options)


@dataclass(frozen=True)
class LayerName:
    """The Keras name of the layer, with an ending for a layer inside the layer."""

    ending: str = ""


@dataclass(frozen=True)
class LayerAt:
    """The layer that was made for a path."""

    path: str


class Setting(Enum):
    """What a model has beside its blueprint: a seed for each layer, and replicas."""

    SEED = "seed"
    SYNCHRONIZED = "synchronized"


_SEED = Setting.SEED

LEFT_OUT = ("seed", "synchronized", "backward_layer")
"""Options that printed code leaves to Keras."""

_DEFAULTS: dict[str, Any] = {
    "activation": "linear",
    "blue_first": False,
    "dropout": 0.0,
    "dtype": "float32",
    "epsilon": 1e-3,
    "gamma_initializer": "ones",
    "kernel_initializer": "glorot_uniform",
    "layers.MaxPooling2D strides": None,
    "mask": None,
    "momentum": 0.99,
    "noise_shape": None,
    "offset": 0.0,
    "padding": "valid",
    "recurrent_initializer": "orthogonal",
    "return_sequences": False,
    "scale": 1.0,
    "strides": 1,
    "use_bias": True,
    "use_causal_mask": False,
    "use_cudnn": "auto",
    "value_mask": None,
}


def is_default(function: str, option: str, value: Any) -> bool:
    """Whether an option has the value that it has when nobody gives it."""
    default = _DEFAULTS.get(f"{function} {option}", _DEFAULTS.get(option, ...))
    return bool(value == default)


def call(function: str, *arguments: Any, **options: Any) -> Call:
    """A call of a function by its path."""
    return Call(function, arguments, options)


def _layer(function: str, *arguments: Any, **options: Any) -> Call:
    """What makes a layer of `keras.layers`."""
    return call(f"layers.{function}", *arguments, **options, name=LayerName())


def _same(record: Layer) -> dict[str, Any]:
    """Options that Keras has by the names of the record's fields."""
    names = ("strides", "padding", "activation", "use_bias", "momentum", "epsilon")
    return {name: it for name, it in vars(record).items() if name in names}


def _dense(function: str, r: Any, *sides: Any, **options: Any) -> Call:
    """A layer whose kernel starts as the record's `initializer` says."""
    options |= {**_same(r), "kernel_initializer": r.initializer}
    return _layer(function, *sides, **options)


def _global_average_pool(r: bp.GlobalAveragePool, x: Any, mask: Any = None) -> Call:
    if r.positions:
        return _layer("GlobalAveragePooling1D")(x, mask=mask)
    return _layer("GlobalAveragePooling2D")(x)


def _recurrent(record: bp.Recurrent, x: Any, mask: Any = None) -> Call:
    options = {
        "kernel_initializer": "glorot_uniform",
        "recurrent_initializer": "orthogonal",
        "return_sequences": record.sequences,
        # With a mask cuDNN refuses whatever is not padded at the end.
        "use_cudnn": "auto" if mask is None else False,
    }
    cell = record.cell.upper()
    if not record.bidirectional:
        return _layer(cell, record.units, **options)(x, mask=mask)
    forward, backward = (
        call(f"layers.{cell}", record.units, **options, **more)
        for more in (
            {"name": LayerName(".forward")},
            # Keras would give the second one the seeds of the first.
            {"name": LayerName(".backward"), "go_backwards": True},
        )
    )
    return _layer("Bidirectional", forward, backward_layer=backward)(x, mask=mask)


def network_call(record: Backbone) -> Call:
    """What makes the network of a backbone."""
    network = NETWORKS[record.network]
    return call(
        f"keras.applications.{network.maker}",
        include_top=False,
        weights=None if record.weights == "none" else record.weights,
        input_shape=(record.side, record.side, 3),
        pooling="avg",
        **({"alpha": network.alpha} if network.alpha else {}),
    )


def _backbone(record: Backbone, image: Any) -> Call:
    scale, offset = (
        values[0] if len(set(values)) == 1 else tuple(values)
        for values in pixel_scaling(record)
    )
    return call(
        "pretrained",
        network_call(record),
        tuned=record.is_tuned,
        blue_first=has_blue_first(record),
        scale=scale,
        offset=offset,
        name=LayerName(),
    )(image)


KERAS_CALLS: dict[type[Layer], Callable[..., Call]] = {
    bp.Dense: lambda r, x: _dense("Dense", r, r.units)(x),
    bp.Conv2D: lambda r, x: _dense("Conv2D", r, r.filters, r.kernel)(x),
    bp.DepthwiseConv2D: lambda r, x: _layer(
        "DepthwiseConv2D",
        r.kernel,
        **_same(r),
        depthwise_initializer=call("depthwise_start", r.kernel, seed=_SEED),
    )(x),
    bp.MaxPool2D: lambda r, x: _layer(
        "MaxPooling2D", r.pool, strides=r.strides or None, padding=r.padding
    )(x),
    bp.GlobalAveragePool: _global_average_pool,
    bp.ZeroPad2D: lambda r, x: _layer("ZeroPadding2D", r.padding)(x),
    bp.Flatten: lambda r, x: _layer("Flatten")(x),
    bp.Reshape: lambda r, x: _layer("Reshape", r.shape)(x),
    bp.Rescale: lambda r, x: _layer("Rescaling", r.factor)(x),
    bp.Activation: lambda r, x: _layer("Activation", r.function)(x),
    bp.BatchNorm: lambda r, x, mask=None: _layer(
        "BatchNormalization",
        **_same(r),
        gamma_initializer=r.initializer,
        synchronized=Setting.SYNCHRONIZED,
    )(x, mask=mask),
    bp.LayerNorm: lambda r, x: _layer("LayerNormalization", **_same(r))(x),
    bp.Dropout: lambda r, x: _layer(
        "Dropout",
        r.rate,
        noise_shape=(None, None, 1) if r.positions else None,
        seed=_SEED,
    )(x),
    bp.RandomShift: lambda r, x: _layer(
        "RandomTranslation",
        r.down,
        r.across,
        fill_mode="nearest",
        interpolation="nearest",
        seed=_SEED,
    )(x),
    bp.RandomFlip: lambda r, x: _layer("RandomFlip", "horizontal", seed=_SEED)(x),
    bp.RandomErase: lambda r, x: _layer(
        "RandomErasing",
        factor=(1.0, 1.0),
        scale=(0.0, r.most),
        fill_value=0.0,
        seed=_SEED,
    )(x),
    bp.Embedding: lambda r, ids: _layer(
        "ReversibleEmbedding" if r.is_shared else "Embedding",
        r.vocabulary,
        r.width,
        embeddings_initializer=call(
            "keras.initializers.TruncatedNormal", stddev=r.stddev, seed=_SEED
        ),
        **({"reverse_dtype": "float32"} if r.is_shared else {}),
    )(ids),
    SharedEmbedding: lambda r, ids: Call(LayerAt(r.table), (ids,), {}),
    TiedDense: lambda r, x: Call(LayerAt(r.table), (x,), {"reverse": True}),
    Sinusoids: lambda r, ids: call("sinusoids", ids, width=r.width),
    bp.KnownTokens: lambda r, ids: call(
        "known_tokens", ids, vocabulary=r.vocabulary, unknown=r.unknown
    ),
    bp.Positions: lambda r, x: call("position_ids", x),
    bp.PaddingMask: lambda r, ids: call("padding_mask", ids),
    bp.First: lambda r, x: call("getitem", x, (slice(None), 0)),
    bp.Prepend: lambda r, x: call("prepend_token", x, name=LayerName()),
    bp.Attention: lambda r, queries, memory, mask=None: call(
        "attention",
        r.width,
        r.heads,
        dropout=r.dropout,
        seed=_SEED,
        name=LayerName(),
    )(queries, memory, value_mask=mask, use_causal_mask=r.causal),
    bp.Recurrent: _recurrent,
    bp.Add: lambda r, *tensors: _layer("Add")([*tensors]),
    bp.Concatenate: lambda r, *tensors: _layer("Concatenate")([*tensors]),
    bp.Multiply: lambda r, *tensors: _layer("Multiply")([*tensors]),
    Backbone: _backbone,
    words.Ngrams: lambda r, ids: call(
        "ngram_ids",
        ids,
        vocabulary=r.vocabulary,
        buckets=r.buckets,
        factors=r.factors,
    ),
    words.Conv1D: lambda r, x: _dense("Conv1D", r, r.filters, r.kernel, padding="same")(
        x
    ),
    words.GlobalMaxPool: lambda r, x, mask=None: (
        _layer("GlobalMaxPooling1D")(x) if mask is None else call("max_over", x, mask)
    ),
    sound.StackFrames: lambda r, x: call("stack_frames", x, r.frames),
    sound.FrameMask: lambda r, x: call("frame_mask", x),
    sound.CentredFrames: lambda r, x, mask: call("centred_frames", x, mask),
    sound.MaskedFrames: lambda r, x, mask: call("masked_frames", x, mask),
    sound.FrameLogits: lambda r, x, mask: call(
        "frame_logits",
        x,
        mask,
        r.units,
        name=LayerName(),
        kernel_initializer=r.initializer,
    ),
    sound.DepthwiseConv1D: lambda r, x: _layer(
        "DepthwiseConv1D",
        r.kernel,
        padding="same",
        **_same(r),
        depthwise_initializer=call("depthwise_start", r.kernel**0.5, seed=_SEED),
    )(x),
}
"""By record, the call that gives its output, from the record and what it reads."""


def call_of(record: Layer, reads: Sequence[Any]) -> Call:
    """What a layer is in Keras; what it reads is a tensor of Keras, or code of one.

    Raises:
        SpecError: The record's kind is not known.
    """
    kind = type(record)
    if kind not in KERAS_CALLS:
        raise SpecError(
            f"Layer {record.name!r} cannot be built: its kind, {kind.__name__}, is not "
            "in the table of Keras calls."
        )
    return KERAS_CALLS[kind](record, *reads)
