"""The row that any answer must beat: always the majority class, or the mean."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset, Part
from kscale.task.evaluation import Answers
from kscale.task.tasks import Target


def majority_answers(dataset: Dataset, part: Part) -> Answers:
    """What always giving the training part's answer gives for a part.

    That is the share of each class, or the mean value, of every target.
    """
    return {
        target.name: (
            part.targets[target.name],
            np.tile(
                _constant(target, dataset.train.targets[target.name]), (len(part), 1)
            ),
        )
        for target in dataset.task.targets
    }


def _constant(target: Target, known: NDArray[Any]) -> NDArray[np.float32]:
    if target.kind == "classes":
        shares = np.bincount(known, minlength=target.outputs) / len(known)
        return shares.astype(np.float32)
    return np.asarray(known.mean(axis=0), np.float32)
