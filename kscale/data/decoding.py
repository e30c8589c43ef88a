"""From what a network gives to what its score is computed on."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kscale.data.dataset import Dataset, Part
from kscale.task.evaluation import Answers


def answers_of(
    dataset: Dataset, part: Part, outputs: Mapping[str, NDArray[Any]]
) -> Answers:
    """What the targets of a part are, and what a network gave for them.

    Args:
        dataset: Says how the targets were scaled.
        part: The examples.
        outputs: By target name, the network's outputs: logits, or scaled values.
    """
    answers = {}
    for target in dataset.task.targets:
        given = target.head.activate(outputs[target.name])
        scaling = dataset.target_scaling.get(target.name)
        if scaling is not None:
            given = scaling.apply(given)
        answers[target.name] = part.targets[target.name], given
    return answers
