"""From a preprocessing to stock Keras layers: its second reading."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kscale.data.preprocessing import Preprocessing
from kscale.data.preprocessing.log_mel import LOWEST_HERTZ, LogMel
from kscale.data.preprocessing.scaled import Scaled, Unchanged
from kscale.data.scaling import Scaling

Tensors = Mapping[str, Any]

_NEVER_REACHED = 1e3  # dB; float32 holds a range of 760


def apply_layers(preprocessing: Preprocessing, raw: Tensors, name: str) -> Any:
    """The network's input for raw inputs, as Keras tensors.

    Args:
        preprocessing: What to compute.
        raw: Raw inputs by name.
        name: Name of the network's input; names of the layers begin with it.
    """
    return LAYERS[type(preprocessing)](preprocessing, raw, name)


def rescaled(tensor: Any, scaling: Scaling, name: str) -> Any:
    """A tensor after `keras.layers.Rescaling`."""
    scale, offset = list(scaling.scale), list(scaling.offset)
    if len(scale) == 1:
        return keras.layers.Rescaling(scale[0], offset[0], name=name)(tensor)
    return keras.layers.Rescaling(scale, offset, name=name)(tensor)


def _scaled(item: Scaled, raw: Tensors, name: str) -> Any:
    return rescaled(raw[item.raw.name], item.scaling, f"{name}_scaling")


def _unchanged(item: Unchanged, raw: Tensors, name: str) -> Any:
    return raw[item.raw.name]


def _log_mel(item: LogMel, raw: Tensors, name: str) -> Any:
    heard = keras.layers.MelSpectrogram(
        fft_length=item.fft_length,
        sequence_stride=item.step,
        sequence_length=item.window,
        sampling_rate=item.rate,
        num_mel_bins=item.bands,
        min_freq=LOWEST_HERTZ,
        max_freq=item.rate / 2,
        min_power=item.least_power,
        ref_power=item.least_power,
        top_db=_NEVER_REACHED,
        dtype="float32",
        name=f"{name}_log_mel",
    )(raw[item.raw.name])
    turned = keras.layers.Permute((2, 1), name=f"{name}_turned")(heard)
    return rescaled(turned, item.scaling, f"{name}_scaling")


LAYERS: dict[type[Preprocessing], Callable[[Any, Tensors, str], Any]] = {
    LogMel: _log_mel,
    Scaled: _scaled,
    Unchanged: _unchanged,
}
