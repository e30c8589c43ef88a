"""What is trained and measured leaves no graph behind."""

from collections.abc import Callable

import keras
import pytest
import tensorflow as tf
from tuning.made_data import digits, graphs, made_loop, small_spec

from kscale.engine.engines import make_engine
from kscale.engine.recipe import Recipe


def train() -> None:
    recipe = Recipe(epochs=1, batch_size=512)
    loop = made_loop(small_spec(), recipe, on_device=True)
    loop.run_epoch([recipe.order(len(digits().train), 1, 0)])
    loop.score()
    loop.predict({"x": digits().validation.inputs["x"][:9]})


def measure() -> None:
    layers = [keras.Input((8, 8, 1)), keras.layers.Dense(4, "swish")]
    make_engine().latency(keras.Sequential(layers), digits().task)


@pytest.mark.parametrize("trace", [train, measure])
def test_a_graph_is_freed_with_its_network(trace: Callable[[], None]) -> None:
    tf.compat.v1.get_default_graph()  # there is one in every process
    before = graphs()
    trace()
    assert graphs() <= before
