"""Latency: the time of a forward pass, measured on the device at hand.

Only a network that is built can be measured, so this limit comes last. Two facts keep
the builds few: among networks of one family with equal FLOPs those of the fewest layers
are the fastest, so the widest of the shallowest that is fast enough bounds the FLOPs of
all (found by bisection); and a network that differs from one that is too slow only by a
larger width is too slow as well.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.building import build_model
from kscale.errors import BudgetError
from kscale.families import find_family
from kscale.families.base import TRAINING_KNOBS, Spec
from kscale.results import Result
from kscale.search.pool import Pool
from kscale.task import Task
from kscale.tuning.plans import Plan

_WARM_CALLS = 5
_FEWEST_CALLS, _MOST_CALLS = 30, 300
_MOST_SECONDS = 1.0
_LATENCY_FREE = {knob.name for knob in TRAINING_KNOBS}


@dataclass(frozen=True)
class Latency:
    """Times of a forward pass in milliseconds.

    Args:
        median: Half of the passes took no longer.
        low, high: First and last decile.
    """

    median: float
    low: float
    high: float


def measure_latency(model: keras.Model, task: Task, batch: int = 1) -> Latency:
    """Time forward passes of a model, its outputs brought to the host each time.

    After five passes that are not counted at least 30 are timed, at most 300, for about
    a second.

    Args:
        model: A built model of the task's inputs.
        task: What it takes in.
        batch: Examples of a pass.
    """
    inputs = {
        item.name: tf.ones((batch, *item.shape), item.dtype) for item in task.inputs
    }
    given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
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


class LatencyGate:
    """Lets through the networks that are fast enough, and keeps what was measured.

    Args:
        plan: The search, whose budget has `max_latency_ms`.
        recorded: Results of earlier sessions; what they measured is not measured again.

    Attributes:
        pending: New measurements, results of the stage `latency`, until there is a
            `record` that takes them.
        record: Takes each new measurement.
    """

    def __init__(self, plan: Plan, recorded: Iterable[Result]) -> None:
        self.task = plan.dataset.task
        self.budget = plan.space.budget
        self.pending: list[Result] = []
        self.record: Callable[[Result], None] = self.pending.append
        self._limit = self.budget.max_latency_ms or float("inf")
        self._known = {
            _network_of(result.spec): result
            for result in recorded
            if result.stage == "latency"
        }

    def admits(self, spec: Spec) -> bool:
        """Whether a network is fast enough; builds and measures it if need be."""
        latency = self.measured(spec).latency_ms
        return latency is not None and latency <= self._limit

    def measured(self, spec: Spec) -> Result:
        """What was measured of a network, now or before."""
        key = _network_of(spec)
        if key not in self._known:
            self._known[key] = result = self._measure(spec)
            self.record(result)
        return self._known[key]

    def with_latency(self, result: Result) -> Result:
        """A result of a training, with what was measured of its network."""
        found = self.measured(result.spec)
        names = ("latency_ms", "latency_low", "latency_high")
        return replace(result, **{name: getattr(found, name) for name in names})

    def _measure(self, spec: Spec) -> Result:
        start = time.monotonic()
        blueprint = find_family(spec.family).blueprint(spec, self.task)
        size = find_family(spec.family).size(spec, self.task)
        model = build_model(blueprint)
        found = measure_latency(model, self.task, self.budget.latency_batch)
        keras.utils.clear_session(free_memory=False)
        return Result(
            "latency",
            len(self._known),
            spec,
            size.params,
            size.trainable,
            size.flops,
            size.weight_bytes(),
            seconds=round(time.monotonic() - start, 3),
            memory=size.training_bytes(self.budget.memory_batch),
            latency_ms=found.median,
            latency_low=found.low,
            latency_high=found.high,
        )

    def narrow(self, pool: Pool) -> Pool:
        """The pool without what has too many FLOPs for any depth.

        Raises:
            BudgetError: No family has a network that is fast enough; the text names the
                fastest that was measured.
        """
        inside = np.zeros(len(pool), bool)
        for family in pool.space.families:
            own = np.flatnonzero(pool.by_family({family.name: 1}))
            if len(own):
                inside[own] = pool.flops[own] <= self._most_flops(pool, own)
        if not inside.any():
            raise BudgetError(self._nothing_fits())
        return pool.within(inside)

    def _most_flops(self, pool: Pool, own: NDArray[np.int64]) -> float:
        """FLOPs above which nothing of a family is fast enough; below 0 for none."""
        shallowest = min(
            own.tolist(), key=lambda i: (pool.spec(i).depth, pool.flops[i])
        )
        group = np.flatnonzero(pool.at_least(shallowest))
        line = group[np.argsort(pool.flops[group], kind="stable")]
        return self._bisect(pool, line.tolist())

    def _bisect(self, pool: Pool, line: Sequence[int]) -> float:
        if not self.admits(pool.spec(line[0])):
            return -1.0
        if self.admits(pool.spec(line[-1])):
            return float("inf")
        fast, slow = 0, len(line) - 1
        while slow - fast > 1:
            middle = (fast + slow) // 2
            if self.admits(pool.spec(line[middle])):
                fast = middle
            else:
                slow = middle
        return float(pool.flops[line[fast]])

    def _nothing_fits(self) -> str:
        fastest = min(self._known.values(), key=lambda item: item.latency_ms or 0.0)
        spec, took = fastest.spec, fastest.latency_ms or 0.0
        width = "" if spec.width is None else f", width={spec.width}"
        return (
            f"Nothing fits max_latency_ms={self._limit:g}: the fastest measured, "
            f"{spec.family} (depth={spec.depth}{width}), takes {took:.3g} ms for a "
            f"batch of {self.budget.latency_batch}. Raise the limit or choose another "
            "family."
        )


def _network_of(spec: Spec) -> Any:
    """What decides a network's latency: all knobs but those of training."""
    knobs = tuple(item for item in spec.knobs if item[0] not in _LATENCY_FREE)
    return spec.family, knobs
