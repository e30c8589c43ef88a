"""Models whose weights have shapes but no values, and leave Keras as it was."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import wraps
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state

_MOST_VALUES = 10**5  # of a weight that code computes with
# What building a model changes in Keras for models that are built later.
_STATE = (
    "object_name_uids",
    "global_seed_generator",
    "uninitialized_variables",
    "dtype_policy",
)


@contextmanager
def no_trace() -> Iterator[None]:
    """Leaves Keras' counters and everybody's random numbers as they were."""
    state = {name: global_state.get_global_attribute(name) for name in _STATE}
    state["object_name_uids"] = copy(state["object_name_uids"])
    # Keras would give values to those that wait, at the next build of anything.
    global_state.set_global_attribute("uninitialized_variables", [])
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for name, value in state.items():
            global_state.set_global_attribute(name, value)
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def shapes_only() -> Iterator[None]:
    """A context in which no variable gets a value, also none of an optimizer."""
    usual = keras.Variable.__init__
    keras.Variable.__init__ = _promising(usual)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        keras.Variable.__init__ = usual


def _promising(usual: Callable[..., None]) -> Callable[..., None]:
    """How to make a variable, also from a value, which Keras would refuse here."""

    @wraps(usual)
    def init(self: Any, initializer: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(initializer, str):
            initializer = keras.initializers.get(initializer)
        if callable(initializer):
            usual(self, _on_paper(initializer), *args, **kwargs)
            return
        value = keras.ops.convert_to_tensor(initializer, kwargs.get("dtype"))
        kwargs.setdefault("dtype", keras.backend.standardize_dtype(value.dtype))
        kwargs["shape"] = value.shape
        usual(self, lambda shape, dtype: value, *args[1:], **kwargs)

    return init


def _on_paper(initializer: Callable[..., Any]) -> Callable[..., Any]:
    """An initializer that refuses to make large values outside of a graph."""

    def initialize(shape: Any, *args: Any, **kwargs: Any) -> Any:
        if prod(shape) > _MOST_VALUES and tf.executing_eagerly():
            raise RuntimeError(f"a weight of {prod(shape):,} values is computed with")
        return initializer(shape, *args, **kwargs)

    return initialize
