"""Sizes of any Keras model, and of one that some code builds, as in `sizing`.

A model is walked as a graph, with its nested models; weights need no values. Of a
layer of an unknown class the parameters count, and the FLOPs are unknown: nothing is
guessed, and the total names the layer.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kscale.errors import SpecError, reason_of
from kscale.guests.model_files import read_model
from kscale.guests.sizes.graph_walk import GraphWalk, tensor_bytes
from kscale.guests.sizes.weightless import no_trace, shapes_only
from kscale.guests.sizes.work import Shape, graph_of
from kscale.naming import single_or_named
from kscale.networks.sizing import Size
from kscale.reports.size_tables import ModelSize
from kscale.ship.opening import keras_cause
from kscale.task.tasks import Task

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
    title = f"{title}: Keras model of {_named(shapes) or 'an unknown input'}"
    try:
        return _walked(model, shapes, title)
    except Exception as error:
        if not given:
            raise
        text = f"The model cannot take {_named(given)}: {keras_cause(error)}."
        raise SpecError(text) from error


def _walked(
    model: keras.Model, shapes: list[Shape] | None, title: str = ""
) -> ModelSize:
    """A size by the rows of a walk; without shapes, only the weights are known."""
    with no_trace(), keras.StatelessScope(initialize_variables=False):
        walk = GraphWalk(model, shapes)
    rows = tuple(walk.rows.values())
    weights = {id(weight): weight for weight in model.weights}  # some are shared
    stored = sum(tensor_bytes(each.shape, each.dtype) for each in weights.values())
    trainable = {id(weight): prod(weight.shape) for weight in model.trainable_weights}
    size = Size(
        params=sum(row.params for row in rows),
        trainable=sum(trainable.values()),
        flops=sum(row.flops or 0 for row in rows),
        activation_bytes=walk.peak(),
        training_activation_bytes=walk.held,
        layers=len(rows),
    )
    about = {"stored_bytes": stored}
    return ModelSize(title, size, rows, stored_bytes=stored, about=about)


def count_build(build: Callable[[], Any], task: Task | None = None) -> ModelSize:
    """Count the model that some code builds, layer by layer, with no weight allocated.

    The code runs where variables have no values. Code that fails there, such as code
    that calls a large model on numbers, runs in a TensorFlow graph, which computes
    nothing; code that fails there too, in another way, runs with real weights. The task
    has the inputs of models without shapes until they are called, or with open sides.

    Example:

    >>> def build():
    ...     inputs = keras.Input((100_000,))
    ...     return keras.Model(inputs, keras.layers.Dense(100_000)(inputs))
    >>> count_build(build).size.params
    10000100000
    """
    errors: list[Exception] = []
    # The fastest place first; the last one allocates.
    for place in (shapes_only, tf.Graph().as_default, ExitStack):
        try:
            with no_trace(), place():
                return _count_built(build(), task)
        except SpecError:
            raise
        except Exception as error:  # a user's code may fail in any way
            errors.append(error)
            if repr(error) in map(repr, errors[:-1]):
                break  # the code fails wherever it runs
    reason = reason_of(errors[-1])
    raise SpecError(f"The model cannot be built: {reason}.") from errors[-1]


def _count_built(model: Any, task: Task | None) -> ModelSize:
    if not isinstance(model, keras.Model):
        raise SpecError(
            f"A Keras model must be returned, but got {type(model).__name__}: end the "
            "function with `return model`."
        )
    inputs = {
        item.name: keras.Input(item.shape, dtype=item.dtype, name=item.name)
        for item in (task.inputs if task is not None else ())
    }
    if not all(layer.built for layer in (model, *model._flatten_layers())):
        if inputs:
            model(single_or_named(inputs))  # builds itself, as for its first batch
        elif not model.built:
            raise SpecError(
                f"Model {model.name!r} has no shapes until it is called: give the task,"
                " or begin it with keras.Input."
            )
    try:
        counted = count_model(model)
    except SpecError:  # sides are open: those of the task, or none
        names = [item.name for item in model.inputs]
        order = names if {*names} == inputs.keys() else [*inputs]
        shapes = [inputs[name].shape[1:] for name in order]
        is_whole = len(names) == len(shapes)
        counted = count_model(model, shapes) if is_whole else _walked(model, None)
    if counted.size.params == 0:
        raise SpecError(
            f"Model {model.name!r} has no weights until it is called: give the task, "
            "or end with `model.build(...)` that builds every layer."
        )
    return counted


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
