"""Tasks say what a network takes in and puts out, and refuse what cannot be."""

import json
from typing import Any

import pytest

from kscale.errors import DataError
from kscale.task.tasks import Input, Target, Task


@pytest.mark.parametrize(
    ("kind", "shape", "vocabulary", "says"),
    [
        ("video", (4,), 0, "Known: vector, image, tokens, sequence"),
        ("image", (28, 28), 0, "3 sides"),
        ("vector", (0,), 0, "at least 1"),
        ("tokens", (5,), 0, "vocabulary >= 1"),
        ("vector", (5,), 9, "0 for other kinds"),
    ],
)
def test_inputs_that_cannot_be_are_refused(
    kind: Any, shape: tuple[int, ...], vocabulary: int, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        Input("x", kind, shape, vocabulary)


@pytest.mark.parametrize(
    ("kind", "outputs", "says"),
    [
        ("classes", 1, "outputs >= 2.*'y'"),
        ("real", 0, "outputs >= 1.*'y'"),
        ("rank", 3, "Known: classes, labels, real"),
    ],
)
def test_targets_that_cannot_be_are_refused(kind: Any, outputs: int, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Target("y", kind, outputs)


def test_only_tokens_are_whole_numbers() -> None:
    assert Task.of("tokens", (5,), vocabulary=9).inputs[0].dtype == "int32"
    assert Task.of("image", (5, 5, 1)).inputs[0].dtype == "float32"


def test_loss_and_metric_follow_the_kind_of_target() -> None:
    classes, real = Target("a", "classes", 3), Target("b", "real", 1)
    assert (classes.head.loss.name, classes.head.metric) == (
        "SparseCategoricalCrossentropy",
        "accuracy",
    )
    assert (real.head.loss.name, real.head.metric) == (
        "MeanSquaredError",
        "root_mean_squared_error",
    )


def test_a_task_survives_json() -> None:
    task = Task(
        (Input("ids", "tokens", (8,), 20), Input("x", "image", (4, 4, 1))),
        (Target("label", "classes", 2, ("no", "yes")), Target("value", "real", 3)),
    )
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


def test_a_task_of_nothing_to_predict_has_no_targets() -> None:
    assert Task.of("vector", (3,)).targets == ()
    assert Task.of("vector", (3,), values=2).targets == (Target("value", "real", 2),)
