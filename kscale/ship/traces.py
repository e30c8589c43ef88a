"""Keras as it was, after a model was built that nobody trains."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from keras.src.backend.common import global_state

# What a build changes in Keras for those that come after it.
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
    names = state["object_name_uids"]
    state["object_name_uids"] = None if names is None else names.copy()
    waiting = state["uninitialized_variables"]
    # Keras would give values to those that wait, at the next build of anything.
    global_state.set_global_attribute("uninitialized_variables", [])
    state["uninitialized_variables"] = waiting
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for name, value in state.items():
            global_state.set_global_attribute(name, value)
        random.setstate(python)
        np.random.set_state(numpy)
