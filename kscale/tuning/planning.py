"""Planning: what a planned search will train, and how long that takes."""

import time
from collections.abc import Iterator
from dataclasses import replace

from kscale.networks.families.base import Spec
from kscale.reports.planned_search import PlannedSearch, PlannedStage
from kscale.runs.records import STAGES
from kscale.search.contract import Outlook
from kscale.text import counted
from kscale.tuning.costs import CostModel
from kscale.tuning.family_candidates import FamilyCandidates
from kscale.tuning.past_runs import remember_runs, this_machine
from kscale.tuning.plan import Plan
from kscale.tuning.rehearsal import Rehearsal, likely_rehearsal, rehearse
from kscale.tuning.timing import time_networks
from kscale.units import format_seconds

_TIMED = 6.0  # seconds, after which no further network is timed
_MUCH = 1.2  # times the shortest of the times that a search may take
_START = 3.0  # seconds of TensorFlow's start, where it is not started
_UNKNOWN = (
    "How long that takes is not known: nothing was measured, and no run in runs/ or "
    "beside --run is of a machine of this kind."
)


def planned_search(
    plan: Plan, measure: bool = True, most_seconds: float = 3.0
) -> PlannedSearch:
    """What a planned search will train, and how long that takes.

    Args:
        plan: The search, with the epochs that it will have.
        measure: Whether to train a few networks for some seconds, to know this machine;
            if not, TensorFlow is not started, and times are those of past runs.
        most_seconds: Time of a rehearsal of the search.
    """
    costs = plan.cost_model()
    before, basis = (_measured if measure else _remembered)(plan, costs)
    rehearsal = likely_rehearsal(plan, costs, before, most_seconds)
    stages = tuple(_stages(plan, costs, rehearsal))
    finalists = {job.spec for job, _ in rehearsal.jobs if job.stage == "finalist"}
    costs.measured = min(costs.measured, len(finalists) or 2)  # or both answers
    answer = costs.answer(rehearsal.jobs[-1][0].spec) if rehearsal.jobs else 0.0
    around = before + rehearsal.seconds + answer if basis else None
    if not basis:
        stages = tuple(replace(stage, seconds=None) for stage in stages)
    candidates = plan.candidates
    pool = candidates.pool if isinstance(candidates, FamilyCandidates) else None
    return PlannedSearch(
        plan.dataset.name,
        candidates.found,
        None if pool is None else pool.counted,
        None if pool is None else len(pool),
        plan.recipe.epochs,
        stages,
        around,
        plan.request.time_limit,
        basis or _UNKNOWN,
        (*_range(rehearsal, around), *_notes(plan, rehearsal)),
    )


def _remembered(plan: Plan, costs: CostModel) -> tuple[float, str]:
    """Seconds before the first training, and what the costs stand on, if anything."""
    runs = remember_runs(costs, plan.request.run)
    basis = f"Times are those of {counted(runs, 'run')} on a machine of this kind."
    return plan.seconds + _START, basis if runs else ""


def _measured(plan: Plan, costs: CostModel) -> tuple[float, str]:
    """As `_remembered`, by networks that are trained now."""
    begun = time.monotonic()
    from kscale.engine.engines import make_engine

    make_engine(plan.request.strategy)
    timed = time.monotonic()
    before = plan.seconds + timed - begun
    jobs = [job for job, _ in rehearse(plan, costs, before).jobs]
    number = time_networks(plan, costs, jobs, _TIMED)
    took = format_seconds(time.monotonic() - timed)
    basis = (
        f"Measured now, by short trainings of {counted(number, 'network')} ({took})."
    )
    return before, basis if number else ""


def _stages(
    plan: Plan, costs: CostModel, rehearsal: Rehearsal
) -> Iterator[PlannedStage]:
    """What is trained, by stage; what was not rehearsed is of the search."""
    rest = rehearsal.rest
    jobs = [*rehearsal.jobs, *((job, costs.spend(job)) for job in rest.jobs)]
    for name in STAGES:
        mine = [(job, seconds) for job, seconds in jobs if job.stage == name]
        if not mine:
            continue
        epochs = {
            job: len(job.seeds) * (job.epochs_to - job.epochs_from) for job, _ in mine
        }
        flops = sum(
            number * _epoch_flops(plan, job.spec) for job, number in epochs.items()
        )
        work = sum(n * plan.size(job.spec).training_work for job, n in epochs.items())
        more = rest if name == "search" else Outlook()
        factor = 1 + more.work / work
        yield PlannedStage(
            name,
            len({job.spec for job, _ in mine}),
            sum(len(job.seeds) for job, _ in mine) + round(more.trainings),
            round(factor * sum(epochs.values())),
            round(factor * flops),
            sum(seconds for _, seconds in mine) + costs.cost_of(replace(more, jobs=())),
        )


def _epoch_flops(plan: Plan, spec: Spec) -> int:
    data, flops = plan.dataset, int(plan.size(spec).flops)
    return flops * (3 * len(data.train) + len(data.validation))


def _range(rehearsal: Rehearsal, around: float | None) -> Iterator[str]:
    """The range of the time, where known and wide."""
    if around is not None and rehearsal.high > _MUCH * rehearsal.low:
        ends = (
            format_seconds(around + each) for each in (rehearsal.low, rehearsal.high)
        )
        yield f"By which networks become finalists, it may be {' to '.join(ends)}."


def _notes(plan: Plan, rehearsal: Rehearsal) -> Iterator[str]:
    request = plan.request
    jobs = [job for job, _ in rehearsal.jobs if job.stage == "search"]
    tried = len({(job.spec, job.learning_rates) for job in jobs})
    if request.time_limit is not None and tried < request.most_trials:
        limit = format_seconds(request.time_limit)
        yield f"The time limit of {limit} is enough for {counted(tried, 'trial')}."
    is_shared = request.has_workers or request.machines > 1
    may_share = request.strategy == "auto" and this_machine()["gpus"] > 1
    if request.strategy == "each" or is_shared or may_share:
        yield "Times are of one device; a search that uses several takes less."
    if request.max_latency_ms is not None:
        yield "Latencies are not measured here: some of what fits may be too slow."
    if request.retrain_baseline:
        yield "The training of the present model is not among these."
