"""Classes: exactly one of several names is right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    RATES,
    Array,
    Head,
    KerasCall,
    error_metric,
    rate_metrics,
    share_metric,
    table_of,
)

LEAST_SHARE = 1e-7  # as in Keras, so that no logarithm is infinite


def softmax(logits: Array) -> Array:
    """Probabilities of logits, over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _counts(labels: Array, outputs: int) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=outputs)


def _constant(labels: Array, outputs: int, metric: str) -> NDArray[np.float64]:
    """The share of each class: the most frequent is the answer, as macro F1 rates best.

    Of two classes, F1, recall and precision are of the second alone, which is their
    best answer.
    """
    if outputs == 2 and metric in RATES:
        return np.array([0.0, 1.0])
    return _counts(labels, outputs) / len(labels)


def _ranked(given: Array, most: int | None) -> list[int]:
    order: list[int] = np.argsort(-given, kind="stable")[:most].tolist()
    return order


def _counted(labels: Array, outputs: int) -> NDArray[np.int64]:
    """The classes of a metric's mean: the second of two classes, or all occurring ones
    of more (macro)."""
    return np.array([1]) if outputs == 2 else np.unique(labels)


def _sums(arrays: Any, labels: Any, given: Any) -> Any:
    """Of each class: how often rightly given, how often there, and how often given."""
    chosen, outputs = arrays.argmax(given, axis=1), given.shape[1]
    right = arrays.where(arrays.equal(chosen, labels), labels, outputs)
    counts = [arrays.bincount(x, minlength=outputs) for x in (right, labels, chosen)]
    return arrays.stack([each[:outputs] for each in counts])


def area_under_curve(labels: Array, given: Array) -> float:
    """Area under the ROC curve: how often an example of a class has more of the class.

    Exact, where Keras' `AUC` sums over 200 thresholds. Of two classes the area is that
    of the second, of more the mean over those that occur, each against all others.

    Example:

    >>> chances = np.array([0.2, 0.9, 0.6, 0.4, 0.7, 0.8])
    >>> labels = np.array([0, 1, 1, 1, 0, 1])
    >>> area_under_curve(labels, np.stack([1 - chances, chances], axis=1))
    0.75
    """
    counted = _counted(labels, given.shape[1])
    return mean_area(labels[:, None] == counted, given[:, counted])


def mean_area(is_true: Array, given: Array) -> float:
    """The mean over the columns whose area is defined; NaN if there are none."""
    columns = zip(is_true.T, np.ascontiguousarray(given.T), strict=True)
    areas = [_area(np.sort(column), np.sort(column[true])) for true, column in columns]
    defined = [area for area in areas if np.isfinite(area)]
    return float(np.mean(defined)) if defined else float("nan")


def _area(everyone: Array, positives: Array) -> float:
    """Share of pairs in order, ties half, of sorted chances of all and of positives."""
    pairs = len(positives) * (len(everyone) - len(positives))
    if not pairs:
        return float("nan")
    below = sum(
        np.searchsorted(everyone, positives, side).sum()
        - np.searchsorted(positives, positives, side).sum()
        for side in ("left", "right")
    )
    return float(below / 2 / pairs)


def _divergence(arrays: Any, teacher: Any, outputs: Any, temperature: float) -> Any:
    """Divergence from a teacher's probabilities, which the temperature makes more alike
    (Hinton et al. 2015, arXiv 1503.02531): its gradients are 1 / T^2 as large."""
    wanted, given = (
        _log_softmax(arrays, logits / temperature) for logits in (teacher, outputs)
    )
    return temperature**2 * arrays.sum(arrays.exp(wanted) * (wanted - given), axis=-1)


def _log_softmax(arrays: Any, logits: Any) -> Any:
    shifted = logits - arrays.max(logits, axis=-1, keepdims=True)
    return shifted - arrays.log(arrays.sum(arrays.exp(shifted), axis=-1, keepdims=True))


def _is_right(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.equal(arrays.argmax(given, axis=-1), labels)


def _is_in_top_5(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.sum(given > _of_label(arrays, labels, given), axis=1) < 5


def _crossentropy(arrays: Any, labels: Any, given: Any) -> Any:
    chance = _of_label(arrays, labels, given)[:, 0]
    return -arrays.log(arrays.maximum(chance, LEAST_SHARE))


def _of_label(arrays: Any, labels: Any, given: Any) -> Any:
    """The probability of the class that is right, `(examples, 1)`."""
    return arrays.take_along_axis(given, labels[:, None], axis=1)


def confusion_of(labels: Array, given: Array) -> list[list[int]]:
    """How often each class was taken for which: `[class, answer, examples]`.

    Example:

    >>> confusion_of(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.3, 0.7], [1, 0]]))
    [[0, 0, 1], [1, 0, 1], [1, 1, 1]]
    """
    pairs = np.stack([labels, given.argmax(axis=1)], axis=1)
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    found: list[list[int]] = np.column_stack([cells, counts]).astype(int).tolist()
    return found


CLASSES = Head(
    kind="classes",
    title="classes",
    nouns=("class", "classes"),
    stratum="class",
    constant_words="the same class",
    least_outputs=2,
    dtype="int32",
    is_exclusive=True,
    counts=_counts,
    strata=np.asarray,
    loss=KerasCall("SparseCategoricalCrossentropy", {"from_logits": True}),
    smoothed="smoothed",
    one_hot_loss=KerasCall("CategoricalCrossentropy", {"from_logits": True}),
    watched=KerasCall("SparseCategoricalAccuracy", {"name": "accuracy"}),
    distillation=_divergence,
    activation="softmax",
    activate=softmax,
    constant=_constant,
    chosen=_ranked,
    metric="accuracy",
    mean_metric="accuracy",
    shown=("accuracy", "recall", "precision", "f1_score", "auc"),
    objectives=table_of(
        share_metric(
            "accuracy",
            values=_is_right,
            aliases=(
                "acc",
                "sparse_categorical_accuracy",
                "categorical_accuracy",
                "binary_accuracy",
            ),
        ),
        share_metric(
            "top_5_accuracy",
            values=_is_in_top_5,
            aliases=("sparse_top_k_categorical_accuracy",),
            least_outputs=6,
        ),
        *rate_metrics(_sums, _counted, "f1"),
        share_metric("auc", figure=area_under_curve, aliases=("roc_auc",)),
        error_metric(
            "loss",
            values=_crossentropy,
            aliases=("crossentropy", "sparse_categorical_crossentropy"),
        ),
        error_metric("categorical_crossentropy", values=_crossentropy),
    ),
    confusion=confusion_of,
)
