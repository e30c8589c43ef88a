"""Timing: a few short trainings that tell what a search will take on this machine."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kscale.data.dataset import Dataset
from kscale.data.example_rows import first_rows
from kscale.data.parts import Part
from kscale.search.contract import Job
from kscale.tuning.costs import CostModel
from kscale.tuning.plan import Plan
from kscale.tuning.trainer import Assignment

_EPOCH_SECONDS = 0.25  # of a shortened epoch, at most, by what is known
_FEWEST_STEPS = 4  # of a shortened epoch
_EPOCHS = (1, 1, 4)  # of the trainings of a network, of which the first traces


def time_networks(
    plan: Plan, costs: CostModel, jobs: Sequence[Job], seconds: float, least: int = 3
) -> int:
    """Train networks on a part of the examples, and let a cost model learn from them.

    Each is trained three times, by the programs that the search will use.

    Args:
        plan: The search.
        costs: Learns what the trainings took.
        jobs: Whose networks to train, the most telling first.
        seconds: Time after which no further network begins.
        least: Networks that are trained however long they take.

    Returns:
        How many networks were trained.
    """
    until = time.monotonic() + seconds
    for number, job in enumerate(jobs):
        if number >= least and time.monotonic() >= until:
            return number
        shorter = _shorter(plan, costs, job)
        known = shorter.cost_model()
        trainer = shorter.trainers()(job.spec)
        rate = job.learning_rates[:1]
        with tempfile.TemporaryDirectory() as folder:
            for seed, epochs in enumerate(_EPOCHS, 1):
                short = Job("search", 0, job.spec, (seed,), rate, epochs)
                target = Path(folder) / f"{seed}.npz"
                known.see(trainer.train(Assignment(short, 0, 1, None, target)))
        costs.learn(known)
    return len(jobs)


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
        recipe=replace(plan.recipe, epochs=max(epochs, *_EPOCHS)),
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
