"""Memory of trained networks that TensorFlow and Python would never free."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from tensorflow.python.eager import context
from tensorflow.python.framework import ops

_COLLECT_EVERY = 8  # networks
_LARGE = 10**6  # parameters
_TRACING = RLock()


@contextmanager
def forgotten_gradients() -> Iterator[None]:
    """Let graphs that are traced inside be freed when nobody uses them any more.

    TensorFlow registers the gradient of each custom operation in a graph under a new
    name for ever, and the gradient holds the whole graph. Swish is such an
    operation, as is the sum of gradients over replicas in an optimizer's step. A
    gradient is needed only while its graph is traced. One thread traces at a time.
    """
    registry = getattr(ops.gradient_registry, "_registry", {})
    with _TRACING:
        before = set(registry)
        try:
            yield
        finally:
            for name in registry.keys() - before:
                if name.startswith("CustomGradient-"):
                    del registry[name]


def free_networks(number: int, params: int) -> None:
    """Free earlier networks, which refer to themselves, before every eighth that is
    built, and before each of many parameters."""
    if number % _COLLECT_EVERY == 0 or params >= _LARGE:
        gc.collect()
        # Graphs that are ready to run again. Keras' `clear_session` frees them, too,
        # but it also forgets settings that a user's code has made.
        context.context().clear_kernel_cache()
