"""Devices by name: a `tf.distribute` strategy."""

from functools import cache

import tensorflow as tf

from kscale.engine.base import STRATEGIES
from kscale.errors import SpecError, unknown_name


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The strategy of a name.

    `auto` mirrors over several GPUs, takes a single GPU, or changes nothing; `one`
    is the first GPU or the CPU; `mirrored` copies the network to every GPU, or to every
    logical CPU device where there is no GPU; `none` changes nothing.
    """
    if name not in STRATEGIES:
        raise SpecError(unknown_name("strategy", name, STRATEGIES))
    gpus = tf.config.list_logical_devices("GPU")
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one" if gpus else "none"
    if name == "none":
        return tf.distribute.get_strategy()
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    return _strategy_on(devices[0]) if name == "one" else _strategy_on(*devices)


@cache
def _strategy_on(*devices: str) -> tf.distribute.Strategy:
    """One strategy a process: with a second mirrored one the next model fails (seen
    with TensorFlow 2.21)."""
    if len(devices) == 1:
        return tf.distribute.OneDeviceStrategy(devices[0])
    return tf.distribute.MirroredStrategy(devices)
