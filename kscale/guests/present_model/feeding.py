"""The form in which a user's model is given the examples of a data set."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.parts import Part
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.errors import SpecError
from kscale.guests.sizes.model_size import sides_of
from kscale.guests.sizes.work import Shape, graph_of
from kscale.naming import layer_name, single_or_named

_CHUNK = 256  # examples of a forward pass
_BYTE = 255.0
_AS_NETWORKS = "the inputs as kscale's networks read them"

Named = Mapping[str, Any]
Form = Callable[[Named, Named], Named]
"""Makes what a model is fed of the inputs of kscale's networks and of raw inputs."""


def _forms_of(dataset: Dataset) -> Iterator[tuple[str, Form]]:
    """Usual forms of a data set with their names, the raw inputs first.

    Images are often divided by their largest value, and the numbers of a table are
    often given as one matrix.
    """
    yield "the raw inputs", lambda inputs, raw: raw
    items = dataset.preprocessing.values()
    tables = [item for item in items if isinstance(item, TableColumns)]
    numbers = [number.name for item in tables for number in item.numbers]
    if numbers and len(tables) == len(items):
        text = "the raw numbers of the table, its columns in order, as one matrix"
        yield text, lambda inputs, raw: {"numbers": _side_by_side(raw, numbers)}
    if [item.kind for item in dataset.task.inputs] == ["image"]:
        _, raw = dataset.examples(dataset.validation, slice(0, 1000))
        peak = np.float32(max(array.max() for array in raw.values()))
        peak = np.float32(_BYTE) if _BYTE / 2 < peak <= _BYTE else peak
        if peak > 1:
            text = f"the raw inputs divided by {peak:g}"
            yield text, lambda inputs, raw: {name: raw[name] / peak for name in raw}
    if any(item.kind != "unchanged" for item in items):
        yield _AS_NETWORKS, lambda inputs, raw: inputs


def _side_by_side(raw: Named, names: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([np.asarray(raw[name], np.float32) for name in names], axis=1)


@dataclass(frozen=True, eq=False)
class Feeder:
    """A model, and the form in which examples are given to the model.

    `text` says the form in words. `places` has, for each input of the model, the name
    and the shape of the array that the input gets; it is empty for a model that does
    not say what it takes.
    """

    name: str
    model: keras.Model
    dataset: Dataset
    text: str
    form: Form
    places: tuple[tuple[str, Shape], ...]

    @property
    def is_raw(self) -> bool:
        """Whether the form is made of raw inputs."""
        return self.text != _AS_NETWORKS

    def outputs(self, part: Part, chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Numbers that the model gives for some examples, by the name of the output."""
        found: dict[str, list[NDArray[Any]]] = {}
        for start in range(0, len(chosen), _CHUNK):
            some = chosen[start : start + _CHUNK]
            given = self.call(*self.dataset.examples(part, some), training=False)
            for name, tensor in given.items():
                array = np.asarray(tensor.numpy(), np.float32)
                found.setdefault(name, []).append(array)
        return {name: np.concatenate(values) for name, values in found.items()}

    def call(self, inputs: Named, raw: Named, **options: Any) -> dict[str, Any]:
        """Tensors of numbers that the model gives for arrays or Keras tensors."""
        fed = self.form(inputs, raw)
        rows = {name: _tensor(array) for name, array in fed.items()}
        taken: Any = single_or_named(rows)
        if self.places:
            pairs = zip(self.places, self.model.inputs, strict=True)
            flat = [_suited(rows[n], shape, i.dtype) for (n, shape), i in pairs]
            graph = graph_of(self.model)
            taken = flat if len(flat) > 1 else flat[0]
            if graph is not None:
                taken = keras.tree.pack_sequence_as(graph.input, flat)
        return named_tensors(self.model, self.model(taken, **options))


def _tensor(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    is_text = array.dtype.kind in "TUSO"
    return tf.constant(array.tolist(), tf.string) if is_text else tf.constant(array)


def _suited(tensor: Any, shape: Shape, dtype: str) -> Any:
    """A tensor with the sides and the type that a model declares."""
    if len(tensor.shape) - 1 != len(shape):
        tensor = keras.ops.reshape(tensor, (-1, *shape))
    given = keras.backend.standardize_dtype(tensor.dtype)
    # A whole number that was scaled and restored may be 4.9999995.
    is_near = keras.backend.is_float_dtype(given) and keras.backend.is_int_dtype(dtype)
    return keras.ops.round(tensor) if is_near else tensor


def named_tensors(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Outputs of a model by name, without texts such as names of classes."""
    if not isinstance(outputs, Mapping):
        flat = keras.tree.flatten(outputs)
        names = getattr(model, "output_names", None) or []
        names = names if len(names) == len(flat) else map(str, range(len(flat)))
        outputs = dict(zip(names, flat, strict=True))
    return {
        name: tensor
        for name, tensor in outputs.items()
        if keras.backend.standardize_dtype(tensor.dtype) != "string"
    }


def feeders_of(model: keras.Model, dataset: Dataset, name: str) -> list[Feeder]:
    """A model with each form of a data set that suits the shapes of its inputs."""
    try:
        taken = {item.name: tuple(item.shape[1:]) for item in model.inputs}
    except (AttributeError, TypeError, ValueError):  # the model says no inputs
        taken = None
    found, given = [], list[dict[str, Shape]]()
    both = dataset.examples(dataset.validation, slice(0, 1))
    for text, form in _forms_of(dataset):
        rows = form(*both)
        given.append({key: tuple(array.shape[1:]) for key, array in rows.items()})
        places = () if taken is None else _matched(taken, given[-1])
        if places is not None:
            found.append(Feeder(name, model, dataset, text, form, places))
    if found:
        return found
    raise SpecError(
        f"{name} takes {_listed(taken or {})}, but the data has {_listed(given[0])}."
    )


def _listed(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {sides_of(shape)}" for name, shape in shapes.items())


def _matched(
    taken: Mapping[str, Shape], given: Mapping[str, Shape]
) -> tuple[tuple[str, Any], ...] | None:
    """The array and the shape for each input: by name if all names are known, else in
    order; None if they do not suit."""
    if len(taken) != len(given):
        return None
    known = {layer_name(name): name for name in given}
    names = [known[name] for name in taken] if known.keys() == taken.keys() else given
    pairs = zip(names, taken.values(), strict=True)
    places = tuple((name, _filled(given[name], wanted)) for name, wanted in pairs)
    return None if any(shape is None for _, shape in places) else places


def _filled(given: Shape, wanted: Shape) -> Shape | None:
    """A wanted shape with its open sides filled; None if the sides differ.

    A wanted shape of as many numbers, however they are arranged, will do.
    """
    if len(given) == len(wanted):
        pairs = zip(given, wanted, strict=True)
        return given if all(want in (None, side) for side, want in pairs) else None
    return wanted if None not in wanted and prod(given) == prod(wanted) else None
