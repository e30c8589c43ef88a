"""Where examples are held: in memory, or on disk where they are too large for it."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from kscale.data.preprocessing import Preprocessing
from kscale.data.raw import RawArray
from kscale.data.rows import (
    CHUNK_BYTES,
    ComputedRows,
    Rows,
    StoredRows,
    chunks_of,
    row_bytes,
)
from kscale.data.splitting import Indices
from kscale.task import Input

_SHARE = 0.5  # of the memory that is free, for data


class Holder:
    """Decides for a data set, once, and holds its rows.

    Args:
        memory: Most bytes to hold; without it half of what is free.
        needed: Bytes of all raw arrays and of what networks read, twice: once here and
            once on the device.
    """

    def __init__(self, memory: int | None, needed: int) -> None:
        free = psutil.virtual_memory().available * _SHARE
        self.in_memory = needed <= (free if memory is None else memory)

    def raw(self, array: RawArray, rows: Indices | None) -> Rows:
        """The chosen rows of a raw array, or all."""
        if array.take is None:
            whole = array.read()
            return whole if rows is None else whole[rows]
        chosen = np.arange(len(array)) if rows is None else rows
        shape, chunks = array.shape[1:], _taken(array, chosen)
        if not self.in_memory:
            return StoredRows(chunks, shape, array.dtype)
        held = np.empty((len(chosen), *shape), array.dtype)
        start = 0
        for chunk in chunks:
            held[start : start + len(chunk)] = chunk
            start += len(chunk)
        return held

    def encoded(
        self, item: Input, preprocessing: Preprocessing, raw: Mapping[str, Rows]
    ) -> Rows:
        """What the network reads of raw rows."""
        computed = ComputedRows(preprocessing.apply, dict(raw), item.shape, item.dtype)
        if preprocessing.is_cheap:
            return computed[:] if self.in_memory else computed
        if self.in_memory:
            return np.concatenate(list(chunks_of(computed)))
        return StoredRows(chunks_of(computed), item.shape, item.dtype)


def _taken(array: RawArray, chosen: Indices) -> Iterator[NDArray[Any]]:
    assert array.take is not None
    width = int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize
    step = max(1, CHUNK_BYTES // max(1, width))
    for start in range(0, len(chosen), step):
        yield array.take(chosen[start : start + step])


def bytes_needed(
    arrays: Mapping[str, RawArray], examples: int, inputs: list[Input]
) -> int:
    """Bytes of all examples, raw and as networks read them, there twice."""
    raw = sum(row_bytes(array) for array in arrays.values())
    read = sum(4 * int(np.prod(item.shape)) for item in inputs)
    return examples * (raw + 2 * read)
