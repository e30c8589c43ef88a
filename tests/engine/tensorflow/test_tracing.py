"""What is trained and measured leaves no graph behind."""

from collections.abc import Callable

import keras
import psutil
import pytest
import tensorflow as tf
from tuning.made_data import digits, graphs, made_loop, small_spec

from kscale.engine.base import Network
from kscale.engine.engines import make_engine
from kscale.engine.recipe import Recipe
from kscale.networks.families import find_family


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


@pytest.mark.slow
def test_memory_stays_flat_over_hundreds_of_trainings() -> None:
    """Programs that are kept are bounded, and nothing else stays of a training."""
    engine, recipe = make_engine("none"), Recipe(epochs=2, batch_size=256)
    placed, mlp = engine.place(digits()), find_family("mlp")
    order = recipe.order(len(digits().train), 1, 0)
    held = []
    for number in range(300):
        spec = small_spec(depth=1 + number % 2, width=4 + number // 2 % 75)
        blueprint = mlp.blueprint(spec, digits().task)
        network = Network(blueprint, mlp.size(spec, digits().task))
        program = engine.program([network], placed, recipe)
        program.start([number], [0.01])
        program.run_epoch([order])
        program.predict(digits().validation.inputs)
        program.close()
        held.append(psutil.Process().memory_info().rss)
    assert held[-1] - held[100] < 40 * 2**20
