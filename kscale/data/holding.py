"""Where examples are held: in memory, or on disk where memory is too small."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import (
    ComputedRows,
    Rows,
    StoredRows,
    chosen_rows,
    chunks_of,
    row_bytes,
)
from kscale.data.memory import free_bytes
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.raw import RawArray
from kscale.data.splitting import Indices
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

    def raw(self, array: RawArray, chosen: Indices | None) -> Rows:
        """The chosen rows of a raw array, or all rows; rows on disk stay there."""
        rows = chosen_rows(array.rows, chosen)
        if not array.is_slow:
            is_held = self.in_memory or rows.dtype.kind == "T"
            return rows[:] if is_held else rows
        if self.in_memory:
            return filled(chunks_of(rows), rows.shape, rows.dtype)
        return StoredRows(chunks_of(rows), rows.shape[1:], rows.dtype)

    def encoded(
        self, item: Input, preprocessing: Preprocessing, raw: Mapping[str, Rows]
    ) -> Rows:
        computed = ComputedRows(preprocessing.apply, dict(raw), item.shape, item.dtype)
        if preprocessing.is_cheap:
            return computed[:] if self.in_memory else computed
        if self.in_memory:
            return filled(chunks_of(computed), computed.shape, item.dtype)
        return StoredRows(chunks_of(computed), item.shape, item.dtype)


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


def bytes_needed(
    arrays: Mapping[str, RawArray], examples: int, inputs: list[Input]
) -> int:
    """Bytes of all examples: raw, and as networks read them here and on the device."""
    raw = sum(row_bytes(array.rows) for array in arrays.values())
    read = sum(4 * int(np.prod(item.shape)) for item in inputs)
    return examples * (raw + 2 * read)
