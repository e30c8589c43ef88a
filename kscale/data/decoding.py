"""From a network's outputs to what scores are computed on."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.task.evaluation import Pairs


def pairs_of(
    dataset: Dataset, part: Part, outputs: Mapping[str, NDArray[Any]]
) -> Pairs:
    """Labels of a part, with a network's outputs as probabilities or in their unit.

    Args:
        dataset: Has the scaling of each target.
        part: The examples.
        outputs: By target name, the network's outputs: logits, or scaled values.
    """
    pairs = {}
    for target in dataset.task.targets:
        given = target.head.activate(outputs[target.name])
        scaling = dataset.target_scaling.get(target.name)
        if scaling is not None:
            given = scaling.apply(given)
        pairs[target.name] = part.targets[target.name], given
    return pairs
