"""Users' builders that processes of Ray do not survive, or cannot read."""

import os
import signal
import time
from typing import Any

import keras
import psutil


def build(hp: Any) -> keras.Model:
    """Kill the process of Ray which builds the widest network."""
    width = hp.Int("width", 4, 6)
    is_of_ray = psutil.Process().cmdline()[0].startswith("ray::")
    if width == 6 and is_of_ray:
        os.kill(os.getpid(), signal.SIGKILL)
    layers = keras.layers
    return keras.Sequential(
        [layers.Flatten(), layers.Dense(width), layers.Dense(10, "softmax")]
    )


class Unreadable:
    """A builder that no other process can read, at once or for a long time."""

    def __init__(self, is_slow: bool) -> None:
        self.is_slow = is_slow

    def __call__(self, hp: Any) -> keras.Model:
        return build(hp)

    def __setstate__(self, state: dict[str, Any]) -> None:
        time.sleep(600 * state["is_slow"])
        raise ImportError("no spam here")
