"""The engine of TensorFlow: each program trains one network."""

import gc
from typing import Any

import keras
import tensorflow as tf

from kscale.data.dataset import Dataset
from kscale.engine.base import Devices, Latency, Network
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.devices import make_strategy, replicas_of
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.latency import measure_latency
from kscale.engine.tensorflow.placing import PlacedData
from kscale.task.tasks import Task

_COLLECT_EVERY = 8  # programs


class TensorFlowEngine:
    """Implements `kscale.engine.base.Engine`.

    Args:
        strategy: Name of the devices.
    """

    def __init__(self, strategy: str = "auto") -> None:
        self.strategy = make_strategy(strategy)
        self._programs = 0

    def place(self, dataset: Dataset, class_weights: str = "none") -> PlacedData:
        """As `Engine.place`."""
        return PlacedData(dataset, class_weights)

    def program(
        self, network: Network, placed: PlacedData, recipe: Recipe, members: int = 1
    ) -> EpochProgram:
        """As `Engine.program`; one member is all that is possible."""
        assert members == 1, members
        self._forget_programs()
        return EpochProgram(network, placed, recipe, self.strategy)

    def devices(self) -> Devices:
        """As `Engine.devices`."""
        names = tuple(device.name for device in tf.config.list_logical_devices())
        are_gpus = bool(tf.config.list_physical_devices("GPU"))
        return Devices(names, replicas_of(self.strategy), are_gpus)

    def latency(self, model: Any, task: Task, batch: int = 1) -> Latency:
        """As `Engine.latency`."""
        try:
            return measure_latency(model, task, batch)
        finally:
            keras.utils.clear_session(free_memory=False)

    def _forget_programs(self) -> None:
        """Free what Keras and TensorFlow keep of earlier networks, not every time."""
        self._programs += 1
        if self._programs % _COLLECT_EVERY == 0:
            keras.utils.clear_session(free_memory=False)
            gc.collect()
