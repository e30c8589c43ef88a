"""Where examples are held: in memory, or on disk where memory is too small."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows, StoredRows, chunks_of, row_bytes
from kscale.data.memory import free_bytes
from kscale.data.raw import RawData
from kscale.task.tasks import Input

_SHARE = 0.5  # of the memory that is free, for data


def most_bytes(memory: int | None) -> int:
    """Most bytes of data to hold: as many as asked for, or half of the free memory."""
    if memory is not None:
        return memory
    return int(free_bytes() * _SHARE)


class Holder:
    """Holds rows of a data set, all of them in memory or all on disk."""

    def __init__(self, memory: int | None, needed: int) -> None:
        self.in_memory = needed <= most_bytes(memory)

    def hold(self, rows: Rows, is_slow: bool) -> Rows:
        """The rows in memory or on disk; what is fast to read again stays there.

        Args:
            rows: Texts are held in memory in any case.
            is_slow: Whether making the rows takes longer than reading them from disk.
        """
        if not is_slow:
            is_held = self.in_memory or rows.dtype.kind == "T"
            return rows[:] if is_held else rows
        if self.in_memory:
            return filled(chunks_of(rows), rows.shape, rows.dtype)
        return StoredRows(chunks_of(rows), rows.shape[1:], rows.dtype)


def filled(
    chunks: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: Any
) -> NDArray[Any]:
    """Chunks as one array, without a second copy in memory."""
    whole = np.empty(shape, dtype)
    start = 0
    for chunk in chunks:
        whole[start : start + len(chunk)] = chunk
        start += len(chunk)
    return whole


def bytes_needed(raw: RawData, inputs: Sequence[Input]) -> int:
    """Bytes of all examples: raw, and as networks read them here and on the device."""
    examples = sum(len(part) for part in raw.parts.values())
    arrays = raw.parts["train"].inputs.values()
    given = sum(row_bytes(array.rows) for array in arrays)
    read = sum(4 * int(np.prod(item.shape)) for item in inputs)
    return examples * (given + 2 * read)
