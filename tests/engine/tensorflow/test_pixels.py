"""Pixels lie on the device as bytes and are scaled in the graph."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tuning.made_data import made_loop, small_spec, weights_of

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.data.parts import Part
from kscale.data.stored import open_dataset, store_dataset
from kscale.engine.recipe import Recipe
from kscale.engine.tensorflow.placing import PlacedData

RECIPE = Recipe(epochs=2, batch_size=20)


def made_images(form: str, memory: int | None, folder: Path) -> Dataset:
    """Images of two classes, as arrays or in a folder."""
    images = np.random.default_rng(0).integers(0, 256, (120, 6, 5, 3), np.uint8)
    labels = np.arange(120) % 2
    if form == "arrays":
        return load_dataset((images, labels), memory=memory)
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / "ab"[label] / f"{place}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return load_dataset(folder, memory=memory)


def with_fractions(data: Dataset) -> Dataset:
    """The same data with pixels that were scaled before."""
    parts = {
        name: Part({n: np.asarray(r) for n, r in part.inputs.items()}, part.targets)
        for name, part in data.parts.items()
    }
    return replace(data, **parts)


@pytest.mark.parametrize("memory", [None, 0], ids=["placed", "streamed"])
@pytest.mark.parametrize("form", ["arrays", "folder"])
def test_bytes_are_placed_and_scaled_to_what_networks_read(
    form: str, memory: int | None, tmp_path: Path
) -> None:
    data = made_images(form, memory, tmp_path)
    (name,) = data.train.inputs
    placed = PlacedData(data, chunk_bytes=6 * 5 * 3 * 4 * 45)
    order = RECIPE.order(len(data.train), 1, 0)
    chunks = list(placed.chunks(order))
    assert len(chunks) == (1 if memory is None else 2)
    for steps, wanted in zip(chunks, np.split(order, len(chunks)), strict=True):
        places, inputs, _ = steps
        assert inputs[name].dtype == tf.uint8
        read = placed.read(inputs)[name].numpy()[places.ravel()]
        np.testing.assert_array_equal(read, data.train.inputs[name][wanted.ravel()])
    scored = np.concatenate(
        [placed.read(inputs)[name] for inputs, _ in placed.scored()]
    )
    np.testing.assert_array_equal(scored, data.validation.inputs[name])


def test_a_network_trains_on_bytes_as_on_scaled_pixels(tmp_path: Path) -> None:
    data = made_images("arrays", None, tmp_path)
    found = []
    for each, kind in ((data, tf.uint8), (with_fractions(data), tf.float32)):
        loop = made_loop(small_spec(), RECIPE, each)
        assert loop.data.specs[0]["x"].dtype == kind
        (loss,) = loop.run_epoch([RECIPE.order(len(data.train), 1, 0)])
        (outputs,) = loop.predict(each.test.inputs)
        found.append((loss, weights_of(loop), outputs["label"]))
    for bytes_given, fractions_given in zip(*found, strict=True):
        np.testing.assert_allclose(bytes_given, fractions_given, rtol=1e-5, atol=1e-6)


def test_pixels_are_bytes_in_memory_and_for_another_process(tmp_path: Path) -> None:
    data = made_images("arrays", None, tmp_path)
    memory = data.describe()["memory"]
    assert memory == {"bytes": 120 * 6 * 5 * 3, "streamed": False}
    store_dataset(data, tmp_path)
    again = open_dataset(tmp_path)
    assert again.describe()["memory"] == memory
    np.testing.assert_array_equal(again.test.inputs["x"], data.test.inputs["x"])
