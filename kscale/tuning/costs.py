"""What trainings cost: seconds worked out from those that were measured."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Training
from kscale.search.contract import Job, Outlook

_FEWEST = 3
_NEAR = 0.003  # weight of the typical figures, that of a measured training being 1
_TYPICAL = (3.0, 0.03, 0.002)
"""Seconds of a training, of 1e9 units of work and of a million updated weights: the
order of magnitude of two CPU cores, a guess that measured trainings correct."""


class CostModel:
    """Seconds of trainings on this machine.

    A training takes a fixed time, a time for the work of the epochs
    (`Size.training_work`) and a time for each weight that a step updates, none of them
    negative: fitted to the relative errors of the trainings of the family, or of all
    while the family has fewer than three. What the measured trainings leave open, such
    as the share of a fixed time while all have one length, is near typical figures. A
    spec that was trained takes as much longer or shorter than that as before.

    Args:
        examples: Examples of an epoch.
        batch_size: Examples of a step.
        size: Exact size of a spec.
    """

    def __init__(
        self, examples: int, batch_size: int, size: Callable[[Spec], Size]
    ) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.size = cache(size)
        self._seen: list[Training] = []

    def see(self, training: Training) -> None:
        """Take what a training took; failed ones do not count."""
        if training.status == "ok" and training.seconds and _epochs(training):
            self._seen.append(training)

    def cost(self, job: Job) -> float:
        """Seconds that a job will take, all members one after the other."""
        return len(job.seeds) * self._seconds(job.spec, job.epochs_to - job.epochs_from)

    def cost_of(self, outlook: Outlook) -> float:
        """Seconds of all that is left of a search."""
        work = outlook.work * self.examples / 1e9
        further = outlook.trainings, work, 0.0
        rest = float(self._rates(self._seen) @ further) if outlook.trainings else 0.0
        return sum(map(self.cost, outlook.jobs)) + rest

    def _seconds(self, spec: Spec, epochs: int) -> float:
        family = [t for t in self._seen if t.spec.family == spec.family]
        rates = self._rates(family if len(family) >= _FEWEST else self._seen)
        same = [t for t in self._seen if t.spec == spec]
        taken = sum(training.seconds for training in same)
        predicted = sum(rates @ self._work(spec, _epochs(t)) for t in same)
        scale = taken / predicted if predicted else 1.0
        return float(scale * rates @ self._work(spec, epochs))

    def _rates(self, known: list[Training]) -> np.ndarray:
        """Seconds of a training, of a unit of work, and of a million updates."""
        typical = np.array(_TYPICAL)
        if not known:
            return typical
        from scipy.optimize import nnls  # slow to import, and a plan needs none

        seconds = np.array([training.seconds for training in known])
        work = np.array([self._work(t.spec, _epochs(t)) for t in known])
        # A quick training that is mostly fixed time says nothing on the work of others.
        typical = typical * max(1.0, float(np.mean(seconds / (work @ typical))))
        near = math.sqrt(_NEAR) * np.diag(1 / typical)
        rows = np.concatenate([work / seconds[:, None], near])
        wanted = np.concatenate([np.ones(len(known)), near @ typical])
        rates, _ = nnls(rows, wanted)
        return np.asarray(rates)

    def _work(self, spec: Spec, epochs: int) -> tuple[float, float, float]:
        """One training, the work in units of 1e9, and millions of weights updated."""
        size = self.size(spec)
        steps = epochs * self.examples / self.batch_size
        work = size.training_work * epochs * self.examples
        return 1.0, work / 1e9, size.params * steps / 1e6


def _epochs(training: Training) -> int:
    """Epochs that the job of a training trained."""
    return training.epochs - training.epochs_from
