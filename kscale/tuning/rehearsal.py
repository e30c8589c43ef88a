"""Rehearsal: the trainings of a search, worked out with made-up scores before any."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kscale.runs.records import Training
from kscale.search.contract import Job, Outlook, derived_seed
from kscale.tuning.costs import CostModel
from kscale.tuning.plan import Plan
from kscale.tuning.time_policy import TimePolicy

# Errors of made-up networks: what remains, what 1,000 params have more, the power by
# which that falls with size, and what is added before the first epoch.
_REMAINING, _AVOIDABLE, _POWER, _UNTRAINED = 0.05, 0.1, -0.5, 0.3
_LUCK = 0.5  # of a seed, in standard errors over the examples


@dataclass(frozen=True)
class Rehearsal:
    """What a search would train.

    Args:
        jobs: In order, each with the seconds that it would take.
        rest: What comes after those, where a rehearsal of all would take long.
        seconds: Time that the choice of the jobs took, in a search as in its rehearsal.
    """

    jobs: tuple[tuple[Job, float], ...]
    rest: Outlook
    seconds: float


def rehearse(
    plan: Plan, costs: CostModel, spent: float = 0.0, most_seconds: float = 3.0
) -> Rehearsal:
    """Ask the searcher for jobs as a search does, and make up what they come to.

    Errors fall with size, by less and less, and vary by seed: size stops helping where
    the validation part is too small to show more.

    Args:
        plan: The search.
        costs: What trainings take, by which the clock of the search goes; its networks
            are trained afterwards.
        spent: Seconds of the time limit that are over before the first training.
        most_seconds: Time of the rehearsal; what is left then is of the outlook.
    """
    searcher, began, clock = plan.searcher(), time.monotonic(), 0.0
    policy = TimePolicy(plan.request.time_limit, spent, lambda: clock)
    jobs: list[tuple[Job, float]] = []
    history: list[Training] = []
    while time.monotonic() - began < most_seconds:
        allowance = policy.allowance(costs.cost, alone=costs.alone)
        job = searcher.propose(history, (), allowance)
        if not isinstance(job, Job):
            rest = Outlook()
            break
        seconds = costs.spend(job)
        policy.keep(costs.answer(job.spec))
        clock += seconds
        jobs.append((job, seconds))
        history += _made_up(plan, job, seconds / len(job.seeds))
    else:
        rest = searcher.outlook(history, ())
    return Rehearsal(tuple(jobs), rest, time.monotonic() - began)


def _made_up(plan: Plan, job: Job, seconds: float) -> Iterator[Training]:
    """Trainings of a job as they might end."""
    size, examples = plan.size(job.spec), len(plan.dataset.validation)
    whole = _REMAINING + _AVOIDABLE * (max(size.params, 1) / 1000) ** _POWER
    left = 1 - np.arange(1, job.epochs_to + 1) / plan.recipe.epochs
    errors = np.minimum(whole + _UNTRAINED * left**2, 0.9)
    stderr = math.sqrt(errors[-1] * (1 - errors[-1]) / examples)
    for member, seed in enumerate(job.seeds):
        luck = np.random.default_rng(derived_seed(seed, job.key(member))).normal()
        found = errors + _LUCK * stderr * luck
        scores = 1 - found if plan.objective.higher_is_better else found
        yield job.training(
            member,
            size,
            full_epochs=plan.recipe.epochs,
            score=float(scores[-1]),
            stderr=stderr,
            seconds=seconds,
            examples=examples,
            curve={"loss": found.tolist(), "score": scores.tolist()},
        )
