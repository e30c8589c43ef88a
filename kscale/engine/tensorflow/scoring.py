"""The objective on the validation part, worked out in a graph on the device.

What comes back are the sums that the objective follows from. On a CPU this loses: there
NumPy reads outputs where they lie, and scores all epochs of most trainings in less time
than the graph takes to be traced (0.1 s).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kscale.engine.tensorflow.placing import PlacedData, Tensors, rescaled
from kscale.task.evaluation import mean_score, parts_of
from kscale.task.heads.base import Objective


def device_score(data: PlacedData, predict: Any, batch: int) -> Callable[[], float]:
    """A function that scores a network on the device.

    Args:
        data: The data on the device, and the metric.
        predict: A concrete function that gives outputs for inputs.
        batch: Most examples that `predict` is given at once.
    """
    validation, scalings = data.dataset.validation, data.dataset.target_scaling
    inputs_specs, targets_specs = data.specs
    names = [target.name for target in data.task.targets]
    specs = inputs_specs, {name: targets_specs[name] for name in names}
    shapes = {n: predict.structured_outputs[n].shape[1:] for n in names}

    def all_outputs(inputs: Tensors, labels: Tensors) -> Tensors:
        """Outputs in batches, which the last example fills up."""
        count = tf.shape(next(iter(inputs.values())))[0]
        size = tf.minimum(count, batch)
        places = tf.minimum(tf.range(-(-count // size) * size), count - 1)
        batched = tf.map_fn(
            lambda chosen: predict(
                {n: tf.gather(a, chosen) for n, a in inputs.items()},
                {n: tf.gather(a, chosen) for n, a in data.kept(labels).items()},
            ),
            tf.reshape(places, (-1, size)),
            parallel_iterations=1,
            fn_output_signature={
                n: tf.TensorSpec((None, *shape)) for n, shape in shapes.items()
            },
        )
        return {
            n: tf.reshape(batched[n], (-1, *shape))[:count]
            for n, shape in shapes.items()
        }

    @partial(tf.function, input_signature=specs, autograph=False)
    def gathered(inputs: Tensors, labels: Tensors) -> Tensors:
        outputs, found = all_outputs(inputs, labels), {}
        for target, metric in parts_of(data.objective, data.task):
            name = target.name
            given = outputs[name]
            if target.head.kept is not None:
                found[name] = given
                continue
            given = getattr(keras.activations, target.head.activation)(given)
            if scaling := scalings.get(name):
                given = rescaled(given, scaling)
            found[name] = metric.gathered(keras.ops, labels[name], given)
        return found

    def score() -> float:
        pieces = [gathered(*chunk) for chunk in data.scored()]
        pairs = {}
        for target, metric in parts_of(data.objective, data.task):
            labels = validation.targets[target.name]
            given = [piece[target.name].numpy() for piece in pieces]
            if target.head.kept is not None:  # figures of examples, which are few
                given = [metric.gathered(np, labels, np.concatenate(given))]
            pairs[target.name] = labels, given
        return mean_score(data.objective, data.task, pairs, Objective.of)

    return score
