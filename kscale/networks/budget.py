"""Budget: upper limits on what a network costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from kscale.errors import BudgetError
from kscale.networks.sizing import Size
from kscale.units import format_bytes, format_count

DEVICE_LIMITS = ("max_flash", "max_ram")
"""Limits of a microcontroller, on the network in int8."""
_IN_BYTES = ("max_bytes", "max_memory", *DEVICE_LIMITS)

STORED = {32: "float32", 16: "float16", 8: "int8", 4: "int4"}
"""Types that weights may be stored in, by their bits."""


def stored_bytes(float32_bytes: Any, bits: int) -> Any:
    """Bytes of weights in so many bits, by those in float32."""
    return -(-float32_bytes * bits // 32)


@dataclass(frozen=True)
class Budget:
    """Upper limits on what a network costs; a limit that is None does not count.

    Args:
        max_params: Most weights, as `Size.params`.
        max_flops: Most FLOPs of one example forward, as `Size.flops`.
        max_bytes: Most bytes of the weights, as `Size.weight_bytes()`, in the fewest
            of `bits`.
        max_memory: Most bytes that training holds, as `Size.training_bytes`.
        max_flash: Most bytes of the int8 LiteRT file, as `DeviceSize.flash`.
        max_ram: Most bytes of RAM on a microcontroller, as `DeviceSize.ram`.
        max_latency_ms: Most milliseconds of a forward pass, measured on the device at
            hand; known only of networks that were built.
        memory_batch: Examples of the training step that `max_memory` limits.
        latency_batch: Examples of the forward pass that `max_latency_ms` limits.
        bits: Bits of a weight that a network may be stored in, keys of `STORED`.

    Raises:
        BudgetError: A limit or a batch is not a whole number of at least 1, the
            latency is not a number above 0, or weights are not stored in such bits.

    Example:

    >>> Budget(max_params=1000).allows(Size(1000, 1000, 0, 0, 0))
    True
    """

    max_params: int | None = None
    max_flops: int | None = None
    max_bytes: int | None = None
    max_memory: int | None = None
    max_flash: int | None = None
    max_ram: int | None = None
    max_latency_ms: float | None = None
    memory_batch: int = 32
    latency_batch: int = 1
    bits: tuple[int, ...] = (32,)

    def __post_init__(self) -> None:
        bits = tuple(sorted({*self.bits}, reverse=True))
        if not bits or not {*bits} <= STORED.keys():
            known = ", ".join(map(str, STORED))
            raise BudgetError(f"`bits` must be of {known}, but got {self.bits!r}.")
        object.__setattr__(self, "bits", bits)
        for item in fields(self):
            limit = getattr(self, item.name)
            if limit is None or item.name == "bits":
                continue
            is_time = item.name == "max_latency_ms"
            kind = float if is_time else int
            what = "number above 0" if is_time else "whole number of at least 1"
            is_number = isinstance(limit, Real) and not isinstance(limit, bool)
            if not (is_number and 0 < limit < math.inf and kind(limit) == limit):
                raise BudgetError(f"`{item.name}` must be a {what}, but got {limit!r}.")
            object.__setattr__(self, item.name, kind(limit))

    @property
    def are_bits_open(self) -> bool:
        """Whether weights may be stored otherwise than in float32."""
        return self.bits != (32,)

    def bits_for(self, float32_bytes: int) -> tuple[int, ...]:
        """Bits in which weights fit `max_bytes`, the most first."""
        most = self.max_bytes
        return tuple(
            bits
            for bits in self.bits
            if most is None or stored_bytes(float32_bytes, bits) <= most
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name; of what older runs do not know, only what is limited."""
        found = {
            name: value
            for name, value in vars(self).items()
            if name not in DEVICE_LIMITS or value is not None
        }
        bits = found.pop("bits")
        return {**found, "bits": [*bits]} if self.are_bits_open else found

    @property
    def limits(self) -> dict[str, int | float]:
        """The limits that are not None, by name."""
        return {
            name: limit
            for name, limit in vars(self).items()
            if name.startswith("max_") and limit is not None
        }

    def allows(self, size: Size) -> Any:
        """Whether a size is within every limit on sizes; an array for arrays."""
        return self.allows_used(self.used(size))

    def allows_used(self, used: Mapping[str, Any]) -> Any:
        """Whether costs, by the names of limits, are within all limits.

        A cost that is not known (a latency that was not measured) is within any limit.
        """
        fits: Any = True
        for name, limit in self.limits.items():
            if used.get(name) is not None:
                fits = fits & (used[name] <= limit)
        return fits

    def share(self, size: Size) -> float:
        """The largest part of a limit that a size uses; 0 without limits on sizes."""
        return self.share_of(self.used(size))

    def share_of(self, used: Mapping[str, Any]) -> float:
        """The largest part of a limit that costs use, by the names of limits."""
        parts = [
            used[name] / limit
            for name, limit in self.limits.items()
            if used.get(name) is not None
        ]
        return float(max(parts, default=0.0))

    @property
    def of_device(self) -> dict[str, int]:
        """The limits on the flash and the RAM of a microcontroller, by name."""
        limits = {"max_flash": self.max_flash, "max_ram": self.max_ram}
        return {name: most for name, most in limits.items() if most is not None}

    @property
    def is_of_device(self) -> bool:
        """Whether the flash or the RAM of a microcontroller is limited."""
        return bool(self.of_device)

    def used(self, size: Size) -> dict[str, Any]:
        """The costs of a size by the names of limits; of a device where one is limited.

        Raises:
            SpecError: A device is limited, and the network does not run on one.
        """
        device = size.device(self.max_ram or 0) if self.is_of_device else None
        on_device = {"max_flash": device.flash, "max_ram": device.ram} if device else {}
        return {
            "max_params": size.params,
            "max_flops": size.flops,
            "max_bytes": size.weight_bytes(STORED[min(self.bits)]),
            "max_memory": size.training_bytes(self.memory_batch),
            **on_device,
        }

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return bool(self.limits)

    def __str__(self) -> str:
        shown = []
        for name, limit in self.limits.items():
            shown_as = format_bytes if name in _IN_BYTES else format_count
            text = f"{limit:g}" if name == "max_latency_ms" else shown_as(limit)
            shown.append(f"{name}={text}")
        if self.are_bits_open:
            *most, fewest = map(str, self.bits)
            bits = f"{', '.join(most)} or {fewest}" if most else fewest
            shown.append(f"weights in {bits} bits")
        return ", ".join(shown) or "no limit"


_LIMITS = tuple(item.name for item in fields(Budget) if item.name.startswith("max_"))


def used_by(item: Any) -> dict[str, int | float | None]:
    """The costs of a training, an entry, or a row of a report by the names of limits.

    A cost that is not known, as a latency that was not measured, is None.
    """
    return {name: getattr(item, name.removeprefix("max_")) for name in _LIMITS}
