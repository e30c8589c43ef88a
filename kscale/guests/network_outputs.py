"""Outputs of models that kscale did not build, in the form of its networks' outputs."""

from typing import Any

import keras

from kscale.errors import SpecError
from kscale.task.heads.classes import LEAST_SHARE
from kscale.task.tasks import Target, Task


def refuse_sequences(task: Task, whose: str) -> None:
    """Raise unless somebody's model can predict all targets.

    Raises:
        SpecError: Labels of a target are sequences.
    """
    for target in task.targets:
        if target.head.is_sequence:
            raise SpecError(
                f"{whose} predict no sequences, but {target.name!r} is "
                f"{target.head.title}: take the families of kscale."
            )


def network_output(target: Target, given: Any, is_logit: bool) -> Any:
    """An output as a network of kscale gives it: logits, or values.

    The output is an array or a Keras tensor of logits, probabilities or values,
    `(examples, numbers)` or `(examples,)`. Of two classes the second alone will do.
    """
    ops, head = keras.ops, target.head
    given = _number_for_each(target, given, is_logit)
    if is_logit or not head.is_named:
        return given
    shares = ops.clip(given, LEAST_SHARE, 1.0)
    if head.is_exclusive:
        return ops.log(shares)
    return ops.log(shares) - ops.log(1 - given + LEAST_SHARE)


def probabilities_of(target: Target, given: Any, is_logit: bool) -> Any:
    """Probabilities `(examples, outputs)`, of what `network_output` takes."""
    given = _number_for_each(target, given, is_logit)
    activation = keras.layers.Activation(target.head.activation)
    return activation(given) if is_logit else given


def _number_for_each(target: Target, given: Any, is_logit: bool) -> Any:
    """A number for each class, also where only the second of two classes has one."""
    ops = keras.ops
    if len(given.shape) == 1:
        given = ops.expand_dims(given, -1)
    if target.head.is_exclusive and target.outputs == 2 and given.shape[-1] == 1:
        first = ops.zeros_like(given) if is_logit else 1 - given
        given = ops.concatenate([first, given], axis=-1)
    return given
