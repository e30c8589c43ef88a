"""References: scores to compare a search with, which are never its answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec import structs

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.runs.records import Record, Reference, ReferenceName
from kscale.search.contract import Job
from kscale.task.evaluation import Pairs, evaluate, evaluate_test
from kscale.task.objectives import Objective
from kscale.tuning.trainer import TrainingSetup


@dataclass(frozen=True)
class ReferenceContext:
    """What a reference is scored with.

    Args:
        setup: Data, objective and recipe.
        recorded: Records of the folder.
        folder: Folder of checkpoints.
        seed: Seed of the search.
        seconds_left: Gives the time that is left.
        on_epoch: Called after each epoch of a training.
    """

    setup: TrainingSetup
    recorded: Sequence[Record]
    folder: Path
    seed: int
    seconds_left: Callable[[], float]
    on_epoch: Callable[[Job, int, int, float], None]

    def known(self, name: ReferenceName, model: str = "") -> dict[str, Reference]:
        """What is recorded of a reference, by part."""
        records = (item for item in self.recorded if isinstance(item, Reference))
        same = (item for item in records if (item.name, item.model) == (name, model))
        return {item.part: item for item in same}


class ReferenceSource(Protocol):
    """Scores one reference."""

    def records(self, context: ReferenceContext) -> Iterator[Reference]:
        """What is not recorded yet, the validation part first.

        Raises:
            TimeUp: The time was over first.
        """


class Majority:
    """Always the largest class, or the mean: what any network must beat."""

    def records(self, context: ReferenceContext) -> Iterator[Reference]:
        """Scores of the constant answer."""
        dataset, objective = context.setup.dataset, context.setup.objective
        blank = Reference(name="majority", params=0, trainable=0, flops=0, bytes=0)
        return score_parts(
            context, blank, lambda part: constant_pairs(dataset, part, objective)
        )


def score_parts(
    context: ReferenceContext, blank: Reference, pairs: Callable[[Part], Pairs]
) -> Iterator[Reference]:
    """Scores of a reference on both parts, as far as they are not recorded.

    Args:
        context: What the reference is scored with.
        blank: The record without scores.
        pairs: Gives the labels of a part and what the reference answers.
    """
    setup, known = context.setup, context.known(blank.name, blank.model)
    data, objective, task = setup.dataset, setup.objective, setup.dataset.task
    if "validation" not in known:
        found = evaluate(objective, task, pairs(data.validation))
        yield structs.replace(blank, **vars(found))
    if "test" not in known:
        found = evaluate_test(objective, task, pairs(data.test))
        yield structs.replace(blank, part="test", **vars(found))


def constant_pairs(dataset: Dataset, part: Part, objective: Objective) -> Pairs:
    """A part, and for all of it the share of each class or the mean in training, or
    the constant answer that the objective rates best."""
    found, parts = {}, dict(objective.parts)
    for target in dataset.task.targets:
        known = dataset.train.targets[target.name]
        metric = parts.get(target.name, objective).name
        constant = target.head.constant(known, target.outputs, metric)
        labels = part.targets[target.name]
        found[target.name] = labels, target.head.baseline(target, constant, labels)
    return found
