"""Distillation: how far outputs are from those of a teacher, for every kind."""

import keras
import numpy as np
import pytest

from kscale.task.heads import HEADS

TEACHER = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], np.float32)
OUTPUTS = np.array([[1.0, 0.0, -2.0], [0.0, 1.0, 2.0]], np.float32)


@pytest.mark.parametrize("kind", [k for k, it in HEADS.items() if it.distillation])
def test_numpy_and_keras_agree_and_the_teacher_is_the_best_answer(kind: str) -> None:
    loss = HEADS[kind].distillation
    found = loss(np, TEACHER, OUTPUTS, 2.0)
    assert found.shape == (2,)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loss(keras.ops, TEACHER, OUTPUTS, 2.0)),
        found,
        rtol=1e-5,
    )
    assert np.all(loss(np, TEACHER, TEACHER, 2.0) < found)


def test_classes_are_compared_as_hinton_does() -> None:
    def softened(logits: np.ndarray) -> np.ndarray:
        shares = np.exp(logits / 3)
        return shares / shares.sum(axis=1, keepdims=True)

    wanted, given = softened(TEACHER), softened(OUTPUTS)
    by_hand = 9 * (wanted * np.log(wanted / given)).sum(axis=1)
    found = HEADS["classes"].distillation(np, TEACHER, OUTPUTS, 3.0)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)
    # Without the factor, gradients would vanish as the temperature rises.
    hot = HEADS["classes"].distillation(np, TEACHER, OUTPUTS, 100.0)
    assert np.all(hot > 0.1 * found)


def test_labels_are_compared_one_by_one() -> None:
    wanted, given = 1 / (1 + np.exp(-TEACHER)), 1 / (1 + np.exp(-OUTPUTS))
    by_hand = -(wanted * np.log(given) + (1 - wanted) * np.log(1 - given)).mean(axis=1)
    found = HEADS["labels"].distillation(np, TEACHER, OUTPUTS, 1.0)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_values_have_no_temperature() -> None:
    loss = HEADS["real"].distillation
    np.testing.assert_allclose(loss(np, TEACHER, OUTPUTS, 7.0), [2 / 3, 1.5 / 3])
