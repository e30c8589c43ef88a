"""Starting TensorFlow without its many lines of output."""

import atexit
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kscale.engine.strategies import worker_count
from kscale.errors import MissingPackageError, sentence_of


@contextmanager
def quiet_start() -> Iterator[None]:
    """Import TensorFlow inside, without its output; errors are raised as always.

    Its C++ part writes to the process' standard error before any of its settings count.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # A GPU's memory is taken as it is needed, so that several processes share a GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    # It warns of retracing whenever several networks are trained one after the other.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
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


@contextmanager
def kept_sigterm() -> Iterator[None]:
    """Let a library start inside, and restore the handler of SIGTERM afterwards.

    TensorFlow takes the signal for the notice of a preemption, which nobody reads here,
    and Ray's handler prints a trace of its C++.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def start(finds_devices: bool = True) -> None:
    """Import TensorFlow and find its devices.

    The process ends without a last look for garbage, which takes a second.

    Args:
        finds_devices: Whether devices are looked for; workers must meet before.

    Raises:
        MissingPackageError: TensorFlow is not installed, or does not load.
    """
    finds_devices = finds_devices and not worker_count()
    try:
        with quiet_start(), uncollected():
            import tensorflow as tf

            if finds_devices:
                tf.config.list_logical_devices()
    except Exception as error:  # whatever a broken installation raises
        reason = sentence_of(error.__context__ or error)
        raise MissingPackageError(
            f"TensorFlow does not load here: {reason}; pip install . in kscale's "
            "source folder installs what it needs."
        ) from error
    atexit.register(gc.freeze)
