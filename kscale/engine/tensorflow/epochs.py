"""Training one network: a whole epoch is one TensorFlow graph, on one device or many.

`fit` leaves the graph after every few steps; on small networks that costs more than the
training (measured by `experiments/epoch_loop.py`). Here the examples lie on the device,
the host sends the order of an epoch, and gets its mean loss back. Data that is larger
than memory comes in chunks of many steps, each an epoch of its own to the graph.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.building.models import alone
from kscale.data.dataset import Dataset, Part
from kscale.data.rows import Rows, row_bytes
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.losses import example_losses
from kscale.naming import layer_name
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint, flat_layers
from kscale.networks.families.base import head_names
from kscale.task.tasks import Target, Task

_PREDICT_BATCH = 512
_CHUNK_BYTES = 2**26
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

Tensors = Mapping[str, Any]
Chunk = tuple[NDArray[np.int32], Tensors, Tensors]
"""Steps with the places of their examples in inputs and targets, by name."""


class WarmupSteadyCooldown(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises, stays and falls, linearly; see `Recipe`."""

    def __init__(self, peak: float, steps: int, warmup: float, cooldown: float) -> None:
        self.peak = peak
        self.steps = steps
        self.warmup = warmup
        self.cooldown = cooldown

    def __call__(self, step: Any) -> Any:
        done = (keras.ops.cast(step, "float32") + 1.0) / self.steps
        rising = done / max(self.warmup, 1.0 / self.steps)
        falling = (1.0 + 0.5 / self.steps - done) / max(self.cooldown, 1e-9)
        share = keras.ops.minimum(1.0, keras.ops.minimum(rising, falling))
        return self.peak * keras.ops.maximum(share, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make it again."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "cooldown": self.cooldown,
        }


def make_optimizer(
    recipe: Recipe, examples: int, learning_rate: float, weight_decay: float
) -> keras.Optimizer:
    """AdamW with the recipe's schedule."""
    steps = max(1, recipe.steps_per_epoch(examples)) * recipe.epochs
    schedule = WarmupSteadyCooldown(
        learning_rate, steps, recipe.warmup, recipe.cooldown
    )
    return make_adamw(schedule, weight_decay)


def make_adamw(learning_rate: Any, weight_decay: float) -> keras.Optimizer:
    """AdamW; biases, norms and embeddings do not decay."""
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(
        var_names=["bias", "gamma", "beta", "embeddings"]
    )
    return optimizer


class DeviceData:
    """The training part, put on the device once a search, or in chunks where it is
    larger than memory.

    Args:
        dataset: Its training part is trained on.
        chunk_bytes: Bytes of inputs on the device at once, of what is not in memory.
    """

    def __init__(self, dataset: Dataset, chunk_bytes: int = _CHUNK_BYTES) -> None:
        part = dataset.train
        self.examples = len(part)
        self.targets = {
            target.name: network_target(dataset, target.name, part)
            for target in dataset.task.targets
        }
        self._inputs = part.inputs
        self._chunk = max(1, chunk_bytes // sum(map(row_bytes, part.inputs.values())))
        self.specs = _specs(self._inputs), _specs(self.targets)
        rows = part.inputs.values()
        self.is_streamed = not all(isinstance(array, np.ndarray) for array in rows)
        self._whole = None if self.is_streamed else self._placed(slice(None))

    def chunks(self, order: NDArray[np.int32]) -> Iterator[Chunk]:
        """Steps of an epoch with the examples they need, the next read ahead.

        Args:
            order: Examples of each step, `(steps, batch_size)`.
        """
        if self._whole is not None:
            yield (order, *self._whole)
            return
        steps = max(1, self._chunk // order.shape[1])
        starts = range(0, len(order), steps)
        pieces = [order[start : start + steps] for start in starts]
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self._chunk_of, pieces[0])
            for piece in [*pieces[1:], None]:
                ready = coming.result()
                if piece is not None:
                    coming = reader.submit(self._chunk_of, piece)
                yield ready

    def _chunk_of(self, order: NDArray[np.int32]) -> Chunk:
        examples, places = np.unique(order, return_inverse=True)
        local = places.reshape(order.shape).astype(np.int32)
        return (local, *self._placed(examples))

    def _placed(self, chosen: Any) -> tuple[Tensors, Tensors]:
        inputs = {n: tf.constant(rows[chosen]) for n, rows in self._inputs.items()}
        return inputs, {n: tf.constant(a[chosen]) for n, a in self.targets.items()}


def _specs(arrays: Mapping[str, Rows]) -> Tensors:
    return {
        name: tf.TensorSpec((None, *array.shape[1:]), array.dtype)
        for name, array in arrays.items()
    }


def network_target(dataset: Dataset, name: str, part: Part) -> NDArray[Any]:
    """A target as the network is trained on it: class ids, or values scaled to one."""
    values = part.targets[name]
    scaling = dataset.target_scaling.get(name)
    if scaling is None:
        return values
    scale = np.asarray(scaling.scale, np.float32)
    return ((values - np.asarray(scaling.offset, np.float32)) / scale).astype(
        np.float32
    )


def predict_batch_for(activation_bytes: int) -> int:
    """Examples of a forward pass: 512, or as many as hold a gibibyte of activations."""
    return min(_PREDICT_BATCH, max(1, _PREDICT_BYTES // max(1, activation_bytes)))


def is_worth_compiling(
    blueprint: Blueprint, params: int, steps: int, strategy: tf.distribute.Strategy
) -> bool:
    """Whether XLA saves more than it costs, on one CPU.

    It fuses the optimizer's passes over the weights: an epoch of a dense network takes
    half the time. Compiling takes 0.4 s more, which some 3e8 updates of a weight repay
    (`experiments/epoch_loop.py`). With convolutions in a loop it is far slower.
    """
    alone = strategy.num_replicas_in_sync == 1
    on_cpu = not tf.config.list_physical_devices("GPU")
    dense = all(isinstance(layer, _DENSE_RECORDS) for layer in flat_layers(blueprint))
    return alone and on_cpu and dense and params * steps >= _LEAST_UPDATES


class EpochLoop:
    """A model, its optimizer and the training part, ready to run epochs.

    Args:
        model: A model built from the task's blueprint, inside the strategy's scope.
        optimizer: Its optimizer, likewise.
        task: Says what the outputs are.
        data: The training part.
        strategy: Where to train; a batch is split evenly between its replicas.
        label_smoothing: Share of a label spread over all classes.
        compiled: Whether XLA compiles the epoch; see `is_worth_compiling`.
        class_weights: By target name, what an example of each class counts in the loss;
            without them all count the same.
        predict_batch: Examples of a forward pass where nothing is trained.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        task: Task,
        data: DeviceData,
        strategy: tf.distribute.Strategy,
        label_smoothing: float = 0.0,
        compiled: bool = False,
        class_weights: Mapping[str, NDArray[np.float32]] | None = None,
        predict_batch: int = _PREDICT_BATCH,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.task = task
        self.data = data
        self.strategy = strategy
        self.label_smoothing = label_smoothing
        self.class_weights = dict(class_weights or {})
        self.predict_batch = predict_batch
        self._alone: Any = None
        with strategy.scope():
            optimizer.build(model.trainable_variables)
        self._epoch = tf.function(self._trace_epoch, jit_compile=compiled or None)
        # A concrete function is traced once, and TensorFlow does not take the tracing
        # of many networks, one after the other, for the retracing of one.
        predict = tf.function(self._trace_predict)
        self._predict = predict.get_concrete_function(data.specs[0])

    def run_epoch(self, order: NDArray[np.int32]) -> float:
        """Train one epoch.

        Args:
            order: Examples of each step, `(steps, batch_size)`.

        Returns:
            Mean loss over the steps.
        """
        total = 0.0
        for steps, inputs, targets in self.data.chunks(order):
            total += float(self._run(steps, inputs, targets)) * len(steps)
        return total / len(order)

    def _run(self, order: NDArray[np.int32], inputs: Tensors, targets: Tensors) -> Any:
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            placed = tf.constant(order)
            if self._alone is None:
                steps = None if self.data.is_streamed else len(order)
                spec = tf.TensorSpec((steps, order.shape[1]), tf.int32)
                specs = self.data.specs if self.data.is_streamed else (inputs, targets)
                self._alone = self._epoch.get_concrete_function(spec, *specs)
            return self._alone(placed, inputs, targets)
        slices = np.split(order, replicas, axis=1)
        placed = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(slices[context.replica_id_in_sync_group])
        )
        return self._epoch(placed, inputs, targets)

    def predict(self, inputs: Mapping[str, Rows]) -> dict[str, NDArray[Any]]:
        """Outputs by target name for examples given by input name."""
        count = len(next(iter(inputs.values())))
        most = _CHUNK_BYTES // sum(map(row_bytes, inputs.values()))
        step = max(1, min(self.predict_batch, most))
        parts = [
            self._predict({n: tf.constant(a[i : i + step]) for n, a in inputs.items()})
            for i in range(0, count, step)
        ]
        names = [target.name for target in self.task.targets]
        return {
            name: np.concatenate([part[name].numpy() for part in parts])
            for name in names
        }

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
            outputs = self._outputs(batch, training=True)
            loss = self._loss(outputs, wanted)
        weights = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    def _loss(self, outputs: dict[str, Any], wanted: Tensors) -> Any:
        """This replica's share of the mean loss of the whole batch."""
        losses = [
            self._target_loss(target, outputs[target.name], wanted[target.name])
            for target in self.task.targets
        ]
        replicas = self.strategy.num_replicas_in_sync
        return tf.add_n(losses) / (len(losses) * replicas)

    def _target_loss(self, target: Target, output: Any, wanted: Any) -> Any:
        losses = example_losses(target, wanted, output, self.label_smoothing)
        weights = self.class_weights.get(target.name)
        if weights is not None:
            losses *= tf.gather(tf.constant(weights), wanted)
        return tf.reduce_mean(losses)

    def _trace_predict(self, inputs: Any) -> Any:
        return self._outputs(inputs, training=False)

    def _outputs(self, inputs: Mapping[str, Any], training: bool) -> dict[str, Any]:
        return named_outputs(self.model, self.task, inputs, training)


def named_outputs(
    model: keras.Model, task: Task, inputs: Mapping[str, Any], training: bool = False
) -> dict[str, Any]:
    """What a model gives for inputs by name: outputs by target name."""
    outputs = model(alone(inputs), training=training)
    if len(task.targets) == 1:
        return {task.targets[0].name: outputs}
    return {
        target.name: outputs[layer_name(head)]
        for target, head in zip(task.targets, head_names(task), strict=True)
    }
