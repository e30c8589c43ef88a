"""Counted models of a user by their hyperparameters, in memory and in a file."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kscale.guests.hypermodels.draws import Values
from kscale.networks.sizing import Size
from kscale.runs.folder import write_atomically

logger = logging.getLogger(__name__)

SIZES_FILE = "sizes.jsonl"

_FIGURES = tuple(Size.__dataclass_fields__)


@dataclass(frozen=True)
class Counted:
    """What came of building a model abstractly.

    Args:
        values: The hyperparameters it asked for, in order.
        size: Its size; None where there is no model.
        is_compiled: Whether the user compiled it.
        unknown: Layers of unknown FLOPs.
        reason: Why there is no model.
    """

    values: Values
    size: Size | None = None
    is_compiled: bool = False
    unknown: tuple[str, ...] = ()
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return {
            **asdict(self),
            "size": None if self.size is None else asdict(self.size),
        }

    @classmethod
    def from_json(cls, data: Any) -> "Counted":
        """What `to_json` described.

        Raises:
            ValueError: It is something else.
        """
        try:
            size = data["size"]
            if size is not None:
                size = Size(**{name: _whole(size[name]) for name in _FIGURES})
            values = tuple((str(name), value) for name, value in data["values"])
            is_compiled = data["is_compiled"] is True
            unknown = tuple(map(str, data["unknown"]))
            return cls(values, size, is_compiled, unknown, str(data["reason"]))
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from error


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


class Counts:
    """Counted models by draw and by spec, kept for the next session.

    The file is an aid: a damaged line is left out, counted again when it is needed, and
    the file written anew.
    """

    def __init__(self) -> None:
        self.by_draw: dict[tuple[int, int], Counted] = {}
        self._path: Path | None = None

    def add(self, seed: int, draw: int, counted: Counted) -> None:
        """Keep what a draw gave."""
        self.by_draw[seed, draw] = counted
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(_line(seed, draw, counted))

    def read(self, path: Path) -> None:
        """Take what an earlier session counted."""
        for key, counted in _lines(path):
            self.by_draw.setdefault(key, counted)

    def keep(self, path: Path) -> None:
        """Write everything to a file now, and from now on what is added."""
        lines = [_line(*key, counted) for key, counted in self.by_draw.items()]
        write_atomically(path, "".join(lines).encode())
        self._path = path


def _line(seed: int, draw: int, counted: Counted) -> str:
    data = {"seed": seed, "draw": draw, **counted.to_json()}
    return json.dumps(data, separators=(",", ":")) + "\n"


def _lines(path: Path) -> Iterator[tuple[tuple[int, int], Counted]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            key = _whole(data["seed"]), _whole(data["draw"])
            yield key, Counted.from_json(data)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning(
                "%s, line %d is damaged and counted again: %s", path, number, error
            )
