"""Devices by name: a `tf.distribute` strategy."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.eager import context

from kscale.engine.strategies import (
    STRATEGIES,
    check_strategy,
    devices_in,
    is_tpu,
    leads_workers,
    missing_workers,
    worker_count,
)
from kscale.engine.tensorflow.starting import kept_sigterm
from kscale.engine.tensorflow.tpu import tpu_strategy
from kscale.errors import SpecError, reason_of

_LOOK_SECONDS = 0.3


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The strategy of a name.

    `auto` takes the first GPU, or changes nothing where there is none; `one` is the
    first GPU or the CPU, and so is `each` for a single training; `mirrored`
    copies the network to every GPU, or to every logical CPU device where there is no
    GPU; `workers` copies it to the devices of all machines of TF_CONFIG, and `tpu` or
    `tpu:NAME` to the cores of a TPU; `none` changes nothing. A device is taken, and
    several are mirrored over.

    Raises:
        SpecError: The name is unknown, there is no such device, or workers are missing.
    """
    check_strategy(name)
    if name == "workers":
        return _strategy_of_workers()
    if is_tpu(name):
        return tpu_strategy(name.removeprefix("tpu").removeprefix(":"))
    if name == "auto":
        name = "one" if tf.config.list_logical_devices("GPU") else "none"
    if name == "none":
        return tf.distribute.get_strategy()
    if name not in STRATEGIES:
        return _strategy_on(*_found(devices_in(name)))
    devices = device_names()
    return _strategy_on(*devices) if name == "mirrored" else _strategy_on(devices[0])


def device_names() -> tuple[str, ...]:
    """The devices that train: all GPUs or, where there are none, all CPUs."""
    kinds = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    return tuple(map(_short, next(filter(None, kinds))))


def devices_of(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """Names of the devices that a strategy trains on."""
    try:
        return tuple(strategy.extended.worker_devices)
    except RuntimeError:  # of the default strategy, which takes what comes first
        return device_names()[:1]


def are_gpus(strategy: tf.distribute.Strategy) -> bool:
    """Whether the devices that a strategy trains on are GPUs."""
    return "GPU:" in devices_of(strategy)[0]


def device_of(strategy: tf.distribute.Strategy) -> AbstractContextManager[Any]:
    """Inside, all is placed on the device of a strategy that has a single one."""
    if isinstance(strategy, tf.distribute.OneDeviceStrategy):
        return tf.device(strategy.extended.worker_devices[0])
    return nullcontext()


def laid(strategy: tf.distribute.Strategy, part: Callable[[int], NDArray[Any]]) -> Any:
    """An array on the device of each replica of this process, in any thread: a tensor
    where there is one replica.

    Args:
        strategy: The replicas.
        part: Gives the array of a replica, by the number.
    """
    devices = devices_of(strategy)

    def on_device(replica: Any) -> Any:
        number = replica.replica_id_in_sync_group
        with tf.device(devices[number % len(devices)]):
            return tf.constant(part(number))

    values = strategy.experimental_distribute_values_from_function(on_device)
    if strategy.num_replicas_in_sync > 1:
        return values
    return strategy.experimental_local_results(values)[0]


def _found(wanted: list[str]) -> list[str]:
    there = [_short(device) for device in tf.config.list_logical_devices()]
    for name in wanted:
        if name not in there:
            raise SpecError(f"There is no device {name}; there are {', '.join(there)}.")
    return wanted


def _short(device: Any) -> str:
    return str(device.name).rsplit("device:", 1)[-1]


@cache
def _strategy_of_workers() -> tf.distribute.Strategy:
    """Must be made before TensorFlow is asked for anything else."""
    if not worker_count():
        raise SpecError("The strategy `workers` needs TF_CONFIG, which is not set.")
    # The one that leads waits here: TensorFlow hears neither Ctrl-C nor SIGTERM.
    until = time.monotonic() + _patience()
    while leads_workers() and (missing := missing_workers()):
        if time.monotonic() > until:
            raise SpecError(f"No worker listens at {missing[0]}.")
        time.sleep(_LOOK_SECONDS)
    try:
        with kept_sigterm():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise SpecError(
            "Workers must meet before TensorFlow is used for anything else."
        ) from error
    except (ValueError, tf.errors.OpError) as error:
        raise SpecError(
            f"The workers of TF_CONFIG do not meet: {reason_of(error)}."
        ) from error


def _patience() -> float:
    """Seconds to wait for workers: the limit of `meet_within`, or no limit."""
    service = context.context().coordination_service
    return service.cluster_register_timeout_in_ms / 1000 if service else math.inf


@cache
def _strategy_on(*devices: str) -> tf.distribute.Strategy:
    """One strategy a process: with a second mirrored one the next model fails (seen
    with TensorFlow 2.21)."""
    if len(devices) == 1:
        return tf.distribute.OneDeviceStrategy(devices[0])
    return tf.distribute.MirroredStrategy(list(devices))
