"""Sizes of any Keras model: the table of its layers, by the definitions of `sizing`.

A model is walked as a graph, with its nested models; weights need no values. Of a
layer of an unknown class the parameters count, and the FLOPs are unknown: nothing is
guessed, and the total names the layer.
"""

from collections.abc import Callable, Iterable, Sequence
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any

import keras

from kscale.errors import SpecError
from kscale.guests.model_files import read_model
from kscale.guests.sizes.graph_walk import Walk, tensor_bytes
from kscale.guests.sizes.shapes_only import no_trace
from kscale.guests.sizes.work import Shape, graph_of
from kscale.networks.sizing import Size, SizeRow
from kscale.reports.size_tables import ModelSize
from kscale.ship.opening import cause_of

_MOST_INPUTS = 3  # whose sides the title names


def count_model(
    model: keras.Model | str | Path,
    shape: tuple[int, ...] | Sequence[tuple[int, ...]] | None = None,
) -> ModelSize:
    """Count any Keras model, layer by layer, for one example.

    Args:
        model: A model, or the path of a `.keras` file, of which no code is run.
        shape: Shape of one example, for inputs that leave sides open: one for all of
            them, or a list with one for each.

    Raises:
        ExportError: The file cannot be read as a model of stock Keras layers.
        SpecError: A side of an input is not determined, or `shape` does not suit it, or
            the model is not built.
    """
    if not isinstance(model, keras.Model | str | Path):
        raise SpecError(
            "A Keras model or the path of a .keras file can be counted, but got "
            f"{type(model).__name__}; a layer goes into a keras.Sequential first."
        )
    given = _given_shapes(shape)
    title = model.name if isinstance(model, keras.Model) else Path(model).name
    if not isinstance(model, keras.Model):
        model = read_model(Path(model), given[0] if len(given) == 1 else None)
    if not model.built:
        raise SpecError(f"Model {title!r} is not built: call it once on an example.")
    shapes = _input_shapes(model, given)
    try:
        with no_trace(), keras.StatelessScope(initialize_variables=False):
            walk = Walk(model, shapes)
    except Exception as error:
        if not given:
            raise
        text = f"The model cannot take {_named(given)}: {cause_of(error)}."
        raise SpecError(text) from error
    title = f"{title}: Keras model of {_named(shapes) or 'an unknown input'}"
    return _counted(title, model, walk.rows.values(), walk.peak(), walk.held)


def count_weights(model: keras.Model) -> ModelSize:
    """Count only the weights, which do not depend on sides that inputs leave open."""
    params = _sum(model.weights, lambda weight: prod(weight.shape))
    row = SizeRow(model.name, type(model).__name__, (), params, None, 1)
    return _counted(f"{model.name}: Keras model", model, [row])


def _counted(
    title: str,
    model: keras.Model,
    rows: Iterable[SizeRow],
    peak: int = 0,
    held: int = 0,
) -> ModelSize:
    """A size by its rows, with the bytes of all weights, each in its own type."""
    rows = tuple(rows)
    stored = _sum(
        model.weights, lambda weight: tensor_bytes(weight.shape, weight.dtype)
    )
    size = Size(
        params=sum(row.params for row in rows),
        trainable=_sum(model.trainable_weights, lambda weight: prod(weight.shape)),
        flops=sum(row.flops or 0 for row in rows),
        activation_bytes=peak,
        training_activation_bytes=held,
    )
    about = {"stored_bytes": stored}
    return ModelSize(title, size, rows, stored_bytes=stored, about=about)


def _sum(weights: Iterable[Any], count: Callable[[Any], int]) -> int:
    """A sum over weights, each once, although layers may share weights."""
    return sum(map(count, {id(weight): weight for weight in weights}.values()))


def _input_shapes(model: keras.Model, given: list[Shape]) -> list[Shape]:
    """Shapes of the inputs without the batch; given shapes fill those with open sides.

    A single shape is for all such inputs. Several may also be for all inputs.
    """
    graph = graph_of(model)
    declared = [tuple(i.shape[1:]) for i in graph.inputs] if graph is not None else []
    places = [place for place, shape in enumerate(declared) if None in shape]
    if not given and places:
        several = "s" * (len(declared) > 1)
        raise SpecError(
            f"The model leaves sides of its input{several} open, {_all(declared)}: "
            "give the shape of one example, "
            f"{_example(declared[place] for place in places)}."
        )
    if not given or not declared:
        return declared
    if len(given) == len(declared) or not places:
        places = list(range(len(declared)))
    shapes = given * len(places) if len(given) == 1 else given
    wanted = [declared[place] for place in places]
    if len(shapes) != len(wanted) or not all(map(_suits, shapes, wanted)):
        raise SpecError(
            f"The model takes {_all(declared)}, not {_all(shapes)}: give a shape as "
            f"{_example(wanted)}."
        )
    filled = dict(zip(places, shapes, strict=True))
    return [filled.get(place, shape) for place, shape in enumerate(declared)]


def _suits(shape: Shape, declared: Shape) -> bool:
    is_as_long = len(shape) == len(declared)
    return is_as_long and all(map(lambda s, d: d in (None, s), shape, declared))


def _example(shapes: Iterable[Shape]) -> str:
    """Options that would fill open sides: images of 224 x 224, else 128 steps."""
    likely = [
        sides_of((224 if len(shape) == 3 else 128) if n is None else n for n in shape)
        for shape in shapes
    ]
    likely = likely if len(set(likely)) > 1 else likely[:1]
    return " ".join(f"--input {sides}" for sides in likely)


def _given_shapes(shape: Any) -> list[Shape]:
    """The shapes that a user gave, as a list."""
    if shape is None:
        return []
    is_list = isinstance(shape, tuple | list)
    has_several = is_list and shape and all(isinstance(n, tuple | list) for n in shape)
    shapes: Any = shape if has_several else [shape if is_list else [None]]
    sides: list[Any] = [side for item in shapes for side in item]
    if not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
        raise SpecError(
            "A shape has a positive whole number for each side, as (32, 32, 3), not "
            f"{shape!r}."
        )
    return [tuple(map(int, item)) for item in shapes]


def _all(shapes: Iterable[Shape]) -> str:
    return " and ".join(map(sides_of, shapes))


def _named(shapes: list[Shape]) -> str:
    """Sides of all inputs, or the number of many inputs."""
    return f"{len(shapes)} inputs" if len(shapes) > _MOST_INPUTS else _all(shapes)


def sides_of(shape: Iterable[int | None]) -> str:
    """Sides of a shape in words, such as `28x28x1`; a side that is open is `?`."""
    return "x".join("?" if side is None else str(side) for side in shape) or "1"
