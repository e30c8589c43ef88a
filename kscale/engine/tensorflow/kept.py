"""Programs that are kept after a training, to train the same network again."""

import gc
from collections.abc import Hashable
from typing import Any

from kscale.data.memory import free_bytes

MOST_KEPT = 32
_GRAPH_BYTES = 2**23  # of what is traced for a network
_SHARE = 0.1  # of the memory that is free


class KeptPrograms:
    """The programs that ended last: at most 32, in at most a tenth of free memory."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Any, int]] = {}

    def take(self, key: Hashable) -> Any:
        """A program that nobody else uses from now on; None if none is kept."""
        return self._kept.pop(key, (None, 0))[0]

    def keep(self, key: Hashable, program: Any, weight_bytes: int) -> None:
        """Keep a program, in place of those that ended first where too many are kept.

        Args:
            key: Decides for which trainings a program is the same.
            program: What nobody uses any more.
            weight_bytes: Of its weights and the optimizer.
        """
        self._kept[key] = program, weight_bytes + _GRAPH_BYTES
        most = _SHARE * free_bytes()
        while len(self._kept) > MOST_KEPT or self._bytes() > most:
            del self._kept[next(iter(self._kept))]

    def make_room(self, needed: int) -> None:
        """Drop all programs if less than twice the needed bytes of memory is free."""
        if self._kept and free_bytes() < 2 * needed:
            self.clear()
            gc.collect()

    def clear(self) -> bool:
        """Drop all programs; whether there were any."""
        had_any = bool(self._kept)
        self._kept.clear()
        return had_any

    def _bytes(self) -> int:
        return sum(size for _, size in self._kept.values())
