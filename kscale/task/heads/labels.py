"""Labels: any number of several names may be right at once."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from kscale.task.heads.base import (
    Array,
    Head,
    KerasCall,
    error_metric,
    figure_of,
    hit_metric,
    share_metric,
    table_of,
)
from kscale.task.heads.classes import LEAST_SHARE, mean_area, shares_of_counts

THRESHOLD = 0.5  # of a probability, from which on a label is an answer


def _sigmoid(outputs: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(outputs, -80, 80))))


def _counts(labels: Array, outputs: int) -> NDArray[np.int64]:
    return np.asarray(labels.sum(axis=0, dtype=np.int64))


def _shares_of_labels(labels: Array, outputs: int) -> NDArray[np.float64]:
    return np.asarray(labels.mean(axis=0, dtype=np.float64))


def rarest_labels(labels: Array) -> NDArray[np.int64]:
    """Of each example its rarest label, or the number of labels where it has none.

    Example:

    >>> rarest_labels(np.array([[1, 0], [1, 1], [0, 0], [1, 0]])).tolist()
    [0, 1, 2, 0]
    """
    order = np.argsort(labels.sum(axis=0), kind="stable")
    first = order[labels[:, order].argmax(axis=1)]
    return np.asarray(np.where(labels.any(axis=1), first, labels.shape[1]))


def _chosen(given: Array, most: int | None) -> list[int]:
    order = np.argsort(-given, kind="stable")
    likely: list[int] = order[given[order] >= THRESHOLD].tolist()
    return likely


def _answers(given: Array) -> NDArray[np.bool_]:
    return np.asarray(given >= THRESHOLD)


def label_metrics(labels: Array, given: Array) -> dict[str, float]:
    """Recall, precision and F1 score, the means over the labels that occur (macro).

    A share of nothing is 0, as in Keras.

    Example:

    >>> given = np.array([[0.9, 0.1], [0.8, 0.6], [0.2, 0.3]])
    >>> label_metrics(np.array([[1, 0], [0, 1], [1, 1]]), given)["recall"]
    0.5
    """
    right, support, answers = _figures(labels, given)
    there = np.flatnonzero(support)
    if not len(there):
        return dict.fromkeys(("recall", "precision", "f1_score"), float("nan"))
    return shares_of_counts(right[there], support[there], answers[there])


def _figures(labels: Array, given: Array) -> tuple[Array, Array, Array]:
    """Of each label: how often rightly given, how often there, and how often given."""
    answers = _answers(given)
    right = (answers & (labels > 0)).sum(axis=0)
    return right, labels.sum(axis=0), answers.sum(axis=0)


def _area(labels: Array, given: Array) -> float:
    return mean_area(labels > 0, given)


def _all_right(labels: Array, given: Array) -> Array:
    return np.asarray((_answers(given) == (labels > 0)).all(axis=1))


def _share_right(labels: Array, given: Array) -> Array:
    return np.asarray((_answers(given) == (labels > 0)).mean(axis=1))


def _micro_f1_score(labels: Array, given: Array) -> float:
    right, support, answers = (each.sum() for each in _figures(labels, given))
    return float(2 * right / max(support + answers, 1))


def _crossentropy(labels: Array, given: Array) -> float:
    right = np.where(labels > 0, given, 1 - given)
    return float(-np.log(np.maximum(right, LEAST_SHARE)).mean())


def _measure(labels: Array, given: Array) -> dict[str, float]:
    return {
        **label_metrics(labels, given),
        "subset_accuracy": float(_all_right(labels, given).mean()),
        "label_accuracy": float(_share_right(labels, given).mean()),
        "auc": _area(labels, given),
    }


def label_confusion(labels: Array, given: Array) -> list[list[int]]:
    """How often each label was found, missed and given wrongly.

    The number of labels stands for no label: `[label, label, found]`,
    `[label, none, missed]`, `[none, label, given wrongly]`.

    Example:

    >>> given = np.array([[0.9, 0.1], [0.8, 0.6], [0.2, 0.3]])
    >>> label_confusion(np.array([[1, 0], [0, 1], [1, 1]]), given)
    [[0, 0, 1], [0, 2, 1], [2, 0, 1], [1, 1, 1], [1, 2, 1]]
    """
    nothing = labels.shape[1]
    cells = []
    figures = np.stack(_figures(labels, given), axis=1).tolist()
    for place, (right, support, answers) in enumerate(figures):
        cells += [
            [place, place, right],
            [place, nothing, support - right],
            [nothing, place, answers - right],
        ]
    return [cell for cell in cells if cell[2]]


LABELS = Head(
    kind="labels",
    title="labels",
    nouns=("label", "labels"),
    constant_words="the labels that most examples have",
    least_outputs=2,
    dtype="int32",
    has_columns=True,
    is_scaled=False,
    is_exclusive=False,
    counts=_counts,
    strata=rarest_labels,
    loss=KerasCall("BinaryCrossentropy", {"from_logits": True}),
    one_hot_loss=None,
    smooths=True,
    # Accuracy is high where nothing is found, and Keras' F1 takes no logits.
    watched=KerasCall("AUC", {"name": "auc", "multi_label": True, "from_logits": True}),
    activation="sigmoid",
    activate=_sigmoid,
    constant=_shares_of_labels,
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
    measure=_measure,
    objectives=table_of(
        share_metric(
            "f1_score", partial(figure_of, label_metrics, "f1_score"), "f1", "macro_f1"
        ),
        share_metric("micro_f1_score", _micro_f1_score, "micro_f1"),
        share_metric("recall", partial(figure_of, label_metrics, "recall")),
        share_metric("precision", partial(figure_of, label_metrics, "precision")),
        hit_metric("subset_accuracy", _all_right, "accuracy", "exact_match"),
        hit_metric("label_accuracy", _share_right, "binary_accuracy"),
        share_metric("auc", _area, "roc_auc"),
        error_metric("loss", _crossentropy, "crossentropy", "binary_crossentropy"),
    ),
    confusion=label_confusion,
)
