"""Scores: a metric on what a network gave, with its standard error."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kscale.task.metrics import area_under_curve, class_metrics, value_metrics
from kscale.task.objectives import Objective
from kscale.task.tasks import Target

_JACKKNIFE_GROUPS = 20

Mask = NDArray[np.bool_]


def score_of(
    objective: Objective, target: Target, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    """A metric over examples.

    Args:
        objective: What to compute, of one target.
        target: What the network was asked for.
        wanted: Class ids `(examples,)`, or values `(examples, outputs)`.
        given: Probabilities `(examples, classes)`, or values like `wanted`.
    """
    if target.kind == "real":
        return _value_score(objective, wanted, given)
    if objective.name == "accuracy":
        return float((given.argmax(axis=-1) == wanted).mean())
    if objective.name == "auc":
        return area_under_curve(wanted, given)
    if objective.name in ("recall", "precision", "f1_score"):
        return class_metrics(wanted, given)[objective.name]
    if objective.name == "loss":
        chosen = np.take_along_axis(given, wanted[:, None].astype(int), axis=1)
        return float(-np.log(np.maximum(chosen, 1e-7)).mean())
    if objective.name == "categorical_crossentropy":
        return _computed(objective, np.eye(target.outputs)[wanted], given)
    return _computed(objective, wanted, given)


def _value_score(
    objective: Objective, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    if objective.name in ("loss", "mean_squared_error"):
        return float(np.square(wanted - given, dtype=np.float64).mean())
    known = value_metrics(wanted, given)
    if objective.name in known:
        return known[objective.name]
    return _computed(objective, wanted, given)


def _computed(objective: Objective, wanted: Any, given: Any) -> float:
    metric = getattr(keras.metrics, objective.keras_class)()
    metric.update_state(wanted, np.asarray(given, np.float32))
    return float(metric.result())


def stderr_of(
    objective: Objective, target: Target, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    """Standard error of a score over the examples.

    That of a share for accuracy, for other metrics the grouped jackknife.
    """
    if objective.name == "accuracy":
        return share_error(given.argmax(axis=-1) == wanted)
    left_out = jackknife(
        lambda kept: score_of(objective, target, wanted[kept], given[kept]), len(wanted)
    )
    return float(left_out)


def share_error(right: ArrayLike) -> float:
    """Standard error of a mean of shares, one an example; of 0 and 1 it is binomial.

    Two successes and two failures are added (Agresti & Coull 1998), so that a perfect
    score has one too. An example's share may be the mean over several targets: then
    what their errors have in common is counted.

    Example:

    >>> round(share_error([True] * 96), 4)  # 0.98 of 100
    0.014
    """
    shares = np.concatenate([np.asarray(right, np.float64), [1.0, 1.0, 0.0, 0.0]])
    return float(np.sqrt(shares.var() / len(shares)))


def jackknife(compute: Callable[[Mask], ArrayLike], count: int) -> NDArray[np.float64]:
    """Standard errors of figures over examples, by leaving out one group of 20 each.

    The grouped jackknife (Efron 1982, chapter 2). Where a figure is not defined without
    a group, the others must do; NaN if there are none.

    Args:
        compute: One figure or several, of the examples where the mask is true.
        count: Number of examples.
    """
    left_out = without_groups(compute, count)
    defined = np.isfinite(left_out)
    number = defined.sum(axis=0)
    values = np.where(defined, left_out, 0.0)
    mean = values.sum(axis=0) / np.maximum(number, 1)
    spread = np.square(np.where(defined, values - mean, 0.0)).sum(axis=0)
    factor = (number - 1) / np.maximum(number, 1)
    return np.where(number > 1, np.sqrt(np.maximum(factor, 0.0) * spread), np.nan)


def without_groups(
    compute: Callable[[Mask], ArrayLike], count: int, most: int = _JACKKNIFE_GROUPS
) -> NDArray[np.float64]:
    """Figures over all examples but one group each, of as many groups at most.

    Args:
        compute: One figure or several, of the examples where the mask is true.
        count: Number of examples.
        most: Number of groups, where there are as many examples.
    """
    groups = min(most, count)
    member = np.arange(count) % groups
    return np.array([compute(member != group) for group in range(groups)])


def probabilities(logits: NDArray[Any]) -> NDArray[Any]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
