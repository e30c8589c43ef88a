"""A user's builder, whose code kills the process that trains one of its networks."""

import os
import signal
from typing import Any

import keras
import psutil


def build(hp: Any) -> keras.Model:
    """A network; where another process than the driver builds the widest, it dies."""
    width = hp.Int("width", 4, 6)
    if width == 6 and psutil.Process().cmdline()[0].startswith("ray::"):
        if os.environ.get("OMP_NUM_THREADS") and _is_trained():
            os.kill(os.getpid(), signal.SIGKILL)
    model = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(width), keras.layers.Dense(10)]
    )
    return model


def _is_trained() -> bool:
    return not any("counting" in name for name in os.environ)
