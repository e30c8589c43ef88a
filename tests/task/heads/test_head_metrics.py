"""Metrics in NumPy agree with scikit-learn's, and say so where there is none."""

import numpy as np
import pytest
from sklearn import metrics as known

from kscale.task.heads import HEADS
from kscale.task.heads.classes import area_under_curve, confusion_of, softmax


def measured(kind: str, labels: np.ndarray, given: np.ndarray) -> dict[str, float]:
    """The metrics of every result."""
    metrics = HEADS[kind].objectives
    return {name: metrics[name].compute(labels, given) for name in HEADS[kind].shown}


def made_answers(classes: int, examples: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Labels and chances that follow them a little; many chances are the same."""
    rng = np.random.default_rng(classes)
    wanted = rng.integers(0, classes, examples)
    logits = np.round(rng.normal(size=(examples, classes)), 1)
    logits[np.arange(examples), wanted] += 1
    return wanted, softmax(logits)


@pytest.mark.parametrize("classes", [2, 3, 30])
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    wanted, given = made_answers(classes)
    chosen = given.argmax(axis=1)
    how = {"average": "binary" if classes == 2 else "macro", "zero_division": 0}
    found = measured("classes", wanted, given)
    auc = known.roc_auc_score(
        wanted, given[:, 1] if classes == 2 else given, multi_class="ovr"
    )
    assert found == pytest.approx(
        {
            "accuracy": known.accuracy_score(wanted, chosen),
            "recall": known.recall_score(wanted, chosen, **how),
            "precision": known.precision_score(wanted, chosen, **how),
            "f1_score": known.f1_score(wanted, chosen, **how),
            "auc": auc,
        }
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_metrics_of_values_are_those_of_scikit_learn(outputs: int) -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(5.0, 2.0, (200, outputs)).astype(np.float32)
    given = wanted + rng.normal(0.0, 1.0, wanted.shape).astype(np.float32)
    found = measured("real", wanted, given)
    assert found == pytest.approx(
        {
            "root_mean_squared_error": np.sqrt(known.mean_squared_error(wanted, given)),
            "mean_absolute_error": known.mean_absolute_error(wanted, given),
            "r2_score": known.r2_score(wanted, given),
        },
        rel=1e-5,
    )


def test_a_class_that_does_not_occur_does_not_count() -> None:
    wanted, given = made_answers(3)
    there = wanted < 2
    found = measured("classes", wanted[there], given[there])
    chosen = given[there].argmax(axis=1)
    recalls = [(chosen[wanted[there] == c] == c).mean() for c in (0, 1)]
    assert found["recall"] == pytest.approx(np.mean(recalls))


def test_one_class_alone_has_no_curve() -> None:
    given = np.array([[0.4, 0.6], [0.7, 0.3]])
    assert np.isnan(area_under_curve(np.array([1, 1]), given))
    assert np.isnan(area_under_curve(np.array([0, 0]), given))


def test_chances_that_are_all_the_same_order_nothing() -> None:
    wanted = np.array([0, 1, 2, 1])
    given = np.tile([0.5, 0.3, 0.2], (4, 1))
    assert area_under_curve(wanted, given) == 0.5


def test_a_constant_value_has_an_r2_of_0() -> None:
    wanted = np.array([[1.0, 1.0], [1.0, 3.0]])
    assert measured("real", wanted, wanted)["r2_score"] == pytest.approx((0 + 1) / 2)


def test_the_confusion_is_that_of_scikit_learn() -> None:
    wanted, given = made_answers(5)
    matrix = np.zeros((5, 5), int)
    for label, answer, examples in confusion_of(wanted, given):
        matrix[label, answer] = examples
    expected = known.confusion_matrix(wanted, given.argmax(axis=1))
    np.testing.assert_array_equal(matrix, expected)
