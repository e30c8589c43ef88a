"""What a user's model gives: of which target, and probabilities or logits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.preprocessing.scaled import Scaling
from kscale.errors import TrialError
from kscale.guests.network_outputs import network_output
from kscale.task.tasks import Target, Task

_ACTIVATIONS = ("softmax", "sigmoid")
_ONE_HOT_LOSSES = {
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "categoricalhinge",
    "kldivergence",
    "kullbackleiblerdivergence",
}
"""Losses that compare with a one-hot row, not with the number of a class."""

_BINARY_LOSSES = {"binarycrossentropy", "binaryfocalcrossentropy"}
"""Losses that compare with a one-hot row where each class has an output."""


@dataclass(frozen=True)
class UserOutputs:
    """The outputs of a user's model by target.

    Args:
        names: Targets in the order in which `keras.tree` flattens the outputs.
        form: A structure like that of the outputs; a single output is not wrapped.
        numbers: How many numbers the model gives for an example.
        scalings: Of models that are trained on scaled values, to the user's unit.
    """

    task: Task
    names: tuple[str, ...]
    form: Any = 0
    numbers: Mapping[str, int] = field(default_factory=dict)
    scalings: Mapping[str, Scaling] = field(default_factory=dict)

    @classmethod
    def of(cls, model: keras.Model, given: Any, task: Task) -> "UserOutputs":
        """Outputs that a model gave for any inputs, or a `TrialError` if they do not
        suit the task. They are matched to targets by name, or else by their order."""
        names = _order_of(tuple(each.name for each in task.targets), model, given)
        form = 0 if len(names) == 1 else keras.tree.map_structure(lambda _: 0, given)
        outputs = cls(task, names, form)
        shapes = {n: tuple(each.shape) for n, each in outputs.split(given).items()}
        for target in task.targets:
            _check_shape(target, shapes[target.name])
        numbers = {name: math.prod(shape[1:]) for name, shape in shapes.items()}
        return replace(outputs, numbers=numbers)

    def split(self, given: Any) -> dict[str, Any]:
        """Outputs of the model by target."""
        return dict(zip(self.names, keras.tree.flatten(given), strict=True))

    def join(self, items: Mapping[str, Any]) -> Any:
        """Items by target in the form of the outputs."""
        flat = [items[name] for name in self.names]
        return keras.tree.pack_sequence_as(self.form, flat)

    def are_logits(self, model: keras.Model) -> dict[str, bool]:
        """Whether the model gives logits, by target.

        The compiled loss says so, or the last layer has no softmax. A loss on
        probabilities counts where the last layer says nothing.
        """
        tensors = getattr(model, "outputs", None) or [None] * len(self.names)
        ends = dict(zip(self.names, map(_maker_of, tensors), strict=False))
        whole = model if len(self.names) == 1 else None
        return {
            name: _is_logit(loss, ends.get(name) or whole)
            for name, loss in self._losses(model).items()
        }

    def _losses(self, model: keras.Model) -> dict[str, Any]:
        """The compiled losses by target."""
        given: Any = getattr(model, "loss", None) if model.compiled else None
        if isinstance(given, Mapping):
            names = zip_longest(self.names, getattr(model, "output_names", ()))
            return {name: given.get(name, given.get(own)) for name, own in names}
        each = given if isinstance(given, list | tuple) else [given] * len(self.names)
        return dict(zip_longest(self.names, each[: len(self.names)]))

    def labels(self, model: keras.Model, targets: Mapping[str, Any]) -> Any:
        """Targets as the model is trained on them, in the form of its outputs.

        Classes are numbers, or one-hot rows where the compiled loss compares with
        these; values are scaled if the outputs of the model are.
        """
        found = dict(targets)
        exclusive = {each.name: each.head.is_exclusive for each in self.task.targets}
        for name, loss in self._losses(model).items():
            called = loss if isinstance(loss, str) else getattr(loss, "__name__", None)
            letters = (called or type(loss).__name__).replace("_", "").lower()
            numbers = self.numbers[name]
            is_row = letters in _ONE_HOT_LOSSES
            is_row |= letters in _BINARY_LOSSES and numbers > 1
            if is_row and exclusive[name]:
                found[name] = np.eye(numbers, dtype=np.float32)[targets[name]]
            elif name in self.scalings:
                found[name] = self.scalings[name].invert(targets[name])
        return self.join(found)

    def read(self, model: keras.Model, given: Any) -> dict[str, NDArray[np.float32]]:
        """Logits, or values in the user's unit, by target."""
        found, are_logits = self.split(given), self.are_logits(model)
        read = {}
        for target in self.task.targets:
            array = np.asarray(found[target.name], np.float32)
            array = array.reshape(len(array), -1)
            array = network_output(target, array, are_logits[target.name])
            scaling = self.scalings.get(target.name, Scaling())
            read[target.name] = scaling.apply(np.asarray(array))
        return read


def check_sides(model: Any, task: Task) -> None:
    """Raise a `TrialError` if what a model takes and gives, as far as it says so before
    it is called, is other than what a task has."""
    taken = [tuple(each.shape[1:]) for each in getattr(model, "inputs", None) or ()]
    if len(taken) == len(task.inputs) == 1:
        (needed,) = (item.shape for item in task.inputs)
        pairs = zip(taken[0], needed, strict=False)
        if len(taken[0]) == len(needed) and any(a not in (None, b) for a, b in pairs):
            raise TrialError(
                f"the model takes {' x '.join(map(str, taken[0]))}, but the data has "
                f"{' x '.join(map(str, needed))}"
            )
    given = getattr(model, "output", None)
    given = getattr(model, "outputs", None) if given is None else given
    if given is not None:
        UserOutputs.of(model, given, task)


def _order_of(
    names: tuple[str, ...], model: keras.Model, given: Any
) -> tuple[str, ...]:
    """Targets in the order in which `keras.tree` flattens a model's outputs."""
    count = len(keras.tree.flatten(given))
    if len(names) == 1:
        if count != 1:
            raise TrialError(f"the model gives {count} outputs, but one is needed")
        return names
    if isinstance(given, dict) and set(given) == set(names):
        return tuple(sorted(names))
    if isinstance(given, list | tuple) and count == len(names):
        named = tuple(getattr(model, "output_names", None) or ())
        return named if set(named) == set(names) else names
    found = ", ".join(given) if isinstance(given, dict) else "other outputs"
    raise TrialError(
        f"the model must give a dict of {' and '.join(names)}, or {len(names)} outputs "
        f"in this order, but it gives {found}"
    )


def _maker_of(tensor: Any) -> Any:
    return getattr(getattr(tensor, "_keras_history", None), "operation", None)


def _is_logit(loss: Any, end: Any) -> bool:
    """Whether an output is a logit, by its compiled loss and what makes it."""
    declared = getattr(loss, "from_logits", None)
    if declared is None:
        declared = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    if declared or (end is not None and _ends_in_activation(end)):
        return bool(declared)
    is_entropy = "crossentropy" in str(loss or "").lower() or declared is False
    return not is_entropy


def _ends_in_activation(end: Any) -> bool:
    layer: Any = end
    while getattr(layer, "layers", None):  # what makes the output, or the last layer
        made = _maker_of((getattr(layer, "outputs", None) or [None])[0])
        layer = layer.layers[-1] if made is None or made is layer else made
    if isinstance(layer, keras.layers.Softmax):
        return True
    if isinstance(layer, keras.Operation) and not isinstance(layer, keras.layers.Layer):
        return type(layer).__name__.lower() in _ACTIVATIONS
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", "") in _ACTIVATIONS


def _check_shape(target: Target, shape: tuple[int | None, ...]) -> None:
    """One number for an example is enough for two classes."""
    least = 1 if target.head.is_exclusive and target.outputs == 2 else target.outputs
    if shape[1:] in ((target.outputs,), (least,)) or (least == 1 and len(shape) == 1):
        return
    raise TrialError(
        f"the model gives {shape[-1] if len(shape) == 2 else shape} outputs, but "
        f"{target.name} has {target.head.count_text(target.outputs)}"
    )
