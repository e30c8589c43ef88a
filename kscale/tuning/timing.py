"""Timing: a few short trainings, to know what a search will take on this machine."""

import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from kscale.data.dataset import Dataset
from kscale.data.example_rows import first_rows
from kscale.data.parts import Part
from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.tuning.costs import CostModel
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import Assignment

_FEWEST = 3  # networks that are timed, however long they take
_EPOCH_SECONDS = 0.25  # of a shortened epoch, at most, by what is known
_FEWEST_STEPS = 4  # of a shortened epoch
_LONG_SECONDS = 1.0  # of the last training of a network, at most
_FEWEST_EPOCHS = 4  # of that training


def time_networks(
    plan: Plan, costs: CostModel, jobs: Sequence[Job], seconds: float
) -> int:
    """Train networks on a part of the examples, and let a cost model learn from them.

    The first is that of the first job, as the first training of a process takes longer.
    Next is always the network in which most of the expected time of all jobs lies, of a
    family that was not timed where there is one.

    Args:
        plan: The search.
        costs: Learns what the trainings took.
        jobs: What the search is expected to train.
        seconds: Time after which no network begins but the first three.

    Returns:
        How many networks were trained.
    """
    until = time.monotonic() + seconds
    costs.restart()
    timed: dict[Spec, None] = {}
    while len(timed) < _FEWEST or time.monotonic() < until:
        job = _telling(costs, jobs, timed)
        if job is None:
            break
        shorter = _shorter(plan, costs, job)
        known = costs.of_fewer(len(shorter.dataset.train))
        _see_three(known, shorter, job)
        costs.learn(known)
        timed[job.spec] = None
    return len(timed)


def _telling(
    costs: CostModel, jobs: Sequence[Job], timed: Collection[Spec]
) -> Job | None:
    """A job of the network to time next; None where all are timed."""
    if not timed:
        return next(iter(jobs), None)
    expected, families = costs.by_network(jobs), {spec.family for spec in timed}
    return max(
        (job for job in jobs if job.spec not in timed),
        key=lambda job: (job.spec.family not in families, expected[job.spec]),
        default=None,
    )


def _see_three(costs: CostModel, plan: Plan, job: Job) -> None:
    """Three trainings of a network, by the programs of the search: an epoch with
    tracing, an epoch without, and about a second of epochs, by which the seconds of an
    epoch are separated from the seconds of any training."""
    trainer, rate, epochs = plan.trainers()(job.spec), job.learning_rates[:1], 1
    with tempfile.TemporaryDirectory() as folder:
        for seed in (1, 2, 3):
            short = Job("search", 0, job.spec, (seed,), rate, epochs)
            target = Path(folder) / f"{seed}.npz"
            training = trainer.train(Assignment(short, 0, 1, None, target))
            costs.see(training)
            if seed == 2:
                most = int(_LONG_SECONDS / max(training.seconds, 1e-3))
                epochs = min(max(_FEWEST_EPOCHS, most), plan.recipe.epochs)


def _shorter(plan: Plan, costs: CostModel, job: Job) -> Plan:
    """The plan with shorter epochs, and more of them: the number of steps in all is the
    same, by which the engine decides how to compile."""
    none, one = (replace(job, epochs_from=0, epochs_to=epochs) for epochs in (0, 1))
    share = _EPOCH_SECONDS / (costs.cost(one) - costs.cost(none))
    examples, batch = len(plan.dataset.train), plan.recipe.batch_size
    dataset = _first(plan.dataset, max(share, _FEWEST_STEPS * batch / examples))
    epochs = plan.recipe.epochs * examples // len(dataset.train)
    return replace(
        plan,
        request=replace(plan.request, class_weights="none"),  # a class may be missing
        dataset=dataset,
        recipe=replace(plan.recipe, epochs=max(epochs, _FEWEST_EPOCHS)),
    )


def _first(dataset: Dataset, share: float) -> Dataset:
    """A data set of the first examples of the parts that a training reads."""
    if share >= 1:
        return dataset

    def first(part: Part) -> Part:
        number = max(1, round(share * len(part)))
        inputs, targets, raw = (
            {name: first_rows(rows, number) for name, rows in given.items()}
            for given in (part.inputs, part.targets, part.raw)
        )
        return Part(inputs, targets, raw)

    train, validation = first(dataset.train), first(dataset.validation)
    return replace(dataset, train=train, validation=validation)
