"""What a user's model gives for classes, probabilities or logits, and how one tells."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.errors import TrialError
from kscale.task import Target

_LEAST = 1e-7
_SHARES = ("softmax", "sigmoid")


def gives_logits(model: keras.Model) -> bool:
    """Whether a model gives logits: its loss says so, or its last layer has no softmax.

    A compiled loss on probabilities is believed where the last layer says nothing.
    """
    loss = getattr(model, "loss", None) if model.compiled else None
    declared = getattr(loss, "from_logits", None)
    if declared is None:
        declared = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    if declared:
        return True
    if _ends_in_shares(model):
        return False
    is_entropy = "crossentropy" in str(loss or "").lower() or declared is False
    return not is_entropy


def _ends_in_shares(model: keras.Model) -> bool:
    layer: Any = model
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
    history = getattr(outputs[0], "_keras_history", None) if outputs else None
    made = getattr(history, "operation", None)
    return model.layers[-1] if made is None or made is model else made


def logits_of(target: Target, given: Any, is_logits: bool) -> NDArray[np.float32]:
    """Outputs as logits, one a class, of which the softmax gives the probabilities.

    Args:
        target: The target of classes.
        given: What the model gave: one column a class, or one for the second of two.
        is_logits: Whether they are logits.

    Raises:
        TrialError: The shape is another.
    """
    found = np.asarray(given, np.float32)
    found = found.reshape(len(found), -1)
    if found.shape[1] == 1 and target.outputs == 2:
        return _of_two(found, is_logits)
    check_outputs(target, found.shape)
    return found if is_logits else np.log(np.maximum(found, _LEAST))


def _of_two(given: NDArray[np.float32], is_logits: bool) -> NDArray[np.float32]:
    if is_logits:
        return np.concatenate([np.zeros_like(given), given], axis=1)
    return np.log(np.maximum(np.concatenate([1 - given, given], axis=1), _LEAST))


def check_outputs(target: Target, shape: tuple[int | None, ...]) -> None:
    """Raise unless a model's outputs are of the shape that a target needs.

    Raises:
        TrialError: They are not.
    """
    if len(shape) != 2 or shape[1] != target.outputs:
        what = "classes" if target.kind == "classes" else "values"
        raise TrialError(
            f"the model gives {shape[-1] if len(shape) == 2 else shape} outputs, but "
            f"{target.name} has {target.outputs} {what}"
        )


def shares_of(target: Target, given: Any, is_logits: bool) -> Any:
    """Probabilities `(batch, classes)` as Keras tensors, as `logits_of` has them."""
    ops = keras.ops
    if given.shape[1] == 1 and target.outputs == 2:
        second = ops.sigmoid(given) if is_logits else given
        return ops.concatenate([1 - second, second], axis=1)
    return keras.layers.Softmax()(given) if is_logits else given


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
