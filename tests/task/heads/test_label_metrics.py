"""Metrics of labels of which several may be true agree with scikit-learn's."""

import keras
import numpy as np
import pytest
from sklearn import metrics as known

from kscale.task.heads.classes import CLASSES
from kscale.task.heads.labels import LABELS, label_confusion, rarest_labels


def measured(labels: np.ndarray, given: np.ndarray) -> dict[str, float]:
    """The metrics of every result."""
    metrics = LABELS.objectives
    return {name: metrics[name].compute(labels, given) for name in LABELS.shown}


def made_answers() -> tuple[np.ndarray, np.ndarray]:
    """Labels of different frequency, the last never, and chances that follow them."""
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(300, 4)) < [0.5, 0.2, 0.05, 0.0]).astype(np.int32)
    logits = rng.normal(size=labels.shape) + 1.5 * labels - 0.5
    return labels, LABELS.activate(np.round(logits, 1))


def test_metrics_of_labels_are_those_of_scikit_learn() -> None:
    labels, given = made_answers()
    chosen = given >= 0.5
    there = labels.any(axis=0)
    how = {"average": "macro", "zero_division": 0}
    wanted, answers = labels[:, there], chosen[:, there]
    assert measured(labels, given) == pytest.approx(
        {
            "recall": known.recall_score(wanted, answers, **how),
            "precision": known.precision_score(wanted, answers, **how),
            "f1_score": known.f1_score(wanted, answers, **how),
            "subset_accuracy": known.accuracy_score(labels, chosen),
            "label_accuracy": 1 - known.hamming_loss(labels, chosen),
            "auc": known.roc_auc_score(wanted, given[:, there]),
        }
    )
    micro = LABELS.objectives["micro_f1_score"].compute
    assert micro(labels, given) == pytest.approx(
        known.f1_score(labels, chosen, average="micro")
    )


def test_the_loss_is_that_of_keras() -> None:
    labels, given = made_answers()
    loss = LABELS.objectives["loss"].compute
    expected = float(keras.losses.BinaryCrossentropy()(labels, given))
    assert loss(labels, given) == pytest.approx(expected, rel=1e-5)


def test_the_confusion_counts_what_was_found_missed_and_given_wrongly() -> None:
    labels, given = made_answers()
    chosen = given >= 0.5
    found = {
        (wanted, answer): n for wanted, answer, n in label_confusion(labels, given)
    }
    for place in range(labels.shape[1]):
        matrix = known.confusion_matrix(
            labels[:, place], chosen[:, place], labels=[0, 1]
        )
        assert found.get((place, place), 0) == matrix[1, 1]
        assert found.get((place, 4), 0) == matrix[1, 0]
        assert found.get((4, place), 0) == matrix[0, 1]


def test_labels_that_do_not_occur_have_no_metric() -> None:
    labels = np.zeros((5, 2), np.int32)
    found = measured(labels, np.full((5, 2), 0.1))
    assert np.isnan(found["f1_score"]) and np.isnan(found["auc"])
    assert found["subset_accuracy"] == 1


def test_strata_are_the_rarest_labels() -> None:
    labels = np.array(
        [[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 0, 1]]
    )
    assert rarest_labels(labels).tolist() == [1, 0, 2, 3, 1, 2]


def test_answers_are_the_labels_above_a_half_likeliest_first() -> None:
    given = np.array([0.6, 0.4, 0.9])
    assert LABELS.answer(given, ("a", "b", "c")) == ["c", "a"]
    assert LABELS.answer(given / 2, ("a", "b", "c")) == []
    assert LABELS.columns("tags", 3, 1) == ["tags", "tags_probabilities"]
    assert LABELS.cells([("c", 0.9), ("a", 0.6)], 1) == ["c|a", "0.9|0.6"]
    assert LABELS.cells([], 1) == ["", ""]


@pytest.mark.parametrize(
    ("metric", "answers", "score"),
    [
        # Of 8 examples the labels are true of 6, 2, 1 and 0.
        ("label_accuracy", [True, False, False, False], (6 + 6 + 7 + 8) / 32),
        ("subset_accuracy", [True, False, False, False], 3 / 8),
        # Always true: F1 = 2 p / (1 + p), 12 / 14, 4 / 10 and 2 / 9; the last is never.
        ("f1_score", [True, True, True, False], (12 / 14 + 4 / 10 + 2 / 9) / 3),
        # Of the first: 12 / (8 + 9); of the first two: 16 / (16 + 9), which is less.
        ("micro_f1_score", [True, False, False, False], 12 / 17),
    ],
)
def test_the_constant_labels_are_those_that_the_metric_rates_best(
    metric: str, answers: list[bool], score: float
) -> None:
    labels = np.zeros((8, 4), np.int32)
    labels[:6, 0] = labels[2:4, 1] = labels[4, 2] = 1
    given = LABELS.constant(labels, 4, metric).astype(np.float32)
    assert (given >= 0.5).tolist() == answers
    rows = np.tile(given, (8, 1))
    assert LABELS.objectives[metric].compute(labels, rows) == pytest.approx(score)


@pytest.mark.parametrize(
    ("labels", "metric", "answer", "score"),
    [
        ([0, 0, 0, 1], "accuracy", 0, 3 / 4),
        ([0, 0, 0, 1], "f1_score", 1, 2 / 5),  # of two classes that of the second
        ([0, 0, 1, 2], "f1_score", 0, 2 / 3 / 3),
    ],
)
def test_the_constant_class_is_the_one_that_the_metric_rates_best(
    labels: list[int], metric: str, answer: int, score: float
) -> None:
    wanted = np.array(labels)
    given = CLASSES.constant(wanted, wanted.max() + 1, metric)
    assert given.argmax() == answer
    rows = np.tile(given, (len(wanted), 1))
    assert CLASSES.objectives[metric].compute(wanted, rows) == pytest.approx(score)
