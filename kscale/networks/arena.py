"""The arena of TensorFlow Lite Micro: how its planner lays buffers side by side."""

import math
from bisect import insort
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 16
"""Bytes of which the size of every buffer is a multiple."""


class Buffer(NamedTuple):
    """Bytes in the arena, and the first and last operation that needs them."""

    size: Any
    first: int
    last: int


def head_bytes(buffers: Sequence[Buffer], most: float = math.inf) -> Any:
    """Bytes that the greedy planner of TensorFlow Lite Micro needs for buffers.

    Args:
        buffers: Tensors and scratch buffers, in the order of the file.
        most: What arrays are compared with. Where the bytes that are alive at once are
            more, or less than half, they stand for the planner's, which needs a third
            more at most in all networks seen.
    """
    many = np.broadcast_arrays(*(item.size for item in buffers))
    sizes = np.stack([item.reshape(-1) for item in many])
    head = np.max(alive_bytes(buffers, sizes), axis=0)
    is_near = (head <= most) & (2 * head > most) | (most == math.inf)
    for column in np.flatnonzero(is_near | (many[0].ndim == 0)):
        head[column] = _planned(buffers, sizes[:, column].tolist())
    return head if many[0].ndim else int(head[0])


def alive_bytes(
    buffers: Sequence[Buffer], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bytes that are alive at each operation, `(operations, networks)`, of buffers of
    sizes `(buffers, networks)`."""
    operations = np.arange(1 + max(item.last for item in buffers))[:, None]
    first, last = (np.array([item[at] for item in buffers]) for at in (1, 2))
    alive: NDArray[np.int64] = ((first <= operations) & (operations <= last)) @ sizes
    return alive


def _planned(buffers: Sequence[Buffer], sizes: list[int]) -> int:
    """Bytes for the buffers of one network.

    The largest buffer comes first, of equal ones the last. Each gets the first gap
    among those placed before that are alive at the same time.
    """
    placed: list[tuple[int, int, int, int]] = []  # start, end, first, last
    order = sorted(range(len(sizes))[::-1], key=lambda index: -sizes[index])
    for index in order:
        size, (_, first, last), start = sizes[index], buffers[index], 0
        for its_start, its_end, its_first, its_last in placed:
            if its_first <= last and first <= its_last:
                if its_start - start >= size:
                    break
                start = max(start, its_end)
        insort(placed, (start, start + size, first, last))
    return max(end for _, end, _, _ in placed)


def aligned(size: Any) -> Any:
    """A size as a buffer has it.

    Example:

    >>> aligned(16), aligned(17)
    (16, 32)
    """
    return -(-size // ALIGNMENT) * ALIGNMENT
