"""Metrics of classes and of real values in NumPy, fast with a thousand classes too."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.task.tasks import Target

Array = NDArray[Any]


def metrics_of(target: Target, wanted: Array, given: Array) -> dict[str, float]:
    """The metrics of `kscale.task.objectives.METRICS`; NaN where one is not defined.

    Args:
        target: What the network was asked for.
        wanted: Class ids `(examples,)`, or values `(examples, outputs)`.
        given: Probabilities `(examples, classes)`, or values like `wanted`.
    """
    if target.kind == "real":
        return value_metrics(wanted, given)
    return {**class_metrics(wanted, given), "auc": area_under_curve(wanted, given)}


def class_metrics(wanted: Array, given: Array) -> dict[str, float]:
    """Accuracy, recall, precision and F1 score of the most probable class.

    Of two classes they are those of the second, of more the mean over the classes that
    occur (macro). A share of nothing is 0, as in Keras.

    Example:

    >>> given = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    >>> class_metrics(np.array([0, 1, 1]), given)["recall"]
    0.5
    """
    classes = given.shape[1]
    chosen = given.argmax(axis=1)
    right = np.bincount(wanted[chosen == wanted], minlength=classes)
    support = np.bincount(wanted, minlength=classes)
    answers = np.bincount(chosen, minlength=classes)
    counted = _counted(support)
    return {
        "accuracy": float((chosen == wanted).mean()),
        "recall": float(_share(right, support)[counted].mean()),
        "precision": float(_share(right, answers)[counted].mean()),
        "f1_score": float(_share(2 * right, support + answers)[counted].mean()),
    }


def _counted(support: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes that a metric is the mean over."""
    return np.array([1]) if len(support) == 2 else np.flatnonzero(support)


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return part / np.maximum(whole, 1)


def area_under_curve(wanted: Array, given: Array) -> float:
    """Area under the ROC curve: how often an example of a class has more of it.

    Exact, where Keras' `AUC` sums over 200 thresholds. Of two classes it is that of the
    second, of more the mean over those that occur, each against all others.

    Example:

    >>> chances = np.array([0.2, 0.9, 0.6, 0.4, 0.7, 0.8])
    >>> labels = np.array([0, 1, 1, 1, 0, 1])
    >>> area_under_curve(labels, np.stack([1 - chances, chances], axis=1))
    0.75
    """
    support = np.bincount(wanted, minlength=given.shape[1])
    ends = np.cumsum(support)
    order = np.argsort(wanted, kind="stable")
    counted = _counted(support)
    columns = np.sort(np.ascontiguousarray(given[:, counted].T), axis=1)
    areas = [
        _area(column, np.sort(given[order[ends[c] - support[c] : ends[c]], c]))
        for c, column in zip(counted, columns, strict=True)
    ]
    defined = [area for area in areas if np.isfinite(area)]
    return float(np.mean(defined)) if defined else float("nan")


def _area(everyone: Array, own: Array) -> float:
    """Share of pairs in order, ties half, of sorted chances of all and of the class."""
    pairs = len(own) * (len(everyone) - len(own))
    if not pairs:
        return float("nan")
    below = sum(
        (np.searchsorted(everyone, own, side) - np.searchsorted(own, own, side)).sum()
        for side in ("left", "right")
    )
    return float(below / 2 / pairs)


def value_metrics(wanted: Array, given: Array) -> dict[str, float]:
    """Errors over all values, and R2: the mean over the outputs.

    An output that is always the same has an R2 of 0, as in Keras.
    """
    errors = np.asarray(wanted, np.float64) - np.asarray(given, np.float64)
    spread = np.square(wanted - np.mean(wanted, axis=0, dtype=np.float64)).sum(axis=0)
    left = np.square(errors).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    return {
        "root_mean_squared_error": float(np.sqrt(np.square(errors).mean())),
        "mean_absolute_error": float(np.abs(errors).mean()),
        "r2_score": float(np.where(spread > 0, 1 - left, 0.0).mean()),
    }


def confusion_of(wanted: Array, given: Array) -> list[list[int]]:
    """How often each class was taken for which: `[class, answer, examples]`.

    Example:

    >>> confusion_of(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.3, 0.7], [1, 0]]))
    [[0, 0, 1], [1, 0, 1], [1, 1, 1]]
    """
    pairs = np.stack([wanted, given.argmax(axis=1)], axis=1)
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    found: list[list[int]] = np.column_stack([cells, counts]).astype(int).tolist()
    return found
