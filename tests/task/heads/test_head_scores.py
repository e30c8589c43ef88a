"""Scores of heads against hand-worked numbers, and against those of Keras."""

import keras
import numpy as np
import pytest

from kscale.guests.network_outputs import network_output
from kscale.task.evaluation import mean_error
from kscale.task.heads import HEADS
from kscale.task.heads.base import Head
from kscale.task.heads.classes import softmax
from kscale.task.objectives import find_objective, task_objective
from kscale.task.tasks import Target, Task

BINARY = Target("y", "classes", 2)
THREE = Target("y", "classes", 3)
REAL = Target("y", "real", 1)


LABELS = np.array([0, 1, 1, 1, 0, 1])
CHANCES = np.array([0.2, 0.9, 0.6, 0.4, 0.7, 0.8])  # predicted: 0 1 1 0 1 1
GIVEN = np.stack([1 - CHANCES, CHANCES], axis=1)

WIDE = np.array([0, 0, 0, 1, 1, 2])
ONE_HOT = np.eye(3)[[0, 0, 1, 1, 2, 2]] * 0.8 + 0.1


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("accuracy", 4 / 6),
        ("recall", 3 / 4),  # of the second class: 3 of its 4 found
        ("precision", 3 / 4),
        ("f1", 3 / 4),
        ("auc", 6 / 8),  # of 8 pairs (0.2, 0.7) x (0.9, 0.6, 0.4, 0.8), 6 in order
    ],
)
def test_scores_of_two_classes_are_of_the_second(name: str, score: float) -> None:
    objective = find_objective(name, BINARY)
    assert objective.compute(LABELS, GIVEN) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("accuracy", 4 / 6),
        ("recall", (2 / 3 + 1 / 2 + 1) / 3),
        ("precision", (1 + 1 / 2 + 1 / 2) / 3),
        ("f1_score", (4 / 5 + 1 / 2 + 2 / 3) / 3),
    ],
)
def test_scores_of_more_classes_are_means_over_them(name: str, score: float) -> None:
    objective = find_objective(name, THREE)
    assert objective.compute(WIDE, ONE_HOT) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "score"),
    [("rmse", np.sqrt(2.5)), ("mse", 2.5), ("mae", 1.5), ("loss", 2.5), ("r2", -1.0)],
)
def test_scores_of_real_values(name: str, score: float) -> None:
    wanted = np.array([[1.0], [2.0], [3.0], [4.0]]) * np.sqrt(1.0)
    given = wanted + np.array([[1.0], [-1.0], [2.0], [-2.0]])
    objective = find_objective(name, REAL)
    assert objective.compute(wanted, given) == pytest.approx(score, rel=1e-5)


TARGETS = [Target("y", kind, 7) for kind, head in HEADS.items() if not head.is_sequence]


def made_answers(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Labels that every metric is defined for, and what a network may give."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(60, target.outputs)).astype(np.float32)
    if not target.head.is_named:
        labels = rng.uniform(1.0, 2.0, outputs.shape).astype(np.float32)
        return labels, labels + 0.1 * outputs
    top = target.outputs if target.head.is_exclusive else 2
    labels = rng.integers(0, top, (60, *target.head.label_shape(target.outputs)))
    return labels, target.head.activate(outputs)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.kind)
def test_every_objective_gives_a_score_with_an_error(target: Target) -> None:
    labels, given = made_answers(target)
    task = Task((), (target,))
    for name, objective in target.head.objectives.items():
        score = objective.compute(labels, given)
        assert np.isfinite(score), name
        error = mean_error(task_objective(name, task), task, {"y": (labels, given)})
        assert 0 <= error < 10


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.kind)
def test_shown_metrics_are_among_the_objectives(target: Target) -> None:
    head = target.head
    assert {head.metric, head.mean_metric, *head.shown} <= head.objectives.keys()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.kind)
def test_activations_are_those_of_keras_and_are_undone(target: Target) -> None:
    outputs = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    given = target.head.activate(outputs)
    expected = getattr(keras.activations, target.head.activation)(outputs)
    np.testing.assert_allclose(given, np.asarray(expected), atol=1e-6)
    again = target.head.activate(np.asarray(network_output(target, given, False)))
    np.testing.assert_allclose(again, given, atol=1e-6)


@pytest.mark.parametrize("head", HEADS.values(), ids=lambda head: head.kind)
def test_what_goes_into_a_mean_over_targets_is_best_at_1(head: Head) -> None:
    metric = head.objectives[head.mean_metric]
    assert metric.higher_is_better
    assert metric.is_share or head.kind == "real"


KERAS = {
    "real": {
        "root_mean_squared_error": "RootMeanSquaredError",
        "mean_squared_error": "MeanSquaredError",
        "mean_absolute_error": "MeanAbsoluteError",
        "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
        "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
        "log_cosh_error": "LogCoshError",
        "r2_score": "R2Score",
    },
    "classes": {
        "accuracy": "SparseCategoricalAccuracy",
        "top_5_accuracy": "SparseTopKCategoricalAccuracy",
        "loss": "SparseCategoricalCrossentropy",
        "categorical_crossentropy": "SparseCategoricalCrossentropy",
    },
}


@pytest.mark.parametrize(
    ("kind", "name", "keras_class"),
    [(kind, *pair) for kind, names in KERAS.items() for pair in names.items()],
)
def test_scores_are_those_of_keras(kind: str, name: str, keras_class: str) -> None:
    target = Target("y", kind, 7)
    labels, given = made_answers(target)
    metric = getattr(keras.metrics, keras_class)()
    metric.update_state(labels, given)
    score = target.head.objectives[name].compute(labels, given)
    assert score == pytest.approx(float(metric.result()), rel=1e-5)


def test_a_softmax_does_not_overflow() -> None:
    logits = np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]])
    np.testing.assert_allclose(softmax(logits), [[0.5, 0.5], [0.25, 0.75]])
