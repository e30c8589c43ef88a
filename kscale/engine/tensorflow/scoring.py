"""The objective on the validation part, worked out in a graph on the device.

What comes back are the sums that the objective follows from. On a CPU this loses: there
NumPy reads outputs where they lie, and scores all epochs of most trainings in less time
than the graph takes to be traced (0.1 s).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kscale.engine.tensorflow.placing import PlacedData, Tensors, rescaled
from kscale.task.evaluation import mean_score, parts_of
from kscale.task.heads.base import Objective


def device_score(
    data: PlacedData, predict: Any, batch: int, members: int
) -> Callable[[], list[float]]:
    """A function that scores the networks of a program on the device.

    Args:
        data: The data on the device, and the metric.
        predict: A concrete function that gives outputs for inputs, those of several
            networks one after the other.
        batch: Most examples that `predict` is given at once.
        members: Number of networks.
    """
    inputs_specs, targets_specs = data.specs
    names = [target.name for target in data.task.targets]
    specs = inputs_specs, {name: targets_specs[name] for name in names}
    axes = 1 if members == 1 else 2  # before those of an example
    shapes = {n: predict.structured_outputs[n].shape[axes:] for n in names}

    def all_outputs(inputs: Tensors, labels: Tensors) -> list[Tensors]:
        """Outputs of each network in batches, which the last example fills up."""
        count = tf.shape(next(iter(inputs.values())))[0]
        size = tf.minimum(count, batch)
        places = tf.minimum(tf.range(-(-count // size) * size), count - 1)

        def of_batch(chosen: Any) -> Tensors:
            outputs = predict(
                {n: tf.gather(a, chosen) for n, a in inputs.items()},
                {n: tf.gather(a, chosen) for n, a in data.kept(labels).items()},
            )
            return {
                n: tf.reshape(outputs[n], (members, -1, *shape))
                for n, shape in shapes.items()
            }

        batched = tf.map_fn(
            of_batch,
            tf.reshape(places, (-1, size)),
            parallel_iterations=1,
            fn_output_signature={
                n: tf.TensorSpec((members, None, *shape)) for n, shape in shapes.items()
            },
        )
        return [
            {
                n: tf.reshape(batched[n][:, member], (-1, *shape))[:count]
                for n, shape in shapes.items()
            }
            for member in range(members)
        ]

    @partial(tf.function, input_signature=specs, autograph=False)
    def gathered(inputs: Tensors, labels: Tensors) -> list[Tensors]:
        return [_figures(data, each, labels) for each in all_outputs(inputs, labels)]

    def score() -> list[float]:
        chunks = [gathered(*chunk) for chunk in data.scored()]
        return [_score(data, each) for each in zip(*chunks, strict=True)]

    return score


def _figures(data: PlacedData, outputs: Tensors, labels: Tensors) -> Tensors:
    """By target, what the objective follows from, in a graph."""
    found, scalings = {}, data.dataset.target_scaling
    for target, metric in parts_of(data.objective, data.task):
        name = target.name
        given = outputs[name]
        if target.head.kept is None:
            given = getattr(keras.activations, target.head.activation)(given)
            if scaling := scalings.get(name):
                given = rescaled(given, scaling)
            given = metric.gathered(keras.ops, labels[name], given)
        found[name] = given
    return found


def _score(data: PlacedData, pieces: Sequence[Tensors]) -> float:
    """The objective by the figures of all chunks."""
    pairs = {}
    for target, metric in parts_of(data.objective, data.task):
        labels = data.dataset.validation.targets[target.name]
        given = [piece[target.name].numpy() for piece in pieces]
        if target.head.kept is not None:  # figures of examples, which are few
            given = [metric.gathered(np, labels, np.concatenate(given))]
        pairs[target.name] = labels, given
    return mean_score(data.objective, data.task, pairs, Objective.of)
