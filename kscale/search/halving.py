"""Successive halving: many short trainings first, the best third of them goes on."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from kscale.runs.records import Training
from kscale.search.affording import elapsed
from kscale.search.contract import (
    DONE,
    WAIT,
    Allowance,
    Beliefs,
    Job,
    Outlook,
    Signal,
    is_known,
    keys_of,
)
from kscale.search.draws import FirstJobs, Settings
from kscale.text import counted

_THIRD = 3
_MOST_RUNGS = 3


class HalvingSearcher:
    """Synchronous successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943).

    All draws are trained for a ninth of the epochs, the best third of them up to a
    third, the best third of those to the end, each from the weights and optimizer of
    the rung below; fewer than nine epochs have fewer rungs. Under a time limit fewer
    draws enter the first rung, so that the best of them can go on. Only trainings of
    the last rung have full length.

    Args:
        settings: What to try.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rungs = rungs_of(settings.epochs)
        self._first = FirstJobs(settings, self.rungs[0], stride=len(self.rungs))

    def propose(
        self, history: Sequence[Training], pending: Sequence[Job], allowance: Allowance
    ) -> Job | Signal:
        """A first job while there are any; then the best of the lowest open rung."""
        tried = self._first.tried(history, pending)
        job = self._first.propose(history, pending, allowance)
        if isinstance(job, Job):
            costs = allowance.cost(job) + self._reserved([*tried, job], allowance)
            if costs <= allowance.seconds:
                return job
        tried = self._first.tried(history, pending)
        out = {job.index for job in pending if job.stage == "search"}
        keys = keys_of(history, pending)
        for jobs in self._rungs(history, tried):
            due = [job for job in jobs if not is_known(job, keys)]
            if due:
                return allowance.choose(due[:1]) or DONE
            if any(job.index in out for job in jobs):
                return WAIT
        return DONE

    def outlook(self, history: Sequence[Training], pending: Sequence[Job]) -> Outlook:
        """First jobs, and of the rungs above as many as a third of each leaves."""
        first = self._first.outlook(history, pending)
        keys, seeds = keys_of(history, pending), self.settings.seeds_per_spec
        tried = self._first.tried(history, pending)
        rungs = [tried] if first.jobs else list(self._rungs(history, tried))
        known = [job for jobs in rungs[1:] for job in jobs if not is_known(job, keys)]
        trainings, work = first.trainings, first.work
        entered = len(tried) + len(first.jobs) + first.trainings / seeds
        for rung, epochs in enumerate(self.rungs[1:], 1):
            entered = max(entered / _THIRD, 1.0)
            if rung >= len(rungs):
                further = entered * seeds
                trainings += further
                work += (
                    further * (epochs - self.rungs[rung - 1]) * self._first.mean_work
                )
        return Outlook((*first.jobs, *known), trainings, work)

    def notes(self, history: Sequence[Training]) -> Sequence[str]:
        """That the epochs are too few for all rungs, where they are."""
        if len(self.rungs) == _MOST_RUNGS:
            return ()
        ends = " and ".join(map(str, self.rungs))
        return (
            f"Halving had {counted(len(self.rungs), 'rung')} (of {ends} epochs) in "
            f"place of {_MOST_RUNGS}: from --epochs {_THIRD ** (_MOST_RUNGS - 1)} on "
            "it has all.",
        )

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        """None: halving has no expectations of untrained networks."""
        return None

    def needed(self, history: Sequence[Training], pending: Sequence[Job]) -> set[str]:
        """Keys of trainings that may go on: an open rung, and chosen ones that wait."""
        keys, done = keys_of(history, pending), keys_of(history)
        tried = self._first.tried(history, pending)
        needed: set[str] = set()
        rungs = list(self._rungs(history, tried))
        for place, jobs in enumerate(rungs[: len(self.rungs) - 1]):
            is_open = place == 0 and bool(self._first.outlook(history, pending).jobs)
            is_open = is_open or not all(is_known(job, done) for job in jobs)
            above = rungs[place + 1] if place + 1 < len(rungs) else []
            waits = {job.parent for job in above if not is_known(job, done)}
            for job in jobs:
                if is_open or job.index in waits:
                    needed.update(keys.intersection(job.keys))
        return needed

    def _rungs(
        self, history: Sequence[Training], tried: Sequence[Job]
    ) -> Iterator[list[Job]]:
        """Jobs of each rung, the best of the rung below first; up to an open rung."""
        by_key = {training.key: training for training in history}
        jobs = list(tried)
        for epochs in (*self.rungs[1:], None):
            yield jobs
            if epochs is None or not jobs:
                return
            if not all(key in by_key for job in jobs for key in job.keys):
                return
            jobs = [_going_on(job, epochs) for job in self._best(jobs, by_key)]

    def _best(self, jobs: Sequence[Job], by_key: dict[str, Training]) -> list[Job]:
        """The best third of a rung, at least one; what failed never goes on."""
        scores = defaultdict(list)
        for job in jobs:
            for training in (by_key[key] for key in job.keys):
                if training.is_scored and training.score is not None:
                    scores[job].append(training.score)
        sign = 1 if self.settings.objective.higher_is_better else -1
        ranked = sorted(scores, key=lambda job: -sign * fmean(scores[job]))
        return ranked[: max(1, len(jobs) // _THIRD)]

    def _reserved(self, tried: Sequence[Job], allowance: Allowance) -> float:
        """What the rungs above may cost: the costliest jobs may be the best."""
        jobs, seconds = sorted(tried, key=allowance.cost, reverse=True), 0.0
        for epochs in self.rungs[1:]:
            jobs = [_going_on(j, epochs) for j in jobs[: max(1, len(jobs) // _THIRD)]]
            seconds += elapsed(jobs, allowance, set())
        return seconds


def rungs_of(epochs: int) -> tuple[int, ...]:
    """Epochs at the end of each rung, the last of them all.

    Example:

    >>> rungs_of(40), rungs_of(5), rungs_of(1)
    ((4, 13, 40), (1, 5), (1,))
    """
    found = [epochs // _THIRD**power for power in range(_MOST_RUNGS)]
    return tuple(sorted({number for number in found if number}))


def _going_on(job: Job, epochs: int) -> Job:
    """A job that trains the members of a job further."""
    return replace(
        job,
        index=job.index + 1,
        epochs_from=job.epochs_to,
        epochs_to=epochs,
        parent=job.index,
    )
