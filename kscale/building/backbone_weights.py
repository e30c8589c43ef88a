"""Networks of `keras.applications`, and the weights that they start from."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
from keras.src.backend.config import keras_home

from kscale.building.keras_calls import network_call
from kscale.errors import ExportError, SpecError, missing_path
from kscale.networks.backbones import NETWORKS, Backbone

_LOGGER = logging.getLogger(__name__)


def make_network(record: Backbone) -> keras.Model:
    """The network of a backbone, with the weights that the record names.

    Keras' progress bars and the note that weights of 224 pixels are taken are silenced.
    """
    make = getattr(keras.applications, NETWORKS[record.network].maker)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return make(**network_call(record).options)
        except Exception as error:  # Keras raises a bare one where a download fails
            raise ExportError(_no_weights(record)) from error


def _no_weights(record: Backbone) -> str:
    way_out = "or start from random weights: --weights none (weights=none)."
    if record.weights == "imagenet":
        return (
            f"The ImageNet weights of {record.network} are missing and could not be "
            f"downloaded: put them at {weights_path(record)}, {way_out}"
        )
    why = f"{record.weights} does not hold the weights of {record.network}."
    why = why if Path(record.weights).is_file() else missing_path(record.weights)
    return f"{why} Give another file of weights, {way_out}"


def weights_path(record: Backbone) -> Path:
    """Where Keras keeps the ImageNet weights of a backbone once it has them."""
    file = NETWORKS[record.network].file_of(record.side)
    return Path(keras_home()).expanduser() / "models" / file


def check_weights(records: Iterable[Backbone]) -> None:
    """Raise unless backbones can get the weights that they start from.

    Where some are missing, one of them is downloaded: if that works, so will others.
    """
    needed = {(r.network, r.side): r for r in records if r.weights != "none"}.values()
    files = [record for record in needed if record.weights != "imagenet"]
    networks = sorted({record.network for record in files})
    if len(networks) > 1:
        raise SpecError(
            f"One file of weights, {files[0].weights}, suits one backbone, but the "
            f"search has {len(networks)}: name it, --set backbone={networks[0]}."
        )
    missing = [r for r in needed if not (files or weights_path(r).is_file())]
    for record in (*files, *missing)[:1]:
        _LOGGER.info("Fetching the weights of %s.", record.network)
        make_network(record)


def draw_kernels(network: keras.Model, seed_of: Callable[[str], int]) -> None:
    """Draw kernels, which Keras drew unseeded, from the seeds of the weights' names."""
    for layer in network._flatten_layers():
        for weight in layer._trainable_variables:  # none of layers inside the layer
            if weight.name.endswith("kernel"):
                part = weight.name.removesuffix("kernel").rstrip("_") or "kernel"
                named = getattr(layer, f"{part}_initializer", None)
                initializer = named or layer.depthwise_initializer
                seed = seed_of(f"{layer.name}.{weight.name}")
                start = type(initializer).from_config(
                    {**initializer.get_config(), "seed": seed}
                )
                weight.assign(start(weight.shape, dtype=weight.dtype))
