"""Names of strategies: which devices train, and how they share the work."""

import json
import os
import re
import socket

from kscale.errors import SpecError, unknown_name

STRATEGIES = ("auto", "one", "each", "mirrored", "workers", "tpu", "none")
"""Names beside those of devices; see `kscale.engine.tensorflow.devices.make_strategy`.
"""

_DEVICE = re.compile(r"(CPU|GPU):\d+")
_TPU = re.compile(r"tpu(:[a-z][^\s,]*)?")
_SHARED_WORK = 1e12
_NO_CLUSTER = (
    'TF_CONFIG must be like {"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def check_strategy(name: str) -> None:
    """Raise unless a name is known, or devices of one kind are named.

    Example:

    >>> check_strategy("GPU:0,GPU:1")
    """
    if name in STRATEGIES or is_tpu(name):
        return
    devices = devices_in(name)
    if not all(map(_DEVICE.fullmatch, devices)):
        known = unknown_name("strategy", name, STRATEGIES)
        raise SpecError(
            f"{known} Devices have names such as GPU:1 or GPU:0,GPU:1; a TPU is tpu "
            "or, in Google's cloud, tpu:NAME."
        )
    kinds = {device.split(":")[0] for device in devices}
    if len(kinds) > 1 or len(set(devices)) < len(devices):
        raise SpecError(
            f"Devices must be of one kind, each named once, but got {name!r}."
        )


def is_tpu(name: str) -> bool:
    """Whether a strategy is a TPU.

    Example:

    >>> is_tpu("tpu"), is_tpu("tpu:my-tpu"), is_tpu("TPU:0")
    (True, True, False)
    """
    return _TPU.fullmatch(str(name)) is not None


def worker_count() -> int:
    """Machines that train together, by TensorFlow's TF_CONFIG; 0 where none is set.

    Raises:
        SpecError: TF_CONFIG says no cluster of workers with a task.
    """
    return len(worker_addresses())


def worker_addresses() -> list[str]:
    """Where the workers of TF_CONFIG listen, the one that leads first.

    Raises:
        SpecError: TF_CONFIG says no cluster of workers with a task.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text or "{}")
        cluster, task = config.get("cluster", {}), config.get("task", {})
        roles = {role: list(cluster[role]) for role in cluster}
        if roles:
            roles[task["type"]][int(task["index"])]
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise SpecError(f"{_NO_CLUSTER}, but got {text!r}.") from error
    others = sorted(roles.keys() - {"chief", "worker"})
    if others:
        raise SpecError(f"{_NO_CLUSTER}, but got tasks of kind {', '.join(others)}.")
    return [address for role in sorted(roles) for address in roles[role]]


def leads_workers() -> bool:
    """Whether this process is the worker of TF_CONFIG that the others follow."""
    config = json.loads(os.environ["TF_CONFIG"])
    task = config["task"]
    return (task["type"], int(task["index"])) == (min(config["cluster"]), 0)


def missing_workers() -> list[str]:
    """Workers of TF_CONFIG, but for the one that leads, where nobody listens."""
    return [each for each in worker_addresses()[1:] if not _listens(each)]


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except (OSError, ValueError):
        return False
    return True


def devices_in(name: str) -> list[str]:
    """The devices that a strategy names, with commas between them."""
    return [device.strip().upper() for device in str(name).split(",")]


def strategy_for(work: float) -> str:
    """How several devices train the networks of a search: `each` or `mirrored`.

    Devices that train a network each lose nothing to each other. Devices that share a
    step bring all gradients together: 0.4 ms for a small network, seen on two devices
    of one CPU. That is little where a step is long: 1e12 FLOPs take an H100 some 20 ms
    in float32. No machine with two GPUs has been measured.

    Args:
        work: `Size.training_work` of the largest network, times the examples of a step.
    """
    return "mirrored" if work >= _SHARED_WORK else "each"
