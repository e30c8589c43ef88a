"""Scores against hand-worked numbers, and their standard errors."""

import keras
import numpy as np
import pytest

from kscale.task.objectives import OBJECTIVES, find_objective
from kscale.task.scores import probabilities, score_of, stderr_of
from kscale.task.tasks import Target

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
    assert score_of(objective, BINARY, LABELS, GIVEN) == pytest.approx(score, abs=1e-6)


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
    assert score_of(objective, THREE, WIDE, ONE_HOT) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "score"),
    [("rmse", np.sqrt(2.5)), ("mse", 2.5), ("mae", 1.5), ("loss", 2.5), ("r2", -1.0)],
)
def test_scores_of_real_values(name: str, score: float) -> None:
    wanted = np.array([[1.0], [2.0], [3.0], [4.0]]) * np.sqrt(1.0)
    given = wanted + np.array([[1.0], [-1.0], [2.0], [-2.0]])
    objective = find_objective(name, REAL)
    assert score_of(objective, REAL, wanted, given) == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("target", [BINARY, THREE, REAL], ids=lambda t: t.kind)
def test_every_objective_gives_a_score_with_an_error(target: Target) -> None:
    rng = np.random.default_rng(0)
    if target.kind == "real":
        wanted = rng.uniform(1.0, 2.0, (60, 1)).astype(np.float32)
        given = wanted + rng.normal(0, 0.1, (60, 1)).astype(np.float32)
    else:
        wanted = rng.integers(0, target.outputs, 60)
        given = probabilities(rng.normal(size=(60, target.outputs)))
    for objective in OBJECTIVES[target.kind].values():
        score = score_of(objective, target, wanted, given)
        assert np.isfinite(score), objective.name
        assert 0 <= stderr_of(objective, target, wanted, given) < 10


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_every_keras_class_named_exists(kind: str) -> None:
    for objective in OBJECTIVES[kind].values():  # type: ignore[index]
        if objective.keras_class:
            assert issubclass(
                getattr(keras.metrics, objective.keras_class), keras.Metric
            )


def test_the_error_of_a_perfect_accuracy_is_not_zero() -> None:
    wanted = np.zeros(96, int)
    given = np.tile([1.0, 0.0], (96, 1))
    objective = find_objective("accuracy", BINARY)
    # Agresti & Coull: (96 + 2) / (96 + 4) = .98 of 100.
    error = stderr_of(objective, BINARY, wanted, given)
    assert error == pytest.approx(np.sqrt(0.98 * 0.02 / 100))


def test_the_jackknife_gives_the_error_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    wanted = np.zeros((2000, 1))
    given = rng.exponential(1.0, (2000, 1))
    objective = find_objective("mae", REAL)
    error = stderr_of(objective, REAL, wanted, given)
    # Standard deviation 1 over the root of 2,000; 20 groups give it to about 16 %.
    assert error == pytest.approx(1 / np.sqrt(2000), rel=0.6)


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    logits = np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]])
    np.testing.assert_allclose(probabilities(logits), [[0.5, 0.5], [0.25, 0.75]])
