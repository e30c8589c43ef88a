"""Convolutional networks have the size of Keras, on images of any side."""

from typing import Any

import keras
import pytest
from contracts.applications import assert_same_outputs, copy_weights
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families import FAMILIES
from kscale.networks.families.cnn import FAMILY, stage_depths
from kscale.networks.named import find_named
from kscale.task.tasks import Input, Target, Task

SEVERAL = Task(
    (Input("x", "image", (13, 8, 2)),),
    (Target("label", "classes", 3), Target("value", "real", 2)),
)


@pytest.mark.parametrize(
    ("task", "knobs"),
    [
        (Task.of("image", (7, 9, 3), classes=4), {"depth": 1, "width": 3}),
        (Task.of("image", (28, 28, 1), classes=10), {"depth": 5, "norm": "none"}),
        (Task.of("image", (17, 33, 3), values=2), {"depth": 7, "stages": 2}),
        (
            Task.of("image", (9, 9, 3), classes=2),
            {"depth": 3, "head_units": 6, "dropout": 0.3},
        ),
        (Task.of("image", (1, 1, 1), classes=2), {"depth": 2}),
        (SEVERAL, {"depth": 4, "width": 5}),
        (Task.of("image", (8, 8, 1)), {"depth": 2}),
    ],
)
def test_sizes_equal_keras(task: Task, knobs: dict[str, Any]) -> None:
    check_size_equals_keras(FAMILY.blueprint(FAMILY.spec(**knobs), task))


def test_an_image_too_small_for_its_stages_is_refused() -> None:
    task = Task.of("image", (7, 7, 1), classes=2)
    with pytest.raises(SpecError, match=r"stage3/pool.* at least 2x2, but got \(1, 1"):
        FAMILY.size(FAMILY.spec(depth=4, stages=4), task)


def test_layers_are_spread_over_stages_and_the_rest_goes_last() -> None:
    assert stage_depths(13, 5) == [2, 2, 3, 3, 3]
    assert stage_depths(3, 5) == [1, 1, 1]
    for depth in range(1, 30):
        for stages in range(1, 8):
            depths = stage_depths(depth, stages)
            assert sum(depths) == depth
            assert depths == sorted(depths) and depths[-1] - depths[0] <= 1


def test_the_trunk_of_vgg16_computes_what_keras_vgg16_computes() -> None:
    reference = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    last = reference.get_layer("block5_conv3").output
    theirs = keras.Model(reference.input, keras.layers.GlobalAveragePooling2D()(last))
    spec = FAMILY.spec(depth=13, width=64, stages=5, norm="none")
    ours = build_model(FAMILY.blueprint(spec, Task.of("image", (32, 32, 3))))
    copy_weights(theirs, ours)
    assert_same_outputs(theirs, ours, 32)


@pytest.mark.slow
def test_vgg16_computes_what_keras_vgg16_computes() -> None:
    theirs = keras.applications.VGG16(weights=None, classifier_activation=None)
    named = find_named("VGG16")[1]
    family = FAMILIES[named.family]
    blueprint = family.blueprint(family.spec(**named.knobs), named.task)
    ours = check_size_equals_keras(blueprint)
    assert ours.count_params() == theirs.count_params() == 138_357_544
    copy_weights(theirs, ours)
    assert_same_outputs(theirs, ours, 224)
