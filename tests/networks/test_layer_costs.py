"""Rules of single records against figures worked out by hand."""

from typing import Any

import numpy as np
import pytest

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    Add,
    Blueprint,
    Conv2D,
    Dense,
    Embedding,
    Layer,
    Positions,
    Prepend,
    Recurrent,
    Reshape,
)
from kscale.networks.sizing import size_of, size_rows
from kscale.task.tasks import Input


def network(shape: tuple[int, ...], *layers: Layer) -> Blueprint:
    """Layers on one input `x`; the last layer is the output."""
    x = Input("x", {1: "vector", 2: "sequence", 3: "image"}[len(shape)], shape)
    return Blueprint((x,), layers, (layers[-1].name,))


def test_a_recurrent_layer_with_its_gates_and_states() -> None:
    size = size_of(network((5, 3), Recurrent(2, name="r")))
    # Four gates read 3 features and 2 of the state, each with a bias.
    assert size.params == size.trainable == 4 * (3 * 2 + 2 * 2 + 2)
    assert size.flops == 2 * 5 * 4 * (3 * 2 + 2 * 2)
    # Input 5 x 3, output 5 x 2; at each position four gates, a cell and an output of 2.
    assert size.activation_bytes == 4 * (15 + 10 + 5 * (4 + 2) * 2)
    assert size.training_activation_bytes == size.activation_bytes


def test_a_recurrent_layer_of_both_directions_that_keeps_the_last_state() -> None:
    gru = Recurrent(2, "gru", bidirectional=True, sequences=False, name="r")
    size = size_of(network((5, 3), gru))
    # Keras' GRU has one bias for what it reads and one for the state.
    assert size.params == 2 * 3 * (3 * 2 + 2 * 2 + 2 * 2)
    assert size.flops == 2 * 5 * 2 * 3 * (3 * 2 + 2 * 2)
    # Input 5 x 3, output 2 x 2; both ways, three gates and a state of 2 at each.
    assert size.activation_bytes == 4 * (15 + 4 + 2 * 5 * (3 + 1) * 2)


def test_reshaping_holds_nothing_and_a_class_token_is_one_position_more() -> None:
    layers = (
        Conv2D(3, 2, strides=2, name="patches"),  # alive: input 16, patches 12
        Reshape((4, -1), name="rows"),  # the same 12
        Prepend(name="token"),  # input 16, rows 12, token 15
        Positions(name="places"),  # input 16, token 15, ids 5
        Embedding(5, 3, name="table"),  # input 16, token 15, ids 5, table 15
        Add(name="sum", inputs=("token", "table")),  # 16 + 15 + 15 + 15
    )
    blueprint = network((4, 4, 1), *layers)
    shapes = {row.path: row.shape for row in size_rows(blueprint)}
    assert shapes["rows"] == (4, 3) and shapes["token"] == (5, 3)
    assert shapes["places"] == (5,)
    size = size_of(blueprint)
    assert size.params == (2 * 2 * 3 + 3) + 3 + 5 * 3
    assert size.activation_bytes == 4 * (16 + 3 * 15)


@pytest.mark.parametrize("units", [6, np.array([6, 12])])
def test_one_side_of_a_reshape_takes_what_remains(units: Any) -> None:
    layers = (Dense(units, name="d"), Reshape((2, -1, 3), name="r"))
    shape = size_rows(network((4,), *layers))[-1].shape
    assert np.all(shape[1] * 6 == units)
    with pytest.raises(SpecError, match="as many elements as its output of 4x-1"):
        size_of(network((4,), layers[0], Reshape((4, -1), name="r")))


@pytest.mark.parametrize(
    ("shape", "layer", "needs"),
    [
        ((4,), Recurrent(4, name="bad"), "a sequence"),
        ((4,), Prepend(name="bad"), "a sequence"),
        ((4, 4, 1), Positions(name="bad"), "ids .* or a sequence"),
        ((4, 4), Reshape((3, 5), name="bad"), "its output of 3x5, but got"),
    ],
)
def test_what_a_record_cannot_read_is_refused(
    shape: tuple[int, ...], layer: Layer, needs: str
) -> None:
    with pytest.raises(SpecError, match=f"'bad' needs .*{needs}"):
        size_of(network(shape, layer))
