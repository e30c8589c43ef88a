"""The row that any answer must beat: always the majority class, or the mean."""

import numpy as np

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.task.evaluation import Answers


def majority_answers(dataset: Dataset, part: Part) -> Answers:
    """What always giving the training part's answer gives for a part.

    That is the share of each class, or the mean value, of every target.
    """
    return {
        target.name: (
            part.targets[target.name],
            np.tile(
                target.head.constant(
                    dataset.train.targets[target.name], target.outputs
                ).astype(np.float32),
                (len(part), 1),
            ),
        )
        for target in dataset.task.targets
    }
