"""The row that any answer must beat: always the majority class, or the mean."""

import numpy as np

from kscale.data.base import Dataset, Part
from kscale.objectives import Objective
from kscale.tuning.scoring import score_of, stderr_of


def majority_score(
    objective: Objective, dataset: Dataset, part: Part
) -> tuple[float, float, int]:
    """Score, standard error and examples of always giving the training part's answer.

    That is the share of each class, or the mean value.
    """
    target = dataset.task.targets[0]
    known, wanted = dataset.train.targets[target.name], part.targets[target.name]
    if target.kind == "classes":
        constant = np.bincount(known, minlength=target.outputs) / len(known)
    else:
        constant = known.mean(axis=0)
    given = np.tile(constant.astype(np.float32), (len(wanted), 1))
    score = score_of(objective, target, wanted, given)
    error = stderr_of(objective, target, wanted, given, score)
    return score, error, len(wanted)
