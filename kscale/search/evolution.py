"""Evolution inside the budget: the best of a few recent networks, one knob changed."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, inf, log2
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from kscale.networks.families.base import Spec, Value
from kscale.runs.records import Training
from kscale.search.contract import (
    DONE,
    WAIT,
    Allowance,
    Job,
    Outlook,
    Signal,
    derived_seed,
    is_known,
    keys_of,
)
from kscale.search.draws import ROUND, FirstJobs, Settings

_POPULATION = 10
_TOURNAMENT = 6
_DRAWN = 25  # draws that are looked at, for each job so far
_LEVELS = 8  # at most, from the least to the largest value of a knob
_NEAR = 40  # neighbours whose cost is asked for

Point = tuple[Spec, float | None]
"""A spec and a learning rate."""


class EvolutionSearcher(FirstJobs):
    """Regularised evolution (Real et al. 2019, arXiv 1802.01548), at full length only.

    The first networks are drawn. Then children come one after another: the best of a
    few of the latest networks is the parent, and the draw nearest to the parent that
    was not tried is next, mostly one step away in one knob or in the learning rate. As
    children are draws, all fit the budget. Networks leave the population by their age,
    however good they are.

    Args:
        settings: What to try.
    """

    def __init__(self, settings: Settings) -> None:
        few = min(settings.trials, _POPULATION)
        super().__init__(replace(settings, trials=few), settings.epochs, stride=2)
        self.trials = settings.trials
        self._unfit: set[Spec] = set()  # what `admits` refused of the children

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """A first job while there is any, then a child; `WAIT` until parents ended."""
        job = super().propose(history, pending, allowance)
        if isinstance(job, Job):
            return job
        if any(job.stage == "search" for job in pending):
            return WAIT
        jobs = self._begun(history)
        if jobs and not is_known(jobs[-1], keys_of(history)):  # a member is missing
            return allowance.choose(jobs[-1:]) or DONE
        if not jobs or len(jobs) >= self.trials:
            return DONE
        return self._child(history, jobs, allowance) or DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """First jobs are known; children are about as costly."""
        first, jobs = super().outlook(history, pending), self._begun(history)
        children = self.trials - max(len(jobs), self.settings.trials)
        if jobs and not first.jobs and not self._fresh(jobs):
            children = 0
        trainings = children * self.settings.seeds_per_spec
        work = first.work + trainings * self.epochs * self.mean_work
        return Outlook(first.jobs, first.trainings + trainings, work)

    def _begun(self, history: Sequence[Training]) -> list[Job]:
        """First jobs and then children, whose indices are odd, in their order."""
        children = {
            training.job: self._made(
                training.job, training.spec, training.learning_rate
            )
            for training in history
            if training.stage == "search" and training.job % 2
        }
        return [*self.tried(history, ()), *map(children.__getitem__, sorted(children))]

    def _child(
        self, history: Sequence[Training], jobs: Sequence[Job], allowance: Allowance
    ) -> Job | None:
        """The nearest neighbour of a parent that time allows; None if there is none."""
        index = max((job.index for job in jobs if job.index % 2), default=-1) + 2
        rng = np.random.default_rng([self.settings.seed, 6, index])
        parent = self._parent(history, jobs, rng)
        admits, most = self.settings.admits, self.settings.draws.most_refused
        while self._in_a_row != most and (fresh := self._fresh(jobs)):
            near = nearest(parent, fresh, np.random.default_rng(index))[:_NEAR]
            job = allowance.choose([self._made(index, *point) for point in near])
            if job is None or admits is None or admits(job.spec):
                self._in_a_row = 0
                return job
            self._in_a_row += 1
            self._unfit.add(job.spec)
        return None

    def _parent(
        self, history: Sequence[Training], jobs: Sequence[Job], rng: np.random.Generator
    ) -> Point:
        """The best of a few of the latest; one that failed only where all did."""
        scores = {
            t.key: t.score for t in history if t.score is not None and t.is_scored
        }
        sign = 1 if self.settings.objective.higher_is_better else -1

        def rank(job: Job) -> float:
            found = [scores[key] for key in job.keys if key in scores]
            return sign * fmean(found) if found else -inf

        latest = jobs[-_POPULATION:]
        few = rng.permutation(len(latest))[:_TOURNAMENT].tolist()
        return _point(max((latest[place] for place in few), key=rank))

    def _fresh(self, jobs: Sequence[Job]) -> list[Point]:
        """Draws that were not tried, some where there are any."""
        draws, known = self.settings.draws, {_point(job) for job in jobs}
        number = 0
        new = draws.some(0, _DRAWN * 2 ** ceil(log2(len(jobs))))
        while new:
            points = [(draw.spec, draw.learning_rate) for draw in new]
            fresh = [p for p in points if p not in known and p[0] not in self._unfit]
            if fresh:
                return fresh
            number += len(new)
            new = draws.some(number, ROUND)
        return []

    def _made(self, index: int, spec: Spec, rate: float | None) -> Job:
        count, seed = self.settings.seeds_per_spec, self.settings.seed
        seeds = tuple(derived_seed(seed, "child", index, m) for m in range(count))
        return Job("search", index, spec, seeds, (rate,) * count, self.epochs)


def nearest(
    parent: Point, points: Sequence[Point], rng: np.random.Generator
) -> list[Point]:
    """Points, those with the fewest changes first, and of these the smallest changes.

    A change is of a knob, the family or the learning rate. The size of a change counts
    the values between, in at most `_LEVELS` levels of a knob that is a number. A knob
    that only one of two points has is no change. Equals are in a random order.

    Example:

    >>> points = [(Spec("mlp", (("depth", depth),)), 0.1) for depth in (4, 1, 2, 3)]
    >>> rng = np.random.default_rng(0)
    >>> [spec.depth for spec, _ in nearest(points[0], points[1:], rng)]
    [3, 2, 1]
    """
    rows = [
        {"family": spec.family, "learning_rate": rate, **dict(spec.knobs)}
        for spec, rate in [parent, *points]
    ]
    names = sorted({name for row in rows for name in row})
    steps = np.array([_steps([row.get(name) for row in rows]) for name in names])
    changes, sizes = (steps > 0).sum(axis=0), steps.sum(axis=0)
    keys = rng.random(len(points)), np.maximum(sizes, 1), np.maximum(changes, 1)
    return [points[place] for place in np.lexsort(keys).tolist()]


def _steps(values: Sequence[Value | None]) -> NDArray[np.float64]:
    """How far each value but the first is from the first."""
    if any(isinstance(value, str) for value in values):
        first = values[0]
        far = [None not in (first, other) and first != other for other in values[1:]]
        return np.array(far, np.float64)
    numbers = np.array(values, np.float64)  # nan where there is no value
    distinct = np.unique(numbers[np.isfinite(numbers)])
    places = np.searchsorted(distinct, numbers) * min(
        1, _LEVELS / max(len(distinct), 1)
    )
    levels = np.where(np.isfinite(numbers), places // 1, np.nan)
    steps: NDArray[np.float64] = np.nan_to_num(np.abs(levels[1:] - levels[0]))
    return steps


def _point(job: Job) -> Point:
    return job.spec, job.learning_rates[0]
