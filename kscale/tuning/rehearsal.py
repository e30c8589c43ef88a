"""Rehearsal: the trainings of a search, worked out with made-up scores before any."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kscale.runs.records import Training
from kscale.search.affording import of_seeds
from kscale.search.contract import Job, Outlook, derived_seed
from kscale.tuning.costs import CostModel
from kscale.tuning.plan import Plan
from kscale.tuning.time_policy import TimePolicy

# Errors of made-up networks: what remains, what 1,000 params have more, the power by
# which that falls with size, and what is added before the first epoch.
_REMAINING, _AVOIDABLE, _POWER, _UNTRAINED = 0.05, 0.1, -0.5, 0.3
_REHEARSALS = 5
_LUCK = 0.5  # of a seed, in standard errors over the examples
_UNSUITED = 2.0  # the same, of knobs and a learning rate that are not the best ones
_LABORIOUS = 0.5  # the same, of twice the work for each weight


@dataclass(frozen=True)
class Rehearsal:
    """What a search would train.

    Args:
        jobs: In order, each with the seconds that it would take.
        rest: What comes after those, where a rehearsal of all would take long.
        seconds: Time that the choice of the jobs took, in a search as in its rehearsal.
        low, high: Seconds of all trainings in the shortest and in the longest rehearsal
            of several.
    """

    jobs: tuple[tuple[Job, float], ...]
    rest: Outlook
    seconds: float
    low: float = 0.0
    high: float = 0.0


def likely_rehearsal(
    plan: Plan, costs: CostModel, spent: float = 0.0, most_seconds: float = 3.0
) -> Rehearsal:
    """Of some rehearsals the one of middling time.

    Which networks become finalists is luck, and large ones take much longer: a single
    rehearsal may be far from what is to be expected (`experiments/plan_accuracy.py`).

    Args:
        plan, costs, spent: As of `rehearse`.
        most_seconds: Time of a rehearsal, and time after which no other begins, both
            of this thread's computing: else a busy machine would cut them short.
    """
    until = time.thread_time() + most_seconds
    found: list[tuple[float, Rehearsal]] = []
    while len(found) < _REHEARSALS and (not found or time.thread_time() < until):
        made = rehearse(plan, costs, spent, most_seconds, len(found))
        seconds = sum(each for _, each in made.jobs) + costs.cost_of(made.rest)
        found.append((seconds, made))
    found.sort(key=lambda each: each[0])
    middle = found[len(found) // 2][1]
    return replace(middle, low=found[0][0], high=found[-1][0])


def rehearse(
    plan: Plan,
    costs: CostModel,
    spent: float = 0.0,
    most_seconds: float = 3.0,
    luck: int = 0,
) -> Rehearsal:
    """Ask the searcher for jobs as a search does, and make up their scores.

    Errors fall with size, by less and less, and vary by seed, and by knobs and learning
    rate: size stops helping where the validation part is too small to show more. Of two
    networks of a size the one of less work is better, as it mostly was in the searches
    of `experiments/plan_accuracy.py`: else dear networks become finalists too often.

    Args:
        plan: The search.
        costs: What trainings take, by which the clock of the search goes; its networks
            are new before the rehearsal, and trained afterwards. The searcher does not
            know these costs: a search begins with typical ones, and so chooses networks
            that are dearer on this machine than it expects.
        spent: Seconds of the time limit that are over before the first training.
        most_seconds: Computing time of the rehearsal; what is left then is of the
            outlook, within the effort and the time limit.
        luck: Decides how networks and seeds vary.
    """
    costs.restart()
    # What the search knows, from its trainings: nothing new where costs are typical.
    expected = plan.cost_model() if costs.is_measured else costs
    searcher, began, clock = plan.searcher(), time.thread_time(), 0.0
    policy = TimePolicy(plan.request.time_limit, spent, lambda: clock)
    jobs: list[tuple[Job, float]] = []
    history: list[Training] = []
    while time.thread_time() - began < most_seconds:
        allowance = policy.allowance(expected.cost, expected.alone)
        job = searcher.propose(history, (), allowance)
        if not isinstance(job, Job):
            rest = Outlook()
            break
        times = [costs.spend(of_seeds(job, 1)) for _ in job.seeds]
        clock += sum(times)
        jobs.append((job, sum(times)))
        for training in _made_up(plan, job, times, luck):
            history.append(training)
            if costs.is_measured:
                expected.see(training)
        policy.keep(expected.answer(job.spec))
    else:
        allowance = policy.allowance(expected.cost, expected.alone)
        left = searcher.within(history, (), allowance).seconds
        rest = _affordable(searcher.outlook(history, ()), costs, left)
    return Rehearsal(tuple(jobs), rest, time.thread_time() - began)


def _affordable(rest: Outlook, costs: CostModel, left: float) -> Outlook:
    """What is left of a search, in so many seconds at most: an outlook has all trials,
    and an effort or a time limit mostly ends a search before."""
    known = costs.cost_of(replace(rest, trainings=0.0, work=0.0))
    further = costs.cost_of(rest) - known
    part = min(1.0, max(left - known, 0.0) / further) if further else 0.0
    return replace(rest, trainings=part * rest.trainings, work=part * rest.work)


def _made_up(
    plan: Plan, job: Job, times: Sequence[float], luck: int
) -> Iterator[Training]:
    """Trainings of a job as they might end, each after its seconds."""
    size, examples = plan.size(job.spec), len(plan.dataset.validation)
    whole = _REMAINING + _AVOIDABLE * (max(size.params, 1) / 1000) ** _POWER
    left = 1 - np.arange(1, job.epochs_to + 1) / plan.recipe.epochs
    errors = np.minimum(whole + _UNTRAINED * left**2, 0.9)
    stderr = math.sqrt(errors[-1] * (1 - errors[-1]) / examples)
    laborious = math.log2(max(size.training_work, 1) / max(size.params, 1))
    for member, seed in enumerate(job.seeds):
        unsuited = abs(_normal(luck, job.spec, job.learning_rates[member]))
        varied = _normal(luck, seed, job.key(member))
        worse = _UNSUITED * unsuited + _LABORIOUS * laborious + _LUCK * varied
        found = errors + stderr * worse
        scores = 1 - found if plan.objective.higher_is_better else found
        yield job.training(
            member,
            size,
            full_epochs=plan.recipe.epochs,
            score=float(scores[-1]),
            stderr=stderr,
            seconds=times[member],
            examples=examples,
            curve={"loss": found.tolist(), "score": scores.tolist()},
        )


def _normal(*parts: object) -> float:
    """A normal number that depends on every part and on nothing else."""
    return float(np.random.default_rng(derived_seed(*parts)).normal())
