"""Residual networks have the size of Keras, and compute what Keras' ResNet50 does."""

from typing import Any

import keras
import numpy as np
import pytest
from contracts.applications import assert_same_outputs, randomize_weights
from contracts.family import check_size_equals_keras, example_inputs

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.blueprint import Blueprint
from kscale.networks.families.resnet import FAMILY, blocks_in_proportion
from kscale.networks.named import NAMED
from kscale.networks.sizing import Size
from kscale.task.tasks import Input, Target, Task

SMALL = Task.of("image", (8, 8, 2), classes=3)
SEVERAL = Task(
    (Input("x", "image", (13, 8, 2)),),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


def named_size(name: str, **knobs: Any) -> Size:
    named = NAMED[name]
    return FAMILY.size(FAMILY.spec(**{**named.knobs, **knobs}), named.task)


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (Task.of("image", (7, 9, 3), classes=4), {"depth": 1, "width": 3}),
        (Task.of("image", (28, 28, 1), classes=10), {"norm": "post", "bias": True}),
        (
            Task.of("image", (17, 33, 3), values=2),
            {"block": "bottleneck", "norm": "post"},
        ),
        (Task.of("image", (1, 1, 1), classes=2), {"stages": 3}),
        (
            Task.of("image", (31, 40, 1), classes=2),
            {"stem": "imagenet", "norm": "pre", "block": "bottleneck", "width": 5},
        ),
        (
            Task.of("image", (16, 12, 3), classes=7),
            {"pattern": "3-4-6-3", "width": 4, "dropout": 0.2, "zero_init": False},
        ),
        (SEVERAL, {"depth": 3, "width": 5, "stem": "imagenet"}),
        (Task.of("image", (8, 8, 1)), {"activation": "silu"}),
    ],
)
def test_sizes_equal_keras(task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


@pytest.mark.parametrize(
    ("name", "trainable"),
    [
        # torchvision's counts; its convolutions have no biases.
        ("ResNet-18", 11_689_512),
        ("ResNet-34", 21_797_672),
        ("ResNet-50", 25_557_032),
        ("ResNet-101", 44_549_160),
        ("ResNet-152", 60_192_808),
    ],
)
def test_published_sizes_without_biases(name: str, trainable: int) -> None:
    assert named_size(name, bias=False).trainable == trainable


def test_resnet50_with_biases_and_its_statistics() -> None:
    assert named_size("ResNet-50").params == 25_636_712
    without = named_size("ResNet-50", bias=False)
    assert without.params - without.trainable == 53_120


def test_flops_of_a_small_network_by_hand() -> None:
    spec = FAMILY.spec(depth=2, width=8, stages=2)
    size = FAMILY.size(spec, Task.of("image", (7, 9, 3), classes=4))
    products = 7 * 9 * 9 * 3 * 8  # the stem
    products += 4 * 7 * 9 * 9 * 8 * 8  # two blocks of two convolutions
    products += 4 * 5 * (8 * 16 + 9 * 8 * 16 + 3 * 9 * 16 * 16)
    products += 16 * 4
    assert size.flops == 2 * products


def test_flops_of_resnet50_by_hand() -> None:
    # Side, channels that enter the stage, inner channels, blocks.
    stages = [(56, 64, 64, 3), (28, 256, 128, 4), (14, 512, 256, 6), (7, 1024, 512, 3)]
    products = 112**2 * 7 * 7 * 3 * 64 + 2048 * 1000
    for side, entry, inner, blocks in stages:
        first = 5 * entry * inner + 9 * inner**2 + 4 * inner**2
        rest = (4 + 9 + 4) * inner**2
        products += side**2 * (first + (blocks - 1) * rest)
    assert named_size("ResNet-50").flops == 2 * products == 7_715_946_496


def our_name(theirs: str) -> str:
    """Our layer for one of `keras.applications.ResNet50`, such as conv3_block2_1_bn."""
    if theirs == "predictions":
        return "head"
    *place, kind = theirs.replace("_bn", "_norm").split("_")
    if place == ["conv1"]:
        return f"stem.{kind}"
    stage, block, number = place
    inner = f"shortcut.{kind}" if number == "0" else f"{kind}{number}"
    return f"stage{int(stage[-1]) - 1}.{block}.{inner}"


def copy_resnet50(theirs: keras.Model, blueprint: Blueprint) -> keras.Model:
    """Our build of the blueprint, with all of their weights."""
    randomize_weights(theirs)
    ours = build_model(blueprint)
    assert ours.count_params() == theirs.count_params()
    for layer in theirs.layers:
        if layer.weights:
            ours.get_layer(our_name(layer.name)).set_weights(layer.get_weights())
    return ours


def test_the_trunk_of_resnet50_computes_what_keras_resnet50_computes() -> None:
    theirs = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling="avg"
    )
    spec = FAMILY.spec(**NAMED["ResNet-50"].knobs)
    blueprint = FAMILY.blueprint(spec, Task.of("image", (64, 64, 3)))
    assert_same_outputs(theirs, copy_resnet50(theirs, blueprint), 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet-50", "ResNet-101"])
def test_resnets_compute_what_keras_computes(name: str) -> None:
    maker = getattr(keras.applications, name.replace("-", ""))
    theirs = maker(weights=None, classifier_activation=None)
    named = NAMED[name]
    blueprint = FAMILY.blueprint(FAMILY.spec(**named.knobs), named.task)
    assert_same_outputs(theirs, copy_resnet50(theirs, blueprint), 224)


@pytest.mark.parametrize(("norm", "last"), [("post", "activation"), ("pre", "add")])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_branches_that_start_as_nothing_change_nothing_and_learn(
    norm: str, last: str, block: str
) -> None:
    x, y = example_inputs(SMALL, 16), np.arange(16) % 3
    for zero_init in (False, True):
        knobs = {"norm": norm, "block": block, "zero_init": zero_init}
        spec = FAMILY.spec(depth=2, width=4, stages=1, **knobs)
        model = build_model(FAMILY.blueprint(spec, SMALL))
        ends = [model.get_layer(f"stage1.block{n}.{last}").output for n in (1, 2)]
        first, second = keras.Model(model.input, ends)(x, training=True)
        assert np.array_equal(first, second) == zero_init
    # A step moves what starts from 0; the next one all that is before it.
    before = [weight.numpy() for weight in model.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert not np.array_equal(old, new.numpy()), new.path


def test_blocks_follow_the_pattern_and_grow_with_the_depth() -> None:
    for pattern in ("3-4-6-3", "3-4-23-3", "3-8-36-3"):
        parts = [int(part) for part in pattern.split("-")]
        assert blocks_in_proportion(3, pattern) == parts
        assert blocks_in_proportion(6, pattern) == [2 * part for part in parts]
        assert min(blocks_in_proportion(1, pattern)) == 1
    sizes = [
        FAMILY.size(FAMILY.spec(depth=depth, pattern="3-4-6-3"), SMALL).params
        for depth in (1, 2, 3, 4)
    ]
    assert sizes == sorted(set(sizes))


def test_stages_suit_the_image() -> None:
    def sides(shape: tuple[int, ...], **knobs: Any) -> list[tuple[int, ...]]:
        task = Task.of("image", shape, classes=2)
        model = build_model(FAMILY.blueprint(FAMILY.spec(width=8, **knobs), task))
        ends = [layer for layer in model.layers if layer.name.endswith("block2.add")]
        return [layer.output.shape[1:3] for layer in ends]

    assert sides((28, 28, 1)) == [(28, 28), (14, 14), (7, 7)]
    assert sides((96, 120, 3)) == [(24, 30), (12, 15), (6, 8)]
    assert sides((95, 96, 3), stages=2) == [(95, 96), (48, 48)]


def test_stages_that_contradict_the_pattern_are_refused() -> None:
    spec = FAMILY.spec(pattern="3-4-6-3", stages=3)
    with pytest.raises(SpecError, match="0 or 4 with pattern=3-4-6-3, not 3"):
        FAMILY.size(spec, SMALL)
    with pytest.raises(SpecError, match="`pattern` is one of equal, 3-4-6-3"):
        FAMILY.spec(pattern="2-2-2-2")
