"""Learning rates and initial values that fit the width of a network.

`standard` trains every weight at one learning rate, from initial values by the shape of
the weight alone: the wider a network, the more a step changes what its layers give.
`mup`, the maximal update parametrization (Yang et al. 2022, arXiv 2203.03466, table 8),
keeps that change alike at all widths. With `m` for the width over the base width,
Adam's learning rate and the standard deviation of the initial values are multiplied,
from those at the base width:

- input weights, whose rows do not grow with the width: by 1 and 1, like biases, norms
  and embeddings;
- hidden weights, whose rows and columns grow: by 1 / m and 1 / sqrt(m);
- output weights, whose rows grow: by 1 / m and 1 / m. A table of embeddings that an
  output layer reads, too, keeps its initial values.

Rows are what a unit of a layer reads. Which rows grow is seen from the shapes at the
width and at twice the width. The base width is the default width of the family, where
both parametrizations are one. Weight decay is not multiplied, so that a share of a
weight lost in a training is the same at all widths. The forward pass is as it was:
attention keeps its division by the square root of the features of a head, where the
paper divides by their number.

Example:

>>> spec = find_family("mlp").spec(depth=2, width=256)
>>> task = Task.of("vector", (20,), classes=3)
>>> for factor in factors_of(spec, task, "mup"):
...     print(factor.weight, factor.rate, factor.start)
hidden2.dense/kernel 0.25 1.0
head/kernel 0.25 0.491533
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from kscale.errors import SpecError, unknown_name
from kscale.naming import layer_name
from kscale.networks import blueprint as bp
from kscale.networks.blueprint import BODY_INPUT, Layer, Repeat, Scope
from kscale.networks.decoder_layers import TiedDense
from kscale.networks.families import find_family
from kscale.networks.families.base import Family, Spec
from kscale.networks.layer_costs import Tensor, tensor
from kscale.networks.sound_layers import FrameLogits
from kscale.networks.word_layers import Conv1D
from kscale.task.tasks import Task

PARAMETRIZATIONS = ("standard", "mup")


class Factor(NamedTuple):
    """What the width makes of the training of a weight.

    Args:
        weight: Keras name of the layer, `/`, name of the weight in the layer; of
            several that have the name, all.
        rate: Factor of the learning rate.
        start: Factor of the initial values.
    """

    weight: str
    rate: float
    start: float


class _Matrix(NamedTuple):
    """A weight as a matrix, from `rows` to `columns`, and its Keras initializer."""

    weight: str
    rows: Any
    columns: Any
    initializer: str


def _convolution(layer: bp.Conv2D | Conv1D, features: Any) -> list[_Matrix]:
    positions = layer.kernel ** (2 if isinstance(layer, bp.Conv2D) else 1)
    rows, columns = positions * features, positions * layer.filters
    return [_Matrix("kernel", rows, columns, layer.initializer)]


def _recurrent(layer: bp.Recurrent, features: Any) -> list[_Matrix]:
    gates = (4 if layer.cell == "lstm" else 3) * layer.units
    return [
        _Matrix("kernel", features, gates, "glorot_uniform"),
        _Matrix("recurrent_kernel", layer.units, gates, "orthogonal"),
    ]


def _dense(layer: bp.Dense, features: Any) -> list[_Matrix]:
    return [_Matrix("kernel", features, layer.units, layer.initializer)]


_MATRICES: dict[type[Layer], Callable[[Any, Any], list[_Matrix]]] = {
    bp.Dense: _dense,
    FrameLogits: _dense,
    bp.Conv2D: _convolution,
    Conv1D: _convolution,
    bp.Attention: lambda layer, features: [
        _Matrix("kernel", features, layer.width, "glorot_uniform")
    ],
    bp.Recurrent: _recurrent,
    TiedDense: lambda layer, features: [
        _Matrix("embeddings", features, layer.units, "table")
    ],
}
"""By record, weights whose rows may grow, from the record and the features it reads."""

_SPREADS: dict[str, Callable[[float, float], float]] = {
    "glorot_uniform": lambda rows, columns: (rows + columns) ** -0.5,
    "he_normal": lambda rows, columns: rows**-0.5,
    "orthogonal": lambda rows, columns: max(rows, columns) ** -0.5,
    "zeros": lambda rows, columns: 1.0,
    "table": lambda rows, columns: 1 / rows,
}
"""By initializer, what the standard deviation is in proportion to."""


def check_parametrization(name: str, families: Sequence[Family]) -> None:
    """Raise unless the networks of all families have a width that `mup` needs."""
    if name not in PARAMETRIZATIONS:
        raise SpecError(unknown_name("parametrization", name, PARAMETRIZATIONS))
    without = [it.name for it in families if "width" not in it.all_knobs]
    if name == "mup" and without:
        raise SpecError(
            f"`parametrization=mup` fits learning rates to a width, and family "
            f"{without[0]} has none; choose standard, or a family with a width."
        )


def factors_of(spec: Spec, task: Task, parametrization: str) -> tuple[Factor, ...]:
    """Factors of the weights of a spec's network; none where both are 1.

    So a network of the default width has none, nor has one without a width.
    """
    if parametrization == "standard" or spec.width is None:
        return ()
    family = find_family(spec.family)
    scale = spec.width / float(family.knob("width").default)
    widths = spec.width * np.array([1, 2])
    blueprint = family.blueprint_of({**dict(spec.knobs), "width": widths}, task)
    scope = Scope()
    scope.update({item.name: tensor(*item.shape) for item in blueprint.inputs})
    entry = scope[blueprint.inputs[0].name]
    found = [
        _factor(layer_name(path), matrix, scale)
        for path, matrices in _walk(blueprint.layers, entry, scope, "")
        for matrix in matrices
    ]
    return tuple(it for it in found if (it.rate, it.start) != (1.0, 1.0))


def _walk(
    layers: tuple[Layer, ...], entry: Tensor, scope: Scope, prefix: str
) -> Iterator[tuple[str, list[_Matrix]]]:
    """Path and matrices of each layer; those that copies share come once."""
    for layer in layers:
        reads = [scope[name] for name in layer.inputs] or [entry]
        entry = reads[0]
        if isinstance(layer, Repeat):
            for copy in range(1, 1 + (1 if layer.shared else layer.times)):
                inside = Scope(scope)
                inside[BODY_INPUT] = entry
                path = layer.copy_path(prefix, copy)
                yield from _walk(layer.body, entry, inside, path)
                entry = inside[layer.body[-1].name]
        else:
            matrices = _MATRICES.get(type(layer), lambda layer, features: [])
            path = getattr(layer, "table", prefix + layer.name)
            yield path, matrices(layer, entry.shape[-1])
            entry = layer.cost(reads).output
        scope[layer.name] = entry


def _factor(layer: str, matrix: _Matrix, scale: float) -> Factor:
    rows, more_rows = np.broadcast_to(matrix.rows, 2).tolist()
    columns, more_columns = np.broadcast_to(matrix.columns, 2).tolist()
    of_rows = scale if more_rows > rows else 1.0
    of_columns = scale if more_columns > columns else 1.0
    spread = _SPREADS[matrix.initializer]
    # From what the initializer gives at this width to what it gave at the base width.
    start = spread(rows / of_rows, columns / of_columns) / spread(rows, columns)
    start /= of_rows**0.5 if more_columns > columns else of_rows
    weight = f"{layer}/{matrix.weight}"
    return Factor(weight, *(float(f"{it:.6g}") for it in (1 / of_rows, start)))
