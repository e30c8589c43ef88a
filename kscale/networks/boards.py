"""Common microcontroller boards: the flash and the RAM that a network may take.

`boards.json` has of each board the bytes of flash and of RAM and the source, a
datasheet. RAM is that of one block of addresses, as the arena of the interpreter is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.units import format_bytes

LEFT = 4
"""One part of so many, of flash and of RAM, is left for the firmware.

TensorFlow Lite Micro with its kernels takes about 100 kB of flash; drivers, the stack
and the buffers of a sensor take RAM. On the smallest of the boards a quarter is 131 kB
of flash and 25 kB of RAM.
"""


@dataclass(frozen=True)
class Board:
    """A microcontroller board.

    Args:
        name: Name on the command line.
        title: Name of the maker, with the chip.
        flash: Bytes of flash.
        ram: Bytes of RAM.
        mhz: Clock of the core.
        source: Address of the datasheet.
    """

    name: str
    title: str
    flash: int
    ram: int
    mhz: int
    source: str

    @property
    def limits(self) -> dict[str, int]:
        """Most bytes that a network may take, by names of limits."""
        return {
            "max_flash": self.flash - self.flash // LEFT,
            "max_ram": self.ram - self.ram // LEFT,
        }

    @property
    def sentence(self) -> str:
        """What a network may take of the board."""
        flash, ram = map(format_bytes, self.limits.values())
        return (
            f"Board {self.title}: a network may take {flash} of flash and {ram} of "
            "RAM; the last quarter of both is the firmware's."
        )


_ROWS = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
BOARDS: dict[str, Board] = {name: Board(name, **row) for name, row in _ROWS.items()}


def find_board(name: str) -> Board:
    """A board by name.

    Raises:
        SpecError: No board has the name; the text has the nearest names.

    Example:

    >>> find_board("ESP32-S3").limits
    {'max_flash': 6291456, 'max_ram': 393216}
    """
    if name.lower() not in BOARDS:
        raise SpecError(unknown_name("board", name, BOARDS))
    return BOARDS[name.lower()]


def limits_with(limits: Mapping[str, Any], board: str | None) -> dict[str, Any]:
    """Limits by name, and those of a board: of two limits the smaller one counts.

    Example:

    >>> limits_with({"max_ram": 64_000, "max_params": None}, "esp32-s3")
    {'max_ram': 64000, 'max_params': None, 'max_flash': 6291456}
    """
    if board is None:
        return dict(limits)
    given = find_board(board).limits
    both = {name: min(limits.get(name) or most, most) for name, most in given.items()}
    return {**limits, **both}
