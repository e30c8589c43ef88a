"""Training several networks of one structure in one graph.

The variables of all members lie in one tensor each, `(members, ...)`, and every
operation works on all of them at once. A small network leaves a GPU almost idle: there
a step of several takes little longer than a step of one. On two CPU cores mlps would
gain and convolutions lose (`experiments/training_speed.py`): there networks train one
by one.

The loop carries the state; variables that it read and wrote would be compiled by XLA
anew for every epoch (seen with TensorFlow 2.21).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense, Flatten
from tensorflow.python.ops.parallel_for import pfor

from kscale.building.models import ScaledAdamW, build_model, outputs_by_target
from kscale.data.example_rows import Rows
from kscale.engine.base import Masks, Network, Outputs
from kscale.engine.progress import Progress
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.compiling import make_optimizer
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.placing import Tensors
from kscale.naming import single_or_named

_ONE_BY_ONE = ("Conv2D", "StatelessRandomGetKeyCounter", "StatelessRandomUniformV2")
"""Operations that TensorFlow cannot do for several sets of weights or seeds at once."""

_REDUCTIONS = ("Max", "Mean", "Sum")
"""Operations whose axes TensorFlow would work out in the graph. XLA then compiles the
gradient anew for every order of the examples (seen with TensorFlow 2.21)."""


@dataclass(frozen=True)
class _Member:
    """A network as if trained alone, with variables of the network's widths."""

    model: keras.Model
    optimizer: ScaledAdamW

    @property
    def variables(self) -> list[Any]:
        """All variables, in the order of the stacked ones."""
        return [*self.model.variables, *self.optimizer.variables]


class Population(EpochProgram):
    """Implements `kscale.engine.base.Program` for several members.

    What a member trains is an item of `networks`, which must be set; all lie in
    `network`, as `joining.joined` gives it.
    """

    _examples = 1

    def _start(self, seeds: Sequence[int], rates: Sequence[float], epochs: int) -> None:
        with tf.device("CPU"):  # a GPU takes longer for each of many small variables
            self._members = [
                self._made(network, seed)
                for network, seed in zip(self.networks, seeds, strict=True)
            ]
        steps = epochs * self.recipe.steps_per_epoch(self.data.examples)
        for member in self._members:
            member.optimizer.iterations.assign(steps)
        if self.model is None:
            self._build(seeds[0])
        self._rates.assign(rates)
        factors = [member.optimizer.factors for member in self._members]
        self._factors.assign(np.transpose(factors))
        self._lay(*range(len(seeds)))

    def _made(self, network: Network, seed: int, rates: Any = 0.0) -> _Member:
        layers: Any = network.layers
        examples, decay = self.data.examples, network.weight_decay
        factors, precision = network.factors, network.precision
        model = build_model(layers, seed, precision=precision, factors=factors)
        optimizer: Any = make_optimizer(
            self.recipe, examples, rates, decay, ScaledAdamW, factors
        )
        optimizer.build(model.trainable_variables)
        return _Member(model, optimizer)

    def _build(self, seed: int) -> None:
        count = len(self.networks)
        self._rates = tf.Variable(tf.zeros(count), trainable=False)
        self._common = self._made(self.network, seed, self._rates)
        self.model, self.optimizer = self._common.model, self._common.optimizer
        shape = (len(self.model.trainable_variables), count)
        self._factors = tf.Variable(tf.ones(shape), trainable=False)
        self._decide_compiling()
        self._stacked = [
            tf.Variable(tf.zeros((count, *each.shape), each.dtype), trainable=False)
            for each in self._common.variables
        ]
        self._state = self._stacked
        self._trace()

    def hold(self, chosen: Masks) -> None:
        raise ValueError("Weights of several networks at once are not held.")

    def load(
        self, path: Path, member: int = 0, only_weights: bool = False
    ) -> Progress | None:
        alone = self._members[member]
        optimizer = None if only_weights else alone.optimizer
        progress = load_checkpoint(path, alone.model, optimizer)
        if progress is not None:
            self._lay(member)
        return progress

    def save(self, path: Path, progress: Progress, member: int = 0) -> None:
        alone = self._members[member]
        places = zip(alone.variables, self._stacked, _pixels(alone), strict=True)
        for variable, stacked, pixels in places:
            shape = _by_pixels(variable.shape, pixels)
            whole = tf.reshape(stacked[member], _by_pixels(stacked.shape[1:], pixels))
            cut = whole[tuple(map(slice, shape))]
            variable.assign(tf.reshape(cut, variable.shape))
        save_checkpoint(path, alone.model, alone.optimizer, progress)

    def _lay(self, *members: int) -> None:
        """Put variables of members into the stacked ones, with zeros around them."""
        chosen = [self._members[member] for member in members]
        of_each = zip(
            self._stacked,
            zip(*(alone.variables for alone in chosen), strict=True),
            zip(*map(_pixels, chosen), strict=True),
            strict=True,
        )
        for stacked, variables, counts in of_each:
            values = stacked.numpy()
            for member, variable, pixels in zip(
                members, variables, counts, strict=True
            ):
                shape = _by_pixels(variable.shape, pixels)
                whole = np.zeros(_by_pixels(stacked.shape[1:], pixels), values.dtype)
                whole[tuple(map(slice, shape))] = np.reshape(variable, shape)
                values[member] = whole.reshape(stacked.shape[1:])
            stacked.assign(values)

    def predict(
        self, rows: Mapping[str, Rows], labels: Mapping[str, Rows] | None = None
    ) -> list[Outputs]:
        (found,) = super().predict(rows, labels)
        return [
            {name: outputs[member] for name, outputs in found.items()}
            for member in range(len(self.networks))
        ]

    def decode(self, rows: Mapping[str, Rows]) -> Outputs:
        raise NotImplementedError("texts are decoded of one network at a time")

    def _trace_epoch(self, order: Any, inputs: Tensors, targets: Tensors) -> Any:
        steps = tf.shape(order)[0]

        def next_step(step: Any, total: Any, state: Any) -> tuple[Any, Any, Any]:
            chosen = order[step]
            batch = {n: tf.gather(a, chosen) for n, a in inputs.items()}
            wanted = {n: tf.gather(a, chosen) for n, a in targets.items()}
            losses, state = self._stepped(state, batch, wanted)
            return step + 1, total + losses, state

        state = [tf.convert_to_tensor(each) for each in self._stacked]
        begin = (tf.constant(0), tf.zeros(len(self.networks)), state)
        _, total, state = tf.while_loop(lambda step, *_: step < steps, next_step, begin)
        for stacked, value in zip(self._stacked, state, strict=True):
            stacked.assign(value)
        return total / tf.cast(steps, tf.float32)

    def _stepped(self, state: Any, batch: Any, wanted: Any) -> tuple[Any, Any]:
        """The losses of a step, and the state after it."""
        model, variables = self.model, self._common.variables
        values = _by_id(variables, state)
        weights = [values[id(v)] for v in model.trainable_variables]
        others = [values[id(v)] for v in model.non_trainable_variables]

        def loss_of(given: Any) -> tuple[Any, Any]:
            weights, others, batch, wanted = given
            outputs, others = self._outputs(weights, others, batch, training=True)
            return self._loss(outputs, wanted), others

        with tf.GradientTape() as tape:
            tape.watch(weights)
            losses, others = _for_each(loss_of, (weights, others, batch, wanted))
        values |= _by_id(model.non_trainable_variables, others)
        values |= self._applied(values, tape.gradient(losses, weights))
        return losses, [values[id(v)] for v in variables]

    def _applied(self, values: Mapping[int, Any], gradients: Any) -> dict[int, Any]:
        """What AdamW makes of weights, moments and the count of steps."""
        adamw = self.optimizer
        steps = values[id(adamw.iterations)]
        count = tf.cast(steps + 1, tf.float32)
        rates = adamw._learning_rate(steps)
        corrected = tf.sqrt(1 - tf.pow(adamw.beta_2, count))
        corrected *= rates / (1 - tf.pow(adamw.beta_1, count))
        found = {id(adamw.iterations): steps + 1}
        of_each = zip(
            self.model.trainable_variables,
            adamw._momentums,
            adamw._velocities,
            gradients,
            tf.unstack(self._factors),
            strict=True,
        )
        for variable, first, second, gradient, factors in of_each:
            sides = (-1, *[1] * len(variable.shape))
            weight, m, v = (values[id(each)] for each in (variable, first, second))
            m += (gradient - m) * (1 - adamw.beta_1)
            v += (tf.square(gradient) - v) * (1 - adamw.beta_2)
            if adamw.weight_decay and adamw._use_weight_decay(variable):
                weight -= weight * adamw.weight_decay * tf.reshape(rates, sides)
            step = tf.reshape(corrected * factors, sides) * m
            step /= tf.sqrt(v) + adamw.epsilon
            found |= _by_id((variable, first, second), (weight - step, m, v))
        return found

    def _outputs(
        self, weights: Any, others: Any, inputs: Any, training: bool
    ) -> tuple[dict[str, Any], Any]:
        read = single_or_named(self.data.read(inputs))
        given, others = self.model.stateless_call(
            weights, others, read, training=training
        )
        return outputs_by_target(given, self.data.task), others

    def _trace_predict(self, inputs: Any, labels: Tensors) -> Any:
        model = self.model
        values = _by_id(model.variables, map(tf.convert_to_tensor, self._stacked))

        def outputs(given: Any) -> Any:
            weights, others = given
            outputs, _ = self._outputs(weights, others, inputs, training=False)
            return self._leaving(outputs, labels)

        weights = [values[id(v)] for v in model.trainable_variables]
        others = [values[id(v)] for v in model.non_trainable_variables]
        return _for_each(outputs, (weights, others))


def _by_id(variables: Any, values: Any) -> dict[int, Any]:
    return {id(each): value for each, value in zip(variables, values, strict=False)}


def _pixels(member: _Member) -> list[int]:
    """For each variable, the pixels that rows of it are for: 1 but where a dense layer
    reads a flattened image, whose channels are next to each other at each pixel."""
    model, optimizer = member.model, member.optimizer
    found = {}
    for layer in model.layers:
        if isinstance(layer, Dense):
            before = layer.input._keras_history.operation
            if isinstance(before, Flatten):
                found[id(layer.kernel)] = int(np.prod(before.input.shape[1:-1]))
    for index, weight in enumerate(model.trainable_variables):
        for kept in (optimizer._momentums, optimizer._velocities):
            found[id(kept[index])] = found.get(id(weight), 1)
    return [found.get(id(variable), 1) for variable in member.variables]


def _by_pixels(shape: Any, pixels: int) -> tuple[int, ...]:
    """A shape whose first side is split into pixels and channels, if there are any."""
    if pixels == 1:
        return tuple(shape)
    return (pixels, shape[0] // pixels, *shape[1:])


def _for_each(function: Any, given: Any) -> Any:
    """What a function gives for each member, computed for all at once."""
    with _converted():
        return tf.vectorized_map(
            function, given, fallback_to_while_loop=False, warn=False
        )


@contextmanager
def _converted() -> Iterator[None]:
    """Convert sums and some other operations for several members by functions of this
    file, while TensorFlow vectorizes inside."""
    registry = pfor._pfor_converter_registry
    names = (*_ONE_BY_ONE, *_REDUCTIONS)
    before = {name: registry.get(name) for name in names}
    for name, usual in before.items():
        convert = _reduced if name in _REDUCTIONS else _one_by_one
        registry[name] = partial(convert, usual=usual)
    try:
        yield
    finally:
        for name, converter in before.items():
            if converter is None:
                del registry[name]
            else:
                registry[name] = converter


def _one_by_one(given: Any, usual: Any) -> Any:
    """An operation on each member in turn, with the results stacked."""
    read = [given.input(index) for index in range(given.num_inputs)]
    if usual is not None and not read[1].is_stacked:
        return usual(given)
    count = next(each.t.shape[0] for each in read if each.is_stacked)
    made = [
        pfor._create_op(
            given.op_type,
            [each.t[number] if each.is_stacked else each.t for each in read],
            [output.dtype for output in given.outputs],
            attrs=given.op.node_def.attr,
        ).outputs
        for number in range(count)
    ]
    return [pfor.wrap(tf.stack(each), True) for each in zip(*made, strict=True)]


def _reduced(given: Any, usual: Any) -> Any:
    """A sum, mean or maximum over axes that the graph holds as numbers."""
    axes = tf.get_static_value(given.unstacked_input(1))
    if axes is None:
        return usual(given)
    axes = [axis + (axis >= 0) for axis in np.ravel(axes)]
    reduce = getattr(tf.raw_ops, given.op_type)
    keeps = given.get_attr("keep_dims")
    reduced = reduce(input=given.stacked_input(0), axis=axes, keep_dims=keeps)
    return pfor.wrap(reduced, True)
