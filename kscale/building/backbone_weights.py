"""Builds networks of `keras.applications` as backbones, and finds their weights."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
from keras.src.backend.config import keras_home

from kscale.errors import ExportError, SpecError
from kscale.networks.backbones import (
    NETWORKS,
    Backbone,
    counts_of,
    has_blue_first,
    pixel_scaling,
)

_LOGGER = logging.getLogger(__name__)


def make_backbone(
    record: Backbone, name: str, seed_of: Callable[[str], int]
) -> Callable[..., Any]:
    """The layers of a backbone, preprocessing included, as one function of an image.

    Args:
        record: What to build.
        name: Name of the Keras model inside the network.
        seed_of: Gives a seed for the layer of a name.

    Raises:
        ExportError: Its weights are missing, or are not those of this network.
    """
    made = _made(record)
    # Under a name of its own: Keras finds the files of weights by the model's name.
    backbone = keras.Model(made.inputs[0], made.outputs[0], name=name)
    backbone.trainable = record.is_tuned
    if record.weights == "none":
        _draw_weights(backbone, seed_of)

    def apply(image: Any) -> Any:
        return backbone(prepare_image(image, record, name))

    return apply


def _made(record: Backbone) -> keras.Model:
    network = NETWORKS[record.network]
    alpha = {"alpha": network.alpha} if network.alpha else {}
    make = getattr(keras.applications, network.maker)
    with _quietly():
        try:
            return make(
                include_top=False,
                weights=None if record.weights == "none" else record.weights,
                input_shape=(record.side, record.side, 3),
                pooling="avg",
                **alpha,
            )
        except Exception as error:  # Keras raises a bare one where a download fails
            raise ExportError(_no_weights(record)) from error


@contextlib.contextmanager
def _quietly() -> Any:
    """Without Keras' progress bars and its note that 224 pixels' weights are taken."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _no_weights(record: Backbone) -> str:
    way_out = "or start from random weights: --weights none (weights=none)."
    if record.weights == "imagenet":
        return (
            f"The ImageNet weights of {record.network} are missing and could not be "
            f"downloaded: put them at {weights_path(record)}, {way_out}"
        )
    if not Path(record.weights).is_file():
        return f"There is no file of weights {record.weights}: give another, {way_out}"
    return (
        f"{record.weights} does not hold the weights of {record.network} without its "
        f"top: give another file, {way_out}"
    )


def weights_path(record: Backbone) -> Path:
    """Where Keras keeps the ImageNet weights of a backbone once it has them."""
    file = counts_of(record.network).file_of(record.side)
    return Path(keras_home()).expanduser() / "models" / file


def check_weights(records: Iterable[Backbone]) -> None:
    """Raise unless backbones can get the weights that they start from.

    Where some are missing, one of them is downloaded: if that works, so will others.

    Raises:
        ExportError: Weights are missing or do not suit the network.
        SpecError: One file is to be the weights of several networks.
    """
    needed = {(r.network, r.side): r for r in records if r.weights != "none"}.values()
    own = [record for record in needed if record.weights != "imagenet"]
    networks = sorted({record.network for record in own})
    if len(networks) > 1:
        raise SpecError(
            f"One file of weights, {own[0].weights}, suits one backbone, but the "
            f"search has {len(networks)}: name it, --set backbone={networks[0]}."
        )
    missing = [r for r in needed if not (own or weights_path(r).is_file())]
    for record in (*own, *missing)[:1]:
        _LOGGER.info("Fetching the weights of %s.", record.network)
        _made(record)


def _draw_weights(model: keras.Model, seed_of: Callable[[str], int]) -> None:
    """Draw the kernels anew, each from a seed of its own; Keras drew them unseeded."""
    for layer in _layers_of(model):
        for weight in layer.weights:
            if weight.name.endswith("kernel"):
                seed = seed_of(f"{model.name}.{layer.name}.{weight.name}")
                weight.assign(_start(layer, weight, seed))


def _layers_of(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers, those of models inside it one by one."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers_of(layer)
        else:
            yield layer


def _start(layer: keras.layers.Layer, weight: Any, seed: int) -> Any:
    """A value for a kernel from the initializer that its layer has for it."""
    part = weight.name.removesuffix("kernel").rstrip("_") or "kernel"
    name = f"{part}_initializer"
    initializer = getattr(layer, name, None) or layer.depthwise_initializer
    config = {**initializer.get_config(), "seed": seed}
    return type(initializer).from_config(config)(weight.shape, dtype=weight.dtype)


def prepare_image(image: Any, record: Backbone, name: str) -> Any:
    """An image as a backbone was trained on it, by stock layers."""
    side, channels = record.side, image.shape[-1]
    if image.shape[1:3] != (side, side):
        image = keras.layers.Resizing(side, side, name=f"{name}.resize")(image)
    if channels == 1:
        image = keras.layers.Concatenate(name=f"{name}.colour")([image] * 3)
    if has_blue_first(record):
        image = keras.ops.flip(image, axis=-1)
    scale, offset = pixel_scaling(record)
    if set(scale) == {1.0} and set(offset) == {0.0}:
        return image
    return keras.layers.Rescaling(scale, offset, name=f"{name}.pixels")(image)
