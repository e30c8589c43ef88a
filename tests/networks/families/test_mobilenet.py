"""Inverted bottlenecks have the size of Keras, and make Keras' MobileNetV2."""

from typing import Any

import keras
import numpy as np
import pytest
from contracts.applications import assert_same_outputs, copy_weights
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families.mobilenet import FAMILY, round_channels
from kscale.networks.named import NAMED
from kscale.networks.sizing import size_rows
from kscale.task.tasks import Input, Target, Task

PUBLISHED = NAMED["MobileNetV2"]
SEVERAL = Task(
    (Input("x", "image", (13, 8, 2)),),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (Task.of("image", (7, 9, 3), classes=4), {"depth": 1, "width": 3}),
        (Task.of("image", (28, 28, 1), classes=10), {"squeeze": 4, "kernel": 5}),
        (Task.of("image", (17, 33, 3), values=2), {"expansion": 1, "stages": 2}),
        (Task.of("image", (1, 1, 1), classes=2), {"stages": 3}),
        (
            Task.of("image", (31, 40, 1), classes=2),
            {"stem_stride": 2, "head_width": 24, "dropout": 0.2, "squeeze": 16},
        ),
        (Task.of("image", (96, 97, 3), classes=5), {"depth": 3, "activation": "silu"}),
        (SEVERAL, {"zero_init": False, "kernel": 7}),
        (Task.of("image", (8, 9, 1)), {"layout": "v2", "depth": 1, "squeeze": 8}),
    ],
)
def test_sizes_equal_keras(task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


def test_flops_and_params_of_a_small_network_by_hand() -> None:
    spec = FAMILY.spec(
        depth=2, width=8, stages=2, expansion=3, kernel=5, squeeze=4, head_width=32
    )
    size = FAMILY.size(spec, Task.of("image", (7, 9, 3), classes=4))
    # Inner channels 24 and 48; a quarter in multiples of 8 is 8 (of 6) and 16 (of 12).
    products = 7 * 9 * 9 * 3 * 8
    products += 2 * (7 * 9 * (8 * 24 + 25 * 24 + 24 * 8) + 2 * 24 * 8)
    products += 7 * 9 * 8 * 24 + 4 * 5 * (25 * 24 + 24 * 16) + 2 * 24 * 8
    products += 4 * 5 * (16 * 48 + 25 * 48 + 48 * 16) + 2 * 48 * 16
    products += 4 * 5 * 16 * 32 + 32 * 4
    assert size.flops == 2 * products
    trainable = 9 * 3 * 8 + 2 * 8
    trainable += 2 * (2 * 8 * 24 + 25 * 24 + 2 * (24 + 24 + 8) + 2 * 24 * 8 + 8 + 24)
    trainable += 8 * 24 + 25 * 24 + 24 * 16 + 2 * (24 + 24 + 16) + 2 * 24 * 8 + 8 + 24
    trainable += 2 * 16 * 48 + 25 * 48 + 2 * (48 + 48 + 16) + 2 * 48 * 16 + 16 + 48
    trainable += 16 * 32 + 2 * 32 + 32 * 4 + 4
    assert size.trainable == trainable


def test_flops_of_mobilenetv2_by_hand() -> None:
    # Side that enters, expansion, channels read and written, stride (the paper's
    # table 2, a line a block).
    blocks = [
        (112, 1, 32, 16, 1),
        *((112, 6, 16, 24, 2), (56, 6, 24, 24, 1)),
        *((56, 6, 24, 32, 2), (28, 6, 32, 32, 1), (28, 6, 32, 32, 1)),
        *((28, 6, 32, 64, 2), *[(14, 6, 64, 64, 1)] * 3),
        *((14, 6, 64, 96, 1), *[(14, 6, 96, 96, 1)] * 2),
        *((14, 6, 96, 160, 2), *[(7, 6, 160, 160, 1)] * 2),
        (7, 6, 160, 320, 1),
    ]
    products = 112**2 * 9 * 3 * 32 + 7 * 7 * 320 * 1280 + 1280 * 1000
    for side, expansion, read, wrote, stride in blocks:
        inner = expansion * read
        if expansion > 1:
            products += side**2 * read * inner
        products += (side // stride) ** 2 * (9 * inner + inner * wrote)
    size = FAMILY.size(FAMILY.spec(**PUBLISHED.knobs), PUBLISHED.task)
    assert size.flops == 2 * products == 601_548_544
    assert size.params == 3_538_984


@pytest.mark.parametrize(("alpha", "width"), [(0.75, 12), (1.5, 24)])
def test_widths_are_the_alphas_of_keras(alpha: float, width: int) -> None:
    theirs = keras.applications.MobileNetV2(
        alpha=alpha, weights=None, input_shape=(32, 32, 3), classes=7
    )
    spec = FAMILY.spec(**{**PUBLISHED.knobs, "width": width})
    task = Task.of("image", (32, 32, 3), classes=7)
    assert FAMILY.size(spec, task).params == theirs.count_params()


def test_the_trunk_computes_what_keras_mobilenetv2_computes() -> None:
    side = 75  # strides then meet odd sides (75, 19, 5) and even ones (38, 10)
    theirs = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(side, side, 3), pooling="avg"
    )
    spec = FAMILY.spec(**PUBLISHED.knobs)
    ours = build_model(FAMILY.blueprint(spec, Task.of("image", (side, side, 3))))
    copy_weights(theirs, ours)
    assert_same_outputs(theirs, ours, side)


@pytest.mark.slow
def test_mobilenetv2_computes_what_keras_computes() -> None:
    theirs = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    spec = FAMILY.spec(**PUBLISHED.knobs)
    ours = check_size_equals_keras(FAMILY.blueprint(spec, PUBLISHED.task))
    copy_weights(theirs, ours)
    assert_same_outputs(theirs, ours, 224)


def test_squeeze_and_excitation_scales_each_channel_by_its_gate() -> None:
    task = Task.of("image", (6, 5, 2), classes=3)
    spec = FAMILY.spec(depth=1, width=4, stages=1, squeeze=4, expansion=3)
    model = build_model(FAMILY.blueprint(spec, task), seed=1)
    names = ["depthwise.activation", "squeeze.gate", "squeeze.scale"]
    layers = [model.get_layer(f"stage1.block1.{name}") for name in names]
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype("float32")
    read = keras.Model(model.input, [layer.output for layer in layers])
    before, gate, after = (np.asarray(array) for array in read(x))
    assert before.shape == (3, 6, 5, 12) and gate.shape == (3, 12)
    assert 0 < gate.min() < 0.49 and 0.51 < gate.max() < 1
    np.testing.assert_allclose(after, before * gate[:, None, None, :], rtol=1e-5)


def test_a_block_is_added_to_only_where_the_shape_stays() -> None:
    task = Task.of("image", (32, 32, 3), classes=3)
    rows = size_rows(FAMILY.blueprint(FAMILY.spec(depth=3, stages=2), task))
    added = {row.path for row in rows if row.kind == "Add"}
    assert added == {f"stage{n}/add" for n in ("1/block1", "1/block2-3", "2/block2-3")}
    spec = FAMILY.spec(layout="v2", depth=1)
    rows = size_rows(FAMILY.blueprint(spec, task))
    assert sum(row.copies for row in rows if row.kind == "Add") == 10


def test_channels_are_rounded_as_keras_rounds_them() -> None:
    from keras.src.applications.mobilenet_v2 import _make_divisible

    channels = np.arange(1, 2000)
    rounded = round_channels(channels)
    assert list(rounded) == [_make_divisible(int(count), 8) for count in channels]
    assert list(rounded) == [round_channels(int(count)) for count in channels]
    assert rounded.dtype == np.int64 and type(round_channels(9)) is int


def test_stages_that_contradict_the_layout_are_refused() -> None:
    spec = FAMILY.spec(layout="v2", stages=3)
    with pytest.raises(SpecError, match="0 or 7 with layout=v2, not 3"):
        FAMILY.size(spec, PUBLISHED.task)
