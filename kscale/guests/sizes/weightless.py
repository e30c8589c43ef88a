"""Sizes of models that a user's code builds, counted without allocating a weight.

The code runs as it is, in a place where the variables of Keras have shapes only.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import keras
import tensorflow as tf

from kscale.errors import SpecError, reason_of
from kscale.guests.sizes.model_size import count_model, count_weights
from kscale.guests.sizes.shapes_only import no_trace, shapes_only
from kscale.naming import single_or_named
from kscale.reports.size_tables import ModelSize
from kscale.task.tasks import Task


def count_build(build: Callable[[], Any], task: Task | None = None) -> ModelSize:
    """Count the model that some code builds, layer by layer, without its weights.

    The code runs where variables have no values. Code that fails there, such as code
    that calls a large model on numbers, runs in a TensorFlow graph, where a number is a
    promise; code that fails there too, in another way, runs for real. The task has the
    inputs of models that have no shapes until they are called, or leave sides open.

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
                return _count(build(), task)
        except SpecError:
            raise
        except Exception as error:  # a user's code may fail in any way
            errors.append(error)
            if repr(error) in map(repr, errors[:-1]):
                break  # the code fails wherever it runs
    reason = reason_of(errors[-1])
    raise SpecError(f"The model cannot be built: {reason}.") from errors[-1]


def _count(model: Any, task: Task | None) -> ModelSize:
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
        counted = count_model(model, shapes) if is_whole else count_weights(model)
    if counted.size.params == 0:
        raise SpecError(
            f"Model {model.name!r} has no weights until it is called: give the task, "
            "or end with `model.build(...)` that builds every layer."
        )
    return counted
