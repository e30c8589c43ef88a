"""Scores: a Keras metric on what a network gave, with its standard error."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.base import Dataset, Part
from kscale.objectives import Objective
from kscale.task import Target

_JACKKNIFE_GROUPS = 20


def wanted_and_given(
    dataset: Dataset, part: Part, outputs: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The first target of a part and what a network gave for it, as `score_of` takes.

    Args:
        dataset: Says how the target was scaled.
        part: The examples.
        outputs: By target name, the network's outputs: logits, or scaled values.
    """
    target = dataset.task.targets[0]
    wanted, given = part.targets[target.name], outputs[target.name]
    if target.kind == "classes":
        return wanted, probabilities(given)
    scaling = dataset.target_scaling.get(target.name)
    return wanted, given if scaling is None else scaling.apply(given)


def score_of(
    objective: Objective, target: Target, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    """The objective over examples.

    Args:
        objective: What to compute.
        target: What the network was asked for.
        wanted: Class ids `(examples,)`, or values `(examples, outputs)`.
        given: Probabilities `(examples, classes)`, or values like `wanted`.
    """
    if target.kind == "real":
        return _value_score(objective, wanted, given)
    if objective.name == "accuracy":  # as Keras', in double precision
        return float((given.argmax(axis=-1) == wanted).mean())
    if objective.name == "top_5_accuracy":
        return _computed(objective, wanted, given)
    if objective.name == "loss":
        chosen = np.take_along_axis(given, wanted[:, None].astype(int), axis=1)
        return float(-np.log(np.maximum(chosen, 1e-7)).mean())
    if target.outputs == 2 and objective.name != "categorical_crossentropy":
        return _binary_score(objective, wanted, given)
    return _macro_score(objective, np.eye(target.outputs)[wanted], given)


def _value_score(
    objective: Objective, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    if objective.name == "loss":
        return float(np.square(wanted - given).mean())
    return _computed(objective, wanted, given)


def _binary_score(
    objective: Objective, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    """The metric of the second class."""
    if objective.name == "f1_score":
        metric = keras.metrics.F1Score(average="micro", threshold=0.5)
        return _result(metric, wanted[:, None].astype(np.float32), given[:, 1:])
    return _computed(objective, wanted, given[:, 1])


def _macro_score(
    objective: Objective, wanted: NDArray[Any], given: NDArray[Any]
) -> float:
    """The mean over the classes that occur."""
    classes = np.flatnonzero(wanted.any(axis=0))
    if objective.name == "auc":
        wanted, given = wanted[:, classes], given[:, classes]
        metric = keras.metrics.AUC(multi_label=True, num_labels=len(classes))
        return _result(metric, wanted, given)
    if objective.name == "f1_score":
        metric = keras.metrics.F1Score(average=None)
        metric.update_state(wanted, given)
        return float(np.asarray(metric.result())[classes].mean())
    if objective.name == "categorical_crossentropy":
        return _computed(objective, wanted, given)
    make = getattr(keras.metrics, objective.keras_class)
    each = [_result(make(top_k=1, class_id=int(c)), wanted, given) for c in classes]
    return float(np.mean(each))


def _computed(objective: Objective, wanted: Any, given: Any) -> float:
    metric = getattr(keras.metrics, objective.keras_class)()
    return _result(metric, wanted, np.asarray(given, np.float32))


def _result(metric: keras.Metric, wanted: Any, given: Any) -> float:
    metric.update_state(wanted, given)
    return float(metric.result())


def stderr_of(
    objective: Objective,
    target: Target,
    wanted: NDArray[Any],
    given: NDArray[Any],
    score: float,
) -> float:
    """Standard error of a score over the examples.

    Binomial for accuracy, with two successes and two failures added (Agresti & Coull
    1998) so that a perfect score has one too; for other metrics the grouped jackknife
    over 20 groups (Efron 1982, chapter 2).
    """
    count = len(wanted)
    if objective.name == "accuracy":
        share = (score * count + 2) / (count + 4)
        return float(np.sqrt(share * (1 - share) / (count + 4)))
    groups = min(_JACKKNIFE_GROUPS, count)
    member = np.arange(count) % groups
    left_out = [
        score_of(objective, target, wanted[member != g], given[member != g])
        for g in range(groups)
    ]
    with np.errstate(all="ignore"):  # an infinite score has no standard error
        spread = np.square(np.subtract(left_out, np.mean(left_out))).sum()
    return float(np.sqrt((groups - 1) / groups * spread))


def probabilities(logits: NDArray[Any]) -> NDArray[Any]:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
