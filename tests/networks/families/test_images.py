"""What families for images share: spectrograms as images, and augmentation."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from contracts.family import check_size_equals_keras, example_inputs

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.blueprint import without_augmentation
from kscale.networks.families import find_family
from kscale.networks.families.images import augments_for
from kscale.task.tasks import InputKind, Task

IMAGE = Task.of("image", (9, 7, 3), classes=4)
SOUND = Task.of("spectrogram", (12, 7), classes=4)
IMAGE_FAMILIES = ("cnn", "resnet", "mobilenet", "vit")


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_a_spectrogram_is_an_image_of_one_channel(family: str) -> None:
    chosen = find_family(family)
    spec = chosen.spec(depth=1, width=8)
    one, other = (
        build_model(chosen.blueprint(spec, task), seed=2)
        for task in (SOUND, Task.of("image", (12, 7, 1), classes=4))
    )
    x = example_inputs(SOUND, 3)
    np.testing.assert_allclose(one(x), other(x[..., None]), atol=1e-5)


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("task", [IMAGE, SOUND], ids=["image", "spectrogram"])
def test_augmentation_is_no_part_of_the_size(family: str, task: Task) -> None:
    chosen = find_family(family)
    plain = chosen.size(chosen.spec(depth=1, width=8), task)
    for augment in augments_for(task):
        spec = chosen.spec(depth=1, width=8, augment=augment)
        size = chosen.size(spec, task)
        assert (size.params, size.flops) == (plain.params, plain.flops)
    check_size_equals_keras(chosen.blueprint(spec, task))


def entering(model: keras.Model) -> keras.Model:
    """A CNN up to its first convolution."""
    return keras.Model(model.input, model.get_layer("stage1.layer1.conv").input)


@pytest.mark.parametrize(
    ("task", "augment"),
    [(task, value) for task in (IMAGE, SOUND) for value in augments_for(task)[1:]],
)
def test_augmentation_acts_in_training_only_and_by_its_seed(
    task: Task, augment: str, tmp_path: Path
) -> None:
    family = find_family("cnn")
    spec = family.spec(depth=1, width=8, norm="none", augment=augment)
    x = example_inputs(task, 16)
    plain = family.blueprint(family.spec(depth=1, width=8, norm="none"), task)
    model, again, other = (
        build_model(family.blueprint(spec, task), seed) for seed in (3, 3, 4)
    )
    expected = np.asarray(build_model(plain, seed=3)(x))
    np.testing.assert_allclose(model(x, training=False), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    changed, same, differing = (
        np.asarray(entering(m)(x, training=True)) for m in (model, again, other)
    )
    np.testing.assert_array_equal(changed, same)
    assert not np.array_equal(changed, differing)
    assert not np.array_equal(changed, np.asarray(entering(model)(x, training=False)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x, training=False), expected, atol=1e-6)
    shipped = without_augmentation(family.blueprint(spec, task))
    np.testing.assert_allclose(build_model(shipped, seed=3)(x), expected, atol=1e-6)


def augmented(task: Task, augment: str, x: np.ndarray) -> Any:
    """What of some images enters the first convolution in training."""
    family = find_family("cnn")
    spec = family.spec(depth=1, width=8, augment=augment)
    model = build_model(family.blueprint(spec, task), seed=5)
    return np.asarray(entering(model)(x, training=True))


def test_a_flip_mirrors_left_and_right() -> None:
    x = example_inputs(IMAGE, 40)
    seen = augmented(IMAGE, "flip", x)
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(seen, x, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(seen, x, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 0 < sum(flipped) < 40  # all or none by chance: 2e-12


def test_sound_is_shifted_in_time_alone_by_a_tenth_at_most() -> None:
    task = Task.of("spectrogram", (30, 5), classes=2)
    x = np.broadcast_to(np.arange(30.0, dtype="float32")[:, None], (40, 30, 5))
    moved = augmented(task, "shift", x)[..., 0] - x
    assert np.ptp(moved, axis=2).max() == 0
    assert 0 < np.abs(moved).max() <= 3
    assert {-1, 1} <= set(np.sign(moved[:, 15, 0]).tolist())


def test_erasing_zeroes_a_fifth_at_most() -> None:
    task = Task.of("spectrogram", (30, 20), classes=2)
    seen = augmented(task, "erase", np.ones((40, 30, 20), "float32"))[..., 0]
    assert set(np.unique(seen).tolist()) == {0.0, 1.0}
    erased = 1 - seen.mean(axis=(1, 2))
    # A rectangle may hold a row and a column more than its exact sides.
    assert 0.1 < erased.max() <= 0.2 + 2 * (30 + 20) / (30 * 20)


@pytest.mark.parametrize(
    ("kind", "shape", "augment"),
    [("image", (8, 8, 1), "erase"), ("spectrogram", (8, 8), "flip")],
)
def test_what_does_not_suit_the_input_is_refused(
    kind: InputKind, shape: tuple[int, ...], augment: str
) -> None:
    task = Task.of(kind, shape, classes=2)
    for name in IMAGE_FAMILIES:
        family = find_family(name)
        with pytest.raises(SpecError, match=f"inputs of kind {kind} is one of none"):
            family.size(family.spec(augment=augment), task)
