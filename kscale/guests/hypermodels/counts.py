"""Sizes of a user's models by draw, in memory and in a file of the run folder."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from kscale.guests.hypermodels.drawn_hyperparameters import Values
from kscale.networks.sizing import Size
from kscale.runs.folder import write_atomically
from kscale.runs.records import Count

logger = logging.getLogger(__name__)

SIZES_FILE = "sizes.jsonl"


@dataclass(frozen=True)
class Counted:
    """What building a model abstractly gave.

    Args:
        values: The hyperparameters that the model asked for, in order.
        size: Size of the model; None where there is no model.
        unknown: Layers of unknown FLOPs.
        reason: Why there is no model.
    """

    values: Values
    size: Size | None = None
    unknown: tuple[str, ...] = ()
    reason: str = ""


class _Line(msgspec.Struct):
    """A line of the file: the seed and the index of a draw, and what it gave."""

    seed: Count
    draw: Count
    values: Values
    size: dict[str, Count] | None
    unknown: tuple[str, ...]
    reason: str


class Counts:
    """Counted models by draw, kept for the next session.

    The file is an aid: a damaged line is left out, its model is counted again when it
    is needed, and the file is written anew.
    """

    def __init__(self) -> None:
        self.by_draw: dict[tuple[int, int], Counted] = {}
        self._path: Path | None = None

    def add(self, seed: int, draw: int, counted: Counted) -> None:
        """Keep what a draw gave."""
        self.by_draw[seed, draw] = counted
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(_line(seed, draw, counted))

    def read(self, path: Path) -> None:
        """Take what an earlier session counted."""
        for key, counted in _lines(path):
            self.by_draw.setdefault(key, counted)

    def keep(self, path: Path) -> None:
        """Write everything to a file now, and from now on what is added."""
        lines = [_line(*key, counted) for key, counted in self.by_draw.items()]
        write_atomically(path, b"".join(lines))
        self._path = path


def _line(seed: int, draw: int, counted: Counted) -> bytes:
    data = {"seed": seed, "draw": draw, **asdict(counted)}
    return msgspec.json.encode(data) + b"\n"


def _lines(path: Path) -> Iterator[tuple[tuple[int, int], Counted]]:
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = msgspec.structs.asdict(msgspec.json.decode(line, type=_Line))
            key = data.pop("seed"), data.pop("draw")
            size = None if data["size"] is None else Size(**data["size"])
            yield key, Counted(**{**data, "size": size})
        except (ValueError, TypeError) as error:
            logger.warning(
                "%s, line %d is damaged and counted again: %s", path, number, error
            )
