"""Names of strategies: which devices train, and how they share the work."""

import re

from kscale.errors import SpecError, unknown_name

STRATEGIES = ("auto", "one", "each", "mirrored", "workers", "none")
"""Names beside those of devices; see `kscale.engine.tensorflow.devices.make_strategy`.
"""

_DEVICE = re.compile(r"(CPU|GPU|TPU):\d+")
_SHARED_WORK = 1e12


def check_strategy(name: str) -> None:
    """Raise unless a name is known, or devices of one kind are named.

    Example:

    >>> check_strategy("GPU:0,GPU:1")
    """
    if name in STRATEGIES:
        return
    devices = devices_in(name)
    if not all(map(_DEVICE.fullmatch, devices)):
        known = unknown_name("strategy", name, STRATEGIES)
        raise SpecError(f"{known} Devices have names such as GPU:1 or GPU:0,GPU:1.")
    kinds = {device.split(":")[0] for device in devices}
    if len(kinds) > 1 or len(set(devices)) < len(devices):
        raise SpecError(
            f"Devices must be of one kind, each named once, but got {name!r}."
        )


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
