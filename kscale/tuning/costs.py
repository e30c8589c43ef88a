"""What trainings cost: seconds worked out from those that were measured."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kscale.engine.tensorflow.kept import MOST_KEPT
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job, Outlook

_NEAR = 0.01  # weight of the typical rates, that of the last training being 1
_TRUSTED = 0.5  # exponent of the slowness by which typical rates are multiplied
_FADING = 0.97  # weight of a training beside the next one: other programs come and go
_OUTSIDE = 5  # layers that take as long to trace as what is outside of all layers
_WARMING = 12  # layers that take as long to trace as a process takes to warm up
_REPORT, _OF_BUILDING = 0.4, 0.7  # seconds; share of what a new network takes
_MEASURING = 15.0  # seconds to convert and quantize a network to int8, and start it
_TYPICAL = np.array([0.06, 0.06, 0.015, 0.005, 0.04, 0.002])
"""Seconds for a layer of a new network, a training, 1,000 layers times steps, 1e9 units
of computed work, 1e9 units of moved work, and a million updated weights: the order of
magnitude of two CPU cores, a guess that measured trainings correct."""

Amounts = NDArray[np.float64]
"""What a training consists of, in the units of `_TYPICAL`."""


def pass_seconds(flops: int) -> float:
    """Seconds of an example in an int8 file on one thread: 0.1 ms, and 10 GFLOP/s."""
    return 1e-4 + flops / 1e10


@dataclass(frozen=True)
class _Seen:
    """A training that was measured."""

    spec: Spec
    amounts: Amounts
    seconds: float


class CostModel:
    """Seconds of trainings on this machine.

    A network that is new takes a time for each layer, to be built and traced. Each
    training takes a fixed time, a time for every layer in every step, one each for the
    two parts of the work of the epochs (`Size.training_work`: narrow networks move more
    than they compute) and one for each weight that a step updates, none of them
    negative. These rates are fitted to the relative errors of all trainings, of which
    later ones count more; what those leave open is near typical rates. The rates of a
    family are near those of all in the same way. Seconds of a spec that was trained are
    off from these rates by the same factor as before.

    Args:
        examples: Examples of an epoch.
        batch_size: Examples of a step.
        size: Exact size of a spec.
        measured: Networks to measure for a microcontroller before the answer.
        scored: Examples on which each of those is scored.
    """

    def __init__(
        self,
        examples: int,
        batch_size: int,
        size: Callable[[Spec], Size],
        measured: int = 0,
        scored: int = 0,
    ) -> None:
        self.examples = examples
        self.measured = measured
        self.scored = scored
        self.batch_size = batch_size
        self.size = cache(size)
        self._seen: list[_Seen] = []
        self._kept: dict[Spec, None] = {}  # those whose programs the engine has
        self._rates = cache(self._fitted)
        self._seconds = cache(self._taken)  # a proposal asks for thousands

    @property
    def is_measured(self) -> bool:
        """Whether costs stand on any training; if not, they are typical ones."""
        return bool(self._seen)

    def see(self, training: Training) -> None:
        """Take what a training took; failed ones do not count."""
        epochs = training.epochs - training.epochs_from
        if training.status == "ok" and training.seconds and epochs:
            spec = training.spec
            amounts = self._amounts(spec, epochs, spec not in self._kept)
            self._take(_Seen(spec, amounts, training.seconds))
            self._keep(spec)

    def learn(self, other: "CostModel") -> None:
        """Take what another model has seen, of other data or on fewer examples."""
        self._take(*other._seen)

    def _take(self, *seen: _Seen) -> None:
        self._seen += seen
        self._rates.cache_clear()
        self._seconds.cache_clear()

    def restart(self) -> None:
        """Count every network as new again, as in another process."""
        self._kept.clear()

    def of_fewer(self, examples: int) -> "CostModel":
        """A model that has seen nothing, of fewer examples in the same process."""
        model = CostModel(examples, self.batch_size, self.size)
        model._kept = self._kept
        return model

    def cost(self, job: Job) -> float:
        """Seconds that a job will take, all members one after the other."""
        return self._cost(job, job.spec not in self._kept)

    def spend(self, job: Job) -> float:
        """Seconds of a job, whose network is not new any more from now on."""
        seconds = self.cost(job)
        self._keep(job.spec)
        return seconds

    def alone(self, job: Job) -> float:
        """Seconds that a job will take in another process."""
        return self._cost(job, True)

    def answer(self, spec: Spec) -> float:
        """Seconds to score two such networks on the test part, to build them again, to
        write them, and to report; and to measure for a microcontroller."""
        built = float(self._rates(spec.family) @ self._amounts(spec, 0, True))
        measuring = _MEASURING + self.scored * pass_seconds(self.size(spec).flops)
        return _REPORT + _OF_BUILDING * built + self.measured * measuring

    def by_network(self, jobs: Sequence[Job]) -> dict[Spec, float]:
        """Seconds of each network in jobs that another process does one by one."""
        before, self._kept = self._kept, {}
        seconds = dict.fromkeys((job.spec for job in jobs), 0.0)
        for job in jobs:
            seconds[job.spec] += self.spend(job)
        self._kept = before
        return seconds

    def cost_of(self, outlook: Outlook) -> float:
        """Seconds of all that is left of a search."""
        before = dict(self._kept)
        seconds = sum(map(self.spend, outlook.jobs))
        amounts = [self._amounts(spec, 1, True) for spec in self._kept]
        self._kept = before
        if outlook.trainings and amounts:
            layers, fixed, *epoch = np.mean(amounts, axis=0)
            number = outlook.trainings * np.array([layers, fixed])
            epochs = outlook.work * self.examples / 1e9 / (epoch[1] + epoch[2])
            rest = np.array([*number, *(epochs * np.array(epoch))])
            seconds += float(self._rates("") @ rest)
        return seconds

    def _cost(self, job: Job, is_new: bool) -> float:
        epochs, further = job.epochs_to - job.epochs_from, len(job.seeds) - 1
        about = job.spec, epochs, bool(self._kept)
        return self._seconds(*about, is_new) + further * self._seconds(*about, False)

    def _taken(self, spec: Spec, epochs: int, is_warm: bool, is_new: bool) -> float:
        """Seconds of a training, in a process that `is_warm`: some network is kept."""
        rates, amounts = self._rates(spec.family), self._amounts(spec, epochs, is_new)
        same = [seen for seen in self._seen if seen.spec == spec]
        alike = [seen for seen in same if (seen.amounts[0] > 0) == (amounts[0] > 0)]
        same = alike or same
        predicted = sum(float(rates @ seen.amounts) for seen in same)
        scale = sum(seen.seconds for seen in same) / predicted if predicted else 1.0
        return scale * float(rates @ amounts)

    def _fitted(self, family: str) -> Amounts:
        """Rates of a family, or of all without a name."""
        near = np.maximum(self._rates(""), 0.1 * _TYPICAL) if family else _TYPICAL
        known = [seen for seen in self._seen if family in ("", seen.spec.family)]
        if not known:
            return near
        from scipy.optimize import nnls  # slow to import, and a plan needs none

        weights = np.sqrt(_FADING ** np.arange(len(known))[::-1])
        seconds = np.array([seen.seconds for seen in known])
        amounts = np.array([seen.amounts for seen in known])
        # A quick training that is mostly fixed time says nothing on the work of others.
        near = near * max(1.0, float(np.mean(seconds / (amounts @ near)))) ** _TRUSTED
        ridge = math.sqrt(_NEAR) * np.diag(1 / near)
        rows = np.concatenate([amounts * (weights / seconds)[:, None], ridge])
        rates, _ = nnls(rows, np.concatenate([weights, ridge @ near]))
        return np.asarray(rates)

    def _amounts(self, spec: Spec, epochs: int, is_new: bool) -> Amounts:
        size, examples = self.size(spec), epochs * self.examples
        layers, steps = size.layers + _OUTSIDE, examples / self.batch_size
        computed = 3 * size.flops * examples / 1e9
        moved = size.training_work * examples / 1e9 - computed
        traced = (layers + (0 if self._kept else _WARMING)) * is_new
        updates = size.params * steps / 1e6
        return np.array([traced, 1.0, layers * steps / 1e3, computed, moved, updates])

    def _keep(self, spec: Spec) -> None:
        """The engine keeps what was trained last, in place of what was first."""
        self._kept.pop(spec, None)
        self._kept[spec] = None
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
