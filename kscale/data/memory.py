"""Memory: what is free, and which examples are held there or on disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import Rows, StoredRows, byte_rows, chunks_of, row_bytes
from kscale.data.raw import RawData
from kscale.task.tasks import Input

_SHARE = 0.5  # of the memory that is free, for data
_GROUPS = Path("/sys/fs/cgroup")  # where Linux shows the limits of a container
# Limit, use, and the line of memory.stat of what the system gives back when needed:
# version 2 and version 1 of control groups.
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def free_bytes(groups: Path = _GROUPS) -> int:
    """Bytes free on this machine, or in its container where that has less."""
    import psutil  # needed only where data is loaded or a network built

    free = int(psutil.virtual_memory().available)
    return min(free, *(_left(groups, *names) for names in _FILES))


def _left(groups: Path, limit: str, used: str, stat: str, returned: str) -> int:
    """Bytes left to a container; 2^63 without a limit."""
    try:
        lines = (groups / stat).read_text().splitlines()
        numbers = dict(line.split() for line in lines)
        held = int((groups / used).read_text()) - int(numbers.get(returned, 0))
        return max(0, int((groups / limit).read_text()) - held)
    except (OSError, ValueError):  # no container, or "max"
        return 2**63


def most_bytes(memory: int | None) -> int:
    """Most bytes of data to hold: as many as asked for, or half of the free memory."""
    return int(free_bytes() * _SHARE) if memory is None else memory


def held(rows: Rows, is_slow: bool, in_memory: bool) -> Rows:
    """Rows in memory, as texts always are, or on disk.

    Rows that are fast to read stay on disk if memory is short. Rows computed from bytes
    stay computed, because the bytes take a quarter of the memory.
    """
    if is_slow and in_memory:
        return filled(chunks_of(rows), rows.shape, rows.dtype)
    if is_slow:
        return StoredRows(chunks_of(rows), rows.shape[1:], rows.dtype)
    is_read = (in_memory or rows.dtype.kind == "T") and byte_rows(rows) is rows
    return rows[:] if is_read else rows


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


def fits_memory(
    raw: RawData, inputs: Iterable[Input | None], memory: int | None
) -> bool:
    """Whether all examples fit: raw, and as networks read them, as far as inputs are
    known, here and on the device."""
    arrays = raw.parts["train"].inputs.values()
    given = sum(row_bytes(array.rows) for array in arrays)
    read = sum(4 * int(np.prod(item.shape)) for item in inputs if item)
    needed = sum(map(len, raw.parts.values())) * (given + 2 * read)
    return needed <= most_bytes(memory)
