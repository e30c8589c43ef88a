"""Sentences on the effort of a search: what is to be trained, and why the end came."""

from collections.abc import Sequence

from kscale.runs.records import Training
from kscale.search.contract import Allowance, Job
from kscale.search.effort import EFFORTS, Flat
from kscale.text import counted
from kscale.tuning.costs import CostModel
from kscale.tuning.plan import Plan
from kscale.units import format_seconds


def expected_effort(plan: Plan, costs: CostModel) -> str:
    """How much the search will train, in trainings and in seconds; none without an
    effort."""
    effort = plan.effort
    if effort is None:
        return ""
    largest = plan.candidates.largest
    job = Job("search", 0, largest, (0,), (None,), plan.recipe.epochs)
    seconds = effort.seconds(job, Allowance(alone=costs.alone))
    known = f"about {format_seconds(seconds)}"
    number = f"as much as {effort.trainings:g} full trainings of"
    what = f"the best network, finalists included; {known} if that is the largest"
    if plan.request.for_law:
        what = f"the largest network; {known}"
    return f"Effort {plan.request.chosen_effort}: {number} {what} that fits."


def spent_effort(plan: Plan, trainings: Sequence[Training]) -> str:
    """That the effort ended the search, and how the search goes on."""
    name, names = plan.request.chosen_effort, [*EFFORTS]
    greater = names[names.index(name) + 1 :] if name else names
    more = f"--effort {greater[0]}" if greater else "--trials in place of --effort"
    seconds = sum(training.seconds for training in trainings)
    number = counted(len(trainings), "training")
    return (
        f"Effort {name} ended the search after {number} of {format_seconds(seconds)} "
        f"in all; {more} goes on with it."
    )


def flat_search(plan: Plan, flat: Flat) -> str:
    """That the search stopped by itself, in numbers."""
    scale, unit = (100.0, " points") if plan.objective.is_share else (1.0, "")
    gain, stderr = (f"{scale * each:.2g}{unit}" for each in (flat.gain, flat.stderr))
    return (
        "The search stopped by itself: a further training was expected to gain at most "
        f"{gain} of {plan.objective.name}, less than can be seen: the standard error "
        f"of the best score is {stderr}. --no-stop-when-flat goes on."
    )
