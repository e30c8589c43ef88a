"""Linear models are one dense layer, or one weight a token."""

import keras
import numpy as np
import pytest
from contracts.family import check_size_equals_keras

from kscale.errors import SpecError
from kscale.networks.families.linear import FAMILY
from kscale.task.tasks import Input, Target, Task


@pytest.mark.parametrize(
    ("task", "params"),
    [
        (Task.of("vector", (5,), values=1), 6),
        (Task.of("image", (7, 9, 3), classes=4), 189 * 4 + 4),
        (Task.of("sequence", (3, 2), classes=2), 6 * 2 + 2),
        (Task.of("tokens", (6,), vocabulary=11, classes=3), 33),
    ],
)
def test_size(task: Task, params: int) -> None:
    blueprint = FAMILY.blueprint(FAMILY.spec(), task)
    assert check_size_equals_keras(blueprint).count_params() == params


def test_two_targets_both_read_the_input() -> None:
    targets = (Target("a", "classes", 3), Target("b", "real", 1))
    task = Task((Input("x", "vector", (5,)),), targets)
    model = check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(), task))
    assert model.count_params() == 5 * 3 + 3 + 5 * 1 + 1


def test_a_bag_of_words_is_ten_times_the_mean_over_what_is_no_padding() -> None:
    task = Task.of("tokens", (4,), vocabulary=6, classes=2)
    model = check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(), task))
    table = model.get_layer("head.tokens").get_weights()[0]
    out = keras.ops.convert_to_numpy(model(np.array([[2, 5, 0, 0]])))
    np.testing.assert_allclose(out[0], 5 * (table[2] + table[5]), atol=1e-6)


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_without_a_target_there_is_nothing_to_fit(kind: str) -> None:
    task = Task.of("vector", (5,)) if kind == "vector" else Task.of("image", (2, 2, 1))
    with pytest.raises(SpecError, match="needs a target"):
        FAMILY.blueprint(FAMILY.spec(), task)
