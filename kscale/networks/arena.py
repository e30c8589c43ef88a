"""The arena of TensorFlow Lite Micro: how its planner lays buffers side by side."""

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


def head_bytes(buffers: list[Buffer]) -> Any:
    """Bytes that the greedy planner of TensorFlow Lite Micro needs for buffers.

    The largest buffer comes first, of equal ones the last: networks of equal order are
    planned at once.
    """
    many = np.broadcast_arrays(*(item.size for item in buffers))
    sizes = np.stack([item.reshape(-1) for item in many])
    order = len(buffers) - 1 - np.argsort(-sizes[::-1], axis=0, kind="stable")
    orders, owners = np.unique(order, axis=1, return_inverse=True)
    head = np.zeros(sizes.shape[1], np.int64)
    for number, line in enumerate(orders.T.tolist()):
        mine = owners.reshape(-1) == number
        head[mine] = _planned(buffers, line, sizes[:, mine])
    return head if many[0].ndim else int(head[0])


def _planned(
    buffers: list[Buffer], order: list[int], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bytes for buffers `(buffers, networks)`: each gets, in an order, the first gap
    among those placed before that are alive at the same time."""
    first, last = (np.array([item[at] for item in buffers]) for at in (1, 2))
    meets = (first[:, None] <= last) & (first <= last[:, None])
    starts, ends = np.zeros_like(sizes), np.zeros_like(sizes)
    is_placed = np.zeros(len(buffers), bool)
    for index in order:
        beside = np.flatnonzero(meets[index] & is_placed)
        start, is_free = starts[index], not len(beside)
        while not is_free:
            is_taken = (starts[beside] < start + sizes[index]) & (ends[beside] > start)
            start = np.where(is_taken, ends[beside], start).max(axis=0)
            is_free = not is_taken.any()
        starts[index], ends[index] = start, start + sizes[index]
        is_placed[index] = True
    highest: NDArray[np.int64] = ends.max(axis=0)
    return highest


def aligned(size: Any) -> Any:
    """A size as a buffer has it.

    Example:

    >>> aligned(16), aligned(17)
    (16, 32)
    """
    return -(-size // ALIGNMENT) * ALIGNMENT
