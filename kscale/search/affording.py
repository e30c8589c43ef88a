"""Affording: which finalists there is time for, and from how many seeds."""

from collections.abc import Sequence
from dataclasses import replace

from kscale.search.contract import Allowance, Job


def affordable(
    finals: Sequence[Job], allowance: Allowance, within: Allowance, keys: set[str]
) -> Sequence[Job]:
    """As many finalists as there is time for, of fewer seeds if need be.

    Args:
        finals: Finalists of all seeds, the most important first. A finalist that, even
            with one seed, takes longer than the time left is left out.
        allowance: Time that is left.
        within: Part of that time within an effort, which two finalists of one seed,
            the cheapest if need be, may exceed.
        keys: Keys of done or pending trainings, which take no time.

    Returns:
        At least two; none where there is not time for two.
    """
    ones = {job: seconds_left(of_seeds(job, 1), allowance, keys) for job in finals}
    fits = [job for job in finals if ones[job] <= within.seconds]
    two = fits if len(fits) > 1 else sorted(finals, key=ones.__getitem__)
    found = _fitting(fits, within, keys)
    return found or _fitting([of_seeds(job, 1) for job in two[:2]], allowance, keys)


def _fitting(
    finals: Sequence[Job], allowance: Allowance, keys: set[str]
) -> Sequence[Job]:
    if not allowance.is_limited:
        return finals
    for seeds in range(max((len(job.seeds) for job in finals), default=0), 0, -1):
        jobs = [of_seeds(job, seeds) for job in finals]
        firsts = (jobs[: number + 1] for number in range(len(jobs)))
        times = (elapsed(each, allowance, keys) for each in firsts)
        number = sum(each <= allowance.seconds for each in times)
        if number > 1:
            return jobs[:number]
    return ()


def of_seeds(job: Job, seeds: int) -> Job:
    """A job of no more than so many seeds."""
    rates = job.learning_rates[:seeds]
    return replace(job, seeds=job.seeds[:seeds], learning_rates=rates)


def seconds_left(job: Job, allowance: Allowance, keys: set[str]) -> float:
    """Seconds of a job's members that are not among the keys, one after another."""
    due = sum(key not in keys for key in job.keys)
    return allowance.cost(of_seeds(job, due)) if due else 0.0


def elapsed(jobs: Sequence[Job], allowance: Allowance, keys: set[str]) -> float:
    """Seconds of several jobs on all devices, without trainings of the keys."""
    seconds = [seconds_left(job, allowance, keys) for job in jobs]
    ones = [allowance.cost(of_seeds(job, 1)) for job in jobs]
    longest = max(map(min, seconds, ones), default=0.0)
    return max(sum(seconds) / allowance.devices, longest)


def queued(out: Sequence[Job], allowance: Allowance, keys: set[str]) -> float:
    """Seconds until a device is free, should all that is out have begun just now.

    Args:
        keys: Of trainings that are done.
    """
    ones = sorted(
        allowance.cost(of_seeds(job, 1))
        for job in out
        for k in job.keys
        if k not in keys
    )
    devices = max(int(allowance.devices), 1)
    return sum(ones[: max(len(ones) + 1 - devices, 0)]) / devices


def have_time_after(
    out: Sequence[Job], due: Sequence[Job], allowance: Allowance, keys: set[str]
) -> bool:
    """Whether jobs that are due have time when those that are out have ended, should
    these have begun just now; if nothing is due, too.

    Args:
        keys: Of trainings that are done.
    """
    seconds = elapsed(out, allowance, keys) + elapsed(due, allowance, keys)
    return not due or seconds <= allowance.seconds
