"""Training one network: a whole epoch is one TensorFlow graph, on one device or many.

`fit` leaves the graph after every few steps; on small networks that costs more than the
training (measured by `experiments/epoch_loop.py`). Here the examples lie on the device,
the host sends the order of an epoch and gets the mean loss back. Data that is larger
than memory comes in chunks of many steps; the graph takes each chunk for an epoch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.building.models import build_model, named_outputs
from kscale.data.example_rows import Rows, row_bytes
from kscale.engine.base import Network, Outputs
from kscale.engine.progress import Progress
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.checkpoints import load_checkpoint, save_checkpoint
from kscale.engine.tensorflow.compiling import example_losses, make_optimizer
from kscale.engine.tensorflow.placing import CHUNK_BYTES, PlacedData, Tensors
from kscale.engine.tensorflow.tracing import forgotten_gradients
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint, flat_layers

_PREDICT_BATCH = 512
_PREDICT_BYTES = 2**30
_DENSE_RECORDS = (
    bp.Activation,
    bp.BatchNorm,
    bp.Dense,
    bp.Dropout,
    bp.Flatten,
    bp.LayerNorm,
)
_LEAST_UPDATES = 3e8


def is_worth_compiling(
    blueprint: Blueprint, params: int, steps: int, strategy: tf.distribute.Strategy
) -> bool:
    """Whether XLA saves more than it costs, on one CPU.

    XLA fuses the optimizer's passes over the weights: an epoch of a dense network takes
    half the time. Compiling takes 0.4 s more, which some 3e8 updates of a weight repay
    (`experiments/epoch_loop.py`). Convolutions in a loop are far slower with XLA.
    """
    on_one = strategy.num_replicas_in_sync == 1
    on_cpu = not tf.config.list_physical_devices("GPU")
    dense = all(isinstance(layer, _DENSE_RECORDS) for layer in flat_layers(blueprint))
    return on_one and on_cpu and dense and params * steps >= _LEAST_UPDATES


class EpochProgram:
    """A model, its optimizer and the training part, ready to run epochs.

    A batch is split evenly between the replicas of the strategy. Whether XLA compiles
    the epoch is decided by what is worth it, unless `compiled` is given.
    """

    def __init__(
        self,
        network: Network,
        data: PlacedData,
        recipe: Recipe,
        strategy: tf.distribute.Strategy,
        compiled: bool | None = None,
    ) -> None:
        self.network = network
        self.data = data
        self.recipe = recipe
        self.strategy = strategy
        self._compiled = compiled
        self._replicas = int(strategy.num_replicas_in_sync)
        # Or as many examples as hold a gibibyte of activations.
        most = _PREDICT_BYTES // max(1, network.size.activation_bytes)
        self._predict_batch = min(_PREDICT_BATCH, max(1, most))

    def start(
        self, seeds: Sequence[int], rates: Sequence[float], epochs: int = 0
    ) -> None:
        (seed,), (rate,) = seeds, rates
        layers, recipe, examples = self.network.layers, self.recipe, self.data.examples
        steps = recipe.steps_per_epoch(examples)
        compiled = self._compiled
        with self.strategy.scope():
            if isinstance(layers, Blueprint):
                self.model = build_model(layers, seed, synchronized=self._replicas > 1)
                if compiled is None:
                    params, whole = self.network.size.params, recipe.epochs * steps
                    compiled = is_worth_compiling(layers, params, whole, self.strategy)
            else:
                self.model = layers(seed)
            decay = self.network.weight_decay
            self.optimizer = make_optimizer(recipe, examples, rate, decay)
            self.optimizer.build(self.model.trainable_variables)
        if epochs:
            self.optimizer.iterations.assign(epochs * steps)
        self._epoch = tf.function(self._trace_epoch, jit_compile=compiled or None)
        self._single_epoch: Any = None
        # A concrete function is traced once, and TensorFlow does not take the tracing
        # of many networks, one after the other, for the retracing of one.
        predict = tf.function(self._trace_predict)
        with forgotten_gradients():
            self._predict = predict.get_concrete_function(self.data.specs[0])

    def load(self, path: Path, member: int = 0) -> Progress | None:
        return load_checkpoint(path, self.model, self.optimizer)

    def save(self, path: Path, progress: Progress, member: int = 0) -> None:
        save_checkpoint(path, self.model, self.optimizer, progress)

    def run_epoch(self, orders: Sequence[NDArray[np.int32]]) -> list[float]:
        (order,) = orders
        total = 0.0
        with forgotten_gradients():
            for steps, inputs, targets in self.data.chunks(order):
                total += float(self._run(steps, inputs, targets)) * len(steps)
        return [total / len(order)]

    def _run(self, order: NDArray[np.int32], inputs: Tensors, targets: Tensors) -> Any:
        if self._replicas == 1:
            placed = tf.constant(order)
            if self._single_epoch is None:
                steps = None if self.data.is_streamed else len(order)
                spec = tf.TensorSpec((steps, order.shape[1]), tf.int32)
                specs = self.data.specs if self.data.is_streamed else (inputs, targets)
                self._single_epoch = self._epoch.get_concrete_function(spec, *specs)
            return self._single_epoch(placed, inputs, targets)
        slices = np.split(order, self._replicas, axis=1)
        placed = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(slices[context.replica_id_in_sync_group])
        )
        return self._epoch(placed, inputs, targets)

    def predict(self, rows: Mapping[str, Rows]) -> list[Outputs]:
        count = len(next(iter(rows.values())))
        most = CHUNK_BYTES // sum(map(row_bytes, rows.values()))
        step = max(1, min(self._predict_batch, most))
        parts = [
            self._predict({n: tf.constant(a[i : i + step]) for n, a in rows.items()})
            for i in range(0, count, step)
        ]
        names = [target.name for target in self.data.task.targets]
        return [{n: np.concatenate([part[n].numpy() for part in parts]) for n in names}]

    def _trace_epoch(self, order: Any, inputs: Tensors, targets: Tensors) -> Any:
        total = tf.constant(0.0)
        local = self.strategy.experimental_local_results(order)[0]
        steps = tf.shape(local)[0]
        for step in tf.range(steps):
            chosen = (order, step, inputs, targets)
            losses = self.strategy.run(self._train_step, args=chosen)
            total += self.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)
        return total / tf.cast(steps, tf.float32)

    def _train_step(
        self, order: Any, step: Any, inputs: Tensors, targets: Tensors
    ) -> Any:
        chosen = order[step]
        batch = {n: tf.gather(a, chosen) for n, a in inputs.items()}
        wanted = {n: tf.gather(a, chosen) for n, a in targets.items()}
        with tf.GradientTape() as tape:
            outputs = named_outputs(self.model, self.data.task, batch, training=True)
            loss = self._loss(outputs, wanted)
        weights = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    def _loss(self, outputs: dict[str, Any], wanted: Tensors) -> Any:
        """This replica's share of the mean loss of the whole batch."""
        means = []
        for target in self.data.task.targets:
            name, smoothing = target.name, self.network.label_smoothing
            losses = example_losses(target, wanted[name], outputs[name], smoothing)
            weights = self.data.class_weights.get(name)
            if weights is not None:
                losses *= tf.gather(tf.constant(weights), wanted[name])
            means.append(tf.reduce_mean(losses))
        return tf.add_n(means) / (len(means) * self._replicas)

    def _trace_predict(self, inputs: Any) -> Any:
        return named_outputs(self.model, self.data.task, inputs, training=False)
