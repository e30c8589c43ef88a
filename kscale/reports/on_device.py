"""Whether a network fits a microcontroller, for people and as plain data."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kscale.errors import SpecError
from kscale.networks.device import DeviceSize
from kscale.networks.sizing import Size
from kscale.units import format_bytes

_MOST_PERCENT = 1000  # above which a share is a factor


@dataclass(frozen=True)
class OnDevice:
    """What a network needs on a microcontroller, beside what the network may take.

    Args:
        limits: Most `max_flash` and `max_ram`, or one of them.
        weights: Bytes of the int8 weights alone.
        found: What is predicted; None where it is not known.
        refusal: Why the network runs on no microcontroller; empty if not known.
    """

    limits: Mapping[str, int]
    weights: int
    found: DeviceSize | None = None
    refusal: str = ""

    @property
    def fits(self) -> bool | None:
        """Whether the network is within all limits; None where that is not known."""
        if self.found is not None:
            used = {"max_flash": self.found.flash, "max_ram": self.found.ram}
            return all(used[name] <= most for name, most in self.limits.items())
        most = self.limits.get("max_flash", self.weights)
        return False if self.refusal or self.weights > most else None

    def to_json(self) -> dict[str, Any]:
        """Raw numbers."""
        return {
            "fits": self.fits,
            "limits": dict(self.limits),
            **(asdict(self.found) if self.found else {"refusal": self.refusal}),
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """A line for flash, and a line for RAM with the layer at which most is used."""
        if self.refusal:
            yield "device", self.refusal
            return
        if self.found is None:
            weights = self._against("max_flash", self.weights)
            yield "flash", f"{weights}; that is of the int8 weights alone"
            yield "RAM", "not known of a model that is no network of a family"
            return
        yield "flash", f"{self._against('max_flash', self.found.flash)}, as int8 LiteRT"
        ram = self._against("max_ram", self.found.ram)
        yield "RAM", f"{ram}; most at {self.found.peak}"

    def _against(self, name: str, used: int) -> str:
        """A figure beside its limit: `20.1 kB of 786 kB: fits, 766 kB less`."""
        most = self.limits.get(name)
        if most is None:
            return format_bytes(used)
        share = f"{100 * used / most:.0f} %"
        if used > _MOST_PERCENT * most / 100:
            share = f"{used / most:,.0f} times"
        verdict = f"fits, {format_bytes(most - used)} are left"
        if used > most:
            verdict = f"does not fit, {format_bytes(used - most)} too much"
        return f"{format_bytes(used)} of {format_bytes(most)} ({share}): {verdict}"


def on_device(size: Size, limits: Mapping[str, int]) -> OnDevice:
    """What a network of a size needs on a microcontroller."""
    weights = size.weight_bytes("int8")
    try:
        return OnDevice(limits, weights, size.device())
    except SpecError as error:
        return OnDevice(limits, weights, refusal=str(error))
