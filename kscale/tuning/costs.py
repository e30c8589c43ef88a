"""What trainings cost: seconds worked out from those that were measured."""

from collections.abc import Callable, Iterable

import numpy as np
from scipy.optimize import nnls

from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.runs.records import Record, Training
from kscale.search.contract import Job
from kscale.task.tasks import Task

_FEWEST = 3


class CostModel:
    """Seconds of trainings on this machine.

    A spec that was trained takes as long again. Another takes a fixed time, a time for
    the work of its epochs (`Size.training_work`) and a time for each weight that a step
    updates, none of them negative: fitted to the relative errors of the trainings of
    its family, or of all while its family has fewer than three.

    Args:
        task: What the networks take in and put out.
        examples: Examples of an epoch.
        batch_size: Examples of a step.
        size: Size of a spec, where it is not a family that says it.
    """

    def __init__(
        self,
        task: Task,
        examples: int,
        batch_size: int,
        size: Callable[[Spec], Size] | None = None,
    ) -> None:
        self.size = size or (lambda spec: find_family(spec.family).size(spec, task))
        self.examples = examples
        self.batch_size = batch_size
        self._seen: list[Training] = []

    def see(self, record: Record) -> None:
        """Take what a training took; failed ones and other records do not count."""
        if isinstance(record, Training) and record.status == "ok" and record.seconds:
            self._seen.append(record)

    def seconds(self, jobs: Iterable[Job]) -> float:
        """Seconds that jobs will take together; 0 while nothing was measured."""
        return sum(len(job.seeds) * self._of_member(job) for job in jobs)

    def _of_member(self, job: Job) -> float:
        whole = self._of_spec(job.spec, job.epochs_to)
        done = self._of_spec(job.spec, job.epochs_from) if job.epochs_from else 0.0
        return max(whole - done, 0.0)

    def _of_spec(self, spec: Spec, epochs: int) -> float:
        same = [r.seconds / r.epochs for r in self._seen if r.spec == spec]
        if same:
            return float(np.mean(same)) * epochs
        family = [r for r in self._seen if r.spec.family == spec.family]
        known = family if len(family) >= _FEWEST else self._seen
        if len(known) < _FEWEST:
            return float(np.mean([r.seconds for r in known])) if known else 0.0
        seconds = np.array([result.seconds for result in known])
        work = np.array([self._work(r.spec, r.epochs) for r in known])
        rates, _ = nnls(work / seconds[:, None], np.ones(len(known)))
        return float(rates @ self._work(spec, epochs))

    def _work(self, spec: Spec, epochs: int) -> tuple[float, float, float]:
        """One training, its work in units of 1e9, and millions of weights updated."""
        size = self.size(spec)
        steps = epochs * self.examples / self.batch_size
        work = size.training_work * epochs * self.examples
        return 1.0, work / 1e9, size.params * steps / 1e6
