"""Backbones get the pixels and the weights that they should."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import h5py
import keras
import numpy as np
import pytest
from contracts.family import small_spec
from keras.src.backend import config
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

import kscale
from kscale.building.backbone_weights import check_weights, weights_path
from kscale.building.keras_calls import KERAS_CALLS
from kscale.building.models import build_model, pretrained
from kscale.errors import ExportError, SpecError
from kscale.networks.backbones import Backbone
from kscale.networks.families.pretrained import FAMILY
from kscale.task.tasks import Input, Target, Task

GREY = Task.of("image", (9, 7, 1), classes=3)
applications = keras.applications
OWN_PREPROCESSING = {
    "mobilenet_0.25": applications.mobilenet.preprocess_input,
    "vgg16": applications.vgg16.preprocess_input,
    "densenet121": applications.densenet.preprocess_input,
    "efficientnet_b0": applications.efficientnet.preprocess_input,
}


def record(task: Task = GREY, **knobs: Any) -> Backbone:
    """The backbone of the smallest network, or of other knobs."""
    spec = FAMILY.spec(**{**dict(small_spec(FAMILY).knobs), **knobs})
    layer = FAMILY.blueprint(spec, task).layers[0]
    assert isinstance(layer, Backbone)
    return layer


def scaled_task(shape: tuple[int, ...], scale: Any = (), offset: Any = ()) -> Task:
    image = Input("x", "image", shape, scale=scale, offset=offset)
    return Task((image,), (Target("label", "classes", 3),))


def prepare_image(image: Any, layer: Backbone) -> Any:
    """An image as the network of a backbone reads it."""
    pixels = keras.Input((32, 32, 3))
    network = keras.Model(pixels, keras.layers.Identity()(pixels))
    options = dict(KERAS_CALLS[Backbone](layer, image).function.options)
    return pretrained(network, **{**options, "name": "b"})(image)


@pytest.mark.parametrize("name", OWN_PREPROCESSING)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [32, 40])
def test_raw_pixels_are_had_back_and_preprocessed_as_keras_does(
    name: str, channels: int, side: int
) -> None:
    scale = (1 / 50, 1 / 60, 1 / 70)[:channels]
    offset = (-2.0, -1.0, 0.5)[:channels]
    layer = record(scaled_task((side, side, channels), scale, offset), backbone=name)
    raw = np.random.default_rng(0).integers(0, 256, (2, side, side, channels))
    given = (raw * np.array(scale) + np.array(offset)).astype("float32")
    image = keras.Input((side, side, channels))
    prepared = keras.Model(image, prepare_image(image, layer))(given)
    resized = keras.layers.Resizing(32, 32)(raw.astype("float32"))
    colour = np.repeat(np.asarray(resized), 3 // channels, axis=-1)
    expected = OWN_PREPROCESSING[name](colour.copy())
    np.testing.assert_allclose(prepared, expected, atol=2e-3 if side == 32 else 2e-2)


def test_pixels_of_a_task_that_says_nothing_are_taken_as_they_are() -> None:
    layer = record(scaled_task((32, 32, 3)), backbone="efficientnet_b0")
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, prepare_image(image, layer))
    assert [type(item).__name__ for item in model.layers] == [
        "InputLayer",
        "Functional",
    ]


@pytest.mark.parametrize("tuned", ["head", "all"])
def test_a_frozen_backbone_keeps_its_weights_and_its_statistics(tuned: str) -> None:
    spec = small_spec(FAMILY, tuned=tuned)
    model = build_model(FAMILY.blueprint(spec, GREY))
    backbone = model.get_layer("backbone")
    paths = {weight.path for weight in model.trainable_variables}
    assert ({"head/kernel", "head/bias"} == paths) == (tuned == "head")
    before = [np.array(weight) for weight in backbone.weights]
    x = np.random.default_rng(0).normal(size=(4, 9, 7, 1)).astype("float32")
    model(x, training=True)
    same = map(np.array_equal, before, backbone.weights)
    assert all(same) == (tuned == "head")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of Keras for weights, and no internet."""

    def no_internet(*args: Any, **kwargs: Any) -> None:
        raise URLError("no internet")

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", no_internet)
    return tmp_path


def mobilenet() -> keras.Model:
    """The smallest network without its top, as Keras makes it."""
    return applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
    )


def assert_starts_from(theirs: keras.Model, weights: str) -> None:
    spec = FAMILY.spec(**{**dict(small_spec(FAMILY).knobs), "weights": weights})
    model = build_model(FAMILY.blueprint(spec, GREY), seed=1)
    ours = model.get_layer("backbone").weights
    for a, b in zip(theirs.weights, ours, strict=True):
        assert np.array_equal(a, b)


def test_imagenet_weights_come_from_the_cache_of_keras(cache: Path) -> None:
    theirs, imagenet = mobilenet(), record(weights="imagenet")
    path = weights_path(imagenet)
    # Of 32 pixels there are no weights; Keras takes those of 224.
    assert path == cache / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    check_weights([imagenet])
    assert_starts_from(theirs, "imagenet")


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    theirs, path = mobilenet(), tmp_path / "own.weights.h5"
    theirs.save_weights(path)
    check_weights([record(weights=str(path))])
    assert_starts_from(theirs, str(path))


def test_missing_weights_are_one_line_that_says_where_they_belong(cache: Path) -> None:
    with pytest.raises(ExportError) as caught:
        check_weights([record(), record(weights="imagenet")])
    text = str(caught.value)
    assert "\n" not in text and "could not be downloaded" in text
    assert str(cache / "models" / "mobilenet_2_5_224_tf_no_top.h5") in text
    assert "--weights none (weights=none)" in text


def test_files_that_do_not_suit_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save_weights(other)
    with pytest.raises(ExportError, match="does not hold the weights of mobilenet_0"):
        check_weights([record(weights=str(other))])
    with pytest.raises(ExportError, match="There is no file nowhere.h5"):
        check_weights([record(weights="nowhere.h5")])
    both = [record(weights="a.h5", backbone=b) for b in ("vgg16", "resnet50")]
    with pytest.raises(SpecError, match=r"suits one backbone.*--set backbone=resnet50"):
        check_weights(both)


def test_a_search_without_its_weights_leaves_nothing_behind(
    cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ExportError, match="ImageNet weights of .* are missing"):
        kscale.tune(max_params=1e6, family="pretrained", run=folder)
    assert not folder.exists()


@pytest.mark.slow
def test_a_search_over_backbones_leaves_a_model_of_stock_layers(tmp_path: Path) -> None:
    run = kscale.tune(
        max_params=5e5,
        family="pretrained",
        settings={"weights": "none", "side": 32},
        trials=2,
        epochs=1,
        finalist_seeds=1,
        run=tmp_path / "run",
    )
    tuned = [r for r in run.trainings if r.spec.family == "pretrained"]
    tried = {training.spec["backbone"] for training in tuned}
    assert tried == {"mobilenet_0.25", "mobilenet_v2_0.35"}
    assert all(r.trainable < 20_000 for r in run.trainings)
    saved = sorted((tmp_path / "run" / "models").glob("*.keras"))
    assert saved
    for path in saved:
        assert not kscale.count_model(path).unknown
