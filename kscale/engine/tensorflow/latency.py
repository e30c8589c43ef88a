"""The time of a forward pass, measured on the device at hand."""

import time

import keras
import numpy as np
import tensorflow as tf

from kscale.engine.base import Latency
from kscale.naming import single_or_named
from kscale.task.tasks import Task

_WARM_CALLS = 5
_FEWEST_CALLS, _MOST_CALLS = 30, 300
_MOST_SECONDS = 1.0


def measure_latency(model: keras.Model, task: Task, batch: int = 1) -> Latency:
    """Time forward passes of a model, its outputs brought to the host each time.

    After five passes that are not counted at least 30 are timed, at most 300, for about
    a second.

    Args:
        model: A built model of the task's inputs.
        task: What the model takes in.
        batch: Examples of a pass.
    """
    inputs = {
        item.name: tf.ones((batch, *item.shape), item.dtype) for item in task.inputs
    }
    given = single_or_named(inputs)
    forward = tf.function(lambda x: model(x, training=False))

    def run() -> float:
        start = time.perf_counter()
        tf.nest.map_structure(np.asarray, forward(given))
        return (time.perf_counter() - start) * 1e3

    for _ in range(_WARM_CALLS):
        run()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < _MOST_CALLS and (
        len(times) < _FEWEST_CALLS or time.perf_counter() - begun < _MOST_SECONDS
    ):
        times.append(run())
    low, median, high = (float(q) for q in np.quantile(times, [0.1, 0.5, 0.9]))
    return Latency(median, low, high)
