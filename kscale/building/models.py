"""From a blueprint to a `keras.Model` of stock layers: the second reading."""

import math
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import keras

from kscale.building.backbone_weights import make_backbone
from kscale.naming import input_names, layer_name
from kscale.networks import augmentation
from kscale.networks import blueprint as bp
from kscale.networks.backbones import Backbone
from kscale.networks.blueprint import BODY_INPUT, Blueprint, Layer, Repeat, Scope


def build_model(
    blueprint: Blueprint, seed: int = 0, synchronized: bool = False
) -> keras.Model:
    """A Keras model of a blueprint.

    Args:
        blueprint: The network; all its widths must be ints.
        seed: Decides the initial weights and the dropout; each layer draws its own from
            the seed and its path.
        synchronized: Whether batch statistics are shared between replicas.

    Returns:
        A functional model of stock Keras layers. One input is taken as a tensor,
        several as a dict by name; the same for outputs.
    """
    build = _Build(seed, synchronized)
    scope = Scope()
    names = input_names(item.name for item in blueprint.inputs)
    for item in blueprint.inputs:
        name = names[item.name]
        scope[item.name] = keras.Input(item.shape, dtype=item.dtype, name=name)
    inputs = {item.name: scope[item.name] for item in blueprint.inputs}
    entry = scope[blueprint.inputs[0].name]
    build.layers(blueprint.layers, entry, scope, "")
    outputs = {layer_name(name): scope[name] for name in blueprint.outputs}
    return keras.Model(alone(inputs), alone(outputs))


def alone(tensors: Mapping[str, Any]) -> Any:
    """A single tensor as itself, several by name: as Keras models take and give."""
    return tensors if len(tensors) > 1 else next(iter(tensors.values()))


class _Build:
    """The layers made so far, by path, so that shared copies reuse them."""

    def __init__(self, seed: int, synchronized: bool) -> None:
        self.seed = seed
        self.synchronized = synchronized
        self.made: dict[str, Callable[..., Any]] = {}

    def layers(
        self, layers: tuple[Layer, ...], entry: Any, scope: Scope, prefix: str
    ) -> Any:
        """Tensor after the last of the layers."""
        tensor = entry
        for layer in layers:
            read = [scope[name] for name in layer.inputs] if layer.inputs else [tensor]
            if isinstance(layer, Repeat):
                tensor = self.repeat(layer, read[0], scope, prefix)
            else:
                tensor = self.layer(layer, prefix + layer.name)(*read)
            scope[layer.name] = tensor
        return tensor

    def repeat(self, repeat: Repeat, entry: Any, scope: Scope, prefix: str) -> Any:
        """Tensor after the last copy."""
        tensor = entry
        for copy in range(1, repeat.times + 1):
            inside = Scope(scope)
            inside[BODY_INPUT] = tensor
            path = repeat.copy_path(prefix, copy)
            tensor = self.layers(repeat.body, tensor, inside, path)
        return tensor

    def layer(self, record: Layer, path: str) -> Callable[..., Any]:
        """The Keras layer at a path, made when first asked for."""
        if path not in self.made:
            maker = MAKERS[type(record)]
            self.made[path] = maker(record, layer_name(path), self)
        return self.made[path]

    def seed_of(self, name: str) -> int:
        """A seed for the layer of a name."""
        return crc32(name.encode(), self.seed & 0xFFFFFFFF) & 0x7FFFFFFF

    def initializer(self, identifier: str, name: str) -> keras.Initializer:
        """An initializer by its Keras name, seeded for the layer of a name."""
        found = keras.initializers.get(identifier)
        if isinstance(found, keras.initializers.Zeros):
            return found
        return type(found)(seed=self.seed_of(name))


def _dense(record: bp.Dense, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Dense(
        record.units,
        activation=record.activation,
        use_bias=record.use_bias,
        kernel_initializer=build.initializer(record.initializer, name),
        name=name,
    )


def _conv2d(record: bp.Conv2D, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Conv2D(
        record.filters,
        record.kernel,
        strides=record.strides,
        padding=record.padding,
        activation=record.activation,
        use_bias=record.use_bias,
        kernel_initializer=build.initializer(record.initializer, name),
        name=name,
    )


def _max_pool2d(record: bp.MaxPool2D, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.MaxPooling2D(
        record.pool,
        strides=record.strides or record.pool,
        padding=record.padding,
        name=name,
    )


def _global_average_pool(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    of_images = keras.layers.GlobalAveragePooling2D(name=name)
    of_sequences = keras.layers.GlobalAveragePooling1D(name=name)

    def pool(tensor: Any, mask: Any = None) -> Any:
        if len(tensor.shape) == 4:
            return of_images(tensor)
        return of_sequences(tensor, mask=mask)

    return pool


def _flatten(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Flatten(name=name)


def _first(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    return lambda tensor: tensor[:, 0]


def _activation(record: bp.Activation, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Activation(record.function, name=name)


def _batch_norm(record: bp.BatchNorm, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.BatchNormalization(
        momentum=record.momentum,
        epsilon=record.epsilon,
        gamma_initializer=record.initializer,
        synchronized=build.synchronized,
        name=name,
    )


def _layer_norm(record: bp.LayerNorm, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.LayerNormalization(epsilon=record.epsilon, name=name)


def _dropout(record: bp.Dropout, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Dropout(
        record.rate,
        noise_shape=(None, None, 1) if record.positions else None,
        seed=build.seed_of(name),
        name=name,
    )


def _random_shift(record: augmentation.RandomShift, name: str, build: _Build) -> Any:
    return keras.layers.RandomTranslation(
        record.down,
        record.across,
        fill_mode="nearest",
        interpolation="nearest",
        seed=build.seed_of(name),
        name=name,
    )


def _random_flip(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.RandomFlip("horizontal", seed=build.seed_of(name), name=name)


def _random_erase(record: augmentation.RandomErase, name: str, build: _Build) -> Any:
    return keras.layers.RandomErasing(
        factor=(1.0, 1.0),
        scale=(0.0, record.most),
        fill_value=0.0,
        seed=build.seed_of(name),
        name=name,
    )


def _embedding(record: bp.Embedding, name: str, build: _Build) -> Callable[..., Any]:
    start = keras.initializers.TruncatedNormal(
        stddev=record.stddev, seed=build.seed_of(name)
    )
    return keras.layers.Embedding(
        record.vocabulary, record.width, embeddings_initializer=start, name=name
    )


def _known_tokens(record: bp.KnownTokens, name: str, build: _Build) -> Any:
    def known(ids: Any) -> Any:
        return keras.ops.where(ids < record.vocabulary, ids, record.unknown)

    return known


def _positions(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    def positions(tensor: Any) -> Any:
        ids = tensor[..., 0] if len(tensor.shape) == 3 else tensor
        ones = keras.ops.ones_like(ids, dtype="int32")
        return keras.ops.cumsum(ones, axis=-1) - 1

    return positions


def _padding_mask(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    def mask(ids: Any) -> Any:
        # Without any token to read, averages would divide by zero: read the padding.
        is_empty = keras.ops.equal(keras.ops.max(ids, axis=-1, keepdims=True), 0)
        return keras.ops.logical_or(keras.ops.not_equal(ids, 0), is_empty)

    return mask


def _attention(record: bp.Attention, name: str, build: _Build) -> Callable[..., Any]:
    layer = keras.layers.MultiHeadAttention(
        record.heads,
        record.width // record.heads,
        dropout=record.dropout,
        seed=build.seed_of(name),
        name=name,
    )

    def attend(queries: Any, memory: Any, mask: Any = None) -> Any:
        is_new = not layer.built
        output = layer(queries, memory, value_mask=mask, use_causal_mask=record.causal)
        if is_new:
            _draw_projections(layer, build)
        return output

    return attend


def _draw_projections(layer: keras.layers.MultiHeadAttention, build: _Build) -> None:
    """Start an attention's four kernels as the matrices that they are.

    Keras gives all four copies of one initializer, so that a seeded one starts queries,
    keys and values equal, and takes heads for the side of a convolution (Glorot's fans
    come out too large).
    """
    for part in ("query", "key", "value", "output"):
        kernel = getattr(layer, f"{part}_dense").kernel
        rows = kernel.shape[0] * (kernel.shape[1] if part == "output" else 1)
        start = build.initializer("glorot_uniform", f"{layer.name}.{part}")
        drawn = start((rows, math.prod(kernel.shape) // rows), dtype=kernel.dtype)
        kernel.assign(keras.ops.reshape(drawn, kernel.shape))


def _add(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    layer = keras.layers.Add(name=name)
    return lambda *tensors: layer(list(tensors))


def _concatenate(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    layer = keras.layers.Concatenate(name=name)
    return lambda *tensors: layer(list(tensors))


def _depthwise_conv2d(
    record: bp.DepthwiseConv2D, name: str, build: _Build
) -> Callable[..., Any]:
    # Keras' own He initializer takes all channels for the fan in, though each output
    # reads one: with 960 channels it would start 31 times too small.
    start = keras.initializers.RandomNormal(
        stddev=math.sqrt(2) / record.kernel, seed=build.seed_of(name)
    )
    return keras.layers.DepthwiseConv2D(
        record.kernel,
        strides=record.strides,
        padding=record.padding,
        activation=record.activation,
        use_bias=record.use_bias,
        depthwise_initializer=start,
        name=name,
    )


def _zero_pad2d(record: bp.ZeroPad2D, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.ZeroPadding2D(record.padding, name=name)


def _multiply(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    layer = keras.layers.Multiply(name=name)
    return lambda *tensors: layer(list(tensors))


def _rescale(record: bp.Rescale, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Rescaling(record.factor, name=name)


def _reshape(record: bp.Reshape, name: str, build: _Build) -> Callable[..., Any]:
    return keras.layers.Reshape(record.shape, name=name)


def _prepend(record: Layer, name: str, build: _Build) -> Callable[..., Any]:
    join = keras.layers.Concatenate(axis=1, name=f"{name}.join")
    made: list[keras.layers.Embedding] = []

    def prepend(tensor: Any) -> Any:
        if not made:
            # A table of one row, looked up for every example; zeros as the ViT's.
            features = tensor.shape[-1]
            made.append(keras.layers.Embedding(1, features, "zeros", name=name))
        row = keras.ops.zeros_like(tensor[:, :1, 0], dtype="int32")
        return join([made[0](row), tensor])

    return prepend


def _recurrent(record: bp.Recurrent, name: str, build: _Build) -> Callable[..., Any]:
    cells = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    # With a mask cuDNN refuses whatever is not padded at the end, and fails the step.
    use_cudnn = False if len(record.inputs) > 1 else "auto"

    def one_way(path: str, go_backwards: bool = False) -> keras.layers.RNN:
        return cells[record.cell](
            record.units,
            kernel_initializer=build.initializer("glorot_uniform", path),
            recurrent_initializer=build.initializer("orthogonal", f"{path}.state"),
            return_sequences=record.sequences,
            go_backwards=go_backwards,
            use_cudnn=use_cudnn,
            name=path,
        )

    layer = one_way(name)
    if record.bidirectional:
        # Made here: Keras would give the second one the seeds of the first.
        backward = one_way(f"{name}.backward", go_backwards=True)
        forward = one_way(f"{name}.forward")
        layer = keras.layers.Bidirectional(forward, backward_layer=backward, name=name)
    return lambda tensor, mask=None: layer(tensor, mask=mask)


MAKERS: dict[type[Layer], Callable[[Any, str, _Build], Callable[..., Any]]] = {
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
    augmentation.RandomShift: _random_shift,
    augmentation.RandomFlip: _random_flip,
    augmentation.RandomErase: _random_erase,
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
    Backbone: lambda record, name, build: make_backbone(record, name, build.seed_of),
}
