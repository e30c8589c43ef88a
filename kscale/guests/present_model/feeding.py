"""Feeding: in which form a model of a user is given the examples of a data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.data.preprocessing.scaled import Scaled, Scaling
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.errors import SpecError
from kscale.guests.sizes.model_size import sides_of
from kscale.guests.sizes.work import graph_of
from kscale.naming import layer_name, single_or_named

Shape = tuple[int | None, ...]

_CHUNK = 256  # examples of a forward pass
_BYTE = 255.0
_MATRIX = "numbers"


@dataclass(frozen=True)
class Feeding:
    """A form of the examples.

    Args:
        text: The form, in words.
        is_raw: Whether raw inputs are given, or else the inputs of kscale's networks.
        divisor: What raw inputs are divided by.
        columns: Columns of numbers that are given side by side, as one matrix.
    """

    text: str
    is_raw: bool = True
    divisor: float = 1.0
    columns: tuple[str, ...] = ()


RAW = Feeding("the raw inputs")


def feedings_of(dataset: Dataset) -> list[Feeding]:
    """Usual forms of a data set, the raw inputs first.

    Images are often divided by their largest value, and the numbers of a table are
    often given as one matrix.
    """
    found = [RAW]
    items = dataset.preprocessing.values()
    tables = [item for item in items if isinstance(item, TableColumns)]
    numbers = tuple(number.name for item in tables for number in item.numbers)
    if numbers and len(tables) == len(items):
        text = "the raw numbers of the table, its columns in order, as one matrix"
        found.append(Feeding(text, columns=numbers))
    if [item.kind for item in dataset.task.inputs] == ["image"]:
        rows = _fed_rows(dataset, RAW, dataset.validation, slice(0, 1000))
        peak = float(max(array.max() for array in rows.values()))
        peak = _BYTE if _BYTE / 2 < peak <= _BYTE else peak
        if peak > 1:
            found.append(Feeding(f"the raw inputs divided by {peak:g}", divisor=peak))
    if any(item.kind != "unchanged" for item in items):
        found.append(Feeding("the inputs as kscale's networks read them", False))
    return found


def fed(
    dataset: Dataset,
    feeding: Feeding,
    read: Callable[[str], Any],
    kept: Mapping[str, Any],
) -> dict[str, Any]:
    """Examples in a form, by name: arrays or Keras tensors, as they are read.

    Args:
        dataset, feeding: Where the examples are from, and the form.
        read: Gives what networks read, by the name of the input.
        kept: Raw inputs that are kept, by name; the others are restored.
    """
    if not feeding.is_raw:
        return {item.name: read(item.name) for item in dataset.task.inputs}
    rows = {}
    for name, item in dataset.preprocessing.items():
        for raw in item.raw_inputs:
            if raw.name in kept:
                rows[raw.name] = kept[raw.name]
            elif isinstance(item, Scaled):
                rows[raw.name] = unscaled(read(name), item.scaling)
            else:
                rows[raw.name] = read(name)
    if feeding.columns:
        columns = [np.asarray(rows[name], np.float32) for name in feeding.columns]
        return {_MATRIX: np.stack(columns, axis=1)}
    if feeding.divisor == 1.0:
        return rows
    return {name: rows[name] / np.float32(feeding.divisor) for name in rows}


def _fed_rows(
    dataset: Dataset, feeding: Feeding, part: Part, chosen: Any
) -> dict[str, NDArray[Any]]:
    kept = {name: rows[chosen] for name, rows in part.raw.items()}
    return fed(dataset, feeding, lambda name: part.inputs[name][chosen], kept)


def unscaled(scaled: Any, scaling: Scaling) -> Any:
    """What was scaled, an array or a Keras tensor, as it was before."""
    offset = np.asarray(scaling.offset, np.float32)
    return (scaled - offset) / np.asarray(scaling.scale, np.float32)


def fed_shapes(dataset: Dataset, feeding: Feeding) -> dict[str, tuple[int, ...]]:
    """Shapes of one example in a form, by name."""
    rows = _fed_rows(dataset, feeding, dataset.validation, slice(0, 1))
    return {name: tuple(array.shape[1:]) for name, array in rows.items()}


@dataclass(frozen=True, eq=False)
class Feeder:
    """A model together with the form in which examples are given to it.

    `places` has, for each input of the model, the name of what the input gets and the
    shape; nothing for a model that does not say what it takes.
    """

    model: keras.Model
    dataset: Dataset
    feeding: Feeding
    places: tuple[tuple[str, Shape], ...]

    def outputs(self, part: Part, chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Numbers that the model gives for some examples, by the name of its output.

        Outputs of text, such as names of classes, are left out.
        """
        found: dict[str, list[NDArray[Any]]] = {}
        for start in range(0, len(chosen), _CHUNK):
            some = chosen[start : start + _CHUNK]
            rows = _fed_rows(self.dataset, self.feeding, part, some)
            given = self.model(self.packed(rows), training=False)
            for name, tensor in named_tensors(self.model, given).items():
                array = np.asarray(tensor.numpy(), np.float32)
                found.setdefault(name, []).append(array)
        return {name: np.concatenate(values) for name, values in found.items()}

    def packed(self, rows: Mapping[str, Any]) -> Any:
        """Arrays or Keras tensors as the model takes them."""
        if not self.places:
            return single_or_named(
                {name: _tensor(array) for name, array in rows.items()}
            )
        types = [item.dtype for item in self.model.inputs]
        flat = [
            _suited(_tensor(rows[name]), shape, dtype)
            for (name, shape), dtype in zip(self.places, types, strict=True)
        ]
        graph = graph_of(self.model)
        if graph is None:
            return flat if len(flat) > 1 else flat[0]
        return keras.tree.pack_sequence_as(graph.input, flat)


def _tensor(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.kind in "TUSO":
        return tf.constant(array.tolist(), tf.string)
    return tf.constant(array)


def _suited(tensor: Any, shape: Shape, dtype: str) -> Any:
    """A tensor with the sides and the type that a model declares."""
    if len(tensor.shape) - 1 != len(shape):
        tensor = keras.ops.reshape(tensor, (-1, *shape))
    is_number = keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(tensor.dtype)
    )
    # A whole number that was scaled and restored may be 4.9999995.
    is_whole = is_number and keras.backend.is_int_dtype(dtype)
    return keras.ops.round(tensor) if is_whole else tensor


def named_tensors(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Tensors of numbers that a model gave, by name."""
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    else:
        flat = keras.tree.flatten(outputs)
        names = getattr(model, "output_names", None) or []
        if len(names) != len(flat):
            names = [str(index) for index in range(len(flat))]
        named = dict(zip(names, flat, strict=True))
    return {
        name: tensor
        for name, tensor in named.items()
        if keras.backend.standardize_dtype(tensor.dtype) != "string"
    }


def feeders_of(model: keras.Model, dataset: Dataset, name: str) -> list[Feeder]:
    """A model with each form of a data set that suits the shapes of its inputs.

    An error, where no form suits, calls the model by the name.
    """
    declared = _declared(model)
    found = []
    for feeding in feedings_of(dataset):
        shapes = fed_shapes(dataset, feeding)
        places = () if declared is None else _matched(declared, shapes)
        if places is not None:
            found.append(Feeder(model, dataset, feeding, places))
    if found:
        return found
    takes = _listed(dict(declared or ()))
    raw = _listed(fed_shapes(dataset, RAW))
    raise SpecError(f"{name} takes {takes}, but the data has {raw}.")


def _listed(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {sides_of(shape)}" for name, shape in shapes.items())


def _declared(model: keras.Model) -> list[tuple[str, Shape]] | None:
    """Names and shapes of a model's inputs; None if the model does not say them."""
    try:
        return [(item.name, tuple(item.shape[1:])) for item in model.inputs or []]
    except (AttributeError, ValueError):
        return None


def _matched(
    declared: list[tuple[str, Shape]], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[str, Shape], ...] | None:
    """What each input gets: by name if all names are known, else in order."""
    if len(declared) != len(shapes):
        return None
    known = {layer_name(name): name for name in shapes}
    by_name = all(name in known for name, _ in declared)
    names = [known[n] for n, _ in declared] if by_name else list(shapes)
    places = [(n, shape) for n, (_, shape) in zip(names, declared, strict=True)]
    is_suited = all(_suits(shapes[name], shape) for name, shape in places)
    return tuple(places) if is_suited else None


def _suits(given: Shape, wanted: Shape) -> bool:
    """Whether the sides are the same, or hold as many numbers in another form."""
    if len(given) == len(wanted):
        pairs = zip(given, wanted, strict=True)
        return all(want in (None, side) for side, want in pairs)
    if None in (*given, *wanted):
        return False
    return prod(n or 0 for n in given) == prod(n or 0 for n in wanted)
