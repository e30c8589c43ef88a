"""Labels: any number of several names may be right at once."""

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
from kscale.task.heads.classes import LEAST_SHARE, mean_area

THRESHOLD = 0.5  # of a probability, from which on a label is an answer


def _sigmoid(outputs: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(outputs, -80, 80))))


def rarest_labels(labels: Array) -> NDArray[np.int64]:
    """Of each example its rarest label, or the number of labels where it has none.

    Example:

    >>> rarest_labels(np.array([[1, 0], [1, 1], [0, 0], [1, 0]])).tolist()
    [0, 1, 2, 0]
    """
    order = np.argsort(labels.sum(axis=0), kind="stable")
    first = order[labels[:, order].argmax(axis=1)]
    return np.asarray(np.where(labels.any(axis=1), first, labels.shape[1]))


def _constant(labels: Array, outputs: int, metric: str) -> NDArray[np.float64]:
    """The share of each label, moved to the side of `THRESHOLD` that is rated best.

    A mean over the labels rates a label that is always answered 2 p / (1 + p), and one
    that never is 0. Micro F1 is best of the most frequent labels, of a number of them.

    Example:

    >>> labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
    >>> [_constant(labels, 3, name).tolist() for name in ("f1_score", "label_accuracy")]
    [[0.75, 0.5, 0.0], [0.75, 0.25, 0.0]]
    """
    share = labels.mean(axis=0, dtype=np.float64)
    answered = share >= THRESHOLD
    if metric in RATES:
        answered = share > 0
    elif metric == "micro_f1_score":
        order = np.argsort(-share, kind="stable")
        found = np.cumsum(share[order])
        best = np.argmax(found / (np.arange(1, outputs + 1) + found[-1]))
        answered = np.isin(np.arange(outputs), order[: best + 1])
    below = np.nextafter(np.float32(THRESHOLD), np.float32(0))
    most, least = np.maximum(share, THRESHOLD), np.minimum(share, below)
    return np.asarray(np.where(answered, most, least))


def _chosen(given: Array, most: int | None) -> list[int]:
    order = np.argsort(-given, kind="stable")
    likely: list[int] = order[given[order] >= THRESHOLD].tolist()
    return likely


def _sums(arrays: Any, labels: Any, given: Any) -> Any:
    """Of each label: how often rightly given, how often there, and how often given."""
    answers, wanted = given >= THRESHOLD, labels > 0
    counted = (answers & wanted, wanted, answers)
    return arrays.stack([arrays.sum(each, axis=0) for each in counted])


def _occurring(labels: Array, outputs: int) -> Array:
    return np.flatnonzero(labels.any(axis=0))


def _micro_f1(labels: Array, sums: Array) -> float:
    right, support, answers = sums.sum(axis=1)
    return float(2 * right / max(support + answers, 1))


def _soft_crossentropy(
    arrays: Any, teacher: Any, outputs: Any, temperature: float
) -> Any:
    """Mean cross-entropy of the labels with a teacher's probabilities for labels."""
    wanted, given = teacher / temperature, outputs / temperature
    likely = 1 / (1 + arrays.exp(-arrays.clip(wanted, -80, 80)))
    spread = arrays.log1p(arrays.exp(-arrays.abs(given)))
    losses = arrays.maximum(given, 0) - given * likely + spread
    return temperature**2 * arrays.mean(losses, axis=-1)


def _are_right(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.equal(given >= THRESHOLD, labels > 0)


def _all_right(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.all(_are_right(arrays, labels, given), axis=1)


def _share_right(arrays: Any, labels: Any, given: Any) -> Any:
    return arrays.mean(_are_right(arrays, labels, given), axis=1)


def _area(labels: Array, given: Array) -> float:
    return mean_area(labels > 0, given)


def _crossentropy(arrays: Any, labels: Any, given: Any) -> Any:
    right = arrays.where(labels > 0, given, 1 - given)
    return -arrays.log(arrays.maximum(right, LEAST_SHARE))


def label_confusion(labels: Array, given: Array) -> list[list[int]]:
    """How often each label was found, missed and given wrongly.

    The number of labels stands for no label: `[label, label, found]`,
    `[label, none, missed]`, `[none, label, given wrongly]`.

    Example:

    >>> given = np.array([[0.9, 0.1], [0.8, 0.6], [0.2, 0.3]])
    >>> label_confusion(np.array([[1, 0], [0, 1], [1, 1]]), given)
    [[0, 0, 1], [0, 2, 1], [2, 0, 1], [1, 1, 1], [1, 2, 1]]
    """
    right, support, answers = _sums(np, labels, given)
    label = np.arange(len(right))
    none = np.full_like(label, len(label))
    found, missed = [label, label, right], [label, none, support - right]
    cells = np.array([found, missed, [none, label, answers - right]])
    rows = cells.transpose(2, 0, 1).reshape(-1, 3)
    there: list[list[int]] = rows[rows[:, 2] > 0].tolist()
    return there


LABELS = Head(
    kind="labels",
    title="labels",
    nouns=("label", "labels"),
    stratum="label (an example counts for its rarest)",
    constant_words="the same labels",
    least_outputs=2,
    dtype="int32",
    is_exclusive=False,
    counts=lambda labels, outputs: labels.sum(axis=0, dtype=np.int64),
    strata=rarest_labels,
    loss=KerasCall("BinaryCrossentropy", {"from_logits": True}),
    one_hot_loss=None,
    # Accuracy is high where nothing is found, and Keras' F1 takes no logits.
    watched=KerasCall("AUC", {"name": "auc", "multi_label": True, "from_logits": True}),
    distillation=_soft_crossentropy,
    activation="sigmoid",
    activate=_sigmoid,
    constant=_constant,
    chosen=_chosen,
    # Of rare labels, accuracy is high where nothing is found; F1 counts what was found,
    # and the mean over labels counts a rare one as much as a frequent one.
    metric="f1_score",
    mean_metric="f1_score",
    shown=(
        "recall",
        "precision",
        "f1_score",
        "subset_accuracy",
        "label_accuracy",
        "auc",
    ),
    objectives=table_of(
        *rate_metrics(_sums, _occurring, "f1", "macro_f1"),
        share_metric(
            "micro_f1_score", sums=_sums, figure=_micro_f1, aliases=("micro_f1",)
        ),
        share_metric(
            "subset_accuracy", values=_all_right, aliases=("accuracy", "exact_match")
        ),
        share_metric(
            "label_accuracy", values=_share_right, aliases=("binary_accuracy",)
        ),
        share_metric("auc", figure=_area, aliases=("roc_auc",)),
        error_metric(
            "loss",
            values=_crossentropy,
            aliases=("crossentropy", "binary_crossentropy"),
        ),
    ),
    confusion=label_confusion,
)
