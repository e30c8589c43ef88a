"""The engine of TensorFlow: each program trains one network."""

import time
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from kscale.data.dataset import Dataset
from kscale.engine.base import Devices, Latency, Network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.devices import device_of, make_strategy
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.kept import KeptPrograms
from kscale.engine.tensorflow.placing import PlacedData
from kscale.engine.tensorflow.tracing import forgotten_gradients, free_networks
from kscale.naming import single_or_named
from kscale.task.objectives import Objective
from kscale.task.tasks import Task

_WARM_PASSES = 5
_FEWEST_PASSES, _MOST_PASSES = 30, 300
_MOST_SECONDS = 1.0


class TensorFlowEngine:
    """Implements `kscale.engine.base.Engine` on the devices of a name."""

    def __init__(self, strategy: str = "auto") -> None:
        self.strategy = make_strategy(strategy)
        self._programs = 0
        self._kept = KeptPrograms()

    def place(
        self,
        dataset: Dataset,
        class_weights: str = "none",
        objective: Objective | None = None,
    ) -> PlacedData:
        with device_of(self.strategy):
            return PlacedData(dataset, class_weights, objective=objective)

    def program(
        self, network: Network, placed: PlacedData, recipe: Recipe, members: int = 1
    ) -> EpochProgram:
        """As `Engine.program`; one member is all that is possible."""
        assert members == 1, members
        key, size = (network, recipe, id(placed)), network.size
        kept: EpochProgram | None = self._kept.take(key)
        if kept is not None:
            return kept
        self._kept.make_room(size.training_bytes(recipe.batch_size))
        self._programs += 1
        free_networks(self._programs, size.params)
        close = partial(self._kept.keep, key, weight_bytes=size.training_bytes(0))
        return EpochProgram(network, placed, recipe, self.strategy, on_close=close)

    def devices(self) -> Devices:
        names = tuple(device.name for device in tf.config.list_logical_devices())
        are_gpus = bool(tf.config.list_physical_devices("GPU"))
        return Devices(names, int(self.strategy.num_replicas_in_sync), are_gpus)

    def latency(self, model: Any, task: Task, batch: int = 1) -> Latency:
        """As `Engine.latency`: after five passes that are not counted at least 30 are
        timed, at most 300, for about a second."""
        given = single_or_named(
            {
                item.name: tf.ones((batch, *item.shape), item.dtype)
                for item in task.inputs
            }
        )
        forward = tf.function(lambda x: model(x, training=False))

        def passed_ms() -> float:
            start = time.perf_counter()
            tf.nest.map_structure(np.asarray, forward(given))
            return (time.perf_counter() - start) * 1e3

        with forgotten_gradients():
            for _ in range(_WARM_PASSES):
                passed_ms()
        times: list[float] = []
        until = time.perf_counter() + _MOST_SECONDS
        while len(times) < _FEWEST_PASSES or (
            len(times) < _MOST_PASSES and time.perf_counter() < until
        ):
            times.append(passed_ms())
        low, median, high = np.quantile(times, [0.1, 0.5, 0.9])
        return Latency(float(median), float(low), float(high))
