"""What a user's model gives: for which target, and probabilities or logits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.scaling import Scaling
from kscale.errors import TrialError
from kscale.task.tasks import Target, Task

_LEAST = 1e-7
_SHARES = ("softmax", "sigmoid")
_OF_SHARES = {
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "categoricalhinge",
    "kldivergence",
    "kullbackleiblerdivergence",
}
"""Losses that compare with a share of each class, not with the class."""

_OF_EACH = {"binarycrossentropy", "binaryfocalcrossentropy"}
"""Losses that do so where there is an output a class."""


@dataclass(frozen=True)
class Heads:
    """The outputs of a model by target.

    Args:
        task: The targets.
        names: Targets in the order of the outputs.
        form: `dict`, `list`, or empty for the only output, however it is wrapped.
        sides: Numbers for an example, by target.
        scalings: From the outputs to the user's unit, by target; of models that are
            trained on scaled values.
    """

    task: Task
    names: tuple[str, ...]
    form: str = ""
    sides: Mapping[str, int] = field(default_factory=dict)
    scalings: Mapping[str, Scaling] = field(default_factory=dict)

    @classmethod
    def of(cls, model: keras.Model, given: Any, task: Task) -> "Heads":
        """Outputs are of the targets whose names they have, or else in their order.

        Args:
            model: The model, which may name its outputs.
            given: What it gave for any inputs.
            task: The targets.

        Raises:
            TrialError: The outputs are not those of the targets in number, names or
                shapes.
        """
        names = tuple(target.name for target in task.targets)
        heads = cls(task, *_order_of(names, model, given))
        found = heads.split(given)
        for target in task.targets:
            check_outputs(target, tuple(found[target.name].shape))
        sides = {name: math.prod(each.shape[1:]) for name, each in found.items()}
        return replace(heads, sides=sides)

    def split(self, given: Any) -> dict[str, Any]:
        """Outputs of the model by target."""
        if not self.form:
            return {self.names[0]: only(given)}
        if self.form == "dict":
            return {name: given[name] for name in self.names}
        return dict(zip(self.names, given, strict=True))

    def join(self, items: Mapping[str, Any]) -> Any:
        """What is given by target in the form of the outputs."""
        if not self.form:
            return items[self.names[0]]
        if self.form == "dict":
            return {name: items[name] for name in self.names}
        return [items[name] for name in self.names]

    def are_logits(self, model: keras.Model) -> dict[str, bool]:
        """Whether the model gives logits, by target.

        The compiled loss says so, or the last layer has no softmax. A loss on
        probabilities is believed where the last layer says nothing.
        """
        ends = _ends_of(model)
        found = {}
        for place, name in enumerate(self.names):
            end = ends.get(name, _at(ends.get("", ()), place))
            whole = None if self.form else model
            found[name] = _are_logits(self._loss(model, place), end or whole)
        return found

    def _loss(self, model: keras.Model, place: int) -> Any:
        """The compiled loss of a target."""
        losses: Any = getattr(model, "loss", None) if model.compiled else None
        if isinstance(losses, Mapping):
            outputs = getattr(model, "output_names", self.names)
            name = self.names[place]
            return losses.get(name, losses.get(_at(outputs, place)))
        if isinstance(losses, list | tuple):
            return _at(losses, place)
        return losses

    def wanted(self, model: keras.Model, targets: Mapping[str, Any]) -> Any:
        """Targets as the model is trained on them, in the form of its outputs.

        Classes are ids, or shares of each class (one-hot) where the compiled loss
        compares with these; values are scaled if the model's are.

        Args:
            model: The compiled model.
            targets: By name, ids of classes or values in the user's unit.
        """
        found = {}
        exclusive = {each.name: each.head.is_exclusive for each in self.task.targets}
        for place, name in enumerate(self.names):
            found[name] = targets[name]
            loss, sides = _letters_of(self._loss(model, place)), self.sides[name]
            of_shares = loss in _OF_SHARES or (loss in _OF_EACH and sides > 1)
            if of_shares and exclusive[name]:
                found[name] = np.eye(sides, dtype=np.float32)[targets[name]]
            elif name in self.scalings:
                found[name] = self.scalings[name].invert(targets[name])
        return self.join(found)

    def read(self, model: keras.Model, outputs: Any) -> dict[str, NDArray[np.float32]]:
        """Logits of classes, or values in the user's unit, by target."""
        found, are_logits = self.split(outputs), self.are_logits(model)
        given = {}
        for target in self.task.targets:
            name, array = target.name, np.asarray(found[target.name])
            if target.head.is_named:
                given[name] = logits_of(target, array, are_logits[name])
            else:
                values = array.reshape(len(array), -1)
                scaling = self.scalings.get(name)
                given[name] = values if scaling is None else scaling.apply(values)
        return given


def _letters_of(loss: Any) -> str:
    """The name of a loss, of a class or of a function, in small letters."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", None)
    return (name or type(loss).__name__).replace("_", "").lower()


def _order_of(
    names: tuple[str, ...], model: keras.Model, given: Any
) -> tuple[tuple[str, ...], str]:
    """Targets in the order of a model's outputs, and the form of these."""
    if len(names) == 1:
        only(given)
        return names, ""
    if isinstance(given, dict) and set(given) == set(names):
        return names, "dict"
    if isinstance(given, list | tuple) and len(given) == len(names):
        named = tuple(getattr(model, "output_names", None) or ())
        return (named if set(named) == set(names) else names), "list"
    found = ", ".join(given) if isinstance(given, dict) else "other outputs"
    raise TrialError(
        f"the model must give a dict of {' and '.join(names)}, or {len(names)} outputs "
        f"in this order, but it gives {found}"
    )


def _at(items: Any, place: int) -> Any:
    is_there = isinstance(items, list | tuple) and place < len(items)
    return items[place] if is_there else None


def _ends_of(model: keras.Model) -> dict[str, Any]:
    """What makes the outputs of a graph, by name; in their order under no name."""
    outputs = getattr(model, "_outputs_struct", None)
    if isinstance(outputs, dict):
        return {name: _maker_of(tensor) for name, tensor in outputs.items()}
    if isinstance(outputs, list | tuple):
        return {"": tuple(map(_maker_of, outputs))}
    return {}


def _maker_of(tensor: Any) -> Any:
    return getattr(getattr(tensor, "_keras_history", None), "operation", None)


def _are_logits(loss: Any, end: Any) -> bool:
    declared = getattr(loss, "from_logits", None)
    if declared is None:
        declared = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    if declared:
        return True
    if end is not None and _ends_in_shares(end):
        return False
    is_entropy = "crossentropy" in str(loss or "").lower() or declared is False
    return not is_entropy


def _ends_in_shares(end: Any) -> bool:
    layer: Any = end
    while getattr(layer, "layers", None):
        layer = _last_of(layer)
    if isinstance(layer, keras.layers.Softmax):
        return True
    if isinstance(layer, keras.Operation) and not isinstance(layer, keras.layers.Layer):
        return type(layer).__name__.lower() in _SHARES
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", "") in _SHARES


def _last_of(model: Any) -> Any:
    """What makes the output: as the graph has it, or else the last layer."""
    outputs = getattr(model, "outputs", None) or []
    made = _maker_of(outputs[0]) if outputs else None
    return model.layers[-1] if made is None or made is model else made


def logits_of(target: Target, given: Any, is_logits: bool) -> NDArray[np.float32]:
    """Outputs as logits, of which the activation of the head gives probabilities.

    Args:
        target: A target with names.
        given: What the model gave: one column a name, or one for the second of two.
        is_logits: Whether they are logits.

    Raises:
        TrialError: The shape is another.
    """
    found = np.asarray(given, np.float32)
    found = found.reshape(len(found), -1)
    if found.shape[1] == 1 and target.outputs == 2:
        return _of_two(found, is_logits)
    check_outputs(target, found.shape)
    return found if is_logits else np.asarray(target.head.deactivate(found))


def _of_two(given: NDArray[np.float32], is_logits: bool) -> NDArray[np.float32]:
    if is_logits:
        return np.concatenate([np.zeros_like(given), given], axis=1)
    return np.log(np.maximum(np.concatenate([1 - given, given], axis=1), _LEAST))


def check_outputs(target: Target, shape: tuple[int | None, ...]) -> None:
    """Raise unless a model's outputs are of the shape that a target needs.

    One number for an example is enough for two classes.

    Raises:
        TrialError: They are not.
    """
    least = target.head.fewest_numbers(target.outputs)
    if shape[1:] in ((target.outputs,), (least,)) or (least == 1 and len(shape) == 1):
        return
    raise TrialError(
        f"the model gives {shape[-1] if len(shape) == 2 else shape} outputs, but "
        f"{target.name} has {target.head.count_text(target.outputs)}"
    )


def shares_of(target: Target, given: Any, is_logits: bool) -> Any:
    """Probabilities `(batch, classes)` as Keras tensors, as `logits_of` has them."""
    ops = keras.ops
    if given.shape[1] == 1 and target.outputs == 2:
        second = ops.sigmoid(given) if is_logits else given
        return ops.concatenate([1 - second, second], axis=1)
    return (
        keras.layers.Activation(target.head.activation)(given) if is_logits else given
    )


def only(given: Any) -> Any:
    """The output of a model that has one, however it is wrapped.

    Raises:
        TrialError: There are several.
    """
    items = list(given.values()) if isinstance(given, dict) else given
    if not isinstance(items, list | tuple):
        return items
    if len(items) != 1:
        raise TrialError(f"the model gives {len(items)} outputs, but one is needed")
    return items[0]
