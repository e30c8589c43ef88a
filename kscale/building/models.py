"""From a blueprint to a `keras.Model` of stock layers, and the schedule of a training.

Code of a network prints the functions and `Schedule` at the top of this file where it
needs them, as they stand, and therefore without types.
"""
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

import math
import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType, SimpleNamespace
from typing import Any
from zlib import crc32

import keras
import numpy as np
from keras import layers

from kscale.building.backbone_weights import draw_kernels, make_network
from kscale.building.keras_calls import Call, LayerAt, LayerName, Setting, call_of
from kscale.naming import input_names, layer_name, single_or_named
from kscale.networks.backbones import Backbone
from kscale.networks.blueprint import (
    Blueprint,
    Embedding,
    Layer,
    Scope,
    flat_layers,
    walked,
)
from kscale.networks.families.base import head_names
from kscale.networks.parametrization import Factor
from kscale.task.tasks import Task


def attention(width, heads, **options):
    """Attention whose matrices start with Glorot's spread, `width` to `width`.

    Keras would take the heads for the side of a convolution, and start them smaller.
    """
    limit = (3 / width) ** 0.5
    start = keras.initializers.RandomUniform(-limit, limit)
    return layers.MultiHeadAttention(
        heads, width // heads, kernel_initializer=start, **options
    )


def depthwise_start(kernel, **options):
    """He's start of a kernel for each channel: Keras would count all the channels."""
    return keras.initializers.RandomNormal(stddev=2**0.5 / kernel, **options)


def known_tokens(ids, vocabulary, unknown):
    """Ids with those from `vocabulary` on as the one id `unknown`."""
    return keras.ops.where(ids < vocabulary, ids, unknown)


def max_over(x, mask):
    """The largest of `(batch, length, n)` over positions where a mask is true."""
    least = keras.ops.min(x, axis=1, keepdims=True)
    return keras.ops.max(keras.ops.where(mask[..., None], x, least), axis=1)


def ngram_ids(ids, vocabulary, buckets, factors):
    """Ids of single tokens, then of runs of two and more: one id for each bucket.

    A run is `vocabulary` plus the sum of its tokens times their factors, modulo
    `buckets`; with padding (0) in the run the id is 0.
    """
    found, length = [ids], ids.shape[1]
    for longest in range(2, len(factors) + 1):
        run = [ids[:, k : length - longest + k + 1] for k in range(longest)]
        parts = [run[k] * factors[k] % buckets for k in range(longest)]
        # Keras would make a sum of two tensors a bias, which is no integer in LiteRT.
        sums = keras.ops.sum(keras.ops.stack(parts), axis=0) % buckets
        is_run = keras.ops.min(keras.ops.stack(run), axis=0) > 0
        found.append(keras.ops.where(is_run, vocabulary + sums, 0))
    return keras.ops.concatenate(found, axis=1)


def padding_mask(ids):
    """True where ids are not 0; everywhere if all of them are 0."""
    is_empty = keras.ops.equal(keras.ops.max(ids, axis=-1, keepdims=True), 0)
    return keras.ops.logical_or(keras.ops.not_equal(ids, 0), is_empty)


def position_ids(x):
    """0, 1, 2, ... for the positions of `(batch, length)` or `(batch, length, n)`."""
    ids = x[..., 0] if len(x.shape) == 3 else x
    return keras.ops.cumsum(keras.ops.ones_like(ids, dtype="int32"), axis=-1) - 1


def stack_frames(x, frames):
    """Neighbouring frames side by side, zeros after the last ones where these are too
    few: `(batch, ceil(length / frames), frames * n)`."""
    x = keras.ops.pad(x, ((0, 0), (0, frames - 1), (0, 0)))
    ends = [place - frames + 1 or None for place in range(frames)]
    parts = [x[:, place:end:frames] for place, end in enumerate(ends)]
    return keras.ops.concatenate(parts, axis=-1)


def frame_mask(x):
    """True up to the last frame that is not 0 everywhere, and at the first frame."""
    is_held = keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)
    backwards = keras.ops.cast(keras.ops.flip(is_held, axis=1), "int32")
    later = keras.ops.flip(keras.ops.cumsum(backwards, axis=1), axis=1)
    return keras.ops.pad(later[:, 1:], ((0, 0), (1, 0)), constant_values=1) > 0


def centred_frames(x, mask):
    """Features of mean 0 and deviation 1 over frames where a mask is true; else 0."""
    counted = keras.ops.cast(mask[..., None], x.dtype)
    count = keras.ops.sum(counted, axis=1, keepdims=True)
    mean = keras.ops.sum(x * counted, axis=1, keepdims=True) / count
    x = (x - mean) * counted
    square = keras.ops.sum(x * x, axis=1, keepdims=True) / count
    return x / (keras.ops.sqrt(square) + 1e-2)


def masked_frames(x, mask):
    """Frames, with 0 where a mask is false."""
    return keras.ops.where(mask[..., None], x, keras.ops.zeros_like(x))


def frame_logits(x, mask, units, name, **options):
    """A dense layer on every frame, and a sure blank where a mask is false."""
    logits = layers.Dense(units, name=name, **options)(x)
    blank = keras.ops.one_hot([[0]], units) * 1e4 - 1e4
    return keras.ops.where(mask[..., None], logits, blank)


def sinusoids(ids, width):
    """Sines and cosines of positions `(batch, length)`, `(batch, length, width)`."""
    half = (width + 1) // 2
    rates = 10_000 ** (keras.ops.arange(half, dtype="float32") / -half)
    angles = keras.ops.cast(ids, "float32")[..., None] * rates
    both = [keras.ops.sin(angles), keras.ops.cos(angles)]
    return keras.ops.concatenate(both, axis=-1)[..., :width]


def prepend_token(x, name):
    """A learned position before the first of `(batch, length, features)`."""
    row = keras.ops.zeros_like(x[:, :1, 0], dtype="int32")
    token = layers.Embedding(1, x.shape[-1], "zeros", name=name)(row)
    return layers.Concatenate(axis=1, name=f"{name}.join")([token, x])


def pretrained(network, name, tuned, blue_first=False, scale=1.0, offset=0.0):
    """A network of keras.applications, given the pixels that it was trained on."""
    side = network.input_shape[1]
    network = keras.Model(network.inputs[0], network.outputs[0], name=name)
    network.trainable = tuned

    def apply(image):
        if image.shape[1:3] != (side, side):
            image = layers.Resizing(side, side, name=f"{name}.resize")(image)
        if image.shape[-1] == 1:
            image = layers.Concatenate(name=f"{name}.colour")([image] * 3)
        if blue_first:
            image = keras.ops.flip(image, axis=-1)
        if (scale, offset) != (1.0, 0.0):
            image = layers.Rescaling(scale, offset, name=f"{name}.pixels")(image)
        return network(image)

    return apply


def factor_of(weight, factors):
    """The factor of a weight, by names of the layer and the weight; 1 without one."""
    path = weight.path.split("/")
    return factors.get(f"{path[0]}/{path[-1]}", 1.0)


def with_starts(model, factors):
    """The model, with its initial weights multiplied by factors."""
    for weight in model.trainable_variables:
        weight.assign(weight * factor_of(weight, factors))
    return model


@keras.saving.register_keras_serializable("kscale")
class ScaledAdamW(keras.optimizers.AdamW):
    """AdamW that multiplies the learning rate of each weight by a factor.

    The weight decay follows the learning rate itself, without the factor.
    """

    def __init__(self, learning_rate, rates, **options):
        super().__init__(learning_rate, **options)
        self.rates = rates

    def build(self, variables):
        super().build(variables)
        self.factors = [factor_of(variable, self.rates) for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        factor = self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self):
        return {**super().get_config(), "rates": self.rates}


@keras.saving.register_keras_serializable("kscale")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to the learning rate, stays, and falls to 0 over the last steps."""

    def __init__(self, steps, rate, warmup, cooldown):
        self.steps, self.rate = steps, rate
        self.warmup, self.cooldown = warmup, cooldown

    def __call__(self, step):
        done = (keras.ops.cast(step, "float32") + 1) / self.steps
        rising = done / max(self.warmup, 1 / self.steps)
        falling = (1 + 0.5 / self.steps - done) / max(self.cooldown, 1e-9)
        return self.rate * keras.ops.clip(keras.ops.minimum(rising, falling), 0, 1)

    def get_config(self):
        return dict(vars(self))


_FUNCTIONS = SimpleNamespace(**globals(), getitem=operator.getitem)
"""What paths of `Call.function` start from."""


def build_model(
    blueprint: Blueprint,
    seed: int = 0,
    synchronized: bool = False,
    precision: str = "float32",
    factors: Sequence[Factor] = (),
    word_vectors: Mapping[str, Any] = MappingProxyType({}),
) -> keras.Model:
    """A Keras model of a blueprint.

    Args:
        blueprint: The network; all its widths must be ints.
        seed: Decides the initial weights and the dropout; each layer draws from a seed
            that is made of this one and the layer's path.
        synchronized: Whether batch statistics are shared between replicas.
        precision: What the layers before the outputs compute in: `bfloat16`, or
            float32. Weights and outputs are float32 in any case.
        factors: Factors of the initial weights, which the width decides.
        word_vectors: By input, what embeddings start from, `(ids, numbers)`, NaN where
            ids start at random.

    Returns:
        A functional model of stock Keras layers. One input is taken as a tensor,
        several as a dict by name; the same for outputs.
    """
    names = input_names(item.name for item in blueprint.inputs)
    inputs = {
        item.name: keras.Input(
            blueprint.shape_of(item), dtype=item.dtype, name=names[item.name]
        )
        for item in blueprint.inputs
    }
    scope = Scope()
    scope.update(inputs)
    in_float32 = blueprint.outputs if precision == "bfloat16" else None
    build = _Build(seed, synchronized, in_float32)
    walked(blueprint.layers, inputs[blueprint.inputs[0].name], scope, build.output)
    outputs = {layer_name(name): scope[name] for name in blueprint.outputs}
    with warnings.catch_warnings():
        # Names of the data are the keys, also those that Keras does not allow.
        warnings.filterwarnings("ignore", ".*all keys in the dict must match")
        model = keras.Model(single_or_named(inputs), single_or_named(outputs))
    for layer in model.layers:
        if isinstance(layer, layers.MultiHeadAttention):
            build.draw_projections(layer)
    for record in flat_layers(blueprint):
        if isinstance(record, Embedding) and record.start in word_vectors:
            layer = model.get_layer(layer_name(record.name))
            _start_from(word_vectors[record.start], layer)
    starts = {factor.weight: factor.start for factor in factors}
    return with_starts(model, starts) if starts else model


def _start_from(table: Any, layer: layers.Embedding) -> None:
    """Give an embedding the first rows of a table, and the others their spread."""
    drawn = keras.ops.convert_to_numpy(layer.embeddings)
    known = table[: len(drawn)]
    start = drawn * (np.nanstd(known) / drawn.std())
    start[: len(known)] = np.where(np.isnan(known), start[: len(known)], known)
    layer.embeddings.assign(start)


@dataclass
class _Build:
    """Makes layers from their calls; copies that share weights share the layer.

    Unless `in_float32` is None, all layers but these compute in bfloat16.
    """

    seed: int
    synchronized: bool
    in_float32: tuple[str, ...] | None
    made: dict[str, Any] = field(default_factory=dict)

    def output(self, record: Layer, path: str, reads: list[Any]) -> Any:
        """What the layer at a path gives for what it reads, in its precision."""
        with self._computing(path):
            return self._output(record, path, reads)

    @contextmanager
    def _computing(self, path: str) -> Iterator[None]:
        """A context in which a layer computes in the precision of its path."""
        before = keras.config.dtype_policy()
        if self.in_float32 is not None:
            is_exact = path in self.in_float32
            keras.config.set_dtype_policy("float32" if is_exact else "mixed_bfloat16")
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)

    def _output(self, record: Layer, path: str, reads: list[Any]) -> Any:
        """What the layer at a path gives; the layer is made when it is first read."""
        call, name = call_of(record, reads), layer_name(path)
        if isinstance(call.function, str):
            return self.make(call, name)
        if isinstance(call.function, LayerAt):
            path = call.function.path
        elif path not in self.made:
            made = call.function
            if isinstance(record, Backbone):
                made = replace(made, arguments=(self.network(record, name),))
            self.made[path] = self.make(made, name)
        return self.made[path](*call.arguments, **call.options)

    def make(self, call: Call, name: str) -> Any:
        """What a call gives, for the layer of a name."""
        given = call.options.get("name")
        name += given.ending if isinstance(given, LayerName) else ""
        arguments = [self._value(value, name) for value in call.arguments]
        options = {
            option: self._value(value, name, option)
            for option, value in call.options.items()
        }
        function = operator.attrgetter(str(call.function))(_FUNCTIONS)
        return function(*arguments, **options)

    def _value(self, value: Any, name: str, option: str = "") -> Any:
        match value:
            case LayerName():
                return name
            case Setting.SEED:
                return self.seed_of(name)
            case Setting.SYNCHRONIZED:
                return self.synchronized
            case Call():
                return self.make(value, name)
            case str() if option.endswith("_initializer"):
                is_state = option == "recurrent_initializer"
                return self._initializer(value, f"{name}.state" if is_state else name)
        return value

    def seed_of(self, name: str) -> int:
        """A seed for the layer of a name."""
        return crc32(name.encode(), self.seed & 0xFFFFFFFF) & 0x7FFFFFFF

    def _initializer(self, identifier: str, name: str) -> keras.Initializer:
        """An initializer by its Keras name, with the seed of a name if one is taken."""
        found = keras.initializers.get(identifier)
        is_seeded = "seed" in found.get_config()
        return type(found)(seed=self.seed_of(name)) if is_seeded else found

    def network(self, record: Backbone, name: str) -> keras.Model:
        """The network of a backbone, with the weights that it starts from."""
        network = make_network(record)
        if record.weights == "none":
            draw_kernels(network, lambda weight: self.seed_of(f"{name}.{weight}"))
        return network

    def draw_projections(self, layer: layers.MultiHeadAttention) -> None:
        """Start the four kernels of an attention as the matrices that they are.

        Keras gives all four copies of one initializer, so that a seeded one starts
        queries, keys and values equal.
        """
        for part in ("query", "key", "value", "output"):
            kernel = getattr(layer, f"{part}_dense").kernel
            rows = kernel.shape[0] * (kernel.shape[1] if part == "output" else 1)
            seed = self.seed_of(f"{layer.name}.{part}")
            start = keras.initializers.GlorotUniform(seed)
            drawn = start((rows, math.prod(kernel.shape) // rows), dtype=kernel.dtype)
            kernel.assign(keras.ops.reshape(drawn, kernel.shape))


def applied(model: keras.Model, record: Layer, path: str, reads: list[Any]) -> Any:
    """What the layer at a path of a model gives for other tensors than the model's."""
    call = call_of(record, reads)
    if isinstance(call.function, str):
        function = operator.attrgetter(call.function)(_FUNCTIONS)
        return function(*call.arguments, **call.options)
    at = call.function.path if isinstance(call.function, LayerAt) else path
    return model.get_layer(layer_name(at))(*call.arguments, **call.options)


def named_outputs(
    model: keras.Model,
    task: Task,
    inputs: Mapping[str, Any],
    training: bool | None = None,
) -> dict[str, Any]:
    """Outputs by target name that a model of a blueprint gives for inputs by name."""
    return outputs_by_target(model(single_or_named(inputs), training=training), task)


def outputs_by_target(outputs: Any, task: Task) -> dict[str, Any]:
    """What a model of a blueprint gives, by target name."""
    names = [layer_name(head) for head in head_names(task)]
    given = outputs if len(names) > 1 else {names[0]: outputs}
    return {it.name: given[n] for it, n in zip(task.targets, names, strict=True)}
