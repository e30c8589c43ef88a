"""Feeding: how a model of somebody else is given the examples of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.building.models import alone
from kscale.data.dataset import Dataset, Part
from kscale.data.preprocessing.column_features import TableColumns
from kscale.data.preprocessing.scaled import Scaled
from kscale.errors import SpecError
from kscale.guests.sizes.layers import graph_of
from kscale.naming import layer_name

Shape = tuple[int | None, ...]

_CHUNK = 256  # examples of a forward pass
_BYTE = 255.0
_MATRIX = "numbers"


@dataclass(frozen=True)
class Feeding:
    """What of a data set is given to a model, and in which form.

    Args:
        text: What that is, in words.
        is_raw: Whether it is the raw inputs, or those of kscale's networks.
        factor, offset: `raw * factor + offset` is given, of a single input.
        stacked: Columns of numbers that are given side by side, as one matrix.
    """

    text: str
    is_raw: bool = True
    factor: float = 1.0
    offset: float = 0.0
    stacked: tuple[str, ...] = ()


RAW = Feeding("the raw inputs")


def feedings_of(dataset: Dataset) -> list[Feeding]:
    """Ways to feed a data set, the raw inputs first.

    Images are often divided by their largest value, or brought to -1 to 1, before a
    model gets them. Of a table, models often get the numbers alone, as one matrix.
    """
    found = [RAW]
    columns = [i for i in dataset.preprocessing.values() if isinstance(i, TableColumns)]
    numbers = tuple(number.name for item in columns for number in item.numbers)
    if numbers and len(columns) == len(dataset.preprocessing):
        text = "the raw numbers of the table, its columns in order, as one matrix"
        found.append(Feeding(text, stacked=numbers))
    item = dataset.task.inputs[0]
    if len(dataset.task.inputs) == 1 and item.kind == "image":
        peak = _peak(dataset, item.name)
        if peak > 1:
            text = f"the raw inputs divided by {peak:g}"
            found.append(Feeding(text, factor=1 / peak))
        text = "the raw inputs scaled to -1 to 1"
        found.append(Feeding(text, factor=2 / max(peak, 1.0), offset=-1.0))
    if any(kind.kind != "unchanged" for kind in dataset.preprocessing.values()):
        found.append(Feeding("the inputs as kscale's networks read them", False))
    return found


def _peak(dataset: Dataset, name: str) -> float:
    """The largest value of images, 255 for all that may be bytes."""
    rows = raw_rows(dataset, dataset.validation, slice(0, 1000))
    largest = float(max(array.max() for array in rows.values()))
    return _BYTE if _BYTE / 2 < largest <= _BYTE else largest


def raw_rows(dataset: Dataset, part: Part, chosen: Any) -> dict[str, NDArray[Any]]:
    """Raw inputs of some examples by name; what networks read is turned back."""
    rows: dict[str, NDArray[Any]] = {}
    for name, item in dataset.preprocessing.items():
        for raw in item.raw_inputs:
            if raw.name in part.raw:
                rows[raw.name] = part.raw[raw.name][chosen]
            elif isinstance(item, Scaled):
                rows[raw.name] = item.scaling.invert(part.inputs[name][chosen])
            else:
                rows[raw.name] = part.inputs[name][chosen]
    return rows


def fed_rows(
    dataset: Dataset, part: Part, feeding: Feeding, chosen: Any
) -> dict[str, NDArray[Any]]:
    """What some examples are fed as, by name."""
    if not feeding.is_raw:
        return {name: rows[chosen] for name, rows in part.inputs.items()}
    rows = raw_rows(dataset, part, chosen)
    if feeding.stacked:
        columns = [np.asarray(rows[name], np.float32) for name in feeding.stacked]
        return {_MATRIX: np.stack(columns, axis=1)}
    if (feeding.factor, feeding.offset) == (1.0, 0.0):
        return rows
    return {
        name: array * np.float32(feeding.factor) + np.float32(feeding.offset)
        for name, array in rows.items()
    }


def fed_shapes(dataset: Dataset, feeding: Feeding) -> dict[str, tuple[int, ...]]:
    """Shapes of one example by name."""
    if not feeding.is_raw:
        return {item.name: item.shape for item in dataset.task.inputs}
    if feeding.stacked:
        return {_MATRIX: (len(feeding.stacked),)}
    raw = [raw for item in dataset.preprocessing.values() for raw in item.raw_inputs]
    return {item.name: item.shape for item in raw}


@dataclass(frozen=True, eq=False)
class Feeder:
    """A model together with the way in which it is fed.

    Args:
        model: Any Keras model.
        dataset: Where the examples are from.
        feeding: In which form they are given.
        places: For each input of the model, the name of what it gets and its shape;
            empty for a model that does not say what it takes.
        unscales: Whether values that it gives are taken for scaled ones, of mean 0 and
            deviation 1 in training.
    """

    model: keras.Model
    dataset: Dataset
    feeding: Feeding
    places: tuple[tuple[str, Shape], ...]
    unscales: bool = False

    def outputs(self, part: Part, chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What the model gives for some examples, by the name of its output."""
        found: dict[str, list[NDArray[Any]]] = {}
        for start in range(0, len(chosen), _CHUNK):
            some = chosen[start : start + _CHUNK]
            rows = fed_rows(self.dataset, part, self.feeding, some)
            given = self.model(self.packed(rows), training=False)
            for name, values in named(self.model, given).items():
                found.setdefault(name, []).append(values)
        return {name: np.concatenate(values) for name, values in found.items()}

    def packed(self, rows: Mapping[str, Any]) -> Any:
        """Arrays or Keras tensors as the model takes them."""
        if not self.places:
            return alone({name: _tensor(array) for name, array in rows.items()})
        types = [item.dtype for item in self.model.inputs]
        flat = [
            _typed(_shaped(_tensor(rows[name]), shape), dtype)
            for (name, shape), dtype in zip(self.places, types, strict=True)
        ]
        graph = graph_of(self.model)
        if graph is None:
            return flat[0] if len(flat) == 1 else flat
        return keras.tree.pack_sequence_as(graph.input, flat)


def _tensor(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.kind in "TUSO":
        return tf.constant(array.tolist(), tf.string)
    return tf.constant(array)


def _shaped(tensor: Any, shape: Shape) -> Any:
    """A tensor with the sides that the model declares, if they are others."""
    own = tuple(tensor.shape[1:])
    if len(own) == len(shape):
        return tensor
    if isinstance(tensor, keras.KerasTensor):
        return keras.layers.Reshape(shape)(tensor)
    return tf.reshape(tensor, (-1, *shape))


def _typed(tensor: Any, dtype: str) -> Any:
    """Rounded for a model that takes integers: 4.9999995 was 5 before it was scaled."""
    is_exact = not keras.backend.is_int_dtype(dtype)
    if is_exact or not keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(tensor.dtype)
    ):
        return tensor
    return keras.ops.round(tensor)


def named(model: keras.Model, outputs: Any) -> dict[str, NDArray[Any]]:
    """Outputs of numbers by name; class names in letters are left out."""
    tensors = named_tensors(model, outputs)
    arrays = {n: t.numpy() for n, t in tensors.items() if t.dtype != tf.string}
    return {n: np.asarray(a, np.float32) for n, a in arrays.items()}


def named_tensors(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Tensors that a model gave, by name."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    flat = keras.tree.flatten(outputs)
    names = getattr(model, "output_names", None) or []
    if len(names) != len(flat):
        names = [str(index) for index in range(len(flat))]
    return dict(zip(names, flat, strict=True))


def feeders_of(model: keras.Model, dataset: Dataset, name: str) -> list[Feeder]:
    """All ways of feeding a data set that suit the shapes of a model's inputs.

    Args:
        model: Any Keras model.
        dataset: What to feed.
        name: What to call the model in an error.

    Raises:
        SpecError: There is none.
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
    return ", ".join(f"{name} {_sides(shape)}" for name, shape in shapes.items())


def _sides(shape: Shape) -> str:
    return "x".join("?" if side is None else str(side) for side in shape) or "1"


def _declared(model: keras.Model) -> list[tuple[str, Shape]] | None:
    """Names and shapes of a model's inputs; None if it does not say them."""
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
    pairs = list(zip(names, declared, strict=True))
    if not all(_suits(shapes[name], shape) for name, (_, shape) in pairs):
        return None
    return tuple((name, shape) for name, (_, shape) in pairs)


def _suits(given: Shape, wanted: Shape) -> bool:
    """Whether the sides are the same, or hold as many numbers in another form."""
    if len(given) == len(wanted):
        pairs = zip(given, wanted, strict=True)
        return all(want in (None, side) for side, want in pairs)
    known = [side for side in (*given, *wanted) if side is not None]
    if len(known) < len(given) + len(wanted):
        return False
    return prod(known[: len(given)]) == prod(known[len(given) :])
