"""Multi-layer perceptrons have the size of the formula, and of Keras."""

from typing import Any

import pytest
from contracts.family import check_size_equals_keras

from kscale.networks.families.mlp import FAMILY
from kscale.task.tasks import Input, Target, Task

SEVERAL = Task(
    (Input("x", "vector", (5,)),),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (Task.of("vector", (5,), values=1), {"depth": 1, "width": 7}),
        (Task.of("image", (7, 9, 3), classes=4), {"depth": 2, "norm": "layer"}),
        (Task.of("image", (28, 28, 1), classes=10), {"depth": 4, "norm": "none"}),
        (Task.of("sequence", (3, 2), classes=2), {"depth": 3, "dropout": 0.5}),
        (SEVERAL, {"depth": 3, "width": 1}),
        (Task.of("vector", (5,)), {"depth": 2}),
    ],
)
def test_sizes_equal_keras(task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


def test_size_by_hand() -> None:
    task = Task.of("vector", (20,), classes=3)
    plain = FAMILY.size(FAMILY.spec(depth=3, width=16, norm="none"), task)
    assert plain.params == (20 * 16 + 16) + 2 * (16 * 16 + 16) + (16 * 3 + 3)
    # A batch norm replaces each bias: scale, shift and two statistics a unit.
    batch = FAMILY.size(FAMILY.spec(depth=3, width=16, norm="batch"), task)
    assert batch.params == plain.params + 3 * (4 * 16 - 16)
    assert batch.params - batch.trainable == 3 * 2 * 16
