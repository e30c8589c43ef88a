"""Depthwise convolutions, padding, pools and gates are counted and built alike."""

import keras
import numpy as np
import pytest
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.naming import layer_name
from kscale.networks.blueprint import (
    Blueprint,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePool,
    Layer,
    MaxPool2D,
    Multiply,
    ZeroPad2D,
)
from kscale.networks.sizing import size_of, size_rows
from kscale.task.tasks import Input


def network(shape: tuple[int, ...], *layers: Layer) -> Blueprint:
    """Layers on one image `x`; the last layer is the output."""
    return Blueprint((Input("x", "image", shape),), layers, (layers[-1].name,))


def test_depthwise_convolution_has_one_kernel_a_channel() -> None:
    conv = DepthwiseConv2D(3, strides=2, name="c")
    (row,) = size_rows(network((7, 9, 6), conv))
    assert row.shape == (4, 5, 6)
    assert row.params == 3 * 3 * 6 + 6
    assert row.flops == 2 * 4 * 5 * 3 * 3 * 6


@pytest.mark.parametrize(
    ("pool", "sides"),
    [
        (MaxPool2D(name="p"), (3, 4)),
        (MaxPool2D(3, name="p"), (2, 3)),
        (MaxPool2D(3, strides=2, name="p"), (3, 4)),
        (MaxPool2D(3, strides=2, padding="same", name="p"), (4, 5)),
        (MaxPool2D(9, strides=1, padding="same", name="p"), (7, 9)),
        (ZeroPad2D(3, name="p"), (13, 15)),
    ],
)
def test_pools_and_padding_change_the_sides(pool: Layer, sides: tuple[int]) -> None:
    (row,) = size_rows(network((7, 9, 3), pool))
    assert row.shape == (*sides, 3)
    assert row.params == row.flops == 0


def test_padding_and_gating_take_memory_of_their_own() -> None:
    layers = (
        ZeroPad2D(1, name="pad"),
        DepthwiseConv2D(3, padding="valid", name="conv"),
        GlobalAveragePool(name="pool"),
        Dense(2, name="gate"),
        Multiply(name="scale", inputs=("conv", "gate")),
        Conv2D(1, 1, name="out"),
    )
    size = size_of(network((4, 4, 2), *layers))
    image, padded, vector, out = 4 * 4 * 2, 6 * 6 * 2, 2, 4 * 4
    # Most is alive in the convolution: the input, its padded copy, the output.
    assert size.activation_bytes == 4 * (image + padded + image)
    held = 3 * image + padded + 2 * vector + out
    assert size.training_activation_bytes == 4 * held


def test_factors_need_the_shape_or_one_for_each_channel() -> None:
    gate = Dense(3, name="gate", inputs=("pool",))
    pool = GlobalAveragePool(name="pool")
    for inputs in (("gate", "x"), ("x", "gate", "wide")):
        wide = Dense(4, name="wide", inputs=("x",))
        multiply = Multiply(name="bad", inputs=inputs)
        with pytest.raises(SpecError, match="'bad' needs .* a factor for each channel"):
            size_of(network((4, 5, 3), pool, gate, wide, multiply))


@pytest.mark.parametrize("shape", [(7, 9, 3), (8, 8, 1), (5, 6, 2)])
def test_depthwise_convolutions_padding_and_gates_on_odd_images(
    shape: tuple[int, ...],
) -> None:
    layers = (
        ZeroPad2D(2, name="pad"),
        DepthwiseConv2D(5, strides=2, name="a"),
        DepthwiseConv2D(3, 1, "valid", use_bias=False, name="b", inputs=("pad",)),
        MaxPool2D(3, strides=2, name="m"),
        MaxPool2D(3, strides=1, padding="same", name="same"),
        GlobalAveragePool(name="g"),
        Dense(shape[-1], activation="sigmoid", name="gate"),
        Multiply(name="scale", inputs=("a", "gate")),
        Multiply(name="product", inputs=("scale", "a", "gate")),
    )
    blueprint = Blueprint((Input("x", "image", shape),), layers, ("product", "same"))
    model = check_size_equals_keras(blueprint)
    for row in size_rows(blueprint):
        assert model.get_layer(layer_name(row.path)).output.shape[1:] == row.shape
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    names = ("pad", "a", "b", "m", "gate", "product")
    outputs = [model.get_layer(name).output for name in names]
    values = [np.asarray(value) for value in keras.Model(model.input, outputs)(x)]
    pad, a, b, m, gate, product = values
    np.testing.assert_array_equal(pad, np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))))
    kernel = model.get_layer("b").get_weights()[0][..., 0]
    expected = (pad[:, :3, :3] * kernel).sum(axis=(1, 2))
    np.testing.assert_allclose(b[:, 0, 0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(m[:, 0, 1], b[:, :3, 2:5].max(axis=(1, 2)))
    np.testing.assert_allclose(product, a**2 * gate[:, None, None] ** 2, rtol=1e-4)


def test_depthwise_kernels_start_with_the_spread_of_what_one_output_reads() -> None:
    layers = (DepthwiseConv2D(5, name="a"),)
    model = build_model(Blueprint((Input("x", "image", (5, 5, 400)),), layers, ("a",)))
    kernel = model.get_layer("a").get_weights()[0]
    # He: sqrt(2 / 25); of 10,000 numbers the deviation is known to 1 %.
    assert kernel.std() == pytest.approx((2 / 25) ** 0.5, rel=0.05)
