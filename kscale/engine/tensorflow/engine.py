"""The engine of TensorFlow: where programs run, and which train several networks."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kscale.data.dataset import Dataset
from kscale.engine.base import Devices, Latency, Network, Program, Teacher
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.devices import are_gpus, devices_of, make_strategy
from kscale.engine.tensorflow.epochs import EpochProgram
from kscale.engine.tensorflow.joining import joined
from kscale.engine.tensorflow.kept import KeptPrograms
from kscale.engine.tensorflow.placing import PlacedData
from kscale.engine.tensorflow.population import Population
from kscale.engine.tensorflow.tracing import forgotten_gradients, free_networks
from kscale.engine.tensorflow.workers import LeadingProgram, follow, group_of
from kscale.errors import SpecError, WorkerLostError
from kscale.naming import single_or_named
from kscale.task.objectives import Objective
from kscale.task.tasks import Task

_WARM_PASSES = 5
_FEWEST_PASSES, _MOST_PASSES = 30, 300
_MOST_SECONDS = 1.0

# In one program on a GPU: a step of eight mlps took one H200 1.5 times as long as one
# of a single mlp, and a network is compiled once for all (`experiments/gpu_check.py`).
_MOST_AT_ONCE = 8
_MOST_FLOPS, _MOST_BYTES = 1e10, 2**32  # a step of all networks


class TensorFlowEngine:
    """Implements `kscale.engine.base.Engine` on the devices of a name."""

    def __init__(self, strategy: str = "auto") -> None:
        self.strategy = make_strategy(strategy)
        self._programs = 0
        self._kept = KeptPrograms()
        self._group = group_of(self.strategy)

    def place(
        self,
        dataset: Dataset,
        class_weights: str = "none",
        objective: Objective | None = None,
        teacher: Teacher | None = None,
    ) -> PlacedData:
        return PlacedData(dataset, class_weights, objective, teacher, self.strategy)

    def are_trained_at_once(self, networks: Sequence[Network], recipe: Recipe) -> bool:
        common = joined(networks)
        if common is None or len(networks) > self.devices().at_once:
            return False
        size, count, batch = common.size, len(networks), recipe.batch_size
        is_small = count * batch * size.flops <= _MOST_FLOPS
        return is_small and count * size.training_bytes(batch) <= _MOST_BYTES

    def program(
        self, networks: Sequence[Network], placed: PlacedData, recipe: Recipe
    ) -> Program:
        network = joined(networks) if len(networks) > 1 else networks[0]
        if network is None:
            raise ValueError("Networks of several structures have no common program.")
        key, size = (network, len(networks), recipe, id(placed)), network.size
        program: EpochProgram | None = self._kept.take(key)
        if program is None:
            self._kept.make_room(len(networks) * size.training_bytes(recipe.batch_size))
            self._programs += 1
            free_networks(self._programs, size.params)
            weights = len(networks) * size.training_bytes(0)
            close = partial(self._kept.keep, key, weight_bytes=weights)
            kind = EpochProgram if len(networks) == 1 else Population
            program = kind(network, placed, recipe, self.strategy, on_close=close)
        program.networks = networks
        return LeadingProgram(self._group, program) if self._group else program

    def follow(
        self, dataset: Dataset | None, class_weights: str, number: int | None
    ) -> bool:
        group = self._group
        if group is None:
            return False
        if not group.agree(number):
            raise SpecError(
                "The workers were asked different things; start the same command, with "
                "the same data, on each of them."
            )
        if not group.is_chief:
            place = partial(self.place, class_weights=class_weights)
            follow(group, place, dataset)
        return not group.is_chief

    def share(self, folder: Path) -> None:
        if self._group is not None:
            self._group.tell("data", folder)

    def dismiss(self) -> None:
        if self._group is not None:
            with suppress(WorkerLostError):
                self._group.tell("end")

    def free(self) -> bool:
        had_any = self._kept.clear()
        free_networks(0, 0)
        return had_any

    def devices(self) -> Devices:
        on_gpus = are_gpus(self.strategy)
        replicas = int(self.strategy.num_replicas_in_sync)
        is_alone = replicas == 1 and self._group is None  # followers know one network
        at_once = _MOST_AT_ONCE if on_gpus and is_alone else 1
        return Devices(devices_of(self.strategy), replicas, on_gpus, at_once)

    def latency(self, model: Any, task: Task, batch: int = 1) -> Latency:
        """As `Engine.latency`: after five passes that are not counted at least 30 are
        timed, at most 300, for about a second."""
        given = single_or_named(
            {it.name: tf.ones((batch, *it.shape), it.dtype) for it in task.inputs}
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
