"""Blueprints refuse what cannot be a network, with the name that is wrong."""

import numpy as np
import pytest

from kscale.building.keras_calls import call_of
from kscale.errors import SpecError
from kscale.networks.blueprint import (
    Add,
    Attention,
    Blueprint,
    Dense,
    Dropout,
    Layer,
    Recurrent,
    Repeat,
    Scope,
    flat_layers,
)
from kscale.networks.sizing import size_of
from kscale.task.tasks import Input

X = Input("x", "vector", (4,))


def test_equal_records_compare_equal() -> None:
    assert Dense(3, name="a") == Dense(3, name="a") != Dense(3, name="b")


def test_two_layers_of_one_name_are_refused() -> None:
    with pytest.raises(SpecError, match="named 'a'"):
        Blueprint((X,), (Dense(3, name="a"), Dense(4, name="a")), ("a",))
    with pytest.raises(SpecError, match="named 'x'"):
        Blueprint((X,), (Dense(3, name="x"),), ("x",))


def test_nothing_to_build_is_refused() -> None:
    with pytest.raises(SpecError, match="inputs, layers and outputs"):
        Blueprint((X,), (), ("x",))


@pytest.mark.parametrize(
    ("times", "body"), [(0, (Dense(3, name="d"),)), (-1, ()), (2, ())]
)
def test_a_repeat_of_nothing_is_refused(times: int, body: tuple[Dense, ...]) -> None:
    with pytest.raises(SpecError, match="'r' got times="):
        Repeat(body, times, name="r")


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(SpecError, match="heads=3, width=8"):
        Attention(8, 3, name="a", inputs=("x", "x"))
    with pytest.raises(SpecError, match="must divide"):
        Attention(np.array([8, 9]), np.array([2, 2]), name="a", inputs=("x", "x"))


def test_a_recurrent_cell_is_one_of_two() -> None:
    with pytest.raises(SpecError, match="one of lstm, gru, not 'rnn'"):
        Recurrent(8, "rnn", name="r")


class Unheard(Layer):
    """A record of somebody who told neither a cost nor a layer of Keras."""


def test_a_layer_that_is_not_known_is_named() -> None:
    blueprint = Blueprint((X,), (Unheard(name="odd"),), ("odd",))
    with pytest.raises(SpecError, match="layer 'odd' costs is not known.*Unheard"):
        size_of(blueprint)
    with pytest.raises(SpecError, match="'odd' cannot be built: its kind, Unheard"):
        call_of(blueprint.layers[0], ())


def test_copies_have_paths_and_shared_ones_have_one() -> None:
    body = (Dense(3, name="d"),)
    assert Repeat(body, 3, name="a/b").copy_path("top/", 2) == "top/a/b2/"
    assert Repeat(body, 3, name="b", shared=True).copy_path("", 2) == "b/"


def test_an_unknown_name_is_reported() -> None:
    layers = (Dense(3, name="a", inputs=("nowhere",)),)
    with pytest.raises(SpecError, match="reads 'nowhere'"):
        size_of(Blueprint((X,), layers, ("a",)))


def test_a_body_cannot_be_read_from_outside() -> None:
    layers = (
        Repeat((Dense(4, name="inside"),), 2, name="r"),
        Add(name="sum", inputs=("r", "inside")),
    )
    with pytest.raises(SpecError, match="reads 'inside'"):
        size_of(Blueprint((X,), layers, ("sum",)))


def test_scopes_look_outwards_and_keep_what_is_inside() -> None:
    outer = Scope()
    outer["a"] = 1
    inner = Scope(outer)
    inner["b"] = 2
    assert (inner["a"], inner["b"]) == (1, 2)
    with pytest.raises(SpecError, match="'b'"):
        outer["b"]


def test_flat_layers_are_all_records_once_and_in_order() -> None:
    inner = Repeat((Dense(2, name="b"), Dropout(0.1, name="c")), 3, name="inner")
    outer = Repeat((Dense(2, name="a"), inner), 2, name="outer")
    layers = (outer, Dense(1, name="d"))
    blueprint = Blueprint((Input("x", "vector", (2,)),), layers, ("d",))
    assert [layer.name for layer in flat_layers(blueprint)] == ["a", "b", "c", "d"]
