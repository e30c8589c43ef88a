"""From a preprocessing to stock Keras layers: its second reading."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from kscale.data.preprocessing import Preprocessing
from kscale.data.preprocessing.scaled import Scaled, Unchanged
from kscale.data.scaling import Scaling

Tensors = Mapping[str, Any]


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


LAYERS: dict[type[Preprocessing], Callable[[Any, Tensors, str], Any]] = {
    Scaled: _scaled,
    Unchanged: _unchanged,
}
