"""TensorFlow started without the many lines that it writes while it starts."""

import atexit
import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_start() -> Iterator[None]:
    """Import TensorFlow inside: what it writes is shown only if the import fails.

    Its C++ part writes to the process' standard error before any of its settings count.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # It warns of retracing whenever several networks are trained one after the other.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    with tempfile.TemporaryFile() as written:
        kept = os.dup(2)
        os.dup2(written.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            written.seek(0)
            sys.stderr.write(written.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def uncollected() -> Iterator[None]:
    """Import much inside: Python does not look for garbage meanwhile, of which an
    import makes none. The look takes a fifth of TensorFlow's start."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """Train inside: what is there already is no garbage meanwhile.

    Without that, each look for garbage goes through the 400,000 objects that TensorFlow
    and Keras consist of, and takes 0.4 s.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def start() -> None:
    """Import TensorFlow and find its devices.

    The process ends without a last look for garbage, which takes a second.
    """
    with quiet_start(), uncollected():
        import tensorflow as tf

        tf.config.list_logical_devices()
    atexit.register(gc.freeze)
