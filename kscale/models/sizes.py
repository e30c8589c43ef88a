"""Sizes of any Keras model: the table of its layers, by the definitions of `sizing`.

A model is walked as a graph, nested models inside it; its weights need no values. What
a layer of an unknown class computes is never guessed: its parameters count, its FLOPs
are unknown, and the total says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import keras

from kscale.errors import SpecError
from kscale.models.files import cause_of, read_model
from kscale.models.graphs import Walk, tensor_bytes
from kscale.models.layers import graph_of
from kscale.models.operations import Shape
from kscale.models.traces import no_trace
from kscale.reports.sizes import size_json, size_table, unknown_flops
from kscale.reports.tables import plain_text
from kscale.sizing import Size, SizeRow

_MOST_INPUTS = 3  # whose sides the title names


@dataclass(frozen=True)
class ModelSize:
    """What a Keras model costs, and where it sits.

    Args:
        title: What the model is.
        size: The figures; what unknown layers compute and need inside is missing.
        rows: A row for each layer; its FLOPs are None where they are unknown.
        stored_bytes: Bytes of the weights in their own types, int8 if quantized.
    """

    title: str
    size: Size
    rows: tuple[SizeRow, ...]
    stored_bytes: int

    @property
    def unknown(self) -> tuple[str, ...]:
        """Paths of the layers whose FLOPs are unknown."""
        return tuple(unknown_flops(self.rows))

    def to_json(self) -> dict[str, Any]:
        """Raw integers, under `params`, `flops` and so on."""
        figures = size_json(self.title, self.size, self.rows)
        return {**figures, "stored_bytes": self.stored_bytes}

    def to_text(self, width: int = 100) -> str:
        """A table for people."""
        stored = self.stored_bytes
        shown = size_table(self.title, self.size, self.rows, stored=stored)
        return plain_text(shown, width)

    def __str__(self) -> str:
        return self.to_text()


def count_model(
    model: keras.Model | str | Path, shape: tuple[int, ...] | None = None
) -> ModelSize:
    """Count any Keras model, layer by layer, for one example.

    Args:
        model: A model, or the path of a `.keras` file, of which no code is run.
        shape: Shape of one example, for a model of one input that leaves sides of it
            open.

    Raises:
        ExportError: The file cannot be read as a model of stock Keras layers.
        SpecError: A side of an input is not determined, or `shape` does not suit it, or
            the model is not built.
    """
    title = model.name if isinstance(model, keras.Model) else Path(model).name
    if not isinstance(model, keras.Model):
        model = read_model(Path(model), shape)
    elif not model.built:
        raise SpecError(f"Model {title!r} is not built: call it once on an example.")
    walk = Walk()
    try:
        with no_trace(), keras.StatelessScope(initialize_variables=False):
            if not model.built:
                model.build((None, *(shape or ())))
            shapes = _input_shapes(model, shape)
            walk.model(model, shapes)
    except Exception as error:  # layers refuse a shape in many ways
        if shape is None or isinstance(error, SpecError):
            raise
        text = f"The model cannot take {_sides(shape)}: {cause_of(error)}."
        raise SpecError(text) from error
    rows = tuple(walk.rows.values())
    trainable = {id(weight): weight for weight in model.trainable_weights}
    size = Size(
        params=sum(row.params for row in rows),
        trainable=sum(prod(weight.shape) for weight in trainable.values()),
        flops=sum(row.flops or 0 for row in rows),
        activation_bytes=walk.peak(),
        training_activation_bytes=walk.held,
    )
    return ModelSize(
        f"{title}: Keras model of {_all_sides(shapes)}", size, rows, stored_bytes(model)
    )


def stored_bytes(model: keras.Model) -> int:
    """Bytes of all weights, each in its own type."""
    weights = {id(weight): weight for weight in model.weights}.values()
    return sum(tensor_bytes(weight.shape, weight.dtype) for weight in weights)


def _input_shapes(model: keras.Model, shape: Shape | None) -> list[Shape]:
    """Shapes of the inputs without the batch, open sides as `shape` has them."""
    graph = graph_of(model)
    if graph is None:
        return []
    declared = [tuple(item.shape[1:]) for item in graph.inputs]
    if shape is not None:
        if len(declared) != 1 or not _suits(shape, declared[0]):
            known = " and ".join(map(_sides, declared))
            raise SpecError(f"The model takes {known}, not {_sides(shape)}.")
        return [tuple(shape)]
    for item in declared:
        if None in item:
            example = _sides(224 if side is None else side for side in item)
            raise SpecError(
                f"The model leaves sides of its input open, {_sides(item)}: give the "
                f"shape of one example, --input {example}; of several inputs, save "
                "the model with fixed ones."
            )
    return declared


def _suits(shape: Shape, declared: tuple[int | None, ...]) -> bool:
    if len(shape) != len(declared):
        return False
    return all(d in (None, s) for s, d in zip(shape, declared, strict=True))


def _all_sides(shapes: list[Shape]) -> str:
    """Sides of all inputs, or how many there are of them."""
    if len(shapes) > _MOST_INPUTS:
        return f"{len(shapes)} inputs"
    return " and ".join(map(_sides, shapes)) or "an unknown input"


def _sides(shape: Iterable[int | None]) -> str:
    return "x".join("?" if side is None else str(side) for side in shape) or "1"
