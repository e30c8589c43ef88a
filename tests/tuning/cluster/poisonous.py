"""A user's builder that kills the process of Ray which builds the widest network."""

import os
import signal
from typing import Any

import keras
import psutil


def build(hp: Any) -> keras.Model:
    width = hp.Int("width", 4, 6)
    is_of_ray = psutil.Process().cmdline()[0].startswith("ray::")
    if width == 6 and is_of_ray:
        os.kill(os.getpid(), signal.SIGKILL)
    layers = keras.layers
    return keras.Sequential(
        [layers.Flatten(), layers.Dense(width), layers.Dense(10, "softmax")]
    )
