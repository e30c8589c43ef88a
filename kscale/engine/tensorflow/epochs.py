"""Training one network: a whole epoch is one TensorFlow graph, on one device or many.

`fit` leaves the graph after every few steps; on small networks that costs more than the
training (measured by `experiments/training_speed.py`). Here the examples lie on the
device, the host sends the order of an epoch and gets the mean loss back. Data that is
larger than memory comes in chunks of many steps; the graph takes each chunk for an
epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.building.models import build_model, named_outputs
from kscale.data.example_rows import Rows, row_bytes
from kscale.engine.base import BEAMS, Masks, Network, Outputs
from kscale.engine.progress import Progress
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.compiling import (
    FusedAdamW,
    example_losses,
    make_optimizer,
)
from kscale.engine.tensorflow.decoding import Decoder, decoder_of
from kscale.engine.tensorflow.devices import are_gpus, device_of, laid
from kscale.engine.tensorflow.placing import (
    CHUNK_BYTES,
    PlacedData,
    Tensors,
    placed,
    taught,
)
from kscale.engine.tensorflow.scoring import device_score
from kscale.engine.tensorflow.tracing import forgotten_gradients
from kscale.engine.tensorflow.xla import COMPILER, XLA_ERRORS, is_worth_compiling
from kscale.errors import is_out_of_memory
from kscale.networks.blueprint import Blueprint
from kscale.task.evaluation import mean_score

_PREDICT_BATCH = 512
_PREDICT_BYTES = 2**30


class EpochProgram:
    """A model, its optimizer and the training part, ready to run epochs.

    A batch is split evenly between the replicas of the strategy. Whether XLA compiles
    the epoch is decided by what is worth it, unless `compiled` is given, and so is
    whether a score is worked out on the device, unless `on_device` is given. If
    `is_checked`, the first program of some layers compares XLA's losses with those
    without: by default on GPUs, as tests do it on CPUs and a tracing takes time there.

    Attributes:
        compiled: Whether XLA compiles the epoch; None until that is decided, and False
            after XLA has failed.
    """

    _examples = 0
    """Axis of the examples in what is predicted."""

    def __init__(
        self,
        network: Network,
        data: PlacedData,
        recipe: Recipe,
        strategy: tf.distribute.Strategy,
        compiled: bool | None = None,
        on_close: Callable[["EpochProgram"], None] = lambda program: None,
        on_device: bool | None = None,
        is_checked: bool | None = None,
    ) -> None:
        self.network = network
        self.networks: Sequence[Network] = [network]
        self.data = data
        self.recipe = recipe
        self.strategy = strategy
        self.model: Any = None
        self._masks: dict[str, Any] = {}
        self._decoder: Decoder | None = None
        self.compiled = compiled
        self._on_device = are_gpus(strategy) if on_device is None else on_device
        self._is_checked = are_gpus(strategy) if is_checked is None else is_checked
        self._on_close = on_close
        self._replicas = int(strategy.num_replicas_in_sync)

    def start(
        self, seeds: Sequence[int], rates: Sequence[float], epochs: int = 0
    ) -> None:
        with device_of(self.strategy):
            self._start(seeds, rates, epochs)

    def _start(self, seeds: Sequence[int], rates: Sequence[float], epochs: int) -> None:
        (seed,), (rate,) = seeds, rates
        if isinstance(self.network.layers, Blueprint) and self.model is not None:
            layers, factors = self.network.layers, self.network.factors
            start = self.data.dataset.word_vectors
            fresh = build_model(layers, seed, factors=factors, word_vectors=start)
            pairs = zip(self.model.variables, fresh.variables, strict=True)
            for variable, value in pairs:
                variable.assign(value)
            for variable in self.optimizer.variables:
                variable.assign(tf.zeros_like(variable))
        else:
            self._build(seed)
        self._rate.assign(rate)
        steps = self.recipe.steps_per_epoch(self.data.examples)
        self.optimizer.iterations.assign(epochs * steps)
        for mask in self._masks.values():
            mask.assign(tf.ones_like(mask))

    def _build(self, seed: int) -> None:
        """Make the model, the optimizer, and their traced functions."""
        self._masks, self._decoder = {}, None
        layers, recipe, examples = self.network.layers, self.recipe, self.data.examples
        precision, factors = self.network.precision, self.network.factors
        with self.strategy.scope():
            if isinstance(layers, Blueprint):
                about = precision, factors, self.data.dataset.word_vectors
                self.model = build_model(layers, seed, self._replicas > 1, *about)
                self._decide_compiling()
            else:
                self.model = layers(seed)
            self._rate = tf.Variable(0.0, trainable=False)
            decay = self.network.weight_decay
            self.optimizer = make_optimizer(
                recipe, examples, self._rate, decay, FusedAdamW, factors
            )
            self.optimizer.build(self.model.trainable_variables)
        self._state = [*self.model.variables, *self.optimizer.variables]
        self._trace()

    def _decide_compiling(self) -> None:
        """Compile the epoch where that is worth it, unless this was decided before."""
        layers, recipe = self.network.layers, self.recipe
        if self.compiled is None and isinstance(layers, Blueprint):
            self.compiled = is_worth_compiling(
                layers,
                self.network.size.params,
                len(self.model.trainable_variables),
                recipe.epochs * recipe.steps_per_epoch(self.data.examples),
                self.strategy,
            )

    def _trace(self) -> None:
        """Make what runs epochs and predicts."""
        # The layers of kscale need no AutoGraph, which takes as long as the tracing.
        self._function = partial(
            tf.function, autograph=not isinstance(self.network.layers, Blueprint)
        )
        self._trace_epochs()
        # Or as many examples as hold a gibibyte of activations.
        each = len(self.networks) * self.network.size.activation_bytes
        self._predict_batch = min(
            _PREDICT_BATCH, max(1, _PREDICT_BYTES // max(1, each))
        )
        # A concrete function is traced once, and TensorFlow does not take the tracing
        # of many networks, one after the other, for the retracing of one.
        predict = self._function(self._trace_predict)
        with forgotten_gradients():
            inputs, targets = self.data.specs
            self._predict = predict.get_concrete_function(
                inputs, self.data.kept(targets)
            )
        self._score = device_score(
            self.data, self._predict, self._predict_batch, len(self.networks)
        )

    def _trace_epochs(self) -> None:
        self._epoch = self._function(self._trace_epoch)
        self._single_epoch: Any = None
        self._have_run: set[tuple[Any, ...]] = set()

    def load(
        self, path: Path, member: int = 0, only_weights: bool = False
    ) -> Progress | None:
        optimizer = None if only_weights else self.optimizer
        return load_checkpoint(path, self.model, optimizer)

    def save(self, path: Path, progress: Progress, member: int = 0) -> None:
        save_checkpoint(path, self.model, self.optimizer, progress)

    def hold(self, chosen: Masks) -> None:
        weights = {each.path: each for each in self.model.trainable_variables}
        masks = chosen({path: each.numpy() for path, each in weights.items()})
        with self.strategy.scope():
            for path in masks.keys() - self._masks.keys():
                ones = tf.ones_like(weights[path].value)
                self._masks[path] = tf.Variable(ones, trainable=False)
                # The optimizer applies a constraint after each step.
                weights[path].constraint = partial(tf.multiply, self._masks[path])
                self._trace_epochs()
        for path, mask in masks.items():
            self._masks[path].assign(mask)
            weights[path].assign(weights[path] * mask)

    def run_epoch(self, orders: Sequence[NDArray[np.int32]]) -> list[float]:
        order = orders[0] if len(orders) == 1 else np.stack(orders, axis=1)
        total = np.zeros(len(orders))
        with device_of(self.strategy):
            for steps, inputs, targets in self.data.chunks(order):
                losses = self._run(steps, inputs, targets)
                total += np.asarray(losses, float) * len(steps)
        return list(map(float, total / len(order)))

    def _run(self, order: NDArray[np.int32], inputs: Tensors, targets: Tensors) -> Any:
        slices = np.split(order, self._replicas, axis=1)
        steps = laid(self.strategy, slices.__getitem__)
        if self._replicas == 1:
            return self._run_on_one(steps, inputs, targets)
        with forgotten_gradients():
            return self._epoch(steps, inputs, targets)

    def _run_on_one(self, order: Any, inputs: Tensors, targets: Tensors) -> Any:
        """An epoch, compiled by XLA if that is worth it, possible and right."""
        if self.compiled and self._is_checked:
            self._is_checked = False
            self.compiled = COMPILER.trusts(self._kinds)
            if self.compiled is None:
                return self._compared(order, inputs, targets)
        if self._single_epoch is None:
            steps = None if self.data.is_streamed else order.shape[0]
            spec = tf.TensorSpec((steps, *order.shape[1:]), tf.int32)
            specs = self.data.specs if self.data.is_streamed else (inputs, targets)
            epoch = self._function(self._trace_epoch, jit_compile=self.compiled)
            if self.compiled:
                COMPILER.add(len(self.model.trainable_variables))
            with forgotten_gradients():
                self._single_epoch = epoch.get_concrete_function(spec, *specs)
        shapes = self.compiled, order.shape, *(each.shape for each in inputs.values())
        try:
            losses = self._single_epoch(order, inputs, targets)
        except XLA_ERRORS as error:  # what has run was compiled: the device fails
            if not self.compiled or shapes in self._have_run or is_out_of_memory(error):
                raise
            COMPILER.note_failure(error)
            self._single_epoch, self.compiled = None, False
            return self._run_on_one(order, inputs, targets)
        self._have_run.add(shapes)
        return losses

    def _compared(self, *given: Any) -> Any:
        """An epoch without XLA, with XLA and, if that is wrong, without once more."""
        plain, begun = None, [each.numpy() for each in self._state]
        for compiled in (False, True, False):
            self._single_epoch, self.compiled = None, compiled
            for variable, value in zip(self._state, begun, strict=True):
                variable.assign(value)
            losses = self._run_on_one(*given)
            if self.compiled and COMPILER.compare(self._kinds, plain, losses):
                break
            plain = losses
        return losses

    @property
    def _kinds(self) -> frozenset[str]:
        """Of program, numbers and layers, for which XLA may be wrong."""
        parts = self, *self.model._flatten_layers(include_self=False)
        return frozenset((self.network.precision, *(type(x).__name__ for x in parts)))

    def score(self) -> list[float]:
        data, dataset = self.data, self.data.dataset
        part = dataset.validation
        if self._on_device:
            with device_of(self.strategy):
                return self._score()
        return [
            mean_score(data.objective, data.task, dataset.pairs("validation", outputs))
            for outputs in self.predict(part.inputs, part.targets)
        ]

    def predict(
        self, rows: Mapping[str, Rows], labels: Mapping[str, Rows] | None = None
    ) -> list[Outputs]:
        wanted = self.data.kept(labels or {})
        count = len(next(iter(rows.values())))
        most = CHUNK_BYTES // sum(map(row_bytes, rows.values()))
        step = max(1, min(self._predict_batch, most))
        with device_of(self.strategy):
            parts = [
                self._predict(
                    placed(rows, slice(i, i + step)), placed(wanted, slice(i, i + step))
                )
                for i in range(0, count, step)
            ]
        names, axis = [it.name for it in self.data.task.targets], self._examples
        return [{n: np.concatenate([each[n] for each in parts], axis) for n in names}]

    def decode(self, rows: Mapping[str, Rows]) -> Outputs:
        (target, *_), layers = self.data.task.targets, self.network.layers
        if target.head.compared is None or not isinstance(layers, Blueprint):
            return {}
        if self._decoder is None:
            self._decoder = decoder_of(layers, self.model, self.data.task)
        given = {it.name: rows[it.name] for it in self.data.task.given_inputs}
        count, step = len(next(iter(given.values()))), self._predict_batch
        with device_of(self.strategy), forgotten_gradients():
            parts = (placed(given, slice(i, i + step)) for i in range(0, count, step))
            found = [self._decoder.beam(it, target.length, BEAMS) for it in parts]
        return {target.name: np.concatenate([ids.numpy() for ids, _ in found])}

    def close(self) -> None:
        self._on_close(self)

    def _trace_epoch(self, order: Any, inputs: Tensors, targets: Tensors) -> Any:
        local = self.strategy.experimental_local_results(order)[0]
        steps = tf.shape(local)[0]

        def next_step(step: Any, total: Any) -> tuple[Any, Any]:
            chosen = (order, step, inputs, targets)
            losses = self.strategy.run(self._train_step, args=chosen)
            loss = self.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
            return step + 1, total + loss

        begin = (tf.constant(0), tf.constant(0.0))
        _, total = tf.while_loop(lambda step, _: step < steps, next_step, begin)
        if self._replicas > 1:
            with tf.control_dependencies([total]):
                self.strategy.run(self._bring_together)
        return total / tf.cast(steps, tf.float32)

    def _bring_together(self) -> None:
        """Give all replicas the mean of their moving statistics, which differ where the
        norms of a pretrained network are not synchronized."""
        context = tf.distribute.get_replica_context()
        for variable in self.model.non_trainable_variables:
            found = tf.identity(variable.value)
            if found.dtype.is_floating:
                mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, found)
                variable.assign(mean)

    def _train_step(
        self, order: Any, step: Any, inputs: Tensors, targets: Tensors
    ) -> Any:
        chosen = order[step]
        batch: Tensors = {n: tf.gather(a, chosen) for n, a in inputs.items()}
        wanted: Tensors = {n: tf.gather(a, chosen) for n, a in targets.items()}
        if self._are_cut:
            batch, wanted = self.data.cut(batch), self.data.cut(wanted)
        with tf.GradientTape() as tape:
            read = self.data.read(batch)
            outputs = named_outputs(self.model, self.data.task, read, training=True)
            loss = self._loss(outputs, wanted)
        weights = self.model.trainable_variables
        gradients = tape.gradient(loss, weights)
        if self._replicas > 1:
            # Rows of an embedding are as many as tokens, which differ by the replica.
            gradients = [tf.convert_to_tensor(each) for each in gradients]
        self.optimizer.apply(gradients, weights)
        return loss

    def _loss(self, outputs: dict[str, Any], wanted: Tensors) -> Any:
        """This replica's share of the loss of the whole batch, which is the mean over
        the replicas."""
        means, teacher = [], self.data.teacher
        for target in self.data.task.targets:
            name, smoothing = target.name, self.network.label_smoothing
            of_both = wanted[name], outputs[name]
            losses = example_losses(target, *of_both, smoothing, self._mean)
            weights = self.data.class_weights.get(name)
            if weights is not None:
                losses *= tf.gather(tf.constant(weights), wanted[name])
            if teacher is not None:
                given = wanted[taught(name)], outputs[name], teacher.temperature
                assert target.head.distillation, "such targets have no teachers"
                learned = target.head.distillation(keras.ops, *given)
                losses = (1 - teacher.share) * losses + teacher.share * learned
            means.append(tf.reduce_mean(losses))
        return tf.add_n(means) / (len(means) * self._replicas)

    def _mean(self, counts: Any) -> Any:
        """The mean over the examples of all replicas, each of which has as many."""
        mean = tf.reduce_mean(counts)
        if self._replicas == 1:
            return mean
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)

    @property
    def _are_cut(self) -> bool:
        """Whether steps are cut to their longest example; XLA takes one length only."""
        layers = self.network.layers
        is_open = isinstance(layers, Blueprint) and layers.open_length
        return is_open and not self.compiled

    def _trace_predict(self, inputs: Any, labels: Tensors) -> Any:
        read = self.data.read(inputs)
        outputs = named_outputs(self.model, self.data.task, read, training=False)
        return self._leaving(outputs, labels)

    def _leaving(self, outputs: dict[str, Any], labels: Tensors) -> dict[str, Any]:
        """What leaves the device: outputs, or what heads keep of outputs and labels."""
        found = dict(outputs)
        for target in self.data.task.targets:
            if target.head.kept is not None:
                of_both = labels[target.name], outputs[target.name]
                found[target.name] = target.head.kept(keras.ops, target, *of_both)
        return found
