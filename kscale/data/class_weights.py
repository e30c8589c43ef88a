"""Class weights: how much an example of a rare class counts in the loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.errors import DataError, SpecError, unknown_name
from kscale.task.tasks import Task

CLASS_WEIGHTS = ("none", "balanced")
"""What `class_weights` may be."""


def check_class_weights(name: str, task: Task) -> None:
    """Raise unless a task has classes to weigh, or the name is `none`."""
    if name not in CLASS_WEIGHTS:
        raise SpecError(unknown_name("class weights", name, CLASS_WEIGHTS))
    if name != "none" and not any(target.head.is_exclusive for target in task.targets):
        titles = " and ".join({target.head.title: 0 for target in task.targets})
        raise DataError(
            f"`class_weights={name}` needs a target of classes, but the data has "
            f"{titles} only; leave it out."
        )


def class_weights_of(dataset: Dataset, name: str) -> dict[str, NDArray[np.float32]]:
    """By target of classes, the weight of each class; empty for `none`."""
    check_class_weights(name, dataset.task)
    counts = class_counts(dataset) if name != "none" else {}
    return {target: _balanced(each) for target, each in counts.items()}


def _balanced(counts: Sequence[int]) -> NDArray[np.float32]:
    """`examples / (classes * examples of the class)` of the training part.

    Each class counts the same, and the mean weight of an example is 1; a class that
    does not occur has a weight of 0.
    """
    known = np.asarray(counts)
    weights = known.sum() / np.maximum(np.count_nonzero(known) * known, 1)
    return np.where(known > 0, weights, 0.0).astype(np.float32)


def class_counts(dataset: Dataset) -> dict[str, list[int]]:
    """By target of classes, how often each class occurs in the training part."""
    return {
        target.name: np.bincount(
            dataset.train.targets[target.name], minlength=target.outputs
        ).tolist()
        for target in dataset.task.targets
        if target.head.is_exclusive
    }


def weights_of_run(description: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """As `class_weights_of`, from the description of a run, in a float32's digits."""
    if description["identity"].get("class_weights", "none") == "none":
        return {}
    return {
        target: tuple(float(str(weight)) for weight in _balanced(counts))
        for target, counts in description["data"].get("class_counts", {}).items()
    }
