"""One network whose first layers and first units are the smaller networks of a grid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tables.grids import Grid

from kscale.data.dataset import Dataset
from kscale.networks.families.cnn import stage_depths
from kscale.networks.families.images import stages_for

_EPSILON = 1e-3  # of batch normalization
_MOST_GROWTH = 8  # of channels, as of the family
_MOST_STAGES = 5

Moments = list[Any]
"""Mean and variance of each layer's units."""


@dataclass(frozen=True)
class SharedLayer:
    """A layer of dense units or of convolutions.

    Args:
        name: Same in all networks that share the weights.
        read, given: Units read and given, as multiples of the width; 0 reads the data.
        is_pooled: Whether what is read is pooled first.
    """

    name: str
    read: int
    given: int
    is_pooled: bool = False


def mlp_layers(depth: int, _stages: int) -> list[SharedLayer]:
    """The hidden layers of an mlp."""
    return [SharedLayer(f"hidden{i}", int(i > 0), 1) for i in range(depth)]


def cnn_layers(depth: int, stages: int) -> list[SharedLayer]:
    """The convolutions of a cnn, which stages share by their place in the stage."""
    layers, read = [], 0
    for stage, convolutions in enumerate(stage_depths(depth, stages)):
        given = min(2**stage, _MOST_GROWTH)
        for place in range(convolutions):
            is_pooled = place == 0 and stage > 0
            name = f"stage{stage}/layer{place}"
            layers.append(SharedLayer(name, read, given, is_pooled))
            read = given
    return layers


_LAYERS: dict[str, Callable[[int, int], list[SharedLayer]]] = {
    "mlp": mlp_layers,
    "cnn": cnn_layers,
}


class SharedNetwork:
    """Weights of the largest network of a grid, of which all others read a part.

    A network of so many layers has the first of them, one of so many units the first
    units. Cnns whose last stage is another have an output layer of their own.

    Args:
        grid: The sizes.
        dataset: What is read and given.
        seed: Decides the first weights.
    """

    def __init__(self, grid: Grid, dataset: Dataset, seed: int) -> None:
        (item,), (target,) = dataset.task.inputs, dataset.task.targets
        self.is_dense = grid.family == "mlp"
        self._features = int(np.prod(item.shape)) if self.is_dense else item.shape[-1]
        self._classes, self._width = target.outputs, max(grid.widths)
        stages = 0 if self.is_dense else stages_for(min(item.shape[:2]), _MOST_STAGES)
        self.layers = {d: _LAYERS[grid.family](d, stages) for d in grid.depths}
        self._rng = np.random.default_rng(seed)
        self._weights: dict[str, keras.Variable] = {}
        every = [layer for layers in self.layers.values() for layer in layers]
        for layer in dict.fromkeys(every):
            self._add_layer(layer)
        for layers in self.layers.values():
            self._add_output(layers[-1])

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights."""
        return [*self._weights.values()]

    def logits(
        self, inputs: Any, depth: int, width: Any, moments: Moments | None = None
    ) -> tuple[Any, Moments]:
        """Outputs of a network, and the moments of its layers for these inputs.

        Args:
            inputs: A batch.
            depth: Layers.
            width: Units, a number or a tensor.
            moments: What is normalized by, instead of the moments of these inputs.
        """
        found: Moments = []
        values = tf.reshape(inputs, (-1, self._features)) if self.is_dense else inputs
        for place, layer in enumerate(self.layers[depth]):
            units = layer.given * width
            values = self._linear(values, layer, layer.read * width, units)
            axes = [0] if self.is_dense else [0, 1, 2]
            found.append(moments[place] if moments else tf.nn.moments(values, axes))
            gamma, beta = (
                self._weights[f"{layer.name}/{kind}"].value[:units]
                for kind in ("gamma", "beta")
            )
            mean, variance = found[-1]
            scale = gamma * tf.math.rsqrt(variance + _EPSILON)
            values = tf.nn.relu(values * scale + (beta - mean * scale))
        if not self.is_dense:
            values = tf.reduce_mean(values, [1, 2])
        last = self.layers[depth][-1]
        kernel = self._weights[_output(last, "kernel")].value[: last.given * width]
        bias = self._weights[_output(last, "bias")].value
        return values @ kernel + bias, found

    def _linear(self, values: Any, layer: SharedLayer, read: Any, given: Any) -> Any:
        kernel = self._weights[f"{layer.name}/kernel"].value
        if not layer.read:
            read = self._features
        if self.is_dense:
            return values @ kernel[:read, :given]
        if layer.is_pooled:
            values = tf.nn.max_pool2d(values, 2, 2, "VALID")
        return tf.nn.conv2d(values, kernel[:, :, :read, :given], 1, "SAME")

    def _add_layer(self, layer: SharedLayer) -> None:
        read = layer.read * self._width or self._features
        given = layer.given * self._width
        window = () if self.is_dense else (3, 3)
        shape = (*window, read, given)
        deviation = np.sqrt(2 / np.prod(shape[:-1]))  # He et al. 2015
        kernel = self._rng.normal(0.0, deviation, shape)
        self._add(f"{layer.name}/kernel", kernel)
        self._add(f"{layer.name}/gamma", np.ones(given))
        self._add(f"{layer.name}/beta", np.zeros(given))

    def _add_output(self, layer: SharedLayer) -> None:
        if _output(layer, "bias") in self._weights:
            return
        shape = (layer.given * self._width, self._classes)
        limit = np.sqrt(6 / sum(shape))  # Glorot and Bengio 2010
        self._add(_output(layer, "kernel"), self._rng.uniform(-limit, limit, shape))
        self._add(_output(layer, "bias"), np.zeros(self._classes))

    def _add(self, name: str, value: Any) -> None:
        kind = name.split("/")[-1]
        made = keras.Variable(np.asarray(value, np.float32), name=kind)
        self._weights[name] = made


def _output(last: SharedLayer, kind: str) -> str:
    """Name of a weight of the output layer after a last layer."""
    return f"output/{last.given}/{kind}"
