"""Networks of one structure as one network of their largest widths.

A narrower network lies in the wider one with zeros around its weights, and trains as if
alone: a unit of zeros has outputs, gradients and AdamW steps of 0, before and after
training.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

from kscale.engine.base import Network
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import Blueprint, Layer, Repeat, flat_layers

_ALIKE = (
    bp.Activation,
    bp.Add,
    bp.BatchNorm,
    bp.Conv2D,
    bp.Dense,
    bp.Dropout,
    bp.Flatten,
    bp.GlobalAveragePool,
    bp.LayerNorm,
    bp.MaxPool2D,
)
"""Records that TensorFlow computes for several networks at once."""
_WIDTHS = {bp.Dense: "units", bp.Conv2D: "filters"}
_ZERO_AT_ZERO = ("gelu", "linear", "relu", "silu", "tanh")


def joined(networks: Sequence[Network]) -> Network | None:
    """The network of the largest widths; None if one program cannot train them all.

    Networks that drop out are of one width: a narrower one would get other draws than
    if trained alone.
    """
    first = networks[0]
    blueprints = [n.layers for n in networks if isinstance(n.layers, Blueprint)]
    settings = {(n.weight_decay, n.label_smoothing, n.precision) for n in networks}
    if len(blueprints) < len(networks) or len(settings) > 1:
        return None
    if not all(isinstance(layer, _ALIKE) for layer in flat_layers(blueprints[0])):
        return None
    if all(blueprint == blueprints[0] for blueprint in blueprints):
        return first
    layers = _widest([blueprint.layers for blueprint in blueprints])
    if layers is None or not _keeps_zeros(blueprints[0]):
        return None
    common = replace(blueprints[0], layers=layers)
    if not all(b == replace(common, layers=b.layers) for b in blueprints):
        return None
    return replace(
        max(networks, key=lambda n: n.size.params), layers=common, unknown_flops=0
    )


def _widest(parts: Sequence[tuple[Layer, ...]]) -> tuple[Layer, ...] | None:
    """Layers with the largest width of each; None if more than widths differs."""
    if len({len(part) for part in parts}) > 1:
        return None
    found = [_widest_layer(layers) for layers in zip(*parts, strict=True)]
    return None if None in found else tuple(found)  # type: ignore[arg-type]


def _widest_layer(layers: Sequence[Any]) -> Layer | None:
    first = layers[0]
    if len({type(layer) for layer in layers}) > 1:
        return None
    changed: dict[str, Any] = {}
    if isinstance(first, Repeat):
        changed["body"] = _widest([layer.body for layer in layers])
        if changed["body"] is None:
            return None
    elif name := _WIDTHS.get(type(first)):
        changed[name] = max(getattr(layer, name) for layer in layers)
    same = [item.name for item in fields(first) if item.name not in changed]
    if any(getattr(x, n) != getattr(first, n) for x in layers[1:] for n in same):
        return None
    return replace(first, **changed)


def _keeps_zeros(blueprint: Blueprint) -> bool:
    """Whether units of zeros stay so, and others are trained as if alone: norms read
    each unit alone, nothing is drawn for each unit, and where an image is flattened,
    dense weights are laid by its pixels."""
    layers = list(flat_layers(blueprint))
    heads = blueprint.outputs
    for layer in layers:
        function = getattr(layer, "activation", getattr(layer, "function", "linear"))
        if function not in _ZERO_AT_ZERO and layer.name not in heads:
            return False
        if isinstance(layer, bp.Dropout) and layer.rate > 0:
            return False
    has_norms = any(isinstance(layer, bp.LayerNorm) for layer in layers)
    return not has_norms and all(
        isinstance(after, bp.Dense)
        for layer, after in pairwise(layers)
        if isinstance(layer, bp.Flatten)
    )
